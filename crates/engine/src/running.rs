//! One execution in memory.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bowline_core::{Attempt, Effect, Event, Execution, Outcome, Path, StepBody};
use bowline_store::Definition;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::task::AbortHandle;

use crate::engine::EngineError;

/// What follows once a record is durable.
pub(crate) struct Awaiting {
    pub(crate) at: i64,
    /// Kept only where somebody observes.
    pub(crate) events: Vec<Event>,
    pub(crate) effects: Vec<Effect>,
}

/// An attempt whose time has not come.
pub(crate) struct Waiting {
    pub(crate) attempt: Attempt,
    pub(crate) timeout: Option<std::time::Duration>,
    pub(crate) body: Arc<dyn StepBody>,
}

pub(crate) type Accepted = oneshot::Sender<Result<(), EngineError>>;
pub(crate) type Ended = oneshot::Sender<Result<Outcome, EngineError>>;

pub(crate) struct Running {
    pub(crate) id: Path,
    pub(crate) workflow: Path,
    pub(crate) parent: Option<Path>,
    pub(crate) definition: Arc<Definition>,
    pub(crate) execution: Execution,
    /// The next record's number.
    pub(crate) seq: u64,
    /// Submitted records that are not durable yet, oldest first.
    pub(crate) awaiting: VecDeque<Awaiting>,
    /// Attempts under way.
    pub(crate) attempts: HashMap<Path, (u32, AbortHandle)>,
    /// Attempts that wait for their time.
    pub(crate) waiting: HashMap<Path, Waiting>,
    /// Children that are waited for: their ids, and their paths here.
    pub(crate) children: HashMap<Path, Path>,
    /// Its first record writes the definition too.
    pub(crate) defines: bool,
    /// Told when the start is durable.
    pub(crate) accepted: Option<Accepted>,
    /// Told the outcome.
    pub(crate) ended: Option<Ended>,
    /// The place that it takes up.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

impl Running {
    /// Stops what it does outside. Nothing is recorded: this is for leaving, not for ending.
    pub(crate) fn abort_attempts(&mut self) {
        for (_, (_, handle)) in self.attempts.drain() {
            handle.abort();
        }
    }
}
