//! What a resumed execution remembers of its earlier lives, or of the execution that it was made from.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::Payload;
use crate::event::{Event, Outcome, Path};
use crate::execution::Record;
use crate::fold::{Range, is_inside, scope_key};
use crate::origin::{Kept, Origin};
use crate::state::Resolved;
use crate::wait::Wait;

/// What a folded scope is remembered as.
const SCOPE: &str = "scope";
/// What a timer is remembered as.
pub(crate) const TIMER: &str = "timer";
/// What an emission is remembered as.
pub(crate) const EMIT: &str = "emit";

/// What earlier lives left.
#[derive(Default)]
pub(crate) struct Memory {
    /// What was completed and not undone, by path, with its kind.
    pub(crate) results: HashMap<Path, (Path, Resolved)>,
    /// Scopes that folded, by the key of the entry: the result and how often a path inside was asked for at most.
    pub(crate) scopes: HashMap<Path, (Payload, u32)>,
    /// How often steps were completed and done again.
    pub(crate) redone: HashMap<Path, u32>,
    /// What was neither completed nor cancelled, by path, with its kind.
    pub(crate) unfinished: HashMap<Path, (Path, Unfinished)>,
    pub(crate) signals: Signals,
    /// The types of the events that were taken, each with the number of the last one.
    pub(crate) taken: HashMap<Path, i64>,
}

/// Something that another life takes over as it is.
#[derive(Clone)]
pub(crate) enum Unfinished {
    Step {
        scheduled_at: i64,
        attempt: u32,
        not_before: Option<i64>,
        begun: bool,
    },
    Timer {
        at: i64,
    },
    Child {
        id: Path,
        detached: bool,
    },
    Wait {
        until: Option<i64>,
        beat: Option<i64>,
    },
}

/// The signals that came.
#[derive(Default)]
pub(crate) struct Signals {
    /// Those that nothing has taken, by number.
    pub(crate) kept: BTreeMap<i64, (Path, Payload)>,
    pub(crate) ids: HashSet<String>,
    /// The number of the last one.
    pub(crate) last: i64,
}

impl Signals {
    pub(crate) fn receive(&mut self, name: &Path, data: &Payload, id: Option<&String>, number: i64) {
        self.kept.insert(number, (Arc::clone(name), data.clone()));
        self.ids.extend(id.cloned());
        self.last = self.last.max(number);
    }
}

struct Asked<'a> {
    kind: Path,
    compensates: Option<&'a Path>,
    /// Of another try, the step that it is one of.
    try_of: Option<&'a Path>,
    at: i64,
    wait: Option<&'a Wait>,
    left: Unfinished,
}

impl Memory {
    /// What the records of earlier lives left.
    pub(crate) fn of(records: &[Record]) -> Self {
        let origin = match records.first().and_then(|record| record.events.first()) {
            Some(Event::Started { origin, .. }) => origin.as_deref(),
            _ => None,
        };
        let mut memory = Self::default();
        memory.take_over(origin);
        let mut folded: HashMap<Path, (&Path, Range)> = HashMap::new();
        let mut asked: HashMap<&Path, Asked<'_>> = HashMap::new();
        for (at, event) in records
            .iter()
            .flat_map(|record| record.events.iter().map(|event| (record.at, event)))
        {
            if let Event::ChildStarted {
                path,
                id,
                workflow,
                detached: true,
                ..
            } = event
            {
                // Nobody waits for its end: to have started it is all there was to do.
                let id = Payload::of(&**id).unwrap_or_else(|_| Payload::null());
                memory.done(path, Arc::clone(workflow), 1, id, (at, at));
                continue;
            }
            if let Some((path, ask)) = Asked::of(event, at) {
                asked.insert(path, ask);
                continue;
            }
            let (path, attempts, output) = match event {
                Event::StepCompleted { path, attempt, output } => (path, *attempt, output.clone()),
                Event::ChildEnded {
                    path,
                    outcome: Outcome::Succeeded(output),
                } => (path, 1, output.clone()),
                Event::TimerFired { path } => (path, 1, Payload::null()),
                Event::Emitted { path, .. } => {
                    memory.done(path, EMIT.into(), 1, Payload::null(), (at, at));
                    continue;
                }
                Event::WaitCompleted { path, output, event } => {
                    memory.took(asked.get(path).and_then(|ask| ask.wait), *event);
                    (path, 1, output.clone())
                }
                Event::ScopeFolded(fold) | Event::ScopeSkipped { fold, .. } => {
                    if let Event::ScopeSkipped { signals, taken, .. } = event {
                        memory.skip(signals, taken);
                    }
                    let inside = |path: &str| is_inside(&fold.path, fold.range, path);
                    memory.results.retain(|path, _| !inside(path));
                    memory.scopes.retain(|key, _| !inside(key));
                    asked.retain(|path, _| !inside(path));
                    let key = scope_key(&fold.path, fold.range, fold.entry);
                    folded.insert(Arc::clone(&key), (&fold.path, fold.range));
                    memory.scopes.insert(key, (fold.output.clone(), fold.most));
                    continue;
                }
                // What an earlier life had left open and this one did not ask for was given up with it.
                Event::Finished { .. } => {
                    asked.clear();
                    continue;
                }
                Event::Resumed { dropped, .. } => {
                    for path in dropped {
                        memory.forget(path);
                        asked.remove(path);
                    }
                    continue;
                }
                other => {
                    memory.progress(other, &mut asked);
                    continue;
                }
            };
            match asked.remove(path) {
                // An action that was undone is to be done again, and undone again if need be.
                Some(Asked {
                    compensates: Some(undone),
                    ..
                }) => {
                    memory.undo(undone);
                    memory.scopes.retain(|key, _| {
                        folded
                            .get(key)
                            .is_none_or(|(scope, range)| !is_inside(scope, *range, undone))
                    });
                    *memory.redone.entry(Arc::clone(path)).or_default() += 1;
                }
                Some(ask) => {
                    if let Some(first) = ask.try_of {
                        // The step is done, whichever try did it: asked for again, it must not be carried out again.
                        memory.done(first, Arc::clone(&ask.kind), attempts, output.clone(), (ask.at, at));
                    }
                    memory.done(path, ask.kind, attempts, output, (ask.at, at));
                }
                None => {}
            }
        }
        memory.unfinished = asked
            .into_iter()
            .map(|(path, ask)| (Arc::clone(path), (ask.kind, ask.left)))
            .collect();
        memory
    }

