//! `bowline callback`, `signal`, `approve`: beside a process that runs executions, and without one.

use serde_json::{Value, json};

use crate::common::{Folder, Running, snapshot};

/// Starts `valuation` as execution `v-1`, and returns when it waits for its callback.
fn waiting(folder: &Folder) -> Running {
    let mut run = folder.spawn(&VALUATION);
    run.until("valued is answered by");
    run
}

const VALUATION: [&str; 8] = [
    "run",
    "valuation.yaml",
    "--mocks",
    "mocks.yaml",
    "--id",
    "v-1",
    "-i",
    r#"{"reference": "V-1"}"#,
];

/// Leaves it as a crash would.
fn crashed(folder: &Folder) {
    let run = waiting(folder);
    run.signal("KILL");
    assert_eq!(run.end().code, None);
}

#[test]
fn a_callback_is_answered_from_another_process() {
    let folder = Folder::new();
    let run = waiting(&folder);
    snapshot("callback-why", &folder.run(&["why", "v-1"]).told());
    snapshot("callback-list", &folder.run(&["callback", "list"]).told());
    let heartbeat = folder.run(&["callback", "heartbeat", "--reference", "V-1"]);
    assert_eq!(heartbeat.code, Some(0), "{}", heartbeat.told());
    let answer = [
        "callback",
        "succeed",
        "--reference",
        "V-1",
        "--payload",
        r#"{"value": 7}"#,
    ];
    let accepted = folder.run(&answer);
    assert_eq!(accepted.code, Some(0), "{}", accepted.told());
    snapshot("callback-accepted", &accepted.told());
    let ended = run.end();
    let result: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code, result), (Some(0), json!({ "value": 7, "ok": true })));
    let again = folder.run(&answer);
    assert!(
        again.code == Some(0) && again.stderr.contains("duplicate: execution v-1"),
        "{}",
        again.told()
    );
    snapshot(
        "callback-history",
        &folder.run(&["executions", "history", "v-1"]).told(),
    );
}

#[test]
fn a_failure_is_reported_by_token() {
    let folder = Folder::new();
    let run = waiting(&folder);
    let open = folder.json(&["callback", "list", "--json"]);
    assert_eq!(
        (&open[0]["execution"], &open[0]["reference"]),
        (&json!("v-1"), &json!("V-1"))
    );
    let token = open[0]["token"].as_str().unwrap();
    let failed = folder.run(&[
        "callback",
        "fail",
        token,
        "--error",
        "valuation.refused",
        "--cause",
        "no access",
        "--json",
    ]);
    let line: Value = serde_json::from_str(&failed.stdout).unwrap();
    assert_eq!(
        line,
        json!({ "type": "delivered", "outcome": "accepted", "execution": "v-1" })
    );
    let ended = run.end();
    assert!(
        ended.code == Some(1) && ended.stderr.contains("no access [valuation.refused]"),
        "{}",
        ended.told()
    );
}

#[test]
fn an_answer_that_comes_early_is_kept_and_taken_once() {
    let folder = Folder::new();
    folder.run(&["run", "plain.yaml", "-q", "-i", r#"{"name": "x"}"#]);
    let early = folder.run(&[
        "callback",
        "succeed",
        "--reference",
        "V-1",
        "--payload",
        r#"{"value": 9}"#,
    ]);
    assert_eq!(early.code, Some(0), "{}", early.told());
    snapshot("callback-kept", &early.told());
    snapshot(
        "callback-list-kept",
        &folder.run(&["callback", "list", "--kept"]).told(),
    );
    let ended = folder.run(&VALUATION);
    let result: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code, &result["value"]), (Some(0), &json!(9)), "{}", ended.told());
    assert_eq!(folder.json(&["callback", "list", "--kept", "--json"]), json!([]));
}

