//! `respond`: what whoever waits for a workflow is answered with.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[expect(dead_code, reason = "of what all tests of runs share, this one uses a part")]
mod support;

use bowline_core::{Event, RESPONSE, decode};
use bowline_store::{DEFAULT_ORGANIZATION, ExecNo, Store as _};
use serde_json::{Value, json};
use support::{Ran, ran};

/// The responses in the journal of the only execution.
fn responses(ran: &Ran) -> Vec<Value> {
    let records = ran.store.journal(ExecNo(1), 0, usize::MAX).unwrap();
    let events = records.iter().flat_map(|record| decode(&record.events).unwrap());
    let responses = events.filter_map(|event| match event {
        Event::Emitted { event, data, .. } if &*event == RESPONSE => Some(data.parse().unwrap()),
        _ => None,
    });
    responses.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_is_recorded_and_no_event_for_others() {
    let text = r#"
steps:
  - id: answer
    respond: { status: "${input.status}", headers: { location: "/orders/${input.id}", x-count: 3 }, body: { id: "${input.id}", token: "${env.TOKEN}" } }
  - { id: after, type: do, config: { answer: "${answer}" } }
  - { respond: { body: late } }
output: "${after}"
"#;
    let ran = ran(text, json!({ "status": 201, "id": "A7" })).await;
    assert_eq!(
        ran.output(),
        Value::Null,
        "its result is null, and the workflow goes on"
    );
    let first = json!({ "status": 201, "headers": { "location": "/orders/A7", "x-count": "3" }, "body": { "id": "A7", "token": "***" } });
    let late = json!({ "status": 200, "headers": {}, "body": "late" });
    assert_eq!(responses(&ran), [first, late]);
    let events = ran
        .store
        .events_after(DEFAULT_ORGANIZATION, RESPONSE, None, 0, 0, 10)
        .unwrap();
    assert!(events.is_empty(), "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_fails_the_step() {
    for (respond, code) in [
        ("{ status: \"${input.low}\" }", "respond.invalid"),
        ("{ status: \"${input.word}\" }", "expression.type"),
        ("{ headers: { \"a b\": x } }", "respond.invalid"),
        ("{ headers: { a: \"${input.lines}\" } }", "respond.invalid"),
        ("{ headers: { a: [1] } }", "expression.type"),
        ("{ headers: \"${input.word}\" }", "expression.type"),
    ] {
        let text = format!("steps: [ {{ respond: {respond} }} ]");
        let input = json!({ "low": 100, "word": "fine", "lines": "a\r\nset-cookie: x" });
        let ran = ran(&text, input).await;
        let error = ran.error();
        assert_eq!(error.code, code, "{respond}: {}", error.message);
        assert!(error.message.contains("test.yaml:1"), "{}", error.message);
        assert!(responses(&ran).is_empty());
    }
}
