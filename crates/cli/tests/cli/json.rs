//! `--json`: one event a line, the result last.

use serde_json::Value;

use crate::common::{Folder, snapshot};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn events_are_lines_and_the_result_is_the_last() {
    let folder = Folder::new();
    let input = r#"{"customer": "ada", "amount": 42}"#;
    let ended = folder.run(&["run", "order.yaml", "--mocks", "mocks.yaml", "--json", "-i", input]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.told());
    let lines = lines(&ended.stdout);
    let kinds: Vec<&str> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "started",
            "stepScheduled",
            "attemptFailed",
            "stepCompleted",
            "stepScheduled",
            "stepCompleted",
            "finished",
            "result"
        ]
    );
    let id = lines[0]["executionId"].clone();
    assert!(lines.iter().all(|line| line["executionId"] == id));
    let failed = &lines[2];
    assert_eq!(
        (&failed["path"], &failed["attempt"], &failed["error"]["code"]),
        (&"charge".into(), &1.into(), &"http.503".into())
    );
    snapshot("json-result", &lines[7].to_string());
    // The history says the same as was told live.
    let history = folder.run(&["executions", "history", id.as_str().unwrap(), "--json"]);
    assert_eq!(self::lines(&history.stdout), lines[..7]);
}

#[test]
fn a_failure_is_a_result_too() {
    let folder = Folder::new();
    let input = r#"{"customer": "ada", "amount": 42}"#;
    let ended = folder.run(&[
        "run",
        "order.yaml",
        "--mocks",
        "mocks.nothing-ships.yaml",
        "--json",
        "-i",
        input,
    ]);
    assert_eq!(ended.code, Some(1), "{}", ended.told());
    let last = lines(&ended.stdout).pop().unwrap();
    assert_eq!((&last["type"], &last["status"]), (&"result".into(), &"failed".into()));
    assert_eq!(last["error"]["code"], "http.422");
}
