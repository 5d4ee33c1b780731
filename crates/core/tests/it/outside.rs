//! Waiting for the world: callbacks, signals and events, one behaviour at a time.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Live, json};
use bowline_core::{
    Answer, Branch, CallbackOptions, Context, Effect, Event, Filter, Input, Payload, StepError, TokenKey, Wait,
    join_all,
};

fn answer(path: &str, answer: Answer) -> Input {
    Input::WaitAnswered {
        path: path.into(),
        answer,
    }
}

fn output(value: u32, event: Option<i64>) -> Answer {
    Answer::Succeeded {
        output: json(value),
        event,
    }
}

fn signal(data: u32, id: Option<&str>) -> Input {
    Input::Signal {
        name: "go".into(),
        data: json(data),
        id: id.map(Into::into),
    }
}

fn due(path: &str) -> Input {
    Input::TimerFired { path: path.into() }
}

fn even() -> Filter {
    Arc::new(|data: &Payload| data.parse::<u32>().is_ok_and(|number| number % 2 == 0))
}

fn options() -> CallbackOptions {
    CallbackOptions {
        timeout: Some(Duration::from_secs(10)),
        heartbeat: Some(Duration::from_secs(3)),
        ..CallbackOptions::default()
    }
}

async fn callback(ctx: Context, _: Payload) -> Result<Payload, StepError> {
    ctx.callback("call", options()).await
}

fn code(live: &Live<'_>) -> String {
    match live.execution.outcome() {
        Some(bowline_core::Outcome::Failed(error)) => error.code.clone(),
        other => format!("{other:?}"),
    }
}

#[test]
fn a_callback_is_answered_once_and_its_token_is_known_before() {
    let program = |ctx: Context, _: Payload| async move {
        let first = ctx.callback_token("call");
        ctx.callback("call", CallbackOptions::default()).await?;
        let second = ctx.callback_token("call");
        ctx.callback("call", CallbackOptions::default()).await?;
        Ok(json([first, second]))
    };
    let mut live = Live::start(&program);
    let mut tags = Vec::new();
    for path in ["call", "call#2"] {
        let [Effect::RegisterWait { tag, until: None, .. }] = &live.effects[..] else {
            panic!("one wait, not {:?}", live.todo())
        };
        tags.push(*tag);
        assert_eq!(live.handle(answer(path, output(1, None))).len(), 2);
        assert!(live.handle(answer(path, output(1, None))).is_empty(), "a second answer");
    }
    let key = TokenKey::new([1; 32]);
    assert_eq!(
        live.output(),
        json([key.token(7, tags[0]), key.token(7, tags[1])]).text()
    );
}

#[test]
fn a_failure_from_outside_is_the_waits_error() {
    let mut live = Live::start(&callback);
    live.handle(answer(
        "call",
        Answer::Failed(StepError::permanent("bank.refused", "no")),
    ));
    assert_eq!(code(&live), "bank.refused");
}

#[test]
fn a_heartbeat_moves_its_own_deadline_and_not_the_other() {
    let mut live = Live::start(&callback);
    assert_eq!(live.todo(), ["wait call Some(4000)"]);
    assert!(live.at(3999, due("call")).is_empty(), "not due");
    assert_eq!(live.at(3999, answer("call", Answer::Heartbeat)).len(), 1);
    assert_eq!(live.todo(), ["wait call Some(6999)"]);
    assert!(live.at(4001, due("call")).is_empty(), "the old deadline");
    live.crash();
    assert_eq!(live.todo(), ["wait call Some(6999)"]);
    live.at(6000, answer("call", Answer::Heartbeat));
    live.at(8999, answer("call", Answer::Heartbeat));
    assert_eq!(live.todo(), ["wait call Some(11000)"], "the timeout is earlier");
    live.at(11_000, due("call"));
    assert_eq!(code(&live), "callback.timeout");
}

#[test]
fn silence_fails_the_wait_and_both_times_are_timeouts() {
    let mut live = Live::start(&callback);
    live.at(4000, due("call"));
    assert_eq!(code(&live), "callback.heartbeat-timeout");
    let Some(bowline_core::Outcome::Failed(error)) = live.execution.outcome() else {
        panic!("it failed")
    };
    assert!(error.matches("timeout"));
    assert!(
        live.handle(answer("call", output(1, None))).is_empty(),
        "late: it has ended"
    );
}

#[test]
fn a_cancelled_wait_is_forgotten() {
    let mut live = Live::start(&callback);
    let reason = String::new();
    live.handle(Input::Cancel { reason });
    assert_eq!(live.todo(), ["cancel wait call"]);
    let waits = |event: &&Event| matches!(event, Event::WaitCancelled { .. });
    assert_eq!(live.journal[1].events.iter().filter(waits).count(), 1);
}

#[test]
fn signals_that_came_before_are_taken_in_order_by_whoever_wants_them() {
    let program = |ctx: Context, _: Payload| async move {
        ctx.step(crate::support::step("first", bowline_core::StepOptions::default()))
            .await?;
        let even = ctx.signal("even", "go", Some(even()), None).await?;
        let any = ctx.signal("any", "go", None, None).await?;
        let other = ctx.signal("any", "go", None, None).await?;
        Ok(json([even.text(), any.text(), other.text()]))
    };
    let mut live = Live::start(&program);
    for (data, id) in [(1, Some("a")), (2, None), (3, None)] {
        assert_eq!(live.handle(signal(data, id)).len(), 1);
    }
    assert!(live.handle(signal(9, Some("a"))).is_empty(), "the same signal again");
    live.crash();
    assert!(live.handle(signal(9, Some("a"))).is_empty(), "known after a crash too");
    live.succeed(&["first"]);
    assert_eq!(live.output(), json(["2", "1", "3"]).text());
    assert_eq!(
        live.journal.len(),
        5,
        "what was there is taken in the record that asked for it"
    );
    live.crash();
    assert_eq!(live.output(), json(["2", "1", "3"]).text());
}

