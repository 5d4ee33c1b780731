//! One execution in memory.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bowline_core::{Attempt, Effect, Event, Execution, Outcome, Path, StepBody};
use bowline_store::{Definition, Status};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::engine::EngineError;
use crate::places::Place;
use crate::routing::Handled;
use crate::segments::Condensed;

/// What follows once a record is durable.
pub(crate) struct Awaiting {
    pub(crate) at: i64,
    /// Kept only where somebody observes.
    pub(crate) events: Vec<Event>,
    pub(crate) effects: Vec<Effect>,
    /// An attempt begins with it: that is no longer held back by a pause, or nobody would know whether it had begun.
    pub(crate) begins: bool,
    /// It is a record of the journal, and not only a row that was brought up to date.
    pub(crate) is_record: bool,
    /// Who is told that it is durable.
    pub(crate) told: Vec<(oneshot::Sender<Handled>, Handled)>,
}

/// Where the row of an execution says that it has left memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) status: Status,
    pub(crate) wake_at: Option<i64>,
}

/// An attempt whose time has not come.
pub(crate) struct Waiting {
    /// When it comes. An earlier life may have left an entry for another time.
    pub(crate) at: i64,
    pub(crate) attempt: Attempt,
    pub(crate) timeout: Option<std::time::Duration>,
    pub(crate) body: Arc<dyn StepBody>,
}

/// What is to be borne in mind about an execution in memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    /// Its first record writes the definition too.
    pub(crate) defines: bool,
    /// It has lived before this life: children that it starts may exist.
    pub(crate) resumed: bool,
    /// Scopes have folded since the journal was last condensed.
    pub(crate) folds: bool,
}

pub(crate) type Accepted = oneshot::Sender<Result<(), EngineError>>;
pub(crate) type Ended = oneshot::Sender<Result<Outcome, EngineError>>;

pub(crate) struct Running {
    pub(crate) marks: Marks,
    pub(crate) id: Path,
    pub(crate) organization: Path,
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
    /// Told when the start is durable, or the beginning of another life.
    pub(crate) accepted: Option<Accepted>,
    /// Told the outcome.
    pub(crate) ended: Vec<Ended>,
    /// What its row says, in the store or in what was submitted to it; none while it is running.
    pub(crate) parked: Option<Parked>,
    /// Set where it has begun without a place: it leaves memory as soon as that is durable, does nothing before, and is due at
    /// this time.
    pub(crate) put_off: Option<i64>,
    /// When something last happened to it.
    pub(crate) touched: i64,
    /// It will be looked at when it has rested for a while.
    pub(crate) resting: bool,
    /// Somebody wants it to stand still: nothing new begins.
    pub(crate) paused: bool,
    /// It is to go on when what was submitted for it is durable.
    pub(crate) goes_on: bool,
    /// Steps whose attempt is noted to have begun, before it does.
    pub(crate) begun: HashSet<Path>,
    /// Who let it go on.
    pub(crate) continued: Vec<oneshot::Sender<Handled>>,
    /// How far the journal is condensed.
    pub(crate) condensed: Arc<Condensed>,
    /// Waits that have a row, and their tags.
    pub(crate) waits: HashMap<Path, u64>,
    /// The place that it takes up.
    pub(crate) permit: Option<Place>,
}

impl Running {
    /// Stops what it does outside. Nothing is recorded: this is for leaving, not for ending.
    pub(crate) fn abort_attempts(&mut self) {
        for (_, (_, handle)) in self.attempts.drain() {
            handle.abort();
        }
    }
}
