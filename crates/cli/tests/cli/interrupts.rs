//! Signals: the first stops gently, the second leaves at once.

use crate::common::Folder;

#[test]
fn an_interrupted_run_goes_on_at_the_next_one() {
    for signal in ["INT", "TERM", "KILL"] {
        let folder = Folder::new();
        let args = [
            "run",
            "waits.yaml",
            "--mocks",
            "mocks.yaml",
            "-i",
            r#"{"pause": "1500ms"}"#,
        ];
        let mut run = folder.spawn(&[&args[..], &["--id", "w-1"]].concat());
        run.until("pause waits until");
        run.signal(signal);
        let ended = run.end();
        if signal == "KILL" {
            assert_eq!(ended.code, None);
        } else {
            assert_eq!(ended.code, Some(5), "{signal}: {}", ended.told());
            assert!(
                ended.stderr.contains("execution w-1 goes on at the next run"),
                "{}",
                ended.told()
            );
        }
        assert_eq!(folder.calls(), ["/ok"]);
        let next = folder.run(&[&args[..], &["--id", "w-2"]].concat());
        assert_eq!(
            (next.code, next.stdout.as_str()),
            (Some(0), "true\n"),
            "{signal}: {}",
            next.told()
        );
        assert!(
            next.stderr.contains("resumed 1 unfinished execution\n"),
            "{}",
            next.told()
        );
        // What was done before is not done again.
        assert_eq!(folder.calls(), ["/ok"; 4], "{signal}: {}", next.told());
        let rows = folder.json(&["executions", "list", "--status", "succeeded", "--json"]);
        assert_eq!(rows.as_array().unwrap().len(), 2, "{rows}");
    }
}

#[test]
fn the_second_signal_leaves_at_once() {
    let folder = Folder::new();
    let mut run = folder.spawn(&["run", "hangs.yaml", "--mocks", "mocks.yaml"]);
    run.until("step never (http-request) started");
    run.signal("INT");
    run.until("stopping: calls under way");
    // What comes right after the first counts as the same.
    let begun = std::time::Instant::now();
    let ended = run.end_while(|run| run.signal("INT"));
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(9),
        "it did not wait for the call"
    );
    assert_eq!(ended.code, Some(130), "{}", ended.told());
    let rows = folder.json(&["executions", "list", "--json"]);
    assert_eq!(rows[0]["status"], "running");
}
