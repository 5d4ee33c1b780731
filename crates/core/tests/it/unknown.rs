//! Steps whose outcome must not be unknown, idempotency keys, and what goes over from life to life.

use std::time::Duration;

use crate::support::{Live, ended, identity, json};
use bowline_core::{
    Awaited, Beginnings, CallbackOptions, Context, Effect, Event, Execution, Input, OnUnknown, Origin, Payload,
    Resumption, Step, StepError, StepOptions, standing,
};

fn careful(name: &str) -> Step {
    let options = StepOptions {
        on_unknown: OnUnknown::Fail,
        ..StepOptions::default()
    };
    crate::support::step(name, options)
}

fn plain(name: &str) -> Step {
    crate::support::step(name, StepOptions::default())
}

/// Pays; if nobody knows whether it did, looks, and pays again if it did not.
async fn pay(ctx: Context, _: Payload) -> Result<Payload, StepError> {
    match ctx.step(careful("pay")).await {
        Err(error) if error.kind.is_unknown() => {}
        other => return other,
    }
    let found = ctx.step(plain("pay.verify")).await?;
    if found.text() != "null" {
        return Ok(found);
    }
    let again = Step {
        key_of: Some("pay".into()),
        ..careful("pay")
    };
    ctx.step(again).await
}

fn begun(path: &str, attempt: u32) -> Input {
    Input::AttemptBegun {
        path: path.into(),
        attempt,
    }
}

fn keys(live: &Live<'_>) -> Vec<String> {
    let key = |effect: &Effect| match effect {
        Effect::RunStep { attempt, .. } => Some(attempt.idempotency_key()),
        _ => None,
    };
    live.effects.iter().filter_map(key).collect()
}

#[test]
fn an_attempt_is_noted_before_it_runs_and_its_loss_is_no_retry() {
    let mut live = Live::start(&pay);
    assert_eq!(live.todo(), ["begin pay 1"]);
    live.crash();
    assert_eq!(live.todo(), ["begin pay 1"], "it has not begun");
    assert_eq!(live.handle(begun("pay", 1)).len(), 1);
    assert_eq!(live.todo(), ["run pay"]);
    let key = keys(&live);
    assert!(live.handle(begun("pay", 1)).is_empty(), "it has begun");
    live.crash();
    assert_eq!(live.todo(), ["unknown pay 1"]);
    live.handle(ended("pay", 1, Err(StepError::outcome_unknown())));
    assert_eq!(live.todo(), ["run pay.verify"]);
    live.handle(ended("pay.verify", 1, Ok(Payload::null())));
    assert_eq!(live.todo(), ["begin pay#2 1"]);
    live.handle(begun("pay#2", 1));
    assert_eq!(keys(&live), key, "the same key as the first time");
    live.handle(ended("pay#2", 1, Ok(json("paid"))));
    assert_eq!(live.output(), "\"paid\"");
}

#[test]
fn what_surely_did_not_happen_is_tried_again_and_what_timed_out_is_not() {
    let mut live = Live::start(&pay);
    live.handle(begun("pay", 1));
    let events = live.handle(ended("pay", 1, Err(StepError::transient("busy", "busy"))));
    assert!(matches!(events[..], [Event::AttemptFailed { .. }]));
    assert_eq!(live.todo(), ["begin pay 2"]);
    live.crash();
    assert_eq!(live.todo(), ["begin pay 2"]);
    live.handle(begun("pay", 2));
    let events = live.handle(ended("pay", 2, Err(StepError::timeout(Duration::from_secs(1)))));
    assert!(matches!(events[0], Event::StepFailed { attempt: 2, .. }));
    live.handle(ended("pay.verify", 1, Ok(json("found"))));
    assert_eq!(live.output(), "\"found\"");
}

#[test]
fn a_retry_as_a_new_execution_keeps_results_and_keys() {
    let program = |ctx: Context, _: Payload| async move {
        ctx.step(plain("reserve")).await?;
        ctx.step(plain("pay")).await
    };
    let mut live = Live::start(&program);
    live.succeed(&["reserve"]);
    let key = keys(&live);
    live.handle(ended("pay", 1, Err(StepError::permanent("no", "no"))));
    let origin = Origin::of(&"e".into(), &live.journal, "mended".into(), &|_| true);
    let mut other = identity();
    other.id = "f".into();
    let (execution, batch) = Execution::start_from(
        other.clone(),
        &program,
        Payload::null(),
        Beginnings {
            origin: Some(origin),
            trace: None,
        },
    );
    drop(execution);
    let at = 2000;
    let events = batch.events;
    let journal = [bowline_core::Record { at, events }];
    for effects in [
        batch.effects,
        Execution::replay(other, &program, &journal, 2000).unwrap().1,
    ] {
        live.effects = effects;
        assert_eq!(live.todo(), ["run pay"], "`reserve` is kept");
        assert_eq!(keys(&live), key, "the key is the first one's");
    }
    let next = Origin::of(&"f".into(), &journal, String::new(), &|path| path != "reserve");
    assert_eq!((&*next.execution, &*next.keys, next.kept.len()), ("f", "e", 0));
}

