//! Where an execution stands, told from its events alone: for people, and for those who look after it.

use std::collections::{BTreeMap, HashMap};

use crate::event::{Event, Outcome, Path};
use crate::execution::Record;
use crate::wait::Wait;
use crate::{Fold, StepError};

/// What is open now, in the order in which it was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// When it began, or was taken up again last, in milliseconds since the Unix epoch.
    pub since: i64,
    /// What it waits for.
    pub open: Vec<Standpoint>,
    /// Why it was asked to stop; none if it was not.
    pub cancelled: Option<String>,
    /// How it ended; none while it has not.
    pub outcome: Option<Outcome>,
    /// Signals that came and that nothing has taken, by name in the order in which they came.
    pub signals: Vec<Path>,
}

/// Something that an execution waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct Standpoint {
    /// Its path.
    pub path: Path,
    /// When it was asked for, in milliseconds since the Unix epoch.
    pub since: i64,
    /// What it is.
    pub what: Awaited,
}

/// What an execution waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum Awaited {
    /// A step.
    Step {
        /// What runs it.
        kind: Path,
        /// The attempt that runs or is due, from 1.
        attempt: u32,
        /// When it is due (milliseconds since the Unix epoch); none means at once.
        due: Option<i64>,
        /// Whether the journal says that it began, which it does only where an outcome must not be unknown.
        begun: bool,
        /// How the last attempt failed; none if none has.
        error: Option<StepError>,
        /// What it undoes; none if it is no compensation.
        compensates: Option<Path>,
    },
    /// A time.
    Timer {
        /// In milliseconds since the Unix epoch.
        at: i64,
    },
    /// The end of another execution.
    Child {
        /// Its id.
        id: Path,
        /// Its workflow.
        workflow: Path,
    },
    /// Something from outside.
    Outside {
        /// What.
        wait: Wait,
        /// It fails at this time (milliseconds since the Unix epoch); none means never.
        until: Option<i64>,
        /// It fails when nothing is heard until then; none means that no heartbeat is asked for.
        heartbeat: Option<i64>,
    },
}

impl Awaited {
    /// When something happens to it by itself, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn due(&self) -> Option<i64> {
        match self {
            Self::Step { due, .. } => *due,
            Self::Timer { at } => Some(*at),
            Self::Child { .. } => None,
            Self::Outside { until, heartbeat, .. } => match (until, heartbeat) {
                (Some(until), Some(heartbeat)) => Some(*until.min(heartbeat)),
                (until, heartbeat) => until.or(*heartbeat),
            },
        }
    }
}

/// Reads where an execution stands from its journal, which may be [condensed](crate::condense).
#[must_use]
pub fn standing(records: &[Record]) -> Standing {
    let mut reader = Reader::default();
    for record in records {
        for event in &record.events {
            reader.read(record.at, event);
        }
    }
    Standing {
        open: reader.open.into_values().collect(),
        signals: reader.signals.into_values().collect(),
        ..reader.standing
    }
}

#[derive(Default)]
struct Reader {
    standing: Standing,
    open: BTreeMap<u64, Standpoint>,
    order: HashMap<Path, u64>,
    asked: u64,
    signals: BTreeMap<i64, Path>,
    /// What an earlier life left open, by path: it goes on if it is asked for again.
    left: HashMap<Path, Awaited>,
}

