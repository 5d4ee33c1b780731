//! What an execution does with what happens to it, one behaviour at a time.

use std::sync::Arc;
use std::time::Duration;

use bowline_core::{
    Attempt, Batch, Context, Effect, Event, Execution, Identity, Input, Outcome, Payload, Record, Resumption,
    RetryPolicy, Saga, Step, StepError, StepOptions, TokenKey,
};

fn identity() -> Identity {
    Identity {
        id: "e".into(),
        workflow: "w".into(),
        started_at: 1000,
        exec: 7,
        tokens: TokenKey::new([1; 32]),
    }
}

fn step(name: &str, compensates: Option<&str>) -> Step {
    Step {
        name: name.into(),
        kind: "test".into(),
        input: None,
        options: StepOptions {
            timeout: Some(Duration::from_secs(10)),
            total_timeout: Some(Duration::from_secs(30)),
            retry: RetryPolicy {
                jitter: false,
                base_delay: Duration::from_secs(20),
                ..RetryPolicy::default()
            },
            ..StepOptions::default()
        },
        compensates: compensates.map(Into::into),
        key_of: None,
        body: Arc::new(|_: Attempt| async { Ok(Payload::null()) }),
    }
}

/// Charges, then ships; if shipping fails, refunds.
async fn order(ctx: Context, _: Payload) -> Result<Payload, StepError> {
    ctx.step(step("reserve", None)).await?;
    let mut saga = Saga::default();
    ctx.step(step("charge", None)).await?;
    saga.done("charge", |ctx| {
        Box::pin(async move { ctx.step(step("refund", Some("charge"))).await.map(drop) })
    });
    match ctx.step(step("ship", None)).await {
        Ok(shipped) => Ok(shipped),
        Err(error) => {
            saga.compensate(&ctx).await;
            Err(error)
        }
    }
}

fn ended(path: &str, attempt: u32, result: Result<Payload, StepError>) -> Input {
    Input::AttemptEnded {
        path: path.into(),
        attempt,
        result,
    }
}

type Ended = Result<Payload, StepError>;

const OK: fn() -> Ended = || Ok(Payload::null());
const REFUSED: fn() -> Ended = || Err(StepError::permanent("no", "no"));

/// The attempts that a batch begins, with their keys.
fn attempts(batch: &Batch) -> Vec<(String, String)> {
    batch
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::RunStep { attempt, .. } => Some((attempt.path.to_string(), attempt.idempotency_key())),
            _ => None,
        })
        .collect()
}

#[test]
fn a_resumed_execution_redoes_what_was_undone_under_a_new_key_and_keeps_the_rest() {
    let (mut execution, batch) = Execution::start(identity(), &order, Payload::null());
    let mut journal = vec![Record {
        at: 1000,
        events: batch.events,
    }];
    let mut keys = Vec::new();
    for (path, result) in [
        ("reserve", OK()),
        ("charge", OK()),
        ("ship", REFUSED()),
        ("refund", OK()),
    ] {
        let batch = execution.handle(1001, ended(path, 1, result));
        keys.extend(attempts(&batch));
        journal.push(Record {
            at: 1001,
            events: batch.events,
        });
    }
    assert!(matches!(execution.outcome(), Some(Outcome::Failed(_))));
    let (mut again, batch) =
        Execution::resume(identity(), &order, &journal, 2000, Resumption::because("mended")).unwrap();
    let redone = attempts(&batch);
    assert_eq!(redone.len(), 1);
    assert_eq!(redone[0].0, "charge", "reserve keeps its result");
    let first = &keys.iter().find(|(path, _)| path == "charge").unwrap().1;
    assert_ne!(
        &redone[0].1, first,
        "with the old key the service would answer with the refunded charge"
    );
    journal.push(Record {
        at: 2000,
        events: batch.events,
    });
    let batch = again.handle(2001, ended("charge", 1, OK()));
    let ship = attempts(&batch);
    assert_eq!(
        ship[0],
        *keys.iter().find(|(path, _)| path == "ship").unwrap(),
        "what was never done keeps its key"
    );
    journal.push(Record {
        at: 2001,
        events: batch.events,
    });
    // A crash in the second life: the same key again.
    let (_, effects) = Execution::replay(identity(), &order, &journal[..=5], 2002).unwrap();
    assert_eq!(
        attempts(&Batch {
            events: Vec::new(),
            effects
        }),
        redone
    );
    let batch = again.handle(2002, ended("ship", 1, OK()));
    journal.push(Record {
        at: 2002,
        events: batch.events,
    });
    let (replayed, _) = Execution::replay(identity(), &order, &journal, 2003).unwrap();
    assert_eq!(replayed.outcome(), Some(&Outcome::Succeeded(Payload::null())));
}

