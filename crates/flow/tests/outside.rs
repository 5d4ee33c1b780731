//! Callbacks, events, signals, approvals, and outcomes that nobody knows.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[expect(dead_code, reason = "of what all tests of runs share, this one uses a part")]
mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::ran;

async fn output(text: &str) -> Value {
    ran(text, json!({"n": 3})).await.output()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_by_token_is_the_result_of_its_node() {
    // The second branch learns the address as the service would: from what it was sent.
    let text = "
steps:
  - id: both
    parallel:
      - id: asked
        type: do
        config: { answer: { to: \"${callback.url}\", ref: 17 } }
        callback: { timeout: 2d, success: \"${ callback.body.value > response.ref }\" }
      - id: service
        steps:
          - { wait: 1h }
          - { id: answer, type: do, config: { deliver: { key: [\"\", no-such], answer: 1 } } }
output: \"${ { 'asked': asked, 'status': steps.asked.status, 'kept': answer.outcome } }\"
";
    let ran = ran(text, json!({})).await;
    assert_eq!(ran.error().code, "callback.timeout", "nobody knows the token");
    assert_eq!(ran.took, Duration::from_hours(48));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_by_reference_is_told_apart_by_channel() {
    let text = "
steps:
  - id: both
    parallel:
      - id: asked
        type: do
        config: { answer: { body: { reference: 17 } } }
        callback:
          name: valuations
          correlate: \"${response.body.reference}\"
          timeout: 2d
          success: \"${ callback.body.value > response.body.reference }\"
          output: \"${ { 'value': callback.body.value, 'reference': response.body.reference } }\"
      - id: service
        steps:
          - { wait: 1h }
          - { id: other, type: do, config: { deliver: { key: [others, '17'], answer: { value: 1 } } } }
          - { id: right, type: do, config: { deliver: { key: [valuations, '17'], answer: { value: 200 } } } }
          - { id: again, type: do, config: { deliver: { key: [valuations, '17'], answer: { value: 300 } } } }
output:
  asked: \"${asked}\"
  response: \"${steps.asked.response.body.reference}\"
  outcomes: \"${ [other.outcome, right.outcome, again.outcome] }\"
";
    let ran = ran(text, json!({})).await;
    let expected = json!({
        "asked": { "value": 200, "reference": 17 },
        "response": 17,
        "outcomes": ["kept", "accepted", "duplicate"],
    });
    assert_eq!(ran.output(), expected);
    assert_eq!(ran.took, Duration::from_hours(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_before_its_reference_is_known_is_taken_at_once() {
    let text = "
steps:
  - { id: early, type: do, config: { deliver: { key: [pay, 'A-1'], answer: paid } } }
  - id: asked
    type: do
    config: { answer: { id: A-1 } }
    callback: { name: pay, correlate: \"${response.id}\", timeout: 1h }
output: \"${ [early.outcome, asked] }\"
";
    let ran = ran(text, json!({})).await;
    assert_eq!(ran.output(), json!(["kept", "paid"]));
    assert_eq!(ran.took, Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_of_a_callback_that_stands_alone_is_handed_out_before_it() {
    let text = "
steps:
  - { id: mail, type: do, config: { answer: \"${callbacks.signed.url}\" } }
  - id: early
    type: do
    config: { deliver: { token: \"${mail}\", answer: { by: ann } } }
  - { id: signed, callback: { success: \"${ callback.body.by = 'ann' }\" } }
  - id: late
    type: do
    config: { deliver: { token: \"${callbacks.signed.token}\", answer: { by: eve } } }
output: \"${ [early.outcome, signed.by, late.outcome, $substring(mail, 0, 35)] }\"
";
    let expected = json!(["kept", "ann", "duplicate", "http://127.0.0.1:8080/callbacks/bw_"]);
    assert_eq!(output(text).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_of_a_callback_are_errors_of_its_step() {
    let text = |deliver: &str| {
        format!(
            "
steps:
  - id: first
    type: do
    config: {{ answer: {{ id: 1 }} }}
    compensation: {{ type: do, config: {{ answer: \"first ${{action.id}}\" }} }}
  - id: early
    type: do
    config: {{ deliver: {{ key: [pay, A], {deliver} }} }}
  - id: asked
    type: do
    config: {{ answer: {{ id: A }} }}
    callback: {{ name: pay, correlate: \"${{response.id}}\", success: \"${{callback.body.ok}}\" }}
    compensation: {{ type: do, config: {{ answer: \"asked ${{response.id}} ${{$string(action)}}\" }} }}
"
        )
    };
    let refused = ran(&text("answer: { ok: false }"), json!({})).await;
    let error = refused.error();
    assert_eq!(error.code, "callback.unsuccessful");
    assert_eq!(error.data.unwrap()["callback"], json!({ "ok": false }));
    // The call was made, so it is undone although its callback did not bring what was wanted.
    assert_eq!(
        refused.calls,
        ["first", "early", "asked", "asked.compensation", "first.compensation"]
    );

    let reported = ran(&text("fail: sold-out"), json!({})).await;
    assert_eq!(reported.error().code, "sold-out");

    let caught = "
steps:
  - id: careful
    try:
      - { id: asked, type: do, config: {}, callback: { timeout: 1h } }
    catch:
      - errors: [callback.timeout]
        steps: [ { id: instead, type: do, config: { answer: \"${error.code}\" } } ]
";
    assert_eq!(output(caught).await, json!("callback.timeout"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fallback_answers_for_a_callback_that_does_not_come() {
    let text = "
steps:
  - id: asked
    type: do
    config: {}
    callback: { timeout: 1h }
    errorHandling: { fallback: { node: cached } }
nodes:
  cached: { type: do, config: { answer: \"cached, ${error.code}\" } }
output: \"${ [asked, steps.asked.status] }\"
";
    let ran = ran(text, json!({})).await;
    assert_eq!(ran.output(), json!(["cached, callback.timeout", "degraded"]));
    assert_eq!(ran.calls, ["asked", "asked.fallback"]);

    let text = "
steps:
  - { id: asked, type: do, config: {}, callback: { timeout: 1h }, errorHandling: { onError: continue } }
output: \"${ workflow.errors.code }\"
";
    assert_eq!(output(text).await, json!("callback.timeout"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_keep_a_callback_waiting() {
    let text = "
steps:
  - id: both
    parallel:
      - { id: asked, type: do, config: { answer: { id: A } }, callback: { correlate: \"${response.id}\", timeout: 1d, heartbeat: 1h } }
      - id: service
        steps:
          - { wait: 50m }
          - { id: beat, type: do, config: { deliver: { key: ['', A], heartbeat: true } } }
          - { wait: 1d }
    joinStrategy: settle
output: \"${ both.asked.error.code }\"
";
    let ran = ran(text, json!({})).await;
    assert_eq!(ran.output(), json!("callback.heartbeat-timeout"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_that_lost_a_race_is_not_waited_for() {
    let text = "
steps:
  - id: first
    parallel:
      - { id: slow, type: do, config: { answer: { id: A } }, callback: { correlate: \"${response.id}\" } }
      - { id: fast, wait: 1h }
    joinStrategy: wait-any
  - { id: late, type: do, config: { deliver: { key: ['', A], answer: 1 } } }
output: \"${ late.outcome }\"
";
    let outcome = output(text).await;
    assert!(outcome == "kept" || outcome == "late", "{outcome}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_taken_by_type_key_and_condition() {
    let text = "
steps:
  - set: { least: 10 }
  - id: all
    parallel:
      - { id: got, waitFor: { event: paid, key: \"${input.n}\", where: \"${ event.data.amount >= least }\", timeout: 1h } }
      - id: others
        steps:
          - { emit: { type: paid, key: 4, data: { amount: 50 } } }
          - { emit: { type: paid, key: 3, data: { amount: 5 } } }
          - { emit: { type: paid, key: 3, data: { total: 5 } } }
          - { emit: { type: paid, key: 3, data: { amount: 20 } } }
  - id: none
    try: [ { id: never, waitFor: { event: paid, key: \"${input.n}\", where: \"${ event.data.amount >= least }\", timeout: 1h } } ]
    catch: [ { steps: [ { id: why, type: do, config: { answer: \"${error.code}\" } } ] } ]
output: \"${ [got.data.amount, got.key, why] }\"
";
    assert_eq!(output(text).await, json!([20, "3", "event.timeout"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_are_kept_until_something_waits_for_them() {
    let text = "
steps:
  - { id: s1, type: do, config: { signal: [go, { to: left }] } }
  - { id: s2, type: do, config: { signal: [go, { to: right }] } }
  - { id: right, waitFor: { signal: go, where: \"${ signal.data.to = 'right' }\" } }
  - { id: any, waitFor: { signal: go } }
  - id: none
    try: [ { id: never, waitFor: { signal: go, timeout: 5m } } ]
    catch: [ { steps: [ { id: why, type: do, config: { answer: \"${error.code}\" } } ] } ]
output: \"${ [right.data.to, any.data.to, any.name, why] }\"
";
    assert_eq!(output(text).await, json!(["right", "left", "go", "signal.timeout"]));
}

fn approval(answer: &str, more: &str) -> String {
    format!(
        "
steps:
  - {{ id: answered, type: do, config: {{ deliver: {{ token: \"${{callbacks.ok.url}}\", answer: {answer} }} }} }}
  - id: ok
    approve:
      who: [boss@example.com]
      what: \"May we spend ${{input.n}}?\"
      timeout: 2d
      form: {{ properties: {{ limit: {{ type: number }} }}, required: [limit] }}
{more}
"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_approval_is_an_answer_that_fits_its_form() {
    let yes = output(&approval("{ approved: true, limit: 5, by: ann }", "")).await;
    assert_eq!(yes, json!({ "approved": true, "limit": 5, "by": "ann" }));

    let no = ran(
        &approval("{ approved: false, by: ann, comment: too much }", ""),
        json!({"n": 3}),
    )
    .await;
    let error = no.error();
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("approval.rejected", "`ok` was rejected by ann: too much")
    );

    let no = output(&approval("{ approved: false }", "      onReject: continue")).await;
    assert_eq!(no, json!({ "approved": false }));

    let odd = ran(&approval("{ approved: true, limit: much }", ""), json!({"n": 3})).await;
    assert_eq!(odd.error().code, "approval.invalid");

    let late = "
steps:
  - id: careful
    try: [ { id: ok, approve: { who: ann, what: May we?, timeout: 2d } } ]
    catch: [ { errors: [approval.timeout], steps: [ { id: why, type: do, config: { answer: late } } ] } ]
";
    assert_eq!(output(late).await, json!("late"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quorum_of_those_who_are_asked_decides() {
    let text = |first: &str, second: &str, more: &str| {
        format!(
            "
steps:
  - {{ id: a1, type: do, config: {{ deliver: {{ token: \"${{callbacks.ok.each[0].url}}\", answer: {{ approved: {first} }} }} }} }}
  - {{ id: a2, type: do, config: {{ deliver: {{ token: \"${{callbacks.ok.each[2].url}}\", answer: {{ approved: {second} }} }} }} }}
  - {{ id: ok, approve: {{ who: [ann, bob, eve], what: May we?, quorum: 2{more} }} }}
"
        )
    };
    let yes = output(&text("true", "true", "")).await;
    let answers = json!([{ "approved": true, "who": "ann" }, { "approved": true, "who": "eve" }]);
    assert_eq!(yes, json!({ "approved": true, "answers": answers }));
    let no = ran(&text("false", "false", ""), json!({})).await;
    assert_eq!(no.error().code, "approval.rejected");
    let split = ran(&text("true", "false", ", timeout: 1h"), json!({})).await;
    assert_eq!(split.error().code, "approval.timeout");
}

const UNKNOWN: &str = "
nodes:
  look: { type: do, config: { answer: FOUND } }
steps:
  - id: charge
    type: do
    config: { answer: charged, fail: lost, times: TIMES, kind: unknown }
    errorHandling: { retry: { maxAttempts: 3, baseDelay: 1s, jitter: false } }
    onUnknownOutcome: HOW
output: \"${ [charge, steps.charge.attempts] }\"
";

fn unknown(how: &str, found: &str, times: &str) -> String {
    UNKNOWN
        .replace("HOW", how)
        .replace("FOUND", found)
        .replace("TIMES", times)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_outcome_is_retried_refused_or_found_out_about() {
    let retried = ran(&unknown("retry", "1", "1"), json!({})).await;
    assert_eq!(retried.output(), json!(["charged", 2]));

    let failed = ran(&unknown("fail", "1", "1"), json!({})).await;
    assert_eq!((failed.error().code.as_str(), failed.calls.len()), ("lost", 1));

    let found = ran(
        &unknown("{ verify: look }", "\"was ${request.fail} ${attempt}\"", "9"),
        json!({}),
    )
    .await;
    assert_eq!(found.output(), json!(["was lost 1", 1]));
    assert_eq!(found.calls, ["charge", "charge/verify"]);

    let not_done = ran(&unknown("{ verify: look }", "null", "9"), json!({})).await;
    assert_eq!(not_done.error().code, "lost");
    assert_eq!(
        not_done.calls,
        [
            "charge",
            "charge/verify",
            "charge#2",
            "charge/verify#2",
            "charge#3",
            "charge/verify#3"
        ]
    );
    assert_eq!(not_done.took, Duration::from_secs(1 + 2));
}
