//! Data as the host gives it, for pages.

use bowline_connector::Registry;
use bowline_flow::{LoadOptions, Plan, Source, load};
use bowline_host::{
    AttemptState, AttemptView, Can, ErrorView, Execution, ExecutionSummary, HistoryEvent, Page, Status, StepState,
    StepView, WaitsFor, Why,
};
use serde_json::json;

/// A workflow without connectors, so that nothing has to be registered.
const TEXT: &str = "
name: order
steps:
  - id: prepare
    set: { total: '${input.amount * 2}' }
  - id: fulfil
    parallel:
      - { id: pack, wait: 1s }
      - id: pay
        callback: { name: payments, correlate: '${input.id}', timeout: 1h }
  - id: big
    when: '${input.amount > 1000}'
    approve: { who: [boss], what: 'Is ${input.amount} fine?' }
  - id: done
    emit: { type: order.done }
";

pub(crate) fn plan() -> Plan {
    load(
        Source::new("order.yaml", TEXT),
        &Registry::default(),
        &LoadOptions::default(),
    )
    .unwrap_or_else(|problems| panic!("{problems}"))
}

pub(crate) fn error(code: &str) -> ErrorView {
    ErrorView {
        code: code.to_owned(),
        kind: "transient".to_owned(),
        message: "the service <b>says</b> no".to_owned(),
        causes: vec!["connection reset".to_owned()],
        data: Some(json!({ "status": 503 })),
    }
}

pub(crate) fn step(path: &str, kind: &str, state: StepState, (from, until): (u32, Option<u32>)) -> StepView {
    let at = |second: u32| format!("2026-11-22T10:00:{second:02}Z");
    StepView {
        path: path.to_owned(),
        name: path.rsplit('/').next().unwrap_or(path).to_owned(),
        place: path.to_owned(),
        kind: kind.to_owned(),
        state,
        attempts: Vec::new(),
        max_attempts: None,
        asked_at: (state != StepState::Skipped).then(|| at(from)),
        ended_at: until.map(at),
        due: None,
        waits_for: None,
        child: None,
        compensates: None,
        emitted: None,
        kept: false,
        error: None,
    }
}

pub(crate) fn summary(id: &str, status: Status) -> ExecutionSummary {
    ExecutionSummary {
        id: id.to_owned(),
        organization: "default".to_owned(),
        workflow: "order".to_owned(),
        version: Some(3),
        definition: "abc".to_owned(),
        status,
        error: (status == Status::Failed).then(|| "http.503".to_owned()),
        parent: None,
        origin: None,
        started_at: "2026-11-22T10:00:00Z".to_owned(),
        finished_at: status.is_finished().then(|| "2026-11-22T10:00:30Z".to_owned()),
        wake_at: None,
    }
}

pub(crate) fn execution(status: Status) -> Execution {
    let pack = step("fulfil/pack/pack", "timer", StepState::Done, (1, Some(2)));
    let mut pay = step("fulfil/pay/pay", "callback", StepState::Waiting, (1, None));
    pay.waits_for = Some(WaitsFor {
        kind: "callback".to_owned(),
        name: Some("payments".to_owned()),
        key: Some("o-17".to_owned()),
        until: Some("2026-11-22T11:00:01Z".to_owned()),
        heartbeat_by: None,
        approval: None,
    });
    let mut call = step("charge", "http-request", StepState::Running, (2, None));
    call.max_attempts = Some(5);
    call.error = Some(error("http.503"));
    call.attempts = (1..=2)
        .map(|number| AttemptView {
            number,
            state: if number == 1 {
                AttemptState::Failed
            } else {
                AttemptState::Running
            },
            started_at: format!("2026-11-22T10:00:0{}Z", number * 3),
            ended_at: (number == 1).then(|| "2026-11-22T10:00:04Z".to_owned()),
            error: (number == 1).then(|| error("http.503")),
            next_at: (number == 1).then(|| "2026-11-22T10:00:06Z".to_owned()),
        })
        .collect();
    Execution {
        summary: summary("0198f0aa-1111-7000-8000-0123456789ab", status),
        input: Some(json!({ "id": "o-17", "amount": 12, "note": "</pre><script>alert(1)</script>" })),
        output: None,
        omitted: Vec::new(),
        failure: (status == Status::Failed).then(|| error("http.503")),
        cancelling: None,
        response: None,
        steps: vec![pack, pay, call, step("big", "approval", StepState::Skipped, (0, None))],
        steps_omitted: 0,
        children: vec![summary("child", Status::Succeeded)],
        why: Why {
            execution: "0198f0aa-1111-7000-8000-0123456789ab".to_owned(),
            line: "waits for the callback `fulfil/pay/pay` (payments, o-17) since 30 s".to_owned(),
            ..Why::default()
        },
        history: 7,
        can: Can::of(status),
    }
}

pub(crate) fn history() -> Page<HistoryEvent> {
    let event = |seq: u64, kind: &str, path: Option<&str>| HistoryEvent {
        seq,
        part: 0,
        last: true,
        at: format!("2026-11-22T10:00:0{seq}Z"),
        kind: kind.to_owned(),
        path: path.map(str::to_owned),
        data: json!({ "input": { "amount": 12 } }),
    };
    Page {
        items: vec![
            event(0, "started", None),
            event(1, "timerSet", Some("fulfil/pack/pack")),
        ],
        next: Some("2".to_owned()),
    }
}
