//! `bowline why` and `executions query`: where an execution stands.

use serde_json::json;

use crate::common::{Folder, snapshot};

const INPUT: &str = r#"{"customer": "ada", "amount": 42}"#;

#[test]
fn an_end_is_an_answer_too() {
    let folder = Folder::new();
    let args = [
        "run",
        "order.yaml",
        "--mocks",
        "mocks.nothing-ships.yaml",
        "-q",
        "-i",
        INPUT,
        "--id",
        "o-1",
    ];
    assert_eq!(folder.run(&args).code, Some(1));
    snapshot("why-failed", &folder.run(&["why", "o-1"]).told());
}

#[test]
fn a_retry_a_timer_and_a_folder_without_a_process_are_told() {
    let folder = Folder::new();
    let mut run = folder.spawn(&[
        "run",
        "waits.yaml",
        "--mocks",
        "mocks.yaml",
        "-i",
        r#"{"pause": "1h"}"#,
        "--id",
        "w-1",
    ]);
    run.until("pause waits until");
    let beside = folder.json(&["why", "w-1", "--json"]);
    assert_eq!(
        (
            &beside["held"],
            &beside["waitsFor"][0]["kind"],
            &beside["waitsFor"][0]["path"]
        ),
        (&json!(null), &json!("timer"), &json!("pause")),
        "{beside}"
    );
    run.signal("KILL");
    run.end();
    snapshot("why-no-process", &folder.run(&["why", "w-1"]).told());
    assert_eq!(folder.json(&["why", "w-1", "--json"])["held"], "noProcess");
}

#[test]
fn what_a_child_waits_for_is_what_its_parent_waits_for() {
    let folder = Folder::new();
    let args = [
        "run",
        "asks-child.yaml",
        "--mocks",
        "mocks.yaml",
        "--id",
        "p-1",
        "-i",
        r#"{"reference": "V-9"}"#,
    ];
    let mut run = folder.spawn(&args);
    run.until("valued is answered by");
    let why = folder.run(&["why", "p-1"]);
    assert_eq!(why.stdout.lines().count(), 1, "{}", why.told());
    assert!(
        why.stdout.contains("waits for execution ") && why.stdout.contains("callback with the reference V-9"),
        "{}",
        why.told()
    );
    let deep = folder.json(&["why", "p-1", "--json"]);
    assert_eq!(deep["waitsFor"][0]["child"]["waitsFor"][0]["key"], "V-9");
    folder.run(&[
        "callback",
        "succeed",
        "--reference",
        "V-9",
        "--payload",
        r#"{"value": 4}"#,
    ]);
    let ended = run.end();
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "4\n"),
        "{}",
        ended.told()
    );
}

#[test]
fn a_running_execution_is_queried_without_touching_it() {
    let folder = Folder::new();
    let args = [
        "run",
        "valuation.yaml",
        "--mocks",
        "mocks.yaml",
        "--id",
        "v-1",
        "-i",
        r#"{"reference": "V-1"}"#,
    ];
    let mut run = folder.spawn(&args);
    run.until("valued is answered by");
    let state = folder.json(&["executions", "query", "v-1"]);
    assert_eq!(state["steps"]["ask"]["status"], "succeeded", "{state}");
    assert_eq!(
        folder.json(&["executions", "query", "v-1", "steps.ask.status & '!'"]),
        "succeeded!"
    );
    assert_eq!(folder.json(&["executions", "query", "v-1", "${ask.body.ok}"]), true);
    let wrong = folder.run(&["executions", "query", "v-1", "nothing("]);
    assert!(
        wrong.code == Some(2) && wrong.stderr.contains("the expression"),
        "{}",
        wrong.told()
    );
    let records = folder.run(&["executions", "history", "v-1"]).stdout.lines().count();
    assert_eq!(
        folder.run(&["executions", "history", "v-1"]).stdout.lines().count(),
        records
    );
    run.signal("INT");
    assert_eq!(run.end().code, Some(5));
}
