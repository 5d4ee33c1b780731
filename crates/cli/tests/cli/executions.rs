//! `bowline executions`: list, show, history, resume, cancel.

use crate::common::{Folder, snapshot};

const INPUT: &str = r#"{"customer": "ada", "amount": 42}"#;
const HOUR: &str = r#"{"pause": "1h"}"#;

#[test]
fn nothing_to_list_is_no_error() {
    let folder = Folder::new();
    assert_eq!(folder.json(&["executions", "list", "--json"]), serde_json::json!([]));
    let ended = folder.run(&["executions", "list"]);
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), "no executions in .bowline yet")
    );
    for command in ["show", "history", "resume", "cancel"] {
        let ended = folder.run(&["executions", command, "x"]);
        assert_eq!(ended.code, Some(2), "{command}: {}", ended.told());
    }
    assert!(!folder.path(".bowline").exists(), "looking makes nothing");
}

#[test]
fn a_list_can_be_narrowed_and_paged() {
    let folder = Folder::new();
    for (workflow, mocks) in [
        ("order.yaml", "mocks.yaml"),
        ("order.yaml", "mocks.nothing-ships.yaml"),
        ("plain.yaml", "mocks.yaml"),
    ] {
        let input = r#"{"customer": "ada", "amount": 42, "name": "x"}"#;
        folder.run(&["run", workflow, "--mocks", mocks, "-q", "-i", input]);
    }
    let ids = folder.ids();
    assert_eq!(ids.len(), 3);
    snapshot("list", &folder.run(&["executions", "list"]).told());
    let failed = folder.json(&["executions", "list", "--status", "failed", "--json"]);
    assert_eq!(
        (failed.as_array().unwrap().len(), failed[0]["id"].as_str()),
        (1, Some(ids[1].as_str()))
    );
    let orders = folder.json(&["executions", "list", "--workflow", "order", "--json"]);
    assert_eq!(orders.as_array().unwrap().len(), 2);
    let older = folder.json(&["executions", "list", "--before", &ids[1], "--json"]);
    assert_eq!(older[0]["id"].as_str(), Some(ids[2].as_str()));
    let page = folder.run(&["executions", "list", "--limit", "2"]);
    assert!(page.stderr.contains(&format!("--before {}", ids[1])), "{}", page.told());
}

#[test]
fn a_status_page_tells_what_happened() {
    let folder = Folder::new();
    folder.run(&[
        "run",
        "order.yaml",
        "--mocks",
        "mocks.nothing-ships.yaml",
        "-q",
        "-i",
        INPUT,
        "--id",
        "order-7",
    ]);
    // An id may be shortened.
    snapshot("show-failed", &folder.run(&["executions", "show", "order"]).told());
    snapshot(
        "history-failed",
        &folder.run(&["executions", "history", "order-7"]).told(),
    );
    let page = folder.json(&["executions", "show", "order-7", "--json"]);
    assert_eq!(page["status"], "failed");
    let paths: Vec<&str> = page["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["charge", "ship", "charge.compensation"]);
    let unknown = folder.run(&["executions", "show", "nothing"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.told());
    folder.run(&[
        "run",
        "order.yaml",
        "--mocks",
        "mocks.yaml",
        "-q",
        "-i",
        INPUT,
        "--id",
        "order-8",
    ]);
    let several = folder.run(&["executions", "show", "order-"]);
    assert!(
        several.code == Some(2) && several.stderr.contains("order-8, order-7"),
        "{}",
        several.told()
    );
}

#[test]
fn a_failed_execution_is_resumed_and_what_was_undone_is_done_again() {
    let folder = Folder::new();
    folder.run(&[
        "run",
        "order.yaml",
        "--mocks",
        "mocks.nothing-ships.yaml",
        "-q",
        "-i",
        INPUT,
        "--id",
        "order-7",
    ]);
    let stuck = folder.run(&["executions", "resume", "order-7"]);
    assert_eq!(stuck.code, Some(2), "{}", stuck.told());
    assert!(stuck.stderr.contains("env.SHOP_URL"), "{}", stuck.told());
    let resumed = folder.run(&[
        "executions",
        "resume",
        "order-7",
        "--mocks",
        "mocks.yaml",
        "--reason",
        "carrier found",
    ]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.told());
    snapshot("resume", &resumed.told());
    assert_eq!(folder.calls(), ["/charges", "/charges", "/parcels"]);
    let again = folder.run(&["executions", "resume", "order-7", "--mocks", "mocks.yaml"]);
    assert!(
        again.code == Some(2) && again.stderr.contains("it has succeeded"),
        "{}",
        again.told()
    );
}

#[test]
fn another_process_is_asked_to_cancel_and_waited_for() {
    let folder = Folder::new();
    let mut run = folder.spawn(&["run", "waits.yaml", "--mocks", "mocks.yaml", "-i", HOUR, "--id", "w-1"]);
    run.until("pause waits until");
    let page = folder.run(&["executions", "show", "w-1"]);
    snapshot("show-waiting", &page.told());
    let cancel = folder.run(&["executions", "cancel", "w-1", "--reason", "not wanted"]);
    assert_eq!(cancel.code, Some(0), "{}", cancel.told());
    assert!(
        cancel
            .stderr
            .contains(&format!("pid {} runs executions here", run.pid())),
        "{}",
        cancel.told()
    );
    let ended = run.end();
    assert_eq!(ended.code, Some(3), "{}", ended.told());
    snapshot("cancelled-run", &ended.told());
    assert_eq!(folder.calls(), ["/ok", "/charges/before/refund"]);
    let again = folder.run(&["executions", "cancel", "w-1"]);
    assert_eq!(again.code, Some(0), "it is cancelled: {}", again.told());
}

#[test]
fn cancelling_need_not_be_waited_for() {
    let folder = Folder::new();
    let mut run = folder.spawn(&["run", "waits.yaml", "--mocks", "mocks.yaml", "-i", HOUR, "--id", "w-1"]);
    run.until("pause waits until");
    let cancel = folder.run(&["executions", "cancel", "w-1", "--no-wait"]);
    assert_eq!(cancel.code, Some(0), "{}", cancel.told());
    assert_eq!(run.end().code, Some(3));
}

#[test]
fn what_nobody_runs_is_cancelled_here() {
    let folder = Folder::new();
    let mut run = folder.spawn(&["run", "waits.yaml", "--mocks", "mocks.yaml", "-i", HOUR, "--id", "w-1"]);
    run.until("pause waits until");
    run.signal("KILL");
    assert_eq!(run.end().code, None);
    let cancel = folder.run(&["executions", "cancel", "w-1", "--mocks", "mocks.yaml"]);
    assert_eq!(cancel.code, Some(0), "{}", cancel.told());
    assert_eq!(folder.calls(), ["/ok", "/charges/before/refund"]);
    let rows = folder.json(&["executions", "list", "--json"]);
    assert_eq!(rows[0]["status"], "cancelled");
    let finished = folder.run(&["executions", "cancel", "w-1"]);
    assert!(finished.stderr.contains("cancelled already"), "{}", finished.told());
}
