//! The state machine: events in, events and effects out. Start reading here.
//!
//! An [`Execution`] holds the program's future and polls it with a waker of its own. Live, the engine
//! gives it an [`Input`]; it answers with a [`Batch`]: the events to journal, and the effects to perform
//! once they are durable. On replay, it is given the journal instead: facts are fed to the program just
//! as they were live, and the commands that the program then issues must be those that the journal has.
//! Nothing in here can tell the two apart, and nothing in here knows the time but from its inputs.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use crate::context::Context;
use crate::effect::{Attempt, BoxFuture, Effect};
use crate::event::{Event, Outcome, Path};
use crate::memo::remember;
use crate::state::{OpenStep, Shared, State, What, child_resolution};
use crate::{ErrorKind, Payload, StepError, ids};

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

/// Who an execution is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its id, as users see it.
    pub id: Path,
    /// The name of the workflow it runs.
    pub workflow: Path,
    /// When it began, in milliseconds since the Unix epoch.
    pub started_at: i64,
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
    /// A timer's time has come.
    TimerFired {
        /// The timer's path.
        path: Path,
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

/// Why a journal could not be replayed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// The program asked for something else than it asked for when the journal was written.
    #[error(
        "the program no longer fits the journal at record {record}: the journal has {journaled}, the program asks for {asked}"
    )]
    Nondeterminism {
        /// The record where they part.
        record: u64,
        /// The path concerned.
        path: String,
        /// What the journal has.
        journaled: String,
        /// What the program asks for.
        asked: String,
    },
    /// The journal does not begin with a start, or goes on after its end.
    #[error("the journal is damaged at record {record}: {detail}")]
    Damaged {
        /// The record.
        record: u64,
        /// What is wrong.
        detail: String,
    },
}

/// One record of a journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// When it was written, in milliseconds since the Unix epoch.
    pub at: i64,
    /// What it holds.
    pub events: Vec<Event>,
}

struct RootWaker(AtomicBool);

impl Wake for RootWaker {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One run of a program.
pub struct Execution {
    shared: Arc<Shared>,
    future: Option<BoxFuture<Result<Payload, StepError>>>,
    woken: Arc<RootWaker>,
    waker: Waker,
    outcome: Option<Outcome>,
}

impl Execution {
    /// Begins a new execution.
    pub fn start(identity: Identity, program: &dyn Program, input: Payload) -> (Self, Batch) {
        let mut execution = Self::new(identity);
        execution.open(program, input.clone());
        let batch = execution.batch(vec![Event::Started { input }]);
        (execution, batch)
    }

    /// Brings an execution back from its journal at the time `now`. The effects are those of everything
    /// that is open; what is left of a total timeout is measured from `now`.
    ///
    /// # Errors
    /// Where the program does not fit the journal, or the journal is damaged.
    pub fn replay(
        identity: Identity,
        program: &dyn Program,
        journal: &[Record],
        now: i64,
    ) -> Result<(Self, Vec<Effect>), ReplayError> {
        let mut execution = Self::new(identity);
        // Only the last life is replayed; what earlier ones completed is remembered by path.
        let last_life = journal
            .iter()
            .rposition(|record| record.events.iter().any(|event| matches!(event, Event::Resumed { .. })));
        let from = last_life.unwrap_or(0);
        let Some(Event::Started { input }) = journal.first().and_then(|record| record.events.first()) else {
            return Err(ReplayError::Damaged {
                record: 0,
                detail: "it does not begin with a start".into(),
            });
        };
        {
            let mut state = execution.shared.lock();
            (state.memo, state.redone) = remember(&journal[..from]);
        }
        for (number, record) in journal.iter().enumerate().skip(from) {
            {
                // As live: a clock that was set back does not take the execution back.
                let mut state = execution.shared.lock();
                state.now = state.now.max(record.at);
            }
            for event in &record.events {
                execution.replay_event(number as u64, event, program, input)?;
            }
            if let Some(asked) = execution.shared.lock().issued.front() {
                return Err(nondeterminism(number as u64, None, Some(asked)));
            }
        }
        let effects = execution.effects_after_replay(now);
        Ok((execution, effects))
    }

    /// Takes up an execution that has ended: the program runs again from the top, and what was completed
    /// and not undone keeps its result.
    ///
    /// # Errors
    /// Where the journal is damaged.
    pub fn resume(
        identity: Identity,
        program: &dyn Program,
        journal: &[Record],
        now: i64,
        reason: String,
    ) -> Result<(Self, Batch), ReplayError> {
        let Some(Event::Started { input }) = journal.first().and_then(|record| record.events.first()) else {
            return Err(ReplayError::Damaged {
                record: 0,
                detail: "it does not begin with a start".into(),
            });
        };
        let mut execution = Self::new(identity);
        {
            let mut state = execution.shared.lock();
            (state.memo, state.redone) = remember(journal);
            state.now = now;
        }
        execution.open(program, input.clone());
        let batch = execution.batch(vec![Event::Resumed { reason }]);
        Ok((execution, batch))
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

    /// Whether the step, timer or child at this path is still waited for.
    #[must_use]
    pub fn waits_for(&self, path: &str) -> bool {
        self.shared.lock().open.contains_key(path)
    }

    /// The time of the last event, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.shared.lock().now
    }