#[test]
fn a_kept_answer_is_delivered_elsewhere_or_forgotten() {
    let folder = Folder::new();
    let run = waiting(&folder);
    for value in ["1", "2"] {
        let kept = folder.run(&["callback", "succeed", "--reference", "V-7", "--payload", value]);
        assert!(
            kept.stderr.contains(&format!("kept as number {value}")),
            "{}",
            kept.told()
        );
    }
    let beat = folder.run(&["callback", "heartbeat", "--reference", "V-7"]);
    assert_eq!(beat.code, Some(2), "a heartbeat is not kept: {}", beat.told());
    let dropped = folder.run(&["callback", "drop", "2"]);
    assert_eq!(dropped.code, Some(0), "{}", dropped.told());
    let alone = folder.run(&["callback", "deliver", "1"]);
    assert!(
        alone.stderr.contains("number 1 stays kept: nobody waits for it yet"),
        "{}",
        alone.told()
    );
    let delivered = folder.run(&["callback", "deliver", "1", "--reference", "V-1"]);
    assert!(
        delivered.code == Some(0) && delivered.stderr.contains("number 1 is delivered"),
        "{}",
        delivered.told()
    );
    let ended = run.end();
    assert!(
        ended.code == Some(0) && ended.stderr.contains("valued has its answer"),
        "{}",
        ended.told()
    );
    assert_eq!(folder.json(&["callback", "list", "--kept", "--json"]), json!([]));
    let gone = folder.run(&["callback", "deliver", "1"]);
    assert_eq!(gone.code, Some(2), "{}", gone.told());
}

#[test]
fn without_a_process_the_answer_goes_on_with_the_execution() {
    let folder = Folder::new();
    crashed(&folder);
    let stuck = folder.run(&[
        "callback",
        "succeed",
        "--execution",
        "v-1",
        "--payload",
        r#"{"value": 3}"#,
    ]);
    assert!(
        stuck.code == Some(2) && stuck.stderr.contains("env.SHOP_URL"),
        "{}",
        stuck.told()
    );
    let answer = [
        "callback",
        "succeed",
        "--execution",
        "v-1",
        "--path",
        "valued",
        "--payload",
        r#"{"value": 3}"#,
        "--mocks",
        "mocks.yaml",
    ];
    let accepted = folder.run(&answer);
    assert_eq!(accepted.code, Some(0), "{}", accepted.told());
    for told in [
        "accepted by execution v-1",
        "valued has its answer",
        "execution v-1 has succeeded",
    ] {
        assert!(accepted.stderr.contains(told), "{told}: {}", accepted.told());
    }
    let page = folder.json(&["executions", "show", "v-1", "--json"]);
    assert_eq!(
        (&page["status"], &page["output"]["value"]),
        (&json!("succeeded"), &json!(3))
    );
    let again = folder.run(&answer);
    assert!(
        again.code == Some(0) && again.stderr.contains("duplicate"),
        "{}",
        again.told()
    );
}

#[test]
fn an_answer_that_comes_too_late_is_told_as_one() {
    let folder = Folder::new();
    crashed(&folder);
    let cancelled = folder.run(&["executions", "cancel", "v-1", "--mocks", "mocks.yaml"]);
    assert_eq!(cancelled.code, Some(0), "{}", cancelled.told());
    let late = folder.run(&["callback", "succeed", "--reference", "V-1"]);
    assert!(
        late.code == Some(2) && late.stderr.contains("too late: execution v-1 has ended (cancelled)"),
        "{}",
        late.told()
    );
}

#[test]
fn what_leads_nowhere_is_refused() {
    let folder = Folder::new();
    crashed(&folder);
    for (args, told) in [
        (&["succeed", "bw_made-up"][..], "not a callback token"),
        (&["succeed", "--execution", "nothing"], "no execution has the id"),
        (
            &["succeed", "--execution", "v-1", "--path", "ask"],
            "no callback at ask",
        ),
        (&["succeed", "--reference", "V-1", "--payload", "{"], "not JSON"),
        (&["succeed"], "required"),
        (&["deliver", "77"], "no callback is kept as number 77"),
    ] {
        let mut all = vec!["callback"];
        all.extend(args);
        let ended = folder.run(&all);
        assert!(
            ended.code == Some(2) && ended.stderr.contains(told),
            "{args:?}: {}",
            ended.told()
        );
    }
    assert_eq!(folder.json(&["callback", "list", "--kept", "--json"]), json!([]));
}