    /// What an execution takes over from the one that it was made from.
    pub(crate) fn take_over(&mut self, origin: Option<&Origin>) {
        let Some(origin) = origin else { return };
        for kept in &origin.kept {
            if &*kept.kind == SCOPE {
                self.scopes
                    .insert(Arc::clone(&kept.path), (kept.output.clone(), kept.most));
            } else {
                let took = (kept.asked_at, kept.ended_at);
                self.done(
                    &kept.path,
                    Arc::clone(&kept.kind),
                    kept.attempts,
                    kept.output.clone(),
                    took,
                );
            }
        }
        self.redone
            .extend(origin.redone.iter().map(|(path, times)| (Arc::clone(path), *times)));
    }

    fn done(&mut self, path: &Path, kind: Path, attempts: u32, output: Payload, (asked_at, ended_at): (i64, i64)) {
        let resolved = Resolved {
            result: Ok(output),
            attempts,
            asked_at,
            ended_at,
        };
        self.results.insert(Arc::clone(path), (kind, resolved));
    }

    /// Forgets what was done at `undone` (of a block, everything inside it): it is to be done again.
    fn undo(&mut self, undone: &Path) {
        let Self {
            results,
            scopes,
            redone,
            ..
        } = self;
        // Of a loop, all its rounds.
        let is_of_it = |done: &str| {
            done.strip_prefix(&**undone)
                .is_some_and(|rest| rest.starts_with(['/', '[', '#']))
        };
        let mut of_it = false;
        results.retain(|done, _| {
            let goes = done == undone || is_of_it(done);
            if goes {
                of_it |= done != undone;
                *redone.entry(Arc::clone(done)).or_default() += 1;
            }
            !goes
        });
        if of_it {
            // What is inside may have the key of the whole.
            *redone.entry(Arc::clone(undone)).or_default() += 1;
        }
        scopes.retain(|key, _| !is_of_it(key));
    }

    /// Forgets what a definition that the execution goes on on says otherwise.
    pub(crate) fn forget(&mut self, path: &Path) {
        if self.results.remove(path).is_some() {
            // With the old key a service would answer with what it did for the old definition.
            *self.redone.entry(Arc::clone(path)).or_default() += 1;
        }
        self.scopes.remove(path);
        self.unfinished.remove(path);
    }

    /// Takes what is still left open, sorted by path.
    pub(crate) fn take_unfinished(&mut self) -> BTreeMap<Path, Unfinished> {
        let left = std::mem::take(&mut self.unfinished).into_iter();
        left.map(|(path, (_, left))| (path, left)).collect()
    }

    /// What is remembered at paths for which `keep` is false, sorted.
    pub(crate) fn not_kept(&self, keep: &dyn Fn(&str) -> bool) -> Vec<Path> {
        let all = self
            .results
            .keys()
            .chain(self.scopes.keys())
            .chain(self.unfinished.keys());
        let mut dropped: Vec<Path> = all.filter(|path| !keep(path.trim_end_matches('/'))).cloned().collect();
        dropped.sort_unstable();
        dropped
    }

