use std::collections::HashMap;
use std::sync::Arc;

use bowline_core::{Event, Outcome, Payload, StepError};
use bowline_flow::{LoadOptions, Source, load};
use serde_json::json;

use super::super::shape::Shape;
use super::*;

fn view(text: &str, events: &[(i64, Event)]) -> View {
    let registry = crate::wiring::registry();
    let plan = load(Source::new("w.yaml", text), &registry, &LoadOptions::default()).unwrap();
    let mut view = View::new("e1", "w", 0);
    view.shape = Some(Arc::new(Shape::new(plan)));
    for (at, event) in events {
        view.apply(*at, event);
    }
    view
}

fn drawn(view: &View, now: i64) -> String {
    let look = Look {
        now,
        frame: 0,
        to: To::Stderr,
        live: true,
    };
    let lines: Vec<String> = steps(view, &HashMap::new(), look)
        .into_iter()
        .map(|line| line.text)
        .collect();
    console::strip_ansi_codes(&lines.join("\n")).into_owned()
}

fn scheduled(path: &str) -> Event {
    Event::StepScheduled {
        path: path.into(),
        kind: "http-request".into(),
        input: None,
        compensates: None,
        key_of: None,
    }
}

fn undone(path: &str, of: &str) -> Event {
    Event::StepScheduled {
        path: path.into(),
        kind: "http-request".into(),
        input: None,
        compensates: Some(of.into()),
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

fn busy() -> StepError {
    StepError::transient("http.503", "https://x.example/ answered 503: busy")
}

const STEPS: &str = "
steps:
  - id: charge
    type: http-request
    config: { url: 'https://x.example/' }
    errorHandling: { retry: { maxAttempts: 5 } }
    compensation: { type: http-request, config: { url: 'https://x.example/' } }
  - id: pause
    wait: 1h
  - id: both
    parallel:
      - { id: left, type: http-request, config: { url: 'https://x.example/' } }
      - { id: right, type: http-request, config: { url: 'https://x.example/' } }
";

#[test]
fn a_step_that_is_tried_again_tells_why_and_when() {
    let failed = Event::AttemptFailed {
        path: "charge".into(),
        attempt: 2,
        error: busy(),
        next_at: 4_000,
    };
    let view = view(STEPS, &[(0, scheduled("charge")), (100, failed)]);
    assert_eq!(
        drawn(&view, 100),
        "  ↻ charge  http-request  attempt 2 of 5 failed: https://x.example/ answered 503: busy [http.503]; next attempt in 4s
  · pause  wait
  · both  parallel
    · left  http-request
    · right  http-request"
    );
}

#[test]
fn a_failed_execution_shows_what_was_undone_and_what_never_ran() {
    let error = StepError::permanent("http.404", "gone");
    let view = view(
        STEPS,
        &[
            (0, scheduled("charge")),
            (120, completed("charge")),
            (
                120,
                Event::TimerSet {
                    path: "pause".into(),
                    at: 3_600_120,
                },
            ),
            (3_600_120, Event::TimerFired { path: "pause".into() }),
            (3_600_120, scheduled("both/left/left")),
            (3_600_120, scheduled("both/right/right")),
            (
                3_600_220,
                Event::StepFailed {
                    path: "both/left/left".into(),
                    attempt: 1,
                    error: error.clone(),
                },
            ),
            (
                3_600_220,
                Event::StepCancelled {
                    path: "both/right/right".into(),
                },
            ),
            (3_600_220, undone("charge.compensation", "charge")),
            (3_600_320, completed("charge.compensation")),
            (
                3_600_320,
                Event::Finished {
                    outcome: Outcome::Failed(error),
                },
            ),
        ],
    );
    assert_eq!(
        drawn(&view, 3_600_320),
        "  ✓ charge  http-request  0.12s
    ✓ undo charge  http-request  0.10s
  ✓ pause  wait  1h
  ✗ both  parallel
    ✗ left  http-request  attempt 1 of 3 failed: gone [http.404]
    – right  http-request  cancelled"
    );
    let told = error_line(&view).unwrap();
    assert_eq!(
        told,
        "step \"both/left/left\" (http-request) attempt 1 of 3: gone [http.404]"
    );
}

#[test]
fn loops_are_summed_up() {
    let text = "
steps:
  - id: notify
    forEach: '${input.users}'
    concurrency: 10
    onItemError: collect
    steps:
      - { id: send, type: http-request, config: { url: 'https://x.example/' } }
";
    let input = Payload::of(&json!({ "users": (0..1000).collect::<Vec<_>>() })).unwrap();
    let mut events = vec![(
        0,
        Event::Started {
            input,
            origin: None,
            trace: None,
        },
    )];
    for number in 0..40 {
        events.push((1, scheduled(&format!("notify[{number}]/send"))));
    }
    for number in 0..37 {
        events.push((2, completed(&format!("notify[{number}]/send"))));
    }
    let path = "notify[37]/send";
    events.push((
        3,
        Event::StepFailed {
            path: path.into(),
            attempt: 3,
            error: busy(),
        },
    ));
    let view = view(text, &events);
    let drawn = drawn(&view, 10);
    assert_eq!(
        drawn,
        "  ⠋ notify  forEach, 38/1000 done, 1 failed, 2 items under way
    ✗ [37]/send  http-request  attempt 3 of 3 failed: https://x.example/ answered 503: busy [http.503]"
    );
}

#[test]
fn without_room_what_goes_on_stays() {
    let line = |text: &str, weight| Line {
        text: text.into(),
        weight,
    };
    let lines = vec![
        line("done 1", Weight::Done),
        line("open", Weight::Open),
        line("done 2", Weight::Done),
        line("failed", Weight::Failed),
        line("idle", Weight::Idle),
    ];
    assert_eq!(fit(lines.clone(), 5).len(), 5);
    assert_eq!(fit(lines, 4), ["open", "done 2", "failed", "  … 2 lines more"]);
}

#[test]
fn what_is_waited_for_is_named() {
    let failed = Event::AttemptFailed {
        path: "charge".into(),
        attempt: 2,
        error: busy(),
        next_at: 5_000,
    };
    let view = view(STEPS, &[(0, scheduled("charge")), (100, failed)]);
    let waits = waits(&view, 1_000);
    assert_eq!(waits.len(), 1);
    assert!(
        waits[0].starts_with("step \"charge\": attempt 3 of 5 at "),
        "{}",
        waits[0]
    );
    assert!(
        waits[0].ends_with("(in 4s); https://x.example/ answered 503: busy [http.503]"),
        "{}",
        waits[0]
    );
}