    fn new(identity: Identity) -> Self {
        let woken = Arc::new(RootWaker(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&woken));
        let shared = Shared::new(identity.id, identity.workflow, identity.started_at);
        Self {
            shared,
            future: None,
            woken,
            waker,
            outcome: None,
        }
    }

    fn open(&mut self, program: &dyn Program, input: Payload) {
        self.future = Some(program.run(Context::root(Arc::clone(&self.shared)), input));
        self.woken.0.store(true, Ordering::Relaxed);
        self.poll();
    }

    /// Which event an input becomes; none if it is about something that is no longer open.
    fn decide(&self, now: i64, input: Input) -> Option<Event> {
        let state = self.shared.lock();
        match input {
            Input::AttemptEnded { path, attempt, result } => {
                let What::Step(step) = &state.open.get(&path)?.what else {
                    return None;
                };
                if step.attempt != attempt {
                    return None;
                }
                Some(match result {
                    Ok(output) => Event::StepCompleted { path, attempt, output },
                    Err(error) => match next_attempt(&self.shared.id, &path, step, &error, now) {
                        Some(next_at) => Event::AttemptFailed {
                            path,
                            attempt,
                            error,
                            next_at,
                        },
                        None => Event::StepFailed { path, attempt, error },
                    },
                })
            }
            Input::TimerFired { path } => match state.open.get(&path)?.what {
                // A timer never fires early, whatever the caller's clock says.
                What::Timer { at } if at <= now => Some(Event::TimerFired { path }),
                _ => None,
            },
            Input::ChildEnded { path, outcome } => {
                matches!(state.open.get(&path)?.what, What::Child(_)).then_some(Event::ChildEnded { path, outcome })
            }
            Input::Cancel { reason } => state.cancelled.is_none().then_some(Event::CancelRequested { reason }),
        }
    }

    /// Applies a fact: the same code live and on replay.
    fn apply(&mut self, fact: &Event) {
        {
            let mut state = self.shared.lock();
            match fact {
                Event::AttemptFailed {
                    path, attempt, next_at, ..
                } => {
                    if let Some(What::Step(step)) = state.open.get_mut(path).map(|open| &mut open.what) {
                        step.attempt = attempt + 1;
                        step.not_before = Some(*next_at);
                        state.fresh.push(Arc::clone(path));
                    }
                }
                Event::StepCompleted { path, output, .. } => state.resolve(path, Ok(output.clone())),
                Event::StepFailed { path, error, .. } => state.resolve(path, Err(error.clone())),
                Event::TimerFired { path } => state.resolve(path, Ok(Payload::null())),
                Event::ChildEnded { path, outcome } => state.resolve(path, child_resolution(outcome)),
                Event::CancelRequested { reason } => {
                    state.cancel(reason);
                    // The program may be waiting for nothing that cancellation reaches; let it look.
                    self.woken.0.store(true, Ordering::Relaxed);
                }
                _ => {}
            }
        }
        self.poll();
    }

    /// Polls the program until it waits for something outside, or has ended.
    fn poll(&mut self) {
        while self.woken.0.swap(false, Ordering::Relaxed) {
            let Some(future) = self.future.as_mut() else { return };
            let mut cx = std::task::Context::from_waker(&self.waker);
            let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
            let result = match polled {
                Ok(Poll::Pending) => continue,
                Ok(Poll::Ready(result)) => result,
                Err(panic) => Err(panicked(panic.as_ref())),
            };
            // Dropping what is still open cancels it, before the end is told.
            let dropped = catch_unwind(AssertUnwindSafe(|| self.future = None));
            let result = dropped.map_or_else(|panic| Err(panicked(panic.as_ref())), |()| result);
            let mut state = self.shared.lock();
            let outcome = match result {
                Ok(output) => Outcome::Succeeded(output),
                Err(error) if error.kind == ErrorKind::Cancelled && state.cancelled.is_some() => {
                    Outcome::Cancelled(error)
                }
                Err(error) => Outcome::Failed(error),
            };
            state.issued.push_back(Event::Finished {
                outcome: outcome.clone(),
            });
            self.outcome = Some(outcome);
        }
    }

    /// The fact and the commands that followed from it, and the effects of what is now open.
    fn batch(&mut self, mut events: Vec<Event>) -> Batch {
        let mut state = self.shared.lock();
        events.extend(state.issued.drain(..));
        let mut effects = std::mem::take(&mut state.settled);
        for path in std::mem::take(&mut state.fresh) {
            effects.extend(
                state
                    .open
                    .get(&path)
                    .map(|open| effect(&self.shared.id, &path, &open.what, &state)),
            );
        }
        Batch { events, effects }
    }