impl Reader {
    fn read(&mut self, at: i64, event: &Event) {
        match event {
            Event::Started { .. } => self.standing.since = at,
            Event::Resumed { .. } => {
                self.standing = Standing {
                    since: at,
                    ..Standing::default()
                };
                self.order.clear();
                let open = std::mem::take(&mut self.open).into_values();
                self.left = open.map(|standpoint| (standpoint.path, standpoint.what)).collect();
            }
            Event::Finished { outcome } => self.standing.outcome = Some(outcome.clone()),
            Event::CancelRequested { reason } => self.standing.cancelled = Some(reason.clone()),
            Event::SignalReceived { name, number, .. } => {
                self.signals.insert(*number, name.clone());
            }
            Event::ScopeSkipped { signals, .. } => {
                for number in signals {
                    self.signals.remove(number);
                }
            }
            Event::StepScheduled {
                path,
                kind,
                compensates,
                ..
            } => self.ask(
                path,
                at,
                Awaited::Step {
                    kind: kind.clone(),
                    attempt: 1,
                    due: None,
                    begun: false,
                    error: None,
                    compensates: compensates.clone(),
                },
            ),
            Event::TimerSet { path, at: due } => self.ask(path, at, Awaited::Timer { at: *due }),
            Event::ChildStarted { detached: true, .. }
            | Event::Emitted { .. }
            | Event::VersionChosen { .. }
            | Event::ScopeFolded(Fold { .. }) => {}
            Event::ChildStarted { path, id, workflow, .. } => self.ask(
                path,
                at,
                Awaited::Child {
                    id: id.clone(),
                    workflow: workflow.clone(),
                },
            ),
            Event::WaitRegistered {
                path,
                wait,
                until,
                heartbeat,
            } => self.ask(
                path,
                at,
                Awaited::Outside {
                    wait: wait.clone(),
                    until: *until,
                    heartbeat: heartbeat.map(|ms| at.saturating_add_unsigned(ms)),
                },
            ),
            Event::AttemptBegun { path, .. } => {
                if let Some(Awaited::Step { begun, due, .. }) = self.what(path) {
                    (*begun, *due) = (true, None);
                }
            }
            Event::AttemptFailed {
                path,
                attempt: failed,
                error: why,
                next_at,
            } => {
                if let Some(Awaited::Step {
                    attempt,
                    due,
                    begun,
                    error,
                    ..
                }) = self.what(path)
                {
                    (*attempt, *due, *begun, *error) = (failed + 1, Some(*next_at), false, Some(why.clone()));
                }
            }
            Event::Heartbeat { path, until } => {
                if let Some(Awaited::Outside { heartbeat, .. }) = self.what(path) {
                    *heartbeat = Some(*until);
                }
            }
            Event::WaitCompleted { path, event, .. } => {
                let signal = matches!(
                    self.what(path),
                    Some(Awaited::Outside {
                        wait: Wait::Signal { .. },
                        ..
                    })
                );
                if let (true, Some(number)) = (signal, event) {
                    self.signals.remove(number);
                }
                self.end(path);
            }
            Event::StepCompleted { path, .. }
            | Event::StepFailed { path, .. }
            | Event::StepCancelled { path }
            | Event::TimerFired { path }
            | Event::TimerCancelled { path }
            | Event::ChildEnded { path, .. }
            | Event::ChildCancelled { path, .. }
            | Event::WaitFailed { path, .. }
            | Event::WaitCancelled { path } => self.end(path),
        }
    }

    fn ask(&mut self, path: &Path, since: i64, what: Awaited) {
        let what = match (what, self.left.remove(path)) {
            (Awaited::Step { kind, .. }, Some(left @ Awaited::Step { .. })) if matches!(&left, Awaited::Step { kind: was, .. } if *was == kind) => {
                left
            }
            (
                Awaited::Outside { wait, until, .. },
                Some(Awaited::Outside {
                    heartbeat: Some(heartbeat),
                    ..
                }),
            ) => Awaited::Outside {
                wait,
                until,
                heartbeat: Some(heartbeat),
            },
            (what, _) => what,
        };
        self.asked += 1;
        self.order.insert(path.clone(), self.asked);
        let standpoint = Standpoint {
            path: path.clone(),
            since,
            what,
        };
        self.open.insert(self.asked, standpoint);
    }

    fn what(&mut self, path: &Path) -> Option<&mut Awaited> {
        let order = self.order.get(path)?;
        self.open.get_mut(order).map(|standpoint| &mut standpoint.what)
    }

    fn end(&mut self, path: &Path) {
        if let Some(order) = self.order.remove(path) {
            self.open.remove(&order);
        }
    }
}
