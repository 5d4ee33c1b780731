//! What steps do: they take their time, fail, hang, panic, and lose their answers.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bowline_core::{Attempt, Backoff, ErrorKind, OnUnknown, Payload, RetryPolicy, Step, StepError, StepOptions};

use crate::plan::StepPlan;
use crate::world::World;

/// What a step is for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    Work,
    /// Finds out whether another one was carried out.
    Verify,
    /// Tells the other side of a callback.
    SendToken(String),
    SendKey(String),
}

/// How an attempt goes.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    Succeeds(String),
    /// Succeeds with nothing.
    Nothing,
    Fails(StepError),
    Panics,
    Hangs,
}

/// A step that is tried until it succeeds, nearly.
pub(crate) fn patient() -> StepPlan {
    StepPlan {
        attempts: 6,
        timeout: Some(30_000),
        total: None,
        pause: 100,
        fail_on_unknown: false,
        verify: false,
    }
}

pub(crate) fn step(world: &Arc<World>, name: &str, plan: StepPlan, purpose: &Purpose) -> Step {
    let (world, purpose) = (Arc::clone(world), purpose.clone());
    let on_unknown = if plan.fail_on_unknown {
        OnUnknown::Fail
    } else {
        OnUnknown::Retry
    };
    Step {
        name: name.to_owned(),
        kind: "step".into(),
        input: None,
        options: StepOptions {
            timeout: plan.timeout.map(Duration::from_millis),
            total_timeout: plan.total.map(Duration::from_millis),
            retry: RetryPolicy {
                max_attempts: plan.attempts,
                backoff: Backoff::Exponential,
                base_delay: Duration::from_millis(plan.pause),
                ..RetryPolicy::default()
            },
            on_unknown,
        },
        compensates: None,
        key_of: None,
        body: Arc::new(move |attempt: Attempt| {
            let (world, purpose) = (Arc::clone(&world), purpose.clone());
            async move { run(world, attempt, plan, purpose).await }
        }),
    }
}

async fn run(world: Arc<World>, attempt: Attempt, plan: StepPlan, purpose: Purpose) -> Result<Payload, StepError> {
    let (call, takes, behaviour) = world.called(&attempt, plan, &purpose);
    if takes > 0 {
        tokio::time::sleep(Duration::from_millis(takes)).await;
    }
    let result = match behaviour {
        Behaviour::Succeeds(text) => {
            Payload::of(&text).map_err(|error| StepError::permanent("payload", error.to_string()))
        }
        Behaviour::Nothing => Ok(Payload::null()),
        Behaviour::Fails(error) => Err(error),
        Behaviour::Panics => {
            call.returns(&Err(StepError::permanent("panic", "it panicked")));
            std::panic::resume_unwind(Box::new("as planned"));
        }
        Behaviour::Hangs => pending().await,
    };
    call.returns(&result);
    result
}

/// The errors that steps report.
pub(crate) fn errors() -> [StepError; 4] {
    [
        StepError::transient("flaky", "flaky"),
        StepError::permanent("broken", "broken"),
        StepError::new("lost", ErrorKind::OutcomeUnknown, "the answer was lost"),
        StepError::new("busy", ErrorKind::After(2_000), "come back in 2 s"),
    ]
}
