use super::*;
use bowline_core::Payload;

fn scheduled(path: &str, compensates: Option<&str>) -> Event {
    Event::StepScheduled {
        path: path.into(),
        kind: "http-request".into(),
        input: None,
        compensates: compensates.map(Into::into),
        key_of: None,
    }
}

fn completed(path: &str) -> Event {
    Event::StepCompleted {
        path: path.into(),
        attempt: 1,
        output: Payload::null(),
    }
}

#[test]
fn an_execution_is_busy_until_it_only_waits() {
    let mut view = View::new("e", "w", 0);
    view.apply(0, &scheduled("a", None));
    assert_eq!(view.activity(), Activity::Busy);
    let error = StepError::transient("http.503", "busy");
    view.apply(
        5,
        &Event::AttemptFailed {
            path: "a".into(),
            attempt: 1,
            error,
            next_at: 900,
        },
    );
    view.apply(
        5,
        &Event::TimerSet {
            path: "t".into(),
            at: 800,
        },
    );
    assert_eq!(view.activity(), Activity::Until(Some(800)));
    view.attempt("a", 2);
    assert_eq!(view.activity(), Activity::Busy);
    view.apply(950, &completed("a"));
    assert_eq!(view.ops["a"].error, None, "what helped in the end is no error");
    view.apply(
        960,
        &Event::Finished {
            outcome: Outcome::Succeeded(Payload::null()),
        },
    );
    assert_eq!(view.activity(), Activity::Ended);
}

#[test]
fn a_new_life_keeps_what_is_done_and_not_undone() {
    let mut view = View::new("e", "w", 0);
    for event in [
        scheduled("kept", None),
        completed("kept"),
        scheduled("charge", None),
        completed("charge"),
        scheduled("ship", None),
        Event::StepFailed {
            path: "ship".into(),
            attempt: 1,
            error: StepError::permanent("x", "no"),
        },
        scheduled("charge.compensation", Some("charge")),
        completed("charge.compensation"),
        Event::Finished {
            outcome: Outcome::Failed(StepError::permanent("x", "no; not undone: y")),
        },
    ] {
        view.apply(1, &event);
    }
    let Some(Outcome::Failed(error)) = view.outcome.clone() else {
        panic!("it failed")
    };
    assert_eq!(view.failed_step(&error).map(|(path, _)| &**path), Some("ship"));
    view.apply(
        2,
        &Event::Resumed {
            reason: String::new(),
            definition: None,
            dropped: Vec::new(),
        },
    );
    assert_eq!(view.ops.keys().map(|path| &**path).collect::<Vec<_>>(), ["kept"]);
    assert_eq!(view.outcome, None);
}

fn registered(path: &str, until: Option<i64>, heartbeat: Option<u64>) -> Event {
    Event::WaitRegistered {
        path: path.into(),
        wait: Wait::Callback {
            name: None,
            key: Some("V-1".into()),
            approval: None,
        },
        until,
        heartbeat,
    }
}

#[test]
fn what_waits_for_an_answer_is_not_busy() {
    let mut view = View::new("e", "w", 0);
    view.apply(0, &registered("a", None, None));
    assert_eq!(view.activity(), Activity::Until(None));
    view.apply(0, &registered("b", Some(900), Some(50)));
    assert_eq!(view.activity(), Activity::Until(Some(50)), "the heartbeat comes first");
    view.apply(
        40,
        &Event::Heartbeat {
            path: "b".into(),
            until: 90,
        },
    );
    assert_eq!(view.activity(), Activity::Until(Some(90)));
    let answer = Event::WaitCompleted {
        path: "b".into(),
        output: Payload::null(),
        event: None,
    };
    view.apply(60, &answer);
    assert_eq!(view.activity(), Activity::Until(None));
    assert_eq!(view.ops["b"].state, State::Done);
}

#[test]
fn what_another_execution_did_is_done() {
    let mut view = View::new("e", "w", 0);
    let origin = Origin {
        execution: "old".into(),
        keys: "old".into(),
        kept: vec![bowline_core::Kept {
            path: "a".into(),
            kind: "http-request".into(),
            output: Payload::null(),
            attempts: 2,
            asked_at: 1,
            ended_at: 4,
            most: 1,
        }],
        redone: Vec::new(),
        reason: String::new(),
    };
    let started = Event::Started {
        input: Payload::null(),
        origin: Some(Box::new(origin)),
        trace: None,
    };
    view.apply(10, &started);
    let op = &view.ops["a"];
    assert_eq!(
        (op.state, op.kept, op.attempt, op.ended_at),
        (State::Done, true, 2, Some(4))
    );
    assert_eq!(view.origin.as_deref(), Some("old"));
}
