//! Where executions stand, as far as their events tell: what trees, status pages and log lines are made of.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use bowline_core::{Event, Origin, Outcome, Path, StepError, Wait};

use super::shape::Shape;

/// What an operation is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// A call of a connector.
    Step {
        /// The connector.
        kind: Path,
        /// What it undoes.
        compensates: Option<Path>,
    },
    /// A wait.
    Timer,
    /// A wait for something from outside.
    Wait {
        /// What for.
        wait: Wait,
        /// When it ends by itself, if it does.
        until: Option<i64>,
        /// When the next heartbeat is due, if there are any.
        beat: Option<i64>,
    },
    /// Something told to other executions.
    Emit {
        /// The event's type.
        event: Path,
    },
    /// Another execution.
    Child {
        /// Its id.
        id: Path,
        /// Its workflow.
        workflow: Path,
        /// Nobody waits for it.
        detached: bool,
    },
}

/// Where an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is being worked on.
    Running,
    /// It waits for its time.
    Waiting,
    /// It has its result.
    Done,
    /// It failed for good.
    Failed,
    /// It is no longer wanted.
    Cancelled,
}

/// A step, timer or child.
#[derive(Clone, Debug)]
pub(crate) struct Op {
    /// What it is.
    pub(crate) what: What,
    /// Where it stands.
    pub(crate) state: State,
    /// The attempt that runs, or ran last.
    pub(crate) attempt: u32,
    /// Its place in the order of asking.
    pub(crate) order: u64,
    /// When it was asked for.
    pub(crate) asked_at: i64,
    /// When it ended.
    pub(crate) ended_at: Option<i64>,
    /// What it waits for: the next attempt, or the end of the timer.
    pub(crate) due: Option<i64>,
    /// The error of the last attempt that failed.
    pub(crate) error: Option<StepError>,
    /// Its result is that of the execution that this one was made from.
    pub(crate) kept: bool,
}

impl Op {
    /// Whether it has not ended.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Running | State::Waiting)
    }
}

/// What keeps an execution from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Something is being done.
    Busy,
    /// Nothing but time, or something from outside, is waited for: until then, or for ever.
    Until(Option<i64>),
    /// Only children are waited for.
    Children,
    /// It has ended.
    Ended,
}

/// One execution.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Its id.
    pub(crate) id: String,
    /// Its workflow.
    pub(crate) workflow: String,
    /// What it runs, where that is known.
    pub(crate) shape: Option<Arc<Shape>>,
    /// The execution that started it.
    pub(crate) parent: Option<String>,
    /// The execution that it was made from.
    pub(crate) origin: Option<String>,
    /// When it began.
    pub(crate) started_at: i64,
    /// When it ended.
    pub(crate) ended_at: Option<i64>,
    /// What it was started with, as JSON text.
    pub(crate) input: Option<bowline_core::Payload>,
    /// How it ended.
    pub(crate) outcome: Option<Outcome>,
    /// Why it is being cancelled.
    pub(crate) cancel: Option<String>,
    /// By path.
    pub(crate) ops: BTreeMap<Path, Op>,
    /// How many items each loop has, by its path, where that was found out. Clones share it.
    pub(crate) totals: Arc<Mutex<HashMap<String, Option<usize>>>>,
    asked: u64,
}

impl View {
    /// An execution of which nothing has been heard yet.
    pub(crate) fn new(id: &str, workflow: &str, started_at: i64) -> Self {
        Self {
            id: id.to_owned(),
            workflow: workflow.to_owned(),
            shape: None,
            parent: None,
            origin: None,
            started_at,
            ended_at: None,
            input: None,
            outcome: None,
            cancel: None,
            ops: BTreeMap::new(),
            totals: Arc::default(),
            asked: 0,
        }
    }

    /// Takes note of an event.
    pub(crate) fn apply(&mut self, at: i64, event: &Event) {
        match event {
            Event::Started { input, origin, .. } => {
                self.started_at = at;
                self.input = Some(input.clone());
                if let Some(origin) = origin {
                    self.take_over(origin);
                }
            }
            Event::StepScheduled {
                path,
                kind,
                compensates,
                ..
            } => {
                let what = What::Step {
                    kind: Arc::clone(kind),
                    compensates: compensates.clone(),
                };
                self.ask(path, what, State::Running, at, None);
            }
            Event::AttemptFailed {
                path,
                attempt,
                error,
                next_at,
            } => self.change(path, |op| {
                op.state = State::Waiting;
                op.attempt = *attempt;
                op.error = Some(error.clone());
                op.due = Some(*next_at);
            }),
            Event::StepCompleted { path, attempt, .. } => {
                self.change(path, |op| op.attempt = *attempt);
                self.end(path, State::Done, at, None);
            }
            Event::StepFailed { path, attempt, error } => {
                self.change(path, |op| op.attempt = *attempt);
                self.end(path, State::Failed, at, Some(error.clone()));
            }
            Event::TimerSet { path, at: due } => self.ask(path, What::Timer, State::Waiting, at, Some(*due)),
            Event::WaitRegistered {
                path,
                wait,
                until,
                heartbeat,
            } => {
                let beat = heartbeat.map(|ms| at.saturating_add_unsigned(ms));
                let what = What::Wait {
                    wait: wait.clone(),
                    until: *until,
                    beat,
                };
                self.ask(path, what, State::Waiting, at, earlier(*until, beat));
            }
            Event::Heartbeat { path, until: next } => self.change(path, |op| {
                if let What::Wait { until, beat, .. } = &mut op.what {
                    *beat = Some(*next);
                    op.due = earlier(*until, *beat);
                }
            }),
            Event::AttemptBegun { path, attempt } => self.change(path, |op| {
                op.state = State::Running;
                op.attempt = *attempt;
                op.due = None;
            }),
            Event::WaitFailed { path, error } => self.end(path, State::Failed, at, Some(error.clone())),
            Event::TimerFired { path } | Event::WaitCompleted { path, .. } => self.end(path, State::Done, at, None),
            Event::StepCancelled { path }
            | Event::TimerCancelled { path }
            | Event::WaitCancelled { path }
            | Event::ChildCancelled { path, .. } => {
                self.end(path, State::Cancelled, at, None);
            }
            Event::ChildStarted {
                path,
                id,
                workflow,
                detached,
                ..
            } => {
                let what = What::Child {
                    id: Arc::clone(id),
                    workflow: Arc::clone(workflow),
                    detached: *detached,
                };
                let state = if *detached { State::Done } else { State::Running };
                self.ask(path, what, state, at, None);
            }
            Event::ChildEnded { path, outcome } => match outcome {
                Outcome::Succeeded(_) => self.end(path, State::Done, at, None),
                Outcome::Failed(error) | Outcome::Cancelled(error) => {
                    self.end(path, State::Failed, at, Some(error.clone()));
                }
            },
            Event::Emitted { path, event, .. } => {
                let what = What::Emit {
                    event: Arc::clone(event),
                };
                self.ask(path, what, State::Done, at, None);
                self.change(path, |op| op.ended_at = Some(at));
            }
            Event::SignalReceived { .. }
            | Event::VersionChosen { .. }
            | Event::ScopeFolded(_)
            | Event::ScopeSkipped { .. } => {}
            Event::CancelRequested { reason } => self.cancel = Some(reason.clone()),
            Event::Resumed { dropped, .. } => {
                self.again();
                self.ops.retain(|path, _| !dropped.contains(path));
            }
            Event::Finished { outcome } => {
                self.outcome = Some(outcome.clone());
                self.ended_at = Some(at);
            }
        }
    }

