//! The state machine: events in, events and effects out. Start reading here.
//!
//! An [`Execution`] holds the program's future and polls it with a waker of its own. Live, the engine
//! gives it an [`Input`]; it answers with a [`Batch`]: the events to journal, and the effects to perform
//! once they are durable. On replay, it is given the journal instead: facts are fed to the program just
//! as they were live, and the commands that the program then issues must be those that the journal has.
//! Nothing in here can tell the two apart, and nothing in here knows the time but from its inputs.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};

use crate::context::Context;
use crate::effect::{BoxFuture, Effect};
use crate::event::{Event, Outcome, Path};
use crate::open::effect;
use crate::origin::Origin;
use crate::polling::{self, Polling};
use crate::state::{Rest, Shared, State};
use crate::wait::Answer;
use crate::{ErrorKind, Payload, StepError, TokenKey};

/// What an execution runs: deterministic but for what it asks its [`Context`] for.
pub trait Program: Send + Sync {
    /// The whole run, from input to result.
    fn run(&self, context: Context, input: Payload) -> BoxFuture<Result<Payload, StepError>>;
}

impl<F, Fut> Program for F
where
    F: Fn(Context, Payload) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Payload, StepError>> + Send + 'static,
{
    fn run(&self, context: Context, input: Payload) -> BoxFuture<Result<Payload, StepError>> {
        Box::pin(self(context, input))
    }
}

/// What a new execution has from others.
#[derive(Clone, Debug, Default)]
pub struct Beginnings {
    /// The execution that it was made from, and what it takes over.
    pub origin: Option<Origin>,
    /// The trace that it belongs to: the text of a W3C `traceparent` header.
    pub trace: Option<Path>,
}

/// Who an execution is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its id, as users see it.
    pub id: Path,
    /// The name of the workflow it runs.
    pub workflow: Path,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_at: i64,
    /// Its number in the store, which its tokens carry.
    pub exec: i64,
    /// What its tokens are made with.
    pub tokens: TokenKey,
}

/// Something that happened outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// An attempt has ended. Late and cancelled ones are ignored.
    AttemptEnded {
        /// The step's path.
        path: Path,
        /// Which attempt.
        attempt: u32,
        /// How.
        result: Result<Payload, StepError>,
    },
    /// An attempt is about to begin; the answer to [`Effect::BeginAttempt`].
    AttemptBegun {
        /// The step's path.
        path: Path,
        /// Which attempt.
        attempt: u32,
    },
    /// The time of a timer or the deadline of a wait has come. One that is not due is ignored.
    TimerFired {
        /// The path of the timer or wait.
        path: Path,
    },
    /// Something came in for a wait. Ignored where it is not waited for (any more), or is not what the wait takes:
    /// an event that its filter refuses, or one that was taken before.
    WaitAnswered {
        /// The path of the wait.
        path: Path,
        /// What.
        answer: Answer,
    },
    /// A signal came. One with the same id as an earlier one is ignored.
    Signal {
        /// The signal's name.
        name: Path,
        /// What came with it.
        data: Payload,
        /// What tells it apart from others; none means that each counts.
        id: Option<String>,
    },
    /// A child has ended.
    ChildEnded {
        /// The child's path in this execution.
        path: Path,
        /// How.
        outcome: Outcome,
    },
    /// Somebody wants the execution to stop.
    Cancel {
        /// Why.
        reason: String,
    },
}

/// What follows from an input. Empty events mean that it changed nothing.
#[derive(Default)]
pub struct Batch {
    /// To be journaled as one record, before any effect is performed.
    pub events: Vec<Event>,
    /// To be performed once the events are durable.
    pub effects: Vec<Effect>,
}

/// One record of a journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When it was written, in milliseconds since the Unix epoch.
    pub at: i64,
    /// What it holds.
    pub events: Vec<Event>,
}

#[derive(Default)]
struct RootWaker {
    woken: AtomicBool,
    /// Something has woken the program that is no operation of its context.
    strayed: AtomicBool,
}

impl Wake for RootWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !polling::is_polling() {
            self.strayed.store(true, Ordering::Relaxed);
        }
        self.woken.store(true, Ordering::Relaxed);
    }
}

/// One run of a program.
pub struct Execution {
    pub(crate) shared: Arc<Shared>,
    future: Option<BoxFuture<Result<Payload, StepError>>>,
    woken: Arc<RootWaker>,
    waker: Waker,
    pub(crate) outcome: Option<Outcome>,
}

impl Execution {
    /// Begins a new execution.
    pub fn start(identity: Identity, program: &dyn Program, input: Payload) -> (Self, Batch) {
        Self::start_from(identity, program, input, Beginnings::default())
    }

    /// Begins a new execution with what it has from others.
    pub fn start_from(identity: Identity, program: &dyn Program, input: Payload, from: Beginnings) -> (Self, Batch) {
        let started = Event::Started {
            input: input.clone(),
            origin: from.origin.map(Box::new),
            trace: from.trace,
        };
        let mut execution = Self::new(identity, &started);
        execution.open(program, input);
        let batch = execution.batch(vec![started]);
        (execution, batch)
    }

    /// Takes something that happened and says what follows.
    pub fn handle(&mut self, now: i64, input: Input) -> Batch {
        if self.outcome.is_some() {
            return Batch::default();
        }
        let Some(fact) = self.decide(now, input) else {
            return Batch::default();
        };
        // A clock that was set back does not take the execution back.
        {
            let mut state = self.shared.lock();
            state.now = state.now.max(now);
        }
        self.apply(&fact);
        self.batch(vec![fact])
    }

    /// How it ended; none while it has not.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Whether the step, timer, child or wait at this path is still waited for.
    #[must_use]
    pub fn waits_for(&self, path: &str) -> bool {
        self.shared.lock().open.contains_key(path)
    }