#[test]
fn an_approval_is_answered_by_its_form() {
    let folder = Folder::new();
    let mut run = folder.spawn(&["run", "approval.yaml", "--id", "a-1", "-i", r#"{"version": "1.2"}"#]);
    let how = run.until("release is answered by");
    assert!(how.contains(r#"--form '{"window": ...}'"#), "{how}");
    snapshot("approvals", &folder.run(&["approvals"]).told());
    let asked = folder.json(&["approvals", "--json"]);
    assert_eq!(asked[0]["what"], "Release 1.2?");
    assert!(asked[0]["form"]["properties"]["window"].is_object(), "{asked}");
    let unfit = folder.run(&["approve", "a-1"]);
    assert!(
        unfit.code == Some(2) && unfit.stderr.contains("window"),
        "{}",
        unfit.told()
    );
    let approved = folder.run(&["approve", "a-1", "--by", "ada", "--form", r#"{"window": "night"}"#]);
    assert_eq!(approved.code, Some(0), "{}", approved.told());
    run.until("told is answered by");
    snapshot("show-signal", &folder.run(&["executions", "show", "a-1"]).told());
    let signal = ["signal", "a-1", "go", "--payload", r#"{"x": 1}"#, "--signal-id", "s-1"];
    let sent = folder.run(&signal);
    assert_eq!(sent.code, Some(0), "{}", sent.told());
    let ended = run.end();
    let result: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&result["by"], &result["told"]["data"]),
        (&json!("ada"), &json!({ "x": 1 }))
    );
    let late = folder.run(&signal);
    assert!(
        late.code == Some(2) && late.stderr.contains("has succeeded"),
        "{}",
        late.told()
    );
}

#[test]
fn a_signal_is_kept_until_something_waits_and_counts_once() {
    let folder = Folder::new();
    let mut run = folder.spawn(&["run", "approval.yaml", "--id", "a-1", "-i", r#"{"version": "1"}"#]);
    run.until("release is answered by");
    let signal = ["signal", "a-1", "go", "--signal-id", "s-1", "--json"];
    let first = folder.json(&signal);
    assert_eq!(first["outcome"], "accepted");
    let second = folder.json(&signal);
    assert_eq!(second["outcome"], "duplicate");
    let rejected = folder.run(&["approve", "a-1", "--form", r#"{"window": "x"}"#]);
    assert_eq!(rejected.code, Some(0), "{}", rejected.told());
    let ended = run.end();
    assert_eq!(ended.code, Some(0), "the signal was kept: {}", ended.told());
}

#[test]
fn a_rejection_fails_the_step() {
    let folder = Folder::new();
    let mut run = folder.spawn(&["run", "approval.yaml", "--id", "a-1", "-i", r#"{"version": "1"}"#]);
    run.until("release is answered by");
    let form = r#"{"window": "x"}"#;
    folder.run(&[
        "approve",
        "a-1",
        "--reject",
        "--by",
        "bob",
        "--comment",
        "not now",
        "--form",
        form,
    ]);
    let ended = run.end();
    assert!(
        ended.code == Some(1) && ended.stderr.contains("rejected by bob: not now [approval.rejected]"),
        "{}",
        ended.told()
    );
}

#[test]
fn one_of_several_approvals_is_named_or_found_by_who_answers() {
    let folder = Folder::new();
    let mut run = folder.spawn(&["run", "quorum.yaml", "--id", "q-1"]);
    run.until("is answered by");
    let several = folder.run(&["approve", "q-1"]);
    assert!(
        several.code == Some(2) && several.stderr.contains("several approvals: release/1, release/2"),
        "{}",
        several.told()
    );
    let bob = folder.run(&["approve", "q-1", "--by", "bob"]);
    assert_eq!(bob.code, Some(0), "{}", bob.told());
    let ended = run.end();
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "true\n"),
        "{}",
        ended.told()
    );
}
