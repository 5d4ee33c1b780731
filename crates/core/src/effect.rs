//! What the core wants done in the world. The engine does it once the events beside it are durable.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::event::Path;
use crate::mutants::{Mutant, on};
use crate::wait::Wait;
use crate::{Payload, StepError, ids};

/// A future that owns all it needs.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// One attempt of one step, as its body sees it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The id of the execution.
    pub execution: Path,
    /// The path of the step.
    pub path: Path,
    /// 1 for the first attempt.
    pub number: u32,
    /// How often the step was completed and undone before (in an execution that was resumed).
    pub redone: u32,
    /// The execution id that keys are made of: of an execution that was made from another one, that one's.
    pub keys: Path,
    /// The path that the key is made of; differs from `path` where a step is asked for again after it was
    /// verified that it was not carried out.
    pub key_of: Path,
    /// The trace that the execution belongs to: the text of a W3C `traceparent` header.
    pub trace: Option<Path>,
}

impl Attempt {
    /// The same for every attempt, replay, resumption and retry of the step, and for nothing else. A step that was
    /// undone and is done again gets another one: with the old one a service would answer with what it has
    /// undone since.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        if on(Mutant::ReuseIdempotencyKey) {
            return ids::idempotency_key(&self.keys, "");
        }
        match self.redone {
            0 => ids::idempotency_key(&self.keys, &self.key_of),
            times => ids::idempotency_key(&self.keys, &format!("{}\u{0}{times}", self.key_of)),
        }
    }
}

/// What a step does. Runs on the engine's async runtime; may be dropped at any await.
pub trait StepBody: Send + Sync {
    /// One attempt.
    fn run(&self, attempt: Attempt) -> BoxFuture<Result<Payload, StepError>>;
}

impl<F, Fut> StepBody for F
where
    F: Fn(Attempt) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Payload, StepError>> + Send + 'static,
{
    fn run(&self, attempt: Attempt) -> BoxFuture<Result<Payload, StepError>> {
        Box::pin(self(attempt))
    }
}

/// Something to do.
pub enum Effect {
    /// Run an attempt and report with [`Input::AttemptEnded`](crate::Input::AttemptEnded).
    RunStep {
        /// Which attempt of which step.
        attempt: Attempt,
        /// Not before this time (milliseconds since the Unix epoch); none means at once.
        not_before: Option<i64>,
        /// Report a timeout after so long.
        timeout: Option<Duration>,
        /// What to run.
        body: Arc<dyn StepBody>,
    },
    /// Report [`Input::TimerFired`](crate::Input::TimerFired) at or after this time.
    SetTimer {
        /// The timer's path.
        path: Path,
        /// Milliseconds since the Unix epoch.
        at: i64,
    },
    /// Give the core [`Input::AttemptBegun`](crate::Input::AttemptBegun); once that is durable, its batch holds the
    /// [`RunStep`](Effect::RunStep).
    BeginAttempt {
        /// The step's path.
        path: Path,
        /// Which attempt, from 1.
        attempt: u32,
        /// Not before this time (milliseconds since the Unix epoch); none means at once.
        not_before: Option<i64>,
    },
    /// Report with [`Input::AttemptEnded`](crate::Input::AttemptEnded) and [`StepError::outcome_unknown`] that this
    /// attempt was under way when the engine stopped.
    ReportUnknown {
        /// The step's path.
        path: Path,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// Report what comes in for a wait with [`Input::WaitAnswered`](crate::Input::WaitAnswered), and its deadline
    /// with [`Input::TimerFired`](crate::Input::TimerFired). Comes again, with another deadline, after a heartbeat.
    /// Signals need nothing but the deadline: they come as [`Input::Signal`](crate::Input::Signal).
    RegisterWait {
        /// The wait's path.
        path: Path,
        /// What its token carries; tells it apart within the execution.
        tag: u64,
        /// What for.
        wait: Wait,
        /// The earliest of its deadlines (milliseconds since the Unix epoch); none means never.
        until: Option<i64>,
    },
    /// Forget a wait.
    CancelWait {
        /// The wait's path.
        path: Path,
        /// Its tag.
        tag: u64,
    },
    /// Tell those who wait for such an event, in the same commit as this execution's events. Not repeated after
    /// a recovery.
    Publish {
        /// The path of the emission.
        path: Path,
        /// The event's type.
        event: Path,
        /// What it is about.
        key: Option<String>,
        /// What goes with it.
        data: Payload,
    },
    /// Start an execution (in the same commit as this execution's events), and unless it is detached
    /// report its end with [`Input::ChildEnded`](crate::Input::ChildEnded). On recovery and resumption the child
    /// may exist already; then only its end is to be reported.
    StartChild {
        /// The child's path in this execution.
        path: Path,
        /// The child's id.
        id: Path,
        /// The workflow it runs.
        workflow: Path,
        /// What it is started with.
        input: Payload,
        /// Whether nobody waits for its end.
        detached: bool,
    },
    /// Stop the attempt that is running, or forget the one that is due. What it reports is ignored.
    CancelStep {
        /// The step's path.
        path: Path,
    },
    /// Forget a timer.
    CancelTimer {
        /// The timer's path.
        path: Path,
    },
    /// Ask a child to stop.
    CancelChild {
        /// The child's id.
        id: Path,
    },
}