#[test]
fn a_resumption_on_another_definition_does_what_it_says_otherwise() {
    let program = |ctx: Context, _: Payload| async move {
        ctx.step(plain("same")).await?;
        ctx.step(plain("changed")).await?;
        ctx.step(plain("last")).await
    };
    let mut live = Live::start(&program);
    live.succeed(&["same"]);
    let key = keys(&live);
    live.succeed(&["changed"]);
    live.resume(Resumption {
        definition: Some("hash".into()),
        keep: &|path| path != "changed",
        ..Resumption::because("mended")
    });
    assert!(matches!(
        &live.journal.last().unwrap().events[0],
        Event::Resumed { definition: Some(hash), dropped, .. } if hash == "hash" && dropped.len() == 1
    ));
    assert_eq!(live.todo(), ["run changed"]);
    assert_ne!(keys(&live), key, "another request");
    let again = keys(&live);
    live.crash();
    assert_eq!((live.todo(), keys(&live)), (vec!["run changed".to_owned()], again));
    live.succeed(&["changed"]);
    live.resume(Resumption::because("once more"));
    assert_eq!(live.todo(), ["run last"], "what was done in the second life is done");
}

#[test]
fn what_was_open_goes_on_in_the_next_life() {
    let program = |ctx: Context, _: Payload| async move {
        let options = CallbackOptions {
            timeout: Some(Duration::from_secs(9)),
            ..CallbackOptions::default()
        };
        let open: Vec<bowline_core::Branch<'_, _>> = vec![
            Box::pin(ctx.step(careful("pay"))),
            Box::pin(ctx.sleep("sleep", Duration::from_secs(5))),
            Box::pin(ctx.child("child", "other", Payload::null(), false)),
            Box::pin(ctx.callback("call", options)),
            Box::pin(ctx.step(plain("flaky"))),
        ];
        bowline_core::join_all(open).await;
        Ok(Payload::null())
    };
    let mut live = Live::start(&program);
    let before = live.todo();
    live.handle(begun("pay", 1));
    live.handle(ended("flaky", 1, Err(StepError::transient("busy", "busy"))));
    live.now = 4000;
    live.resume(Resumption::because("another definition"));
    let mut after = before.clone();
    after[0] = "unknown pay 1".into();
    assert_eq!(live.todo(), after, "due times and ids are the same");
    let Some(Effect::RunStep { attempt, .. }) = live.effects.last() else {
        panic!("it is tried again")
    };
    assert_eq!(attempt.number, 2);
    live.crash();
    assert_eq!(live.todo(), after);
    let open = standing(&live.journal).open;
    let step = |path: &str| match &open.iter().find(|open| &*open.path == path).unwrap().what {
        Awaited::Step {
            attempt, begun, due, ..
        } => (*attempt, *begun, due.is_some()),
        other => panic!("a step, not {other:?}"),
    };
    assert_eq!((step("pay"), step("flaky")), ((1, true, false), (2, false, true)));

    let cancelled = after[2].replace("child child", "cancel");
    live.resume(Resumption {
        keep: &|path| path != "child" && path != "sleep",
        ..Resumption::because("a third definition")
    });
    let mut changed = live.todo();
    assert_eq!(
        changed.remove(0),
        cancelled,
        "another definition has another child there"
    );
    assert_eq!(changed[1], "timer sleep 9000");
    assert_ne!(changed[2], after[2]);
}

#[test]
fn what_the_next_life_never_asks_for_ends_with_it() {
    let program = |ctx: Context, input: Payload| async move {
        let wait = ctx.callback("call", CallbackOptions::default());
        let both: [bowline_core::Branch<'_, _>; 3] = [
            Box::pin(wait),
            Box::pin(ctx.child("child", "other", input.clone(), false)),
            Box::pin(ctx.child("detached", "other", input, true)),
        ];
        bowline_core::join_all(both).await;
        Ok(Payload::null())
    };
    let live = Live::start(&program);
    let started = live.todo().into_iter().find(|todo| todo.starts_with("child child"));
    let child = started.unwrap().replace("child child", "cancel");
    let mended = |_: Context, _: Payload| async move { Ok(Payload::null()) };
    let mut live = Live {
        program: &mended,
        ..live
    };
    live.resume(Resumption::because("mended"));
    let mut todo = live.todo();
    todo.sort_unstable();
    let mut ends = [child, "cancel wait call".to_owned()];
    ends.sort_unstable();
    assert_eq!(todo, ends);
}