    /// The time of the last event, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.shared.lock().now
    }

    /// When it began, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn started_at(&self) -> i64 {
        self.shared.started_at
    }

    /// The trace that it belongs to.
    #[must_use]
    pub fn trace(&self) -> Option<&Path> {
        self.shared.trace.as_ref()
    }

    /// What it rests on. Costs next to nothing, however much is open.
    #[must_use]
    pub fn rest(&self) -> Rest {
        self.shared.lock().rest()
    }

    /// When something is due first, in milliseconds since the Unix epoch; see [`Rest::next`].
    #[must_use]
    pub fn next_wake(&self) -> Option<i64> {
        self.rest().next
    }

    /// What the program shows to those who ask ([`Context::publish`]), by name.
    #[must_use]
    pub fn published(&self) -> BTreeMap<String, Payload> {
        let published = self.shared.lock().published.clone();
        published.into_iter().map(|(name, value)| (name, value())).collect()
    }

    /// An execution that has not begun; `started` is the first event of its journal.
    pub(crate) fn new(identity: Identity, started: &Event) -> Self {
        let woken = Arc::<RootWaker>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let keys = match started {
            Event::Started {
                origin: Some(origin), ..
            } => Arc::clone(&origin.keys),
            _ => Arc::clone(&identity.id),
        };
        let trace = match started {
            Event::Started { trace, .. } => trace.clone(),
            _ => None,
        };
        let mut state = State::default();
        state.now = identity.started_at;
        if let Event::Started { origin, .. } = started {
            state.memory.take_over(origin.as_deref());
        }
        let shared = Arc::new(Shared {
            id: identity.id,
            workflow: identity.workflow,
            started_at: identity.started_at,
            exec: identity.exec,
            tokens: identity.tokens,
            keys,
            trace,
            state: Mutex::new(state),
        });
        Self {
            shared,
            future: None,
            woken,
            waker,
            outcome: None,
        }
    }

    pub(crate) fn open(&mut self, program: &dyn Program, input: Payload) {
        self.future = Some(program.run(Context::root(Arc::clone(&self.shared)), input));
        self.wake();
        self.poll();
    }

    /// Lets the program look, even where nothing that it waits for has ended.
    pub(crate) fn wake(&self) {
        self.woken.woken.store(true, Ordering::Relaxed);
    }

    /// Polls the program until it waits for something outside, or has ended.
    pub(crate) fn poll(&mut self) {
        while self.woken.woken.swap(false, Ordering::Relaxed) {
            if self.woken.strayed.load(Ordering::Relaxed) && self.future.is_some() {
                return self.end(Err(strayed()));
            }
            let Some(future) = self.future.as_mut() else { return };
            let mut cx = std::task::Context::from_waker(&self.waker);
            let _polling = Polling::begin(&self.shared);
            let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
            match polled {
                Ok(Poll::Pending) => {}
                Ok(Poll::Ready(result)) => self.end(result),
                Err(panic) => self.end(Err(panicked(panic.as_ref()))),
            }
        }
        if self.future.is_some() && self.shared.lock().open.is_empty() {
            self.end(Err(stalled()));
        }
    }

    fn end(&mut self, result: Result<Payload, StepError>) {
        // Dropping what is still open cancels it, before the end is told.
        let dropped = catch_unwind(AssertUnwindSafe(|| self.future = None));
        let result = dropped.map_or_else(|panic| Err(panicked(panic.as_ref())), |()| result);
        let mut state = self.shared.lock();
        for (path, left) in state.memory.take_unfinished() {
            state.end_unfinished(&path, left);
        }
        let outcome = match result {
            Ok(output) => Outcome::Succeeded(output),
            Err(error) if error.kind == ErrorKind::Cancelled && state.cancelled.is_some() => Outcome::Cancelled(error),
            Err(error) => Outcome::Failed(error),
        };
        state.issued.push_back(Event::Finished {
            outcome: outcome.clone(),
        });
        self.outcome = Some(outcome);
    }

    /// The fact and the commands that followed from it, and the effects of what is now open. Where something waits
    /// for a signal that has come, that is the next fact, of the same record.
    pub(crate) fn batch(&mut self, mut events: Vec<Event>) -> Batch {
        loop {
            events.extend(self.shared.lock().issued.drain(..));
            let Some(fact) = self.signal_taken() else { break };
            self.apply(&fact);
            events.push(fact);
        }
        let mut state = self.shared.lock();
        let mut effects = std::mem::take(&mut state.settled);
        for path in std::mem::take(&mut state.fresh) {
            effects.extend(
                state
                    .open
                    .get(&path)
                    .and_then(|open| effect(&self.shared, &path, &open.what, &state, false)),
            );
        }
        Batch { events, effects }
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        let future = self.future.take();
        // A program whose destructor panics must not take the engine with it.
        let _ = catch_unwind(AssertUnwindSafe(move || drop(future)));
    }
}

/// The error of a program that waits for something that nobody will tell it of.
fn stalled() -> StepError {
    StepError::permanent(
        "program.stalled",
        "the program waits for something that is no operation of its context, such as a timer or a request of the \
         async runtime; what touches the world belongs into a step",
    )
}

/// The error of a program that was woken by something that no replay can repeat.
fn strayed() -> StepError {
    StepError::permanent(
        "program.strayed",
        "the program waits for something that is no operation of its context, such as a timer or a request of the \
         async runtime, beside its operations; what touches the world belongs into a step",
    )
}

/// The error of a program or step that panicked.
#[must_use]
pub fn panicked(panic: &(dyn std::any::Any + Send)) -> StepError {
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is no text".into());
    StepError::permanent("panic", format!("it panicked: {text}"))
}
