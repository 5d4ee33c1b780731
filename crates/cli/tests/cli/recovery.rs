//! Data folders with a past: in use, unfinished, stuck, damaged.

use crate::common::{Folder, snapshot};

const HOUR: &str = r#"{"pause": "1h"}"#;

/// Leaves an execution `w-1` that waits for an hour, as a crash would.
fn crashed(folder: &Folder) {
    let mut run = folder.spawn(&["run", "waits.yaml", "--mocks", "mocks.yaml", "-i", HOUR, "--id", "w-1"]);
    run.until("pause waits until");
    run.signal("KILL");
    assert_eq!(run.end().code, None);
}

#[test]
fn one_process_at_a_time_has_a_data_folder() {
    let folder = Folder::new();
    let mut run = folder.spawn(&["run", "waits.yaml", "--mocks", "mocks.yaml", "-i", HOUR]);
    run.until("pause waits until");
    let second = folder.run(&["run", "plain.yaml", "-i", r#"{"name": "Ada"}"#]);
    assert_eq!(second.code, Some(4), "{}", second.told());
    assert!(
        second.stderr.contains(&format!("(pid {})", run.pid())),
        "{}",
        second.told()
    );
    snapshot("locked", &second.told());
    // Another folder is free.
    assert_eq!(
        folder.json(&["run", "plain.yaml", "-q", "--data", "other", "-i", r#"{"name": "Ada"}"#]),
        "hello Ada"
    );
    run.signal("INT");
    assert_eq!(run.end().code, Some(5));
}

#[test]
fn what_waits_for_long_does_not_hold_up_a_new_run() {
    let folder = Folder::new();
    crashed(&folder);
    let next = folder.run(&["run", "plain.yaml", "--mocks", "mocks.yaml", "-i", r#"{"name": "Ada"}"#]);
    assert_eq!(next.code, Some(0), "{}", next.told());
    snapshot("beside-a-long-wait", &next.told());
    let rows = folder.json(&["executions", "list", "--status", "waiting", "--json"]);
    assert_eq!(rows[0]["id"], "w-1");
}

#[test]
fn what_cannot_go_on_is_told_and_left_alone() {
    let folder = Folder::new();
    let mut run = folder.spawn(&["run", "hangs.yaml", "--mocks", "mocks.yaml", "--id", "h-1"]);
    run.until("step never (http-request) started");
    run.signal("KILL");
    assert_eq!(run.end().code, None);
    let next = folder.run(&["run", "plain.yaml", "-i", r#"{"name": "Ada"}"#]);
    assert_eq!(next.code, Some(0), "{}", next.told());
    assert!(
        next.stderr.contains("stuck: execution h-1 of hangs cannot go on:"),
        "{}",
        next.told()
    );
    assert!(next.stderr.contains("env.SHOP_URL"), "{}", next.told());
    let ignored = folder.run(&["run", "plain.yaml", "--no-recover", "-i", r#"{"name": "Ada"}"#]);
    assert!(
        ignored.code == Some(0) && !ignored.stderr.contains("h-1"),
        "{}",
        ignored.told()
    );
    let rows = folder.json(&["executions", "list", "--status", "running", "--json"]);
    assert_eq!(rows[0]["id"], "h-1");
}

#[test]
fn an_unfinished_id_is_gone_on_with() {
    let folder = Folder::new();
    let args = [
        "run",
        "waits.yaml",
        "--mocks",
        "mocks.yaml",
        "-i",
        r#"{"pause": "700ms"}"#,
        "--id",
        "w-1",
    ];
    let mut run = folder.spawn(&args);
    run.until("pause waits until");
    run.signal("KILL");
    assert_eq!(run.end().code, None);
    let again = folder.run(&args);
    assert_eq!(
        (again.code, again.stdout.as_str()),
        (Some(0), "true\n"),
        "{}",
        again.told()
    );
    assert!(
        again.stderr.contains("execution w-1 exists and goes on"),
        "{}",
        again.told()
    );
    assert_eq!(folder.calls(), ["/ok", "/ok"]);
}

#[test]
fn a_damaged_store_is_told_as_one() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path(".bowline")).unwrap();
    folder.write(".bowline/bowline.db", &"this is no database ".repeat(500));
    for args in [
        &["run", "plain.yaml", "-i", r#"{"name": "x"}"#][..],
        &["executions", "list"],
    ] {
        let ended = folder.run(args);
        assert_eq!(ended.code, Some(4), "{args:?}: {}", ended.told());
        assert!(ended.stderr.contains("is damaged"), "{}", ended.told());
    }
}
