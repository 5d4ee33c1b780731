//! What an execution and its program share: the open operations, and what the program asked for.
//!
//! The program's futures register operations here and take their results from here; the execution
//! resolves them. Both run on whatever thread drives the execution, never at the same time, so the lock
//! around this is never contended.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::contest::Contest;
use crate::effect::Effect;
use crate::event::{Event, Path};
use crate::fold::Folds;
use crate::memo::{Memory, Unfinished};
use crate::open::{Open, What};
use crate::version::Versions;
use crate::{Payload, StepError, TokenKey, token};

/// What an operation resolves to.
pub(crate) type Resolution = Result<Payload, StepError>;

/// How an operation ended, and what it took.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Its result.
    pub result: Result<Payload, StepError>,
    /// Attempts made; 1 for timers, children and waits, 0 for what was never begun.
    pub attempts: u32,
    /// When it was asked for, in milliseconds since the Unix epoch.
    pub asked_at: i64,
    /// When it ended, in milliseconds since the Unix epoch.
    pub ended_at: i64,
}

/// An operation as it is asked for.
pub(crate) struct Asked {
    pub(crate) what: What,
    pub(crate) shielded: bool,
    pub(crate) group: Option<Arc<Group>>,
    /// See [`Open::shield`].
    pub(crate) shield: u64,
}

/// Operations that can be cancelled together, and the group that these are part of.
pub(crate) struct Group {
    pub(crate) cancelled: AtomicBool,
    pub(crate) outer: Option<Arc<Group>>,
}

impl Group {
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed) || self.outer.as_ref().is_some_and(|outer| outer.is_cancelled())
    }
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) now: i64,
    /// Boxed, because most executions have one or two, and a table has room for four at least.
    pub(crate) open: HashMap<Path, Box<Open>>,
    /// Open operations in the order of asking.
    pub(crate) order: BTreeMap<u64, Path>,
    next_order: u64,
    /// Open operations that something happens to at a time, by that time.
    due: BTreeSet<(i64, u64)>,
    /// Open steps that wait for no time.
    running: usize,
    children: usize,
    waits: usize,
    /// Open waits for signals in the order of asking.
    pub(crate) signal_waits: BTreeMap<u64, Path>,
    /// A signal has come, or a wait for one was asked for, since these were last compared.
    pub(crate) signals_changed: bool,
    /// Resolved operations whose futures have not looked yet.
    pub(crate) resolved: HashMap<Path, Resolved>,
    /// How often each path was asked for: the second time it becomes `path#2`.
    pub(crate) asked: HashMap<Path, u32>,
    /// Commands of the current poll, to be journaled (live) or compared (replay).
    pub(crate) issued: VecDeque<Event>,
    /// Operations whose effects are still to be handed out, if they are open by then.
    pub(crate) fresh: Vec<Path>,
    /// Effects that do not depend on what is still open: cancellations, and children nobody waits for.
    pub(crate) settled: Vec<Effect>,
    pub(crate) cancelled: Option<String>,
    /// What earlier lives of the execution left, and which signals and events have come.
    pub(crate) memory: Memory,
    /// Scopes that fold.
    pub(crate) folds: Folds,
    /// The contest one of whose branches is being polled, innermost first.
    pub(crate) contest: Option<Arc<Contest>>,
    marks: u64,
    /// Which way the program went where its code was changed.
    pub(crate) versions: Versions,
    /// What the program shows to those who ask.
    pub(crate) published: BTreeMap<String, Published>,
    /// The program is being dropped: nothing it does now is meant.
    pub(crate) closing: bool,
}

impl State {
    /// Registers an operation under its path, which nothing else has.
    pub(crate) fn ask(&mut self, path: Path, asked: Asked, waker: Waker, command: Option<Event>) {
        let Asked {
            what,
            shielded,
            group,
            shield,
        } = asked;
        let order = self.next_order;
        self.next_order += 1;
        self.order.insert(order, Arc::clone(&path));
        match &what {
            What::Step(step) if step.not_before.is_none() => self.running += 1,
            What::Child(_) => self.children += 1,
            What::Wait(wait) => {
                self.waits += 1;
                if wait.is_signal() {
                    self.signal_waits.insert(order, Arc::clone(&path));
                    self.signals_changed = true;
                }
            }
            What::Step(_) | What::Timer { .. } | What::Skip => {}
        }
        if let Some(at) = what.due() {
            self.due.insert((at, order));
        }
        if let Some(command) = command {
            self.folds.count_ask();
            self.fresh.push(Arc::clone(&path));
            self.issued.push_back(command);
        }
        self.open.insert(
            path,
            Box::new(Open {
                order,
                asked_at: self.now,
                what,
                shielded,
                group,
                contest: self.contest.clone(),
                shield,
                waker: Some(waker),
            }),
        );
    }

