//! Pausing, retrying, moving to other versions, deleting, checking, copying.

use serde_json::{Value, json};

use crate::common::{Ended, Folder, Running, snapshot};

const INPUT: &str = r#"{"customer": "ada", "amount": 42}"#;
const HOUR: &str = r#"{"pause": "1h"}"#;

fn pausing(folder: &Folder, id: &str, pause: &str) -> Running {
    until(folder, id, pause, "pause waits until")
}

/// Starts `waits`, and returns when it has told this.
fn until(folder: &Folder, id: &str, pause: &str, told: &str) -> Running {
    let mut run = folder.spawn(&["run", "waits.yaml", "--mocks", "mocks.yaml", "--id", id, "-i", pause]);
    run.until(told);
    run
}

fn killed(run: Running) {
    run.signal("KILL");
    assert_eq!(run.end().code, None);
}

fn fine(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.told());
}

fn failed_order(folder: &Folder) {
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
}

#[test]
fn a_paused_execution_stands_still_until_it_may_go_on() {
    let folder = Folder::new();
    let run = pausing(&folder, "w-1", r#"{"pause": "700ms"}"#);
    fine(&folder.run(&["executions", "pause", "w-1"]));
    let paused = folder.json(&["why", "w-1", "--json"]);
    assert_eq!(
        (&paused["held"], &paused["status"]),
        (&json!("paused"), &json!("paused"))
    );
    // Another pause of it is no error, and its time comes without anything happening.
    fine(&folder.run(&["executions", "pause", "w-1"]));
    let due = std::time::Instant::now() + std::time::Duration::from_millis(900);
    while std::time::Instant::now() < due {
        assert_eq!(
            folder.json(&["executions", "show", "w-1", "--json"])["status"],
            "paused"
        );
    }
    fine(&folder.run(&["executions", "unpause", "w-1"]));
    let ended = run.end();
    fine(&ended);
    assert!(
        ended.stderr.contains("execution w-1 of waits is paused"),
        "{}",
        ended.told()
    );
    let over = folder.run(&["executions", "pause", "w-1"]);
    assert_eq!(over.code, Some(2), "{}", over.told());
}

#[test]
fn without_a_process_the_rows_are_paused() {
    let folder = Folder::new();
    killed(pausing(&folder, "w-1", HOUR));
    let paused = folder.run(&["executions", "pause", "w-1"]);
    fine(&paused);
    snapshot("pause-alone", &paused.told());
    let rows = folder.json(&["executions", "list", "--status", "paused", "--json"]);
    assert_eq!(rows[0]["id"], "w-1");
    let next = folder.run(&["run", "plain.yaml", "--mocks", "mocks.yaml", "-i", r#"{"name": "Ada"}"#]);
    fine(&next);
    assert_eq!(
        folder.json(&["executions", "show", "w-1", "--json"])["status"],
        "paused"
    );
    fine(&folder.run(&["executions", "unpause", "w-1"]));
    let again = folder.run(&["executions", "unpause", "w-1"]);
    assert!(
        again.code == Some(2) && again.stderr.contains("not paused"),
        "{}",
        again.told()
    );
}

#[test]
fn a_paused_workflow_holds_back_what_starts_later() {
    let folder = Folder::new();
    let unknown = folder.run(&["executions", "pause", "--workflow", "plain"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.told());
    fine(&folder.run(&["run", "plain.yaml", "-q", "-i", r#"{"name": "Ada"}"#]));
    killed(pausing(&folder, "w-1", HOUR));
    fine(&folder.run(&["executions", "pause", "--workflow", "waits"]));
    let mut run = folder.spawn(&[
        "run",
        "waits.yaml",
        "--mocks",
        "mocks.yaml",
        "--id",
        "w-2",
        "-i",
        r#"{"pause": "1ms"}"#,
    ]);
    run.until("because all of workflow waits is paused");
    assert_eq!(folder.calls(), ["/ok"], "only that of w-1");
    fine(&folder.run(&["executions", "unpause", "--workflow", "waits"]));
    let ended = run.end();
    fine(&ended);
}

#[test]
fn a_retry_is_a_new_execution_that_names_the_old_one() {
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
    let unfinished = folder.run(&["executions", "retry", "v-1"]);
    assert_eq!(
        unfinished.code,
        Some(4),
        "another process has the folder: {}",
        unfinished.told()
    );
    fine(&folder.run(&[
        "callback",
        "succeed",
        "--reference",
        "V-1",
        "--payload",
        r#"{"value": 7}"#,
    ]));
    fine(&run.end());
    let retried = folder.run(&["executions", "retry", "v-1", "--from", "after", "--mocks", "mocks.yaml"]);
    fine(&retried);
    snapshot("retry", &retried.told());
    assert_eq!(folder.calls().len(), 3, "ask is not done again: {:?}", folder.calls());
    let rows = folder.json(&["executions", "list", "--json"]);
    assert_eq!(
        (rows.as_array().unwrap().len(), &rows[0]["madeFrom"]),
        (2, &json!("v-1"))
    );
    let page = folder.run(&["executions", "show", rows[0]["id"].as_str().unwrap()]);
    snapshot("show-retry", &page.told());
    let nowhere = folder.run(&[
        "executions",
        "retry",
        "v-1",
        "--from",
        "nothing",
        "--mocks",
        "mocks.yaml",
    ]);
    assert!(
        nowhere.code == Some(2) && nowhere.stderr.contains("ask, valued, after"),
        "{}",
        nowhere.told()
    );
}

#[test]
fn a_rerun_takes_another_input() {
    let folder = Folder::new();
    failed_order(&folder);
    let rerun = folder.run(&[
        "executions",
        "rerun",
        "o-1",
        "--from",
        "charge",
        "--mocks",
        "mocks.yaml",
        "--json",
        "-i",
        r#"{"customer": "bob", "amount": 1}"#,
    ]);
    fine(&rerun);
    let first: Value = serde_json::from_str(rerun.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["input"]["customer"], &first["origin"]["execution"]),
        (&json!("bob"), &json!("o-1")),
        "{first}"
    );
    // Without a step it is run from the top.
    let whole = folder.run(&["executions", "rerun", "o-1", "--mocks", "mocks.yaml", "--json"]);
    let first: Value = serde_json::from_str(whole.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first["origin"]["execution"], "o-1", "{}", whole.told());
    let kept = |first: &Value| first["origin"]["kept"].as_array().map_or(0, Vec::len);
    assert_eq!(kept(&first), 0, "{first}");
}

#[test]
fn an_execution_is_moved_to_another_version_or_left_as_it_is() {
    let folder = Folder::new();
    killed(pausing(&folder, "w-1", r#"{"pause": "300ms"}"#));
    let text = std::fs::read_to_string(folder.path("waits.yaml")).unwrap();
    folder.write("gone.yaml", &text.replace("id: before", "id: first"));
    let refused = folder.run(&[
        "executions",
        "resume",
        "w-1",
        "--on",
        "gone.yaml",
        "--mocks",
        "mocks.yaml",
    ]);
    assert!(
        refused.code == Some(2) && refused.stderr.contains("no place for what was done at before"),
        "{}",
        refused.told()
    );
    assert_ne!(
        folder.json(&["executions", "show", "w-1", "--json"])["status"],
        "paused"
    );
    folder.write(
        "mended.yaml",
        &text.replace("${after.body.ok}", "moved, ${after.body.ok}"),
    );
    let moved = folder.run(&[
        "executions",
        "resume",
        "w-1",
        "--on",
        "mended.yaml",
        "--mocks",
        "mocks.yaml",
    ]);
    fine(&moved);
    assert_eq!(moved.stdout, "\"moved, true\"\n");
    assert_eq!(folder.calls(), ["/ok", "/ok"], "before is not done again");
}

#[test]
fn a_deployment_is_told_before_it_happens() {
    let folder = Folder::new();
    killed(pausing(&folder, "w-1", HOUR));
    let text = std::fs::read_to_string(folder.path("waits.yaml")).unwrap();
    let same = folder.run(&["diff", "waits", "waits.yaml"]);
    fine(&same);
    assert!(same.stdout.contains("no difference"), "{}", same.told());
    // What has not happened yet may change.
    folder.write(
        "later.yaml",
        &text.replace("id: after", "id: last").replace("${after.", "${last."),
    );
    let later = folder.run(&["diff", "waits", "later.yaml"]);
    fine(&later);
    snapshot("diff-replays", &later.told());
    folder.write("sooner.yaml", &text.replace("  - id: pause", "  - id: news\n    type: http-request\n    config: { connection: shop, method: POST, url: /ok }\n  - id: pause"));
    let sooner = folder.run(&["diff", "waits", "sooner.yaml"]);
    fine(&sooner);
    snapshot("diff-moves", &sooner.told());
    folder.write("gone.yaml", &text.replace("id: before", "id: first"));
    let gone = folder.run(&["diff", "waits", "gone.yaml"]);
    assert_eq!(gone.code, Some(1), "{}", gone.told());
    snapshot("diff-neither", &gone.told());
    let page = folder.run(&["diff", "waits", "gone.yaml", "--json"]);
    let page: Value = serde_json::from_str(&page.stdout).unwrap();
    assert_eq!(page["executions"][0]["fate"], "neither", "{page}");
    let other = folder.run(&["diff", "waits", "plain.yaml"]);
    assert_eq!(other.code, Some(2), "{}", other.told());
}

#[test]
fn a_key_starts_an_execution_once() {
    let folder = Folder::new();
    let start = |input: &str, more: &[&str]| {
        let mut args = vec!["run", "plain.yaml", "--key", "k-1", "-i", input];
        args.extend(more);
        folder.run(&args)
    };
    let first = start(r#"{"name": "Ada"}"#, &[]);
    fine(&first);
    let again = start(r#"{"name": "Ada"}"#, &[]);
    assert_eq!(
        (again.code, &again.stdout),
        (Some(0), &first.stdout),
        "{}",
        again.told()
    );
    assert!(again.stderr.contains("has the key already"), "{}", again.told());
    assert_eq!(folder.ids().len(), 1);
    let other = start(r#"{"name": "Bob"}"#, &[]);
    assert!(
        other.code == Some(2) && other.stderr.contains("another input"),
        "{}",
        other.told()
    );
    let rejected = start(r#"{"name": "Ada"}"#, &["--reuse", "reject"]);
    assert_eq!(rejected.code, Some(2), "{}", rejected.told());
    fine(&start(r#"{"name": "Bob"}"#, &["--reuse", "allow-duplicate"]));
    assert_eq!(folder.ids().len(), 2);
}

#[test]
fn finished_executions_are_deleted_by_count_and_age() {
    let folder = Folder::new();
    for name in ["a", "b", "c"] {
        fine(&folder.run(&["run", "plain.yaml", "-q", "-i", &format!(r#"{{"name": "{name}"}}"#)]));
    }
    let before = folder.ids();
    let would = folder.run(&["executions", "prune", "--keep", "1", "--dry-run"]);
    assert!(
        would.stderr.contains("2 finished executions would be deleted"),
        "{}",
        would.told()
    );
    assert_eq!(folder.ids(), before);
    fine(&folder.run(&["executions", "prune"]));
    assert_eq!(folder.ids(), before, "none is older than 30 days");
    fine(&folder.run(&["executions", "prune", "--keep", "1"]));
    assert_eq!(folder.ids(), before[..1]);
    fine(&folder.run(&["executions", "prune", "--older-than", "0s"]));
    assert!(folder.ids().is_empty());
}

#[test]
fn finished_executions_are_deleted_beside_a_process() {
    let folder = Folder::new();
    fine(&folder.run(&["run", "plain.yaml", "-q", "-i", r#"{"name": "a"}"#]));
    let run = pausing(&folder, "w-1", HOUR);
    let beside = folder.run(&["executions", "prune", "--older-than", "0s"]);
    fine(&beside);
    assert!(
        beside.stderr.contains(&format!("pid {}", run.pid())) && beside.stderr.contains("1 finished execution deleted"),
        "{}",
        beside.told()
    );
    assert_eq!(folder.ids(), ["w-1"], "an unfinished one is never deleted");
    killed(run);
}

/// What executions there are, when they are as many as expected or never become so.
fn ids_when(folder: &Folder, count: usize) -> Vec<String> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let ids = folder.ids();
        if ids.len() == count || std::time::Instant::now() > deadline {
            return ids;
        }
    }
}

#[test]
fn retention_forgets_while_a_process_runs() {
    let folder = Folder::new();
    folder.write(
        "kept.yaml",
        "name: kept\nretention: { keep: 2 }\nsteps:\n  - set: { a: 1 }\n",
    );
    for id in ["k-1", "k-2", "k-3"] {
        fine(&folder.run(&["run", "kept.yaml", "-q", "--id", id]));
    }
    fine(&folder.run(&["run", "plain.yaml", "-q", "--id", "p-1", "-i", r#"{"name": "a"}"#]));
    // Another workflow's process holds to it as well, and a workflow that says nothing keeps all.
    let run = pausing(&folder, "w-1", HOUR);
    assert_eq!(ids_when(&folder, 4), ["w-1", "p-1", "k-3", "k-2"]);
    killed(run);
    // What the folder says is for those that say nothing.
    folder.write("bowline.yaml", "retention: { after: 1ms }\n");
    fine(&folder.run(&[
        "run",
        "plain.yaml",
        "-q",
        "--id",
        "p-2",
        "-i",
        r#"{"name": "b"}"#,
        "--no-recover",
    ]));
    let run = pausing(&folder, "w-2", HOUR);
    assert_eq!(ids_when(&folder, 4), ["w-2", "w-1", "k-3", "k-2"]);
    killed(run);
    let wrong = |text: &str| {
        folder.write("bowline.yaml", text);
        let refused = folder.run(&["validate", "plain.yaml"]);
        assert_eq!(refused.code, Some(2), "{}", refused.told());
        assert!(refused.told().contains("retention"), "{}", refused.told());
    };
    wrong("retention: {}\n");
    wrong("retention: { after: soon }\n");
    wrong("retention: { keep: 0 }\n");
    wrong("retention: { for: 3d }\n");
}

#[test]
fn a_backup_of_a_folder_in_use_goes_on_where_it_was_made() {
    let folder = Folder::new();
    let run = pausing(&folder, "w-1", HOUR);
    let backup = folder.run(&["backup", "copy"]);
    fine(&backup);
    snapshot("backup", &backup.told());
    let again = folder.run(&["backup", "copy"]);
    assert!(
        again.code == Some(2) && again.stderr.contains("holds a store already"),
        "{}",
        again.told()
    );
    let names: Vec<String> = std::fs::read_dir(folder.path("copy"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "bowline.lock")
        .collect();
    assert_eq!(names, ["bowline.db"]);
    killed(run);
    fine(&folder.run(&["restore", "copy", "--data", "new"]));
    let over = folder.run(&["restore", "copy", "--data", "new"]);
    assert_eq!(over.code, Some(2), "{}", over.told());
    let cancelled = folder.run(&["executions", "cancel", "w-1", "--data", "new", "--mocks", "mocks.yaml"]);
    fine(&cancelled);
    assert_eq!(folder.calls(), ["/ok", "/charges/before/refund"]);
    let nothing = folder.run(&["restore", "nowhere", "--data", "other"]);
    assert_eq!(nothing.code, Some(2), "{}", nothing.told());
}

#[test]
fn a_doctor_tells_a_sound_folder_from_a_damaged_one() {
    let folder = Folder::new();
    let nothing = folder.run(&["doctor"]);
    assert_eq!(nothing.code, Some(2), "{}", nothing.told());
    let run = pausing(&folder, "w-1", HOUR);
    let beside = folder.run(&["doctor"]);
    fine(&beside);
    assert!(
        beside.stdout.contains(&format!("pid {} runs executions", run.pid())),
        "{}",
        beside.told()
    );
    for what in ["--repair", "--compact"] {
        let refused = folder.run(&["doctor", what]);
        assert_eq!(refused.code, Some(2), "{}", refused.told());
    }
    killed(run);
    let sound = folder.run(&["doctor", "--repair", "--compact"]);
    fine(&sound);
    assert!(sound.stdout.contains(".bowline is sound"), "{}", sound.told());
    let path = folder.path(".bowline/bowline.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // Every page but the first few, which say that this is a database of ours.
    let from = bytes.len() / 4;
    for byte in &mut bytes[from..] {
        *byte ^= 0x5a;
    }
    std::fs::write(&path, bytes).unwrap();
    let damaged = folder.run(&["doctor"]);
    assert_eq!(damaged.code, Some(4), "{}", damaged.told());
    assert!(
        damaged.told().contains("problem:") || damaged.stderr.contains("is damaged"),
        "{}",
        damaged.told()
    );
}

#[test]
fn a_doctor_wakes_what_nothing_wakes() {
    use bowline_store::{ExecNo, Status, Store, Write};
    let folder = Folder::new();
    killed(until(&folder, "w-1", HOUR, "pause waits until"));
    let store = bowline_store_sqlite::SqliteStore::open(
        folder.path(".bowline/bowline.db"),
        bowline_store_sqlite::Options::default(),
    )
    .unwrap();
    let lost = Write::Park {
        exec: ExecNo(1),
        status: Status::Waiting,
        wake_at: None,
    };
    store.writer().unwrap().commit(&[lost]).unwrap();
    drop(store);
    let told = folder.run(&["doctor"]);
    assert!(
        told.code == Some(4)
            && told
                .stdout
                .contains("problem: 1 execution with nothing that wakes: w-1"),
        "{}",
        told.told()
    );
    let mended = folder.run(&["doctor", "--repair"]);
    fine(&mended);
    assert!(mended.stdout.contains("mended: 1 execution"), "{}", mended.told());
    let sound = folder.json(&["doctor", "--json"]);
    assert_eq!(sound["problems"], json!([]));
    fine(&folder.run(&["executions", "cancel", "w-1", "--mocks", "mocks.yaml"]));
}

#[test]
fn what_is_too_large_for_a_journal_is_in_the_copy_too() {
    let folder = Folder::new();
    let name = "x".repeat(200_000);
    folder.write("big.json", &json!({ "name": name }).to_string());
    let ended = folder.run(&["run", "plain.yaml", "-q", "--id", "big", "-i", "@big.json"]);
    fine(&ended);
    let backup = folder.run(&["backup", "copy"]);
    fine(&backup);
    assert!(backup.stderr.contains("blob"), "{}", backup.told());
    fine(&folder.run(&["restore", "copy", "--data", "new"]));
    for data in [".bowline", "new"] {
        let page = folder.json(&["executions", "show", "big", "--json", "--data", data]);
        assert_eq!(page["input"]["name"], *name, "{data}");
        assert_eq!(page["output"], format!("hello {name}"), "{data}");
        let history = folder.run(&["executions", "history", "big", "--json", "--data", data]);
        assert!(
            history.stdout.contains(&name) && !history.stdout.contains("$payload"),
            "{data}"
        );
    }
}

#[test]
fn a_start_that_is_not_the_same_is_refused() {
    let folder = Folder::new();
    killed(pausing(&folder, "w-1", HOUR));
    let start = |more: &[&str]| {
        let mut args = vec!["run", "waits.yaml", "--mocks", "mocks.yaml"];
        args.extend(more);
        folder.run(&args)
    };
    let other = start(&["--id", "w-1", "-i", r#"{"pause": "2h"}"#]);
    assert!(
        other.code == Some(2) && other.stderr.contains("another input"),
        "{}",
        other.told()
    );
    let empty = start(&["--key", " ", "-i", HOUR]);
    assert!(
        empty.code == Some(2) && empty.stderr.contains("--key is empty"),
        "{}",
        empty.told()
    );
}

#[test]
fn a_changed_step_that_has_a_compensation_is_not_done_again() {
    let folder = Folder::new();
    killed(pausing(&folder, "w-1", HOUR));
    let text = std::fs::read_to_string(folder.path("waits.yaml")).unwrap();
    folder.write(
        "next.yaml",
        &text.replacen("method: POST, url: /ok", "method: PUT, url: /ok", 1),
    );
    let diff = folder.run(&["diff", "waits.yaml", "next.yaml"]);
    assert!(
        diff.code == Some(1) && diff.stdout.contains("nothing would undo what was done"),
        "{}",
        diff.told()
    );
    let moved = folder.run(&[
        "executions",
        "resume",
        "w-1",
        "--on",
        "next.yaml",
        "--mocks",
        "mocks.yaml",
    ]);
    assert!(
        moved.code == Some(2) && moved.stderr.contains("before"),
        "{}",
        moved.told()
    );
    // It goes on as it was.
    assert_eq!(
        folder.json(&["executions", "show", "w-1", "--json"])["status"],
        "waiting"
    );
}
