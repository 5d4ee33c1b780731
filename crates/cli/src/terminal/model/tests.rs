use super::*;
use bowline_core::Payload;

fn scheduled(path: &str, compensates: Option<&str>) -> Event {
    Event::StepScheduled {
        path: path.into(),
        kind: "http-request".into(),
        input: None,
        compensates: compensates.map(Into::into),
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
    assert_eq!(view.activity(), Activity::Until(800));
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
    view.apply(2, &Event::Resumed { reason: String::new() });
    assert_eq!(view.ops.keys().map(|path| &**path).collect::<Vec<_>>(), ["kept"]);
    assert_eq!(view.outcome, None);
}