#[test]
fn attempts_wait_as_journaled_and_the_total_ends_them() {
    let (mut execution, _) = Execution::start(identity(), &order, Payload::null());
    let flaky = || Err(StepError::transient("flaky", "flaky"));
    let batch = execution.handle(2000, ended("reserve", 1, flaky()));
    assert!(matches!(
        &batch.events[..],
        [Event::AttemptFailed {
            next_at: 22_000,
            attempt: 1,
            ..
        }]
    ));
    let [
        Effect::RunStep {
            not_before, timeout, ..
        },
    ] = &batch.effects[..]
    else {
        panic!("one attempt")
    };
    assert_eq!(
        (*not_before, *timeout),
        (Some(22_000), Some(Duration::from_secs(9))),
        "30 s after 1000"
    );
    assert!(
        execution.handle(23_000, ended("reserve", 1, OK())).events.is_empty(),
        "a late answer of the first attempt"
    );
    let batch = execution.handle(23_000, ended("reserve", 2, flaky()));
    assert!(
        matches!(&batch.events[0], Event::StepFailed { attempt: 2, .. }),
        "a third attempt at 63,000 would be past the total"
    );
}

#[test]
fn a_timer_does_not_fire_early_and_not_twice() {
    let program = |ctx: Context, _: Payload| async move {
        ctx.sleep("wait", Duration::from_secs(5)).await?;
        ctx.step(step("after", None)).await
    };
    let (mut execution, _) = Execution::start(identity(), &program, Payload::null());
    let fired = || Input::TimerFired { path: "wait".into() };
    assert!(execution.handle(5999, fired()).events.is_empty());
    assert_eq!(execution.handle(6000, fired()).events.len(), 2);
    assert!(execution.handle(6001, fired()).events.is_empty());
    assert!(execution.waits_for("after") && !execution.waits_for("wait"));
}

#[test]
fn cancellation_runs_what_is_shielded_and_a_second_one_changes_nothing() {
    let (mut execution, _) = Execution::start(identity(), &order, Payload::null());
    execution.handle(1001, ended("reserve", 1, OK()));
    execution.handle(1002, ended("charge", 1, OK()));
    let cancel = || Input::Cancel {
        reason: "enough".into(),
    };
    let batch = execution.handle(1003, cancel());
    assert_eq!(attempts(&batch)[0].0, "refund");
    assert!(
        batch
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::CancelStep { path } if &**path == "ship"))
    );
    assert!(execution.handle(1004, cancel()).events.is_empty());
    execution.handle(1005, ended("refund", 1, OK()));
    assert!(matches!(execution.outcome(), Some(Outcome::Cancelled(error)) if error.message == "cancelled: enough"));
}

#[test]
fn a_program_that_panics_fails_and_a_name_used_twice_gets_a_number() {
    let program = |ctx: Context, _: Payload| async move {
        ctx.step(step("same", None)).await?;
        ctx.step(step("same", None)).await?;
        panic!("a bug")
    };
    let (mut execution, _) = Execution::start(identity(), &program, Payload::null());
    let batch = execution.handle(1001, ended("same", 1, OK()));
    assert_eq!(attempts(&batch)[0].0, "same#2");
    let batch = execution.handle(1002, ended("same#2", 1, OK()));
    let Some(Event::Finished {
        outcome: Outcome::Failed(error),
    }) = batch.events.last()
    else {
        panic!("it fails")
    };
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("panic", "it panicked: a bug")
    );
}