    /// Takes an operation out.
    fn take(&mut self, path: &str) -> Option<Box<Open>> {
        let open = self.open.remove(path)?;
        self.order.remove(&open.order);
        if let Some(at) = open.what.due() {
            self.due.remove(&(at, open.order));
        }
        match &open.what {
            What::Step(step) if step.not_before.is_none() => self.running -= 1,
            What::Child(_) => self.children -= 1,
            What::Wait(_) => {
                self.waits -= 1;
                self.signal_waits.remove(&open.order);
            }
            What::Step(_) | What::Timer { .. } | What::Skip => {}
        }
        Some(open)
    }

    /// Changes an open operation, also the time at which something happens to it.
    pub(crate) fn change(&mut self, path: &str, change: impl FnOnce(&mut What)) {
        let Some(open) = self.open.get_mut(path) else { return };
        let before = open.what.due();
        let ran = open.what.runs();
        change(&mut open.what);
        if let Some(at) = before {
            self.due.remove(&(at, open.order));
        }
        if let Some(at) = open.what.due() {
            self.due.insert((at, open.order));
        }
        self.running = self.running + usize::from(open.what.runs()) - usize::from(ran);
    }

    /// Takes an operation out, leaving its result for the future that waits. Unknown paths (a late
    /// answer, a lost race) are ignored.
    pub(crate) fn resolve(&mut self, path: &Path, result: Resolution) {
        if let Some(open) = self.take(path) {
            self.resolved.insert(Arc::clone(path), self.resolved(&open, result));
            if let Some(waker) = open.waker {
                waker.wake();
            }
        }
    }

    fn resolved(&self, open: &Open, result: Resolution) -> Resolved {
        let attempts = match &open.what {
            What::Step(step) => step.attempt,
            _ => 1,
        };
        Resolved {
            result,
            attempts,
            asked_at: open.asked_at,
            ended_at: self.now,
        }
    }

    /// Takes an operation out because nobody wants it any more.
    pub(crate) fn abandon(&mut self, path: &Path) -> Option<Box<Open>> {
        let open = self.take(path)?;
        let path = || Arc::clone(path);
        let (command, effect) = match &open.what {
            What::Step(_) => (
                Event::StepCancelled { path: path() },
                Effect::CancelStep { path: path() },
            ),
            What::Timer { .. } => (
                Event::TimerCancelled { path: path() },
                Effect::CancelTimer { path: path() },
            ),
            What::Child(child) => (
                Event::ChildCancelled {
                    path: path(),
                    id: Arc::clone(&child.id),
                },
                Effect::CancelChild {
                    id: Arc::clone(&child.id),
                },
            ),
            What::Wait(wait) => (
                Event::WaitCancelled { path: path() },
                Effect::CancelWait {
                    path: path(),
                    tag: wait.tag,
                },
            ),
            What::Skip => return Some(open),
        };
        self.issued.push_back(command);
        self.settled.push(effect);
        Some(open)
    }

    /// Takes a child out that nobody waits for; its start goes out all the same.
    pub(crate) fn detach(&mut self, path: &Path) {
        if let Some(open) = self.take(path)
            && let What::Child(child) = open.what
        {
            self.settled.push(child.start(path));
        }
    }

    /// Ends everything that cancellation reaches.
    pub(crate) fn cancel(&mut self, reason: &str) {
        self.cancelled = Some(reason.to_owned());
        self.end_all(|open| !open.shielded);
    }

    /// Ends everything that is part of a cancelled group.
    pub(crate) fn cancel_groups(&mut self) {
        self.end_all(|open| open.group.as_ref().is_some_and(|group| group.is_cancelled()));
    }

    /// Ends everything that was asked for in branches that have lost and is not shielded from that.
    pub(crate) fn cancel_losers(&mut self) {
        self.end_all(|open| {
            open.contest
                .as_ref()
                .is_some_and(|contest| contest.is_over(open.shield))
        });
    }

    /// A number that grows: what came later has a larger one.
    pub(crate) fn mark(&mut self) -> u64 {
        self.marks += 1;
        self.marks
    }

    fn end_all(&mut self, reached: impl Fn(&Open) -> bool) {
        let reached: Vec<Path> = self
            .order
            .values()
            .filter(|path| self.open.get(*path).is_some_and(|open| reached(open)))
            .cloned()
            .collect();
        for path in reached {
            if let Some(open) = self.abandon(&path) {
                self.resolved
                    .insert(path, self.resolved(&open, Err(self.cancellation())));
                if let Some(waker) = open.waker {
                    waker.wake();
                }
            }
        }
    }