    /// An attempt of a step begins.
    pub(crate) fn attempt(&mut self, path: &str, number: u32) {
        if let Some(op) = self.ops.get_mut(path).filter(|op| op.is_open()) {
            op.state = State::Running;
            op.attempt = number;
            op.due = None;
        }
    }

    /// What keeps it from its end.
    pub(crate) fn activity(&self) -> Activity {
        if self.outcome.is_some() {
            return Activity::Ended;
        }
        let mut next = None;
        let (mut children, mut waits) = (false, false);
        for op in self.ops.values().filter(|op| op.is_open()) {
            match (&op.what, op.due) {
                (What::Child { .. }, _) => children = true,
                (_, Some(due)) => next = earlier(next, Some(due)),
                (What::Wait { .. }, None) => waits = true,
                (_, None) => return Activity::Busy,
            }
        }
        match next {
            Some(due) => Activity::Until(Some(due)),
            None if waits => Activity::Until(None),
            None if children => Activity::Children,
            None => Activity::Busy,
        }
    }

    /// How many attempts the step at this path has at most, where that is known.
    pub(crate) fn attempts(&self, path: &str) -> Option<u32> {
        self.shape.as_ref()?.attempts(path)
    }

    /// The step whose failure is this one, where it is a step's.
    pub(crate) fn failed_step(&self, error: &StepError) -> Option<(&Path, &Op)> {
        let same = |op: &Op| {
            op.error
                .as_ref()
                .is_some_and(|own| own.code == error.code && error.message.starts_with(&own.message))
        };
        let failed = self.ops.iter().filter(|(_, op)| op.state == State::Failed && same(op));
        failed.max_by_key(|(_, op)| (op.ended_at, op.order))
    }

    fn ask(&mut self, path: &Path, what: What, state: State, at: i64, due: Option<i64>) {
        let order = self.asked;
        self.asked += 1;
        let op = Op {
            what,
            state,
            attempt: 1,
            order,
            asked_at: at,
            ended_at: None,
            due,
            error: None,
            kept: false,
        };
        self.ops.insert(Arc::clone(path), op);
    }

    /// What the execution that this one was made from had done.
    fn take_over(&mut self, origin: &Origin) {
        self.origin = Some(origin.execution.to_string());
        for kept in origin.kept.iter().filter(|kept| !kept.path.ends_with('/')) {
            let what = if &*kept.kind == "timer" {
                What::Timer
            } else {
                What::Step {
                    kind: Arc::clone(&kept.kind),
                    compensates: None,
                }
            };
            self.ask(&kept.path, what, State::Done, kept.asked_at, None);
            self.change(&kept.path, |op| {
                op.attempt = kept.attempts;
                op.ended_at = Some(kept.ended_at);
                op.kept = true;
            });
        }
    }

    fn change(&mut self, path: &Path, change: impl FnOnce(&mut Op)) {
        if let Some(op) = self.ops.get_mut(path) {
            change(op);
        }
    }

    fn end(&mut self, path: &Path, state: State, at: i64, error: Option<StepError>) {
        self.change(path, |op| {
            op.state = state;
            op.ended_at = Some(at);
            op.due = None;
            if error.is_some() || state == State::Done {
                op.error = error;
            }
        });
    }

    /// A new life: what is done and was not undone stays, everything else is yet to come.
    fn again(&mut self) {
        self.outcome = None;
        self.ended_at = None;
        self.cancel = None;
        let undone: Vec<Path> = self
            .ops
            .values()
            .filter(|op| op.state == State::Done)
            .filter_map(|op| match &op.what {
                What::Step { compensates, .. } => compensates.clone(),
                _ => None,
            })
            .collect();
        self.ops.retain(|path, op| {
            let compensation = matches!(
                &op.what,
                What::Step {
                    compensates: Some(_),
                    ..
                }
            );
            op.state == State::Done && !compensation && !undone.contains(path)
        });
    }
}

fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