    fn replay_event(
        &mut self,
        record: u64,
        event: &Event,
        program: &dyn Program,
        input: &Payload,
    ) -> Result<(), ReplayError> {
        if self.outcome.is_some() && !event.is_command() {
            return Err(ReplayError::Damaged {
                record,
                detail: format!("{} after the end", event.describe()),
            });
        }
        if event.is_command() {
            let mut state = self.shared.lock();
            return match state.issued.front() {
                Some(asked) if asked.same_command(event) => {
                    if let Some(asked) = state.issued.pop_front() {
                        adopt(&mut state, &asked, event);
                    }
                    if let (Event::Finished { outcome }, Some(own)) = (event, self.outcome.as_mut()) {
                        *own = outcome.clone();
                    }
                    Ok(())
                }
                asked => Err(nondeterminism(record, Some(event), asked)),
            };
        }
        if let Some(asked) = self.shared.lock().issued.front() {
            return Err(nondeterminism(record, Some(event), Some(asked)));
        }
        match event {
            Event::Started { .. } | Event::Resumed { .. } => self.open(program, input.clone()),
            fact => {
                if let Some(path) = fact.path()
                    && !self.shared.lock().open.contains_key(path)
                {
                    return Err(nondeterminism(record, Some(event), None));
                }
                self.apply(fact);
            }
        }
        Ok(())
    }

    fn effects_after_replay(&mut self, now: i64) -> Vec<Effect> {
        let mut state = self.shared.lock();
        state.now = state.now.max(now);
        state.fresh.clear();
        // Cancelling a child twice does no harm; not at all would leave it running.
        let mut effects: Vec<Effect> = std::mem::take(&mut state.settled)
            .into_iter()
            .filter(|effect| matches!(effect, Effect::CancelChild { .. }))
            .collect();
        for path in state.order.values() {
            effects.extend(
                state
                    .open
                    .get(path)
                    .map(|open| effect(&self.shared.id, path, &open.what, &state)),
            );
        }
        effects
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

/// What the journal says about a command wins over what the program computes now.
fn adopt(state: &mut State, asked: &Event, journaled: &Event) {
    match (asked, journaled) {
        (Event::TimerSet { path, .. }, Event::TimerSet { at: journaled_at, .. }) => {
            if let Some(What::Timer { at }) = state.open.get_mut(path).map(|open| &mut open.what) {
                *at = *journaled_at;
            }
        }
        (Event::ChildStarted { path, .. }, Event::ChildStarted { id, .. }) => {
            if let Some(What::Child(child)) = state.open.get_mut(path).map(|open| &mut open.what) {
                child.id = Arc::clone(id);
            }
        }
        _ => {}
    }
}

fn effect(execution: &Path, path: &Path, what: &What, state: &State) -> Effect {
    match what {
        What::Step(step) => Effect::RunStep {
            attempt: Attempt {
                execution: Arc::clone(execution),
                path: Arc::clone(path),
                number: step.attempt,
                redone: state.redone.get(path).copied().unwrap_or_default(),
            },
            not_before: step.not_before,
            timeout: attempt_timeout(step, step.not_before.unwrap_or(state.now).max(state.now)),
            body: Arc::clone(&step.body),
        },
        What::Timer { at } => Effect::SetTimer {
            path: Arc::clone(path),
            at: *at,
        },
        What::Child(child) => child.start(path),
    }
}

fn deadline(step: &OpenStep) -> Option<i64> {
    let total = i64::try_from(step.options.total_timeout?.as_millis()).unwrap_or(i64::MAX);
    Some(step.scheduled_at.saturating_add(total))
}

/// An attempt may take as long as its own timeout, and no longer than what is left of the total.
fn attempt_timeout(step: &OpenStep, begins: i64) -> Option<Duration> {
    let left = deadline(step).map(|deadline| Duration::from_millis(deadline.saturating_sub(begins).max(0) as u64));
    match (step.options.timeout, left) {
        (Some(timeout), Some(left)) => Some(timeout.min(left)),
        (timeout, left) => timeout.or(left),
    }
}

/// When the next attempt is due, or none if this failure is the last.
fn next_attempt(execution: &str, path: &str, step: &OpenStep, error: &StepError, now: i64) -> Option<i64> {
    let entropy = ids::entropy(&[execution, path, "pause", &step.attempt.to_string()]);
    let pause = step.options.retry.pause(error, step.attempt, entropy)?;
    let next_at = now.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
    deadline(step)
        .is_none_or(|deadline| next_at < deadline)
        .then_some(next_at)
}

fn nondeterminism(record: u64, journaled: Option<&Event>, asked: Option<&Event>) -> ReplayError {
    let path = asked.and_then(Event::path).or_else(|| journaled.and_then(Event::path));
    ReplayError::Nondeterminism {
        record,
        path: path.map(ToString::to_string).unwrap_or_default(),
        journaled: journaled.map_or_else(|| "nothing more".into(), Event::describe),
        asked: asked.map_or_else(|| "nothing".into(), Event::describe),
    }
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