    /// What is remembered at paths for which `keep` is true, sorted.
    pub(crate) fn kept(&self, keep: &dyn Fn(&str) -> bool) -> Vec<Kept> {
        let results = self.results.iter().filter_map(|(path, (kind, resolved))| {
            Some(Kept {
                path: Arc::clone(path),
                kind: Arc::clone(kind),
                output: resolved.result.as_ref().ok()?.clone(),
                attempts: resolved.attempts,
                asked_at: resolved.asked_at,
                ended_at: resolved.ended_at,
                most: 1,
            })
        });
        let scopes = self.scopes.iter().map(|(path, (output, most))| Kept {
            path: Arc::clone(path),
            kind: SCOPE.into(),
            output: output.clone(),
            attempts: 1,
            asked_at: 0,
            ended_at: 0,
            most: *most,
        });
        let mut all: Vec<Kept> = results
            .chain(scopes)
            .filter(|kept| keep(kept.path.trim_end_matches('/')))
            .collect();
        all.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        all
    }

    /// A wait took a signal or an event.
    pub(crate) fn took(&mut self, wait: Option<&Wait>, number: Option<i64>) {
        match (wait, number) {
            (Some(Wait::Signal { .. }), Some(number)) => {
                self.signals.kept.remove(&number);
            }
            (Some(Wait::Event { event, .. }), Some(number)) => {
                let last = self.taken.entry(Arc::clone(event)).or_default();
                *last = number.max(*last);
            }
            _ => {}
        }
    }

    /// What was taken inside a scope that condensed records skip.
    pub(crate) fn skip(&mut self, signals: &[i64], taken: &[(Path, i64)]) {
        for number in signals {
            self.signals.kept.remove(number);
            self.signals.last = self.signals.last.max(*number);
        }
        for (event, number) in taken {
            let last = self.taken.entry(Arc::clone(event)).or_default();
            *last = (*number).max(*last);
        }
    }

    /// What happens to something that goes on, and what ends without a result.
    fn progress(&mut self, event: &Event, asked: &mut HashMap<&Path, Asked<'_>>) {
        match event {
            Event::SignalReceived { name, data, id, number } => {
                self.signals.receive(name, data, id.as_ref(), *number);
            }
            Event::AttemptBegun { path, .. } => {
                if let Some(Unfinished::Step { begun, .. }) = asked.get_mut(path).map(|ask| &mut ask.left) {
                    *begun = true;
                }
            }
            Event::AttemptFailed {
                path,
                attempt: failed,
                next_at,
                ..
            } => {
                if let Some(Unfinished::Step {
                    attempt,
                    not_before,
                    begun,
                    ..
                }) = asked.get_mut(path).map(|ask| &mut ask.left)
                {
                    (*attempt, *not_before, *begun) = (failed + 1, Some(*next_at), false);
                }
            }
            Event::Heartbeat { path, until } => {
                if let Some(Unfinished::Wait { beat, .. }) = asked.get_mut(path).map(|ask| &mut ask.left) {
                    *beat = Some(*until);
                }
            }
            Event::StepFailed { path, .. }
            | Event::StepCancelled { path }
            | Event::TimerCancelled { path }
            | Event::ChildCancelled { path, .. }
            | Event::ChildEnded { path, .. }
            | Event::WaitFailed { path, .. }
            | Event::WaitCancelled { path } => {
                asked.remove(path);
            }
            _ => {}
        }
    }
}

impl<'a> Asked<'a> {
    fn of(event: &'a Event, at: i64) -> Option<(&'a Path, Self)> {
        let mut try_of = None;
        let (path, kind, compensates, wait, left) = match event {
            Event::StepScheduled {
                path,
                kind,
                compensates,
                key_of,
                ..
            } => {
                try_of = key_of.as_ref();
                let left = Unfinished::Step {
                    scheduled_at: at,
                    attempt: 1,
                    not_before: None,
                    begun: false,
                };
                (path, Arc::clone(kind), compensates.as_ref(), None, left)
            }
            Event::TimerSet { path, at } => (path, TIMER.into(), None, None, Unfinished::Timer { at: *at }),
            Event::ChildStarted {
                path,
                id,
                workflow,
                detached,
                ..
            } => {
                let left = Unfinished::Child {
                    id: Arc::clone(id),
                    detached: *detached,
                };
                (path, Arc::clone(workflow), None, None, left)
            }
            Event::WaitRegistered {
                path,
                wait,
                until,
                heartbeat,
            } => {
                let left = Unfinished::Wait {
                    until: *until,
                    beat: heartbeat.map(|ms| at.saturating_add_unsigned(ms)),
                };
                (path, wait.memo_kind(), None, Some(wait), left)
            }
            _ => return None,
        };
        let ask = Self {
            kind,
            compensates,
            try_of,
            at,
            wait,
            left,
        };
        Some((path, ask))
    }
}
