//! The operations that a program waits for: steps, timers, children, waits for the world.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::contest::Contest;
use crate::effect::{Attempt, Effect, StepBody};
use crate::event::{Outcome, Path};
use crate::policy::{OnUnknown, StepOptions};
use crate::state::{Group, Resolution, Shared, State};
use crate::wait::{Filter, Wait};
use crate::{Payload, StepError};

pub(crate) struct OpenStep {
    pub(crate) body: Arc<dyn StepBody>,
    pub(crate) options: StepOptions,
    pub(crate) key_of: Option<Path>,
    pub(crate) scheduled_at: i64,
    /// The attempt that runs or is due, from 1.
    pub(crate) attempt: u32,
    /// When it is due; none means at once.
    pub(crate) not_before: Option<i64>,
    /// Whether the journal says that this attempt began.
    pub(crate) begun: bool,
    /// It began in an earlier life, and nobody knows how it ended.
    pub(crate) lost: bool,
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

pub(crate) struct OpenWait {
    pub(crate) wait: Wait,
    pub(crate) until: Option<i64>,
    /// In milliseconds.
    pub(crate) heartbeat: Option<u64>,
    /// When the next heartbeat is due.
    pub(crate) beat: Option<i64>,
    pub(crate) filter: Option<Filter>,
    pub(crate) tag: u64,
}

impl OpenWait {
    /// The earlier of the two deadlines.
    pub(crate) fn due(&self) -> Option<i64> {
        match (self.until, self.beat) {
            (Some(until), Some(beat)) => Some(until.min(beat)),
            (until, beat) => until.or(beat),
        }
    }

    pub(crate) fn is_signal(&self) -> bool {
        matches!(self.wait, Wait::Signal { .. })
    }

    /// Why it fails at `now`, if it does.
    pub(crate) fn overdue(&self, now: i64) -> Option<StepError> {
        if self.until.is_some_and(|until| until <= now) {
            let kind = self.wait.kind();
            let message = match (kind, self.wait.name()) {
                ("callback", _) => "no answer came in time".to_owned(),
                (kind, name) => format!("no {kind} `{name}` came in time"),
            };
            return Some(timed_out(format!("{kind}.timeout"), message));
        }
        if self.beat.is_some_and(|beat| beat <= now) {
            let limit = Duration::from_millis(self.heartbeat.unwrap_or_default());
            let message = format!("nothing was heard for {limit:?}");
            return Some(timed_out("callback.heartbeat-timeout".into(), message));
        }
        None
    }
}

fn timed_out(code: String, message: String) -> StepError {
    StepError::new(code, crate::ErrorKind::Timeout, message).alias("timeout")
}

pub(crate) enum What {
    Step(OpenStep),
    Timer {
        at: i64,
    },
    Child(OpenChild),
    Wait(OpenWait),
    /// On replay, a scope whose inside is gone.
    Skip,
}

impl What {
    /// When something is to happen to it.
    pub(crate) fn due(&self) -> Option<i64> {
        match self {
            Self::Step(step) => step.not_before,
            Self::Timer { at } => Some(*at),
            Self::Wait(wait) => wait.due(),
            Self::Child(_) | Self::Skip => None,
        }
    }

    /// Whether it is a step that waits for no time.
    pub(crate) fn runs(&self) -> bool {
        matches!(self, Self::Step(step) if step.not_before.is_none())
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
    /// The contest in one of whose branches it was asked for.
    pub(crate) contest: Option<Arc<Contest>>,
    /// When it was shielded ([`State::mark`]): contests that began before do not cancel it.
    pub(crate) shield: u64,
    pub(crate) waker: Option<Waker>,
}

/// What is to be done for an open operation, live as after a replay.
pub(crate) fn effect(shared: &Shared, path: &Path, what: &What, state: &State, replayed: bool) -> Option<Effect> {
    Some(match what {
        What::Step(step) if step.options.on_unknown == OnUnknown::Fail && !step.begun => Effect::BeginAttempt {
            path: Arc::clone(path),
            attempt: step.attempt,
            not_before: step.not_before,
        },
        What::Step(step) if step.options.on_unknown == OnUnknown::Fail && (replayed || step.lost) => {
            Effect::ReportUnknown {
                path: Arc::clone(path),
                attempt: step.attempt,
            }
        }
        What::Step(step) => {
            let key_of = step.key_of.as_ref().unwrap_or(path);
            Effect::RunStep {
                attempt: Attempt {
                    execution: Arc::clone(&shared.id),
                    path: Arc::clone(path),
                    number: step.attempt,
                    redone: state.memory.redone.get(key_of).copied().unwrap_or_default(),
                    keys: Arc::clone(&shared.keys),
                    key_of: Arc::clone(key_of),
                    trace: shared.trace.clone(),
                },
                not_before: step.not_before,
                timeout: attempt_timeout(step, step.not_before.unwrap_or(state.now).max(state.now)),
                body: Arc::clone(&step.body),
            }
        }
        What::Timer { at } => Effect::SetTimer {
            path: Arc::clone(path),
            at: *at,
        },
        What::Child(child) => child.start(path),
        What::Wait(wait) => Effect::RegisterWait {
            path: Arc::clone(path),
            tag: wait.tag,
            wait: wait.wait.clone(),
            until: wait.due(),
        },
        What::Skip => return None,
    })
}

/// When the step fails, however many attempts are left.
pub(crate) fn deadline(step: &OpenStep) -> Option<i64> {
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