#[test]
fn of_two_waits_the_first_that_wants_a_signal_takes_it() {
    let program = |ctx: Context, _: Payload| async move {
        let picky = ctx.signal("picky", "go", Some(even()), None);
        let any = ctx.signal("any", "go", None, None);
        let both: [Branch<'_, _>; 2] = [Box::pin(picky), Box::pin(any)];
        let both: Result<Vec<_>, _> = join_all(both).await.into_iter().collect();
        both.map(|both| json([both[0].text(), both[1].text()]))
    };
    let mut live = Live::start(&program);
    live.handle(signal(4, None));
    assert!(!live.execution.waits_for("picky") && live.execution.waits_for("any"));
    live.handle(signal(6, None));
    assert_eq!(live.output(), json(["4", "6"]).text());
}

#[test]
fn a_filter_is_asked_before_anything_is_recorded() {
    let program = |ctx: Context, _: Payload| async move {
        let limit = Some(Duration::from_secs(1));
        ctx.event("paid", "paid", Some("o1".into()), Some(even()), limit).await
    };
    let mut live = Live::start(&program);
    assert!(live.handle(answer("paid", output(3, Some(1)))).is_empty());
    assert!(
        live.handle(answer("paid", output(4, None))).is_empty(),
        "an event has a number"
    );
    assert!(live.handle(answer("paid", Answer::Heartbeat)).is_empty());
    assert_eq!(live.journal.len(), 1);
    live.handle(answer("paid", output(4, Some(2))));
    assert_eq!(live.output(), "4");

    let mut live = Live::start(&program);
    live.at(2000, due("paid"));
    assert_eq!(code(&live), "event.timeout");
}

#[test]
fn a_later_wait_does_not_see_what_an_earlier_one_took() {
    let program = |ctx: Context, _: Payload| async move {
        ctx.event("one", "paid", None, None, None).await?;
        ctx.event("two", "paid", None, None, None).await
    };
    let mut live = Live::start(&program);
    live.handle(answer("one", output(1, Some(7))));
    let [
        Effect::RegisterWait {
            wait: Wait::Event { after: 7, .. },
            ..
        },
    ] = &live.effects[..]
    else {
        panic!("it goes on after event 7: {:?}", live.todo())
    };
    live.crash();
    assert!(live.handle(answer("two", output(1, Some(7)))).is_empty());
    live.handle(answer("two", output(2, Some(8))));
    assert_eq!(live.output(), "2");
}

#[test]
fn a_filter_that_panics_fails_its_wait() {
    let program = |ctx: Context, _: Payload| async move {
        let filter: Filter = Arc::new(|_| panic!("a bug"));
        ctx.signal("wait", "go", Some(filter), None).await
    };
    let mut live = Live::start(&program);
    live.handle(signal(1, None));
    assert_eq!(code(&live), "panic");
    live.crash();
    assert_eq!(code(&live), "panic");
}

#[test]
fn an_event_is_told_once() {
    let program = |ctx: Context, _: Payload| async move {
        ctx.emit("tell", "done", Some("k".into()), json(1)).await?;
        ctx.publish("state", json("told"));
        ctx.step(crate::support::step("after", bowline_core::StepOptions::default()))
            .await
    };
    let mut live = Live::start(&program);
    assert_eq!(live.todo(), ["publish tell done", "run after"]);
    live.crash();
    assert_eq!(live.todo(), ["run after"]);
    assert_eq!(live.execution.published()["state"], json("told"));
}

#[test]
fn what_it_rests_on_is_counted() {
    let program = |ctx: Context, _: Payload| async move {
        let waits: Vec<Branch<'_, _>> = vec![
            Box::pin(ctx.callback("call", options())),
            Box::pin(ctx.sleep("sleep", Duration::from_secs(2))),
            Box::pin(ctx.step(crate::support::step("step", bowline_core::StepOptions::default()))),
            Box::pin(ctx.child("child", "other", Payload::null(), false)),
        ];
        join_all(waits).await;
        ctx.signal("last", "go", None, None).await
    };
    let mut live = Live::start(&program);
    let rest = live.execution.rest();
    assert_eq!(
        (rest.steps, rest.children, rest.waits, rest.next),
        (1, 1, 1, Some(3000))
    );
    live.handle(crate::support::ended(
        "step",
        1,
        Err(StepError::transient("busy", "busy")),
    ));
    let Some(next) = live.execution.next_wake() else {
        panic!("an attempt is due")
    };
    assert!(next < 2100, "the attempt comes before the timer: {next}");
    assert_eq!(live.execution.rest().steps, 0);
    live.at(next, crate::support::ended("step", 2, Ok(Payload::null())));
    let outcome = bowline_core::Outcome::Succeeded(Payload::null());
    let path = "child".into();
    live.handle(Input::ChildEnded { path, outcome });
    let rest = live.execution.rest();
    assert!(rest.is_idle_until(3000) && !rest.is_idle_until(3001));
    live.at(3000, due("sleep"));
    assert_eq!(live.execution.next_wake(), Some(4000));
    live.handle(answer("call", output(1, None)));
    let rest = live.execution.rest();
    assert_eq!((rest.waits, rest.next), (1, None));
    assert!(rest.is_idle_until(i64::MAX));
}

#[test]
fn a_program_that_awaits_something_else_fails_instead_of_hanging() {
    let program = |_: Context, _: Payload| async move {
        std::future::pending::<()>().await;
        Ok(Payload::null())
    };
    let live = Live::start(&program);
    assert_eq!(code(&live), "program.stalled");
}