    pub(crate) fn cancellation(&self) -> StepError {
        let mut error = StepError::cancelled();
        if let Some(reason) = self.cancelled.as_deref().filter(|reason| !reason.is_empty()) {
            error.message = format!("cancelled: {reason}");
        }
        error
    }

    /// The path under which this ask is known: the name itself, or `name#2` the second time.
    pub(crate) fn unique(&mut self, path: &str) -> Path {
        let path: Path = path.into();
        let before = self.folds.base();
        let count = self.asked.entry(Arc::clone(&path)).or_insert(before);
        *count += 1;
        let count = *count;
        self.folds.count_path(&path, count, count == before + 1);
        if count == 1 {
            path
        } else {
            format!("{path}#{count}").into()
        }
    }

    /// The path that the next ask of this name will get.
    pub(crate) fn upcoming(&self, path: &str) -> Path {
        match self.asked.get(path).copied().unwrap_or_else(|| self.folds.base()) {
            0 => path.into(),
            times => format!("{path}#{}", times + 1).into(),
        }
    }

    /// Takes what an earlier life of the execution recorded for this step, if it was the same step.
    pub(crate) fn remembered(&mut self, path: &Path, kind: &str) -> Option<Resolved> {
        if self.memory.results.is_empty() {
            return None;
        }
        self.memory
            .results
            .remove(path)
            .and_then(|(was, result)| (&*was == kind).then_some(result))
    }

    /// Takes what an earlier life left open at this path, if it was the same thing.
    pub(crate) fn left_open(&mut self, path: &Path, kind: &str) -> Option<Unfinished> {
        if self.memory.unfinished.is_empty() {
            return None;
        }
        self.memory
            .unfinished
            .remove(path)
            .and_then(|(was, left)| (&*was == kind).then_some(left))
    }

    /// Forgets what was done or is open at a path, because the definition that the execution goes on on says
    /// otherwise.
    pub(crate) fn forget(&mut self, path: &Path) {
        if let Some((_, left)) = self.memory.unfinished.remove(path) {
            self.end_unfinished(path, left);
        }
        self.memory.forget(path);
    }

    /// Something that was open in an earlier life is not wanted in this one.
    pub(crate) fn end_unfinished(&mut self, path: &Path, left: Unfinished) {
        match left {
            Unfinished::Child { id, detached: false } => self.settled.push(Effect::CancelChild { id }),
            Unfinished::Wait { .. } => {
                let tag = self.tag(path);
                let path = Arc::clone(path);
                self.settled.push(Effect::CancelWait { path, tag });
            }
            // The engine has forgotten these with that life; who is detached goes on.
            Unfinished::Child { .. } | Unfinished::Step { .. } | Unfinished::Timer { .. } => {}
        }
    }

    /// What a wait at this path is known by outside.
    pub(crate) fn tag(&self, path: &str) -> u64 {
        token::tag(path, self.memory.redone.get(path).copied().unwrap_or_default())
    }

    pub(crate) fn rest(&self) -> Rest {
        Rest {
            steps: self.running,
            children: self.children,
            waits: self.waits,
            next: self.due.first().map(|(at, _)| *at),
        }
    }
}

/// What an execution rests on: why it does not go on by itself just now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// Steps that run, or are to run at once.
    pub steps: usize,
    /// Children whose end it waits for.
    pub children: usize,
    /// Callbacks, signals and events that it waits for.
    pub waits: usize,
    /// When a timer, another attempt or the deadline of a wait is due first, in milliseconds since the Unix
    /// epoch. An attempt that was due stays in here while it runs.
    pub next: Option<i64>,
}

impl Rest {
    /// Whether nothing happens by itself before `at` (milliseconds since the Unix epoch): no step runs, no child
    /// is waited for, and nothing is due sooner.
    #[must_use]
    pub fn is_idle_until(&self, at: i64) -> bool {
        self.steps == 0 && self.children == 0 && self.next.is_none_or(|next| next >= at)
    }
}

/// Makes what the program shows under one name.
pub(crate) type Published = Arc<dyn Fn() -> Payload + Send + Sync>;

/// A state and the names it belongs to.
pub(crate) struct Shared {
    pub(crate) id: Path,
    pub(crate) workflow: Path,
    pub(crate) started_at: i64,
    pub(crate) exec: i64,
    pub(crate) tokens: TokenKey,
    /// The execution id that idempotency keys are made of.
    pub(crate) keys: Path,
    /// The trace that it belongs to.
    pub(crate) trace: Option<Path>,
    pub(crate) state: Mutex<State>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of the program is caught while no lock is held; a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
