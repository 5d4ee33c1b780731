//! What an execution and its program share: the open operations, and what the program asked for.
//!
//! The program's futures register operations here and take their results from here; the execution
//! resolves them. Both run on whatever thread drives the execution, never at the same time, so the lock
//! around this is never contended.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::effect::{Effect, StepBody};
use crate::event::{Event, Outcome, Path};
use crate::policy::StepOptions;
use crate::{Payload, StepError};

/// What an operation resolves to.
pub(crate) type Resolution = Result<Payload, StepError>;

/// How an operation ended, and what it took.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// Its result.
    pub result: Result<Payload, StepError>,
    /// Attempts made; 1 for timers and children, 0 for what was never begun.
    pub attempts: u32,
    /// When it was asked for, in milliseconds since the Unix epoch.
    pub asked_at: i64,
    /// When it ended, in milliseconds since the Unix epoch.
    pub ended_at: i64,
}

pub(crate) struct OpenStep {
    pub(crate) body: Arc<dyn StepBody>,
    pub(crate) options: StepOptions,
    pub(crate) scheduled_at: i64,
    /// The attempt that runs or is due, from 1.
    pub(crate) attempt: u32,
    /// When it is due; none means at once.
    pub(crate) not_before: Option<i64>,
}

pub(crate) struct OpenChild {
    pub(crate) id: Path,
    pub(crate) workflow: Path,
    pub(crate) input: Payload,
    pub(crate) detached: bool,
}

impl OpenChild {
    pub(crate) fn start(&self, path: &Path) -> Effect {
        Effect::StartChild {
            path: Arc::clone(path),
            id: Arc::clone(&self.id),
            workflow: Arc::clone(&self.workflow),
            input: self.input.clone(),
            detached: self.detached,
        }
    }
}

pub(crate) enum What {
    Step(OpenStep),
    Timer { at: i64 },
    Child(OpenChild),
}

/// An operation as it is asked for.
pub(crate) struct Asked {
    pub(crate) what: What,
    pub(crate) shielded: bool,
    pub(crate) group: Option<Arc<Group>>,
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

/// An operation that the program waits for.
pub(crate) struct Open {
    /// Place in the order of asking.
    pub(crate) order: u64,
    pub(crate) asked_at: i64,
    pub(crate) what: What,
    /// Cancellation does not reach it.
    pub(crate) shielded: bool,
    pub(crate) group: Option<Arc<Group>>,
    pub(crate) waker: Option<Waker>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) now: i64,
    pub(crate) open: HashMap<Path, Open>,
    /// Open operations in the order of asking.
    pub(crate) order: BTreeMap<u64, Path>,
    next_order: u64,
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
    /// Results of an earlier life of the execution, by path (see [`Event::Resumed`]).
    pub(crate) memo: HashMap<Path, (Path, Resolved)>,
    /// How often steps were completed and undone in earlier lives.
    pub(crate) redone: HashMap<Path, u32>,
    /// The program is being dropped: nothing it does now is meant.
    pub(crate) closing: bool,
}

impl State {
    /// Registers an operation under its path, which nothing else has.
    pub(crate) fn ask(&mut self, path: Path, asked: Asked, waker: Waker, command: Event) {
        let Asked { what, shielded, group } = asked;
        let order = self.next_order;
        self.next_order += 1;
        self.order.insert(order, Arc::clone(&path));
        self.fresh.push(Arc::clone(&path));
        self.issued.push_back(command);
        self.open.insert(
            path,
            Open {
                order,
                asked_at: self.now,
                what,
                shielded,
                group,
                waker: Some(waker),
            },
        );
    }

    /// Takes an operation out, leaving its result for the future that waits. Unknown paths (a late
    /// answer, a lost race) are ignored.
    pub(crate) fn resolve(&mut self, path: &Path, result: Resolution) {
        if let Some(open) = self.open.remove(path) {
            self.order.remove(&open.order);
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
    pub(crate) fn abandon(&mut self, path: &Path) -> Option<Open> {
        let open = self.open.remove(path)?;
        self.order.remove(&open.order);
        let (command, effect) = match &open.what {
            What::Step(_) => (
                Event::StepCancelled { path: Arc::clone(path) },
                Effect::CancelStep { path: Arc::clone(path) },
            ),
            What::Timer { .. } => (
                Event::TimerCancelled { path: Arc::clone(path) },
                Effect::CancelTimer { path: Arc::clone(path) },
            ),
            What::Child(child) => (
                Event::ChildCancelled {
                    path: Arc::clone(path),
                    id: Arc::clone(&child.id),
                },
                Effect::CancelChild {
                    id: Arc::clone(&child.id),
                },
            ),
        };
        self.issued.push_back(command);
        self.settled.push(effect);
        Some(open)
    }

    /// Takes a child out that nobody waits for; its start goes out all the same.
    pub(crate) fn detach(&mut self, path: &Path) {
        if let Some(Open {
            order,
            what: What::Child(child),
            ..
        }) = self.open.remove(path)
        {
            self.order.remove(&order);
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

    fn end_all(&mut self, reached: impl Fn(&Open) -> bool) {
        let reached: Vec<Path> = self
            .order
            .values()
            .filter(|path| self.open.get(*path).is_some_and(&reached))
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
        let count = self.asked.entry(Arc::clone(&path)).or_insert(0);
        *count += 1;
        if *count == 1 {
            path
        } else {
            format!("{path}#{count}").into()
        }
    }

    /// Takes what an earlier life of the execution recorded for this step, if it was the same step.
    pub(crate) fn remembered(&mut self, path: &Path, kind: &str) -> Option<Resolved> {
        self.memo
            .remove(path)
            .and_then(|(was, result)| (&*was == kind).then_some(result))
    }
}

/// A state and the names it belongs to.
pub(crate) struct Shared {
    pub(crate) id: Path,
    pub(crate) workflow: Path,
    pub(crate) started_at: i64,
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(id: Path, workflow: Path, started_at: i64) -> Arc<Self> {
        let state = State {
            now: started_at,
            ..State::default()
        };
        Arc::new(Self {
            id,
            workflow,
            started_at,
            state: Mutex::new(state),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic of the program is caught while no lock is held; a poisoned state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a child's end looks to the step that waits for it.
pub(crate) fn child_resolution(outcome: &Outcome) -> Resolution {
    match outcome {
        Outcome::Succeeded(output) => Ok(output.clone()),
        Outcome::Failed(error) => Err(error.clone()),
        Outcome::Cancelled(_) => Err(StepError::permanent(
            "child.cancelled",
            "the child workflow was cancelled",
        )),
    }
}
