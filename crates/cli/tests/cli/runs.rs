//! `bowline run` and `bowline validate`, from good and bad files.

use crate::common::{Folder, snapshot};

const INPUT: &str = r#"{"customer": "ada", "amount": 42}"#;

#[test]
fn a_run_prints_its_result_and_logs_its_progress() {
    let folder = Folder::new();
    let ended = folder.run(&["run", "order.yaml", "--mocks", "mocks.yaml", "--input", INPUT]);
    assert_eq!(ended.code, Some(0), "{}", ended.told());
    snapshot("run-ok", &ended.told());
    assert_eq!(folder.calls(), ["/charges", "/charges", "/parcels"]);
}

#[test]
fn a_run_that_fails_undoes_and_names_the_step() {
    let folder = Folder::new();
    let ended = folder.run(&["run", "order.yaml", "--mocks", "mocks.nothing-ships.yaml", "-i", INPUT]);
    assert_eq!(ended.code, Some(1), "{}", ended.told());
    snapshot("run-fails", &ended.told());
}

#[test]
fn quiet_shows_the_result_alone() {
    let folder = Folder::new();
    folder.write("in.yaml", "name: Ada\n");
    for input in ["@in.yaml", "in.yaml", r#"{"name": "Ada"}"#] {
        let ended = folder.run(&["run", "plain.yaml", "--quiet", "--input", input]);
        assert_eq!(
            ended.told(),
            "exit: 0\n---- stdout\n\"hello Ada\"\n---- stderr\n",
            "{input}"
        );
    }
}

#[test]
fn input_comes_from_stdin_too() {
    use std::io::Write;
    let folder = Folder::new();
    let mut command = folder.command(&["run", "plain.yaml", "-q", "-i", "-"]);
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"{\"name\": \"Bob\"}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "\"hello Bob\"\n");
}

#[test]
fn a_wrong_input_is_refused_with_every_field_before_anything_is_made() {
    let folder = Folder::new();
    let ended = folder.run(&[
        "run",
        "order.yaml",
        "--mocks",
        "mocks.yaml",
        "-i",
        r#"{"customer": 7, "amount": -1}"#,
    ]);
    snapshot("run-wrong-input", &ended.told());
    let ended = folder.run(&["run", "order.yaml", "-i", "{customer"]);
    snapshot("run-input-not-json", &ended.told());
    assert!(!folder.path(".bowline").exists(), "nothing was opened");
}

#[test]
fn a_wrong_workflow_is_refused_with_every_problem() {
    let folder = Folder::new();
    let ended = folder.run(&["run", "broken.yaml"]);
    assert_eq!(ended.code, Some(2), "{}", ended.told());
    for code in ["BOW0107", "BOW0114", "BOW0116", "BOW0119"] {
        assert!(ended.stderr.contains(code), "{code}: {}", ended.told());
    }
    let missing = folder.run(&["run", "missing.yaml"]);
    assert_eq!(missing.code, Some(2));
    assert!(
        missing.stderr.contains("missing.yaml") && missing.stderr.contains("BOW0101"),
        "{}",
        missing.told()
    );
    assert!(!folder.path(".bowline").exists(), "nothing was opened");
}

#[test]
fn children_are_found_beside_the_workflow_by_name_or_file() {
    let folder = Folder::new();
    let result = folder.json(&["run", "parent.yaml", "-q"]);
    assert_eq!(result, serde_json::json!([2, 40]));
    folder.write(
        "child-two.yaml",
        "name: by-name\nsteps:\n  - id: x\n    typ: http-request\n",
    );
    let ended = folder.run(&["run", "parent.yaml", "-q"]);
    assert_eq!(ended.code, Some(2), "{}", ended.told());
    assert!(ended.stderr.contains("child-two.yaml:"), "{}", ended.told());
}

#[test]
fn time_can_be_virtual() {
    let folder = Folder::new();
    let args = [
        "run",
        "waits.yaml",
        "--mocks",
        "mocks.yaml",
        "-q",
        "--virtual-time",
        "-i",
        r#"{"pause": "2d"}"#,
    ];
    assert_eq!(folder.json(&args), true);
}

#[test]
fn variables_come_from_a_file_and_credentials_from_another() {
    let folder = Folder::new();
    folder.write(
        "env.yaml",
        "steps:\n  - set: { len: \"${$length(env.BOWLINE_TEST_NAME)}\", key: \"${$length(credentials.shop.key)}\" }\noutput: ok\n",
    );
    folder.write(".env", "BOWLINE_TEST_NAME='some name'\n");
    folder.write("credentials.yaml", "shop: { key: very-secret-key }\n");
    let args = [
        "run",
        "env.yaml",
        "-q",
        "--env-file",
        ".env",
        "--credentials",
        "credentials.yaml",
    ];
    assert_eq!(folder.json(&args), "ok");
    let ended = folder.run(&["run", "env.yaml", "-q"]);
    assert_eq!(ended.code, Some(1), "{}", ended.told());
    assert!(ended.stderr.contains("BOWLINE_TEST_NAME"), "{}", ended.told());
}

#[test]
fn wrong_mocks_and_wrong_options_are_wrong_usage() {
    let folder = Folder::new();
    folder.write(
        "mocks.bad.yaml",
        "services:\n  - { id: a, type: mock-htp-service }\n  - { id: a, tpye: x }\n",
    );
    folder.write("creds.yaml", "- a list\n");
    for args in [
        &["run", "plain.yaml", "--mocks", "mocks.bad.yaml"][..],
        &["run", "plain.yaml", "--mocks", "missing.yaml"],
        &["run", "plain.yaml", "--env-file", "missing.env"],
        &["run", "plain.yaml", "--credentials", "creds.yaml"],
        &["run", "plain.yaml", "--id", ""],
        &["run", "plain.yaml", "--frobnicate"],
        &["run"],
        &["executions", "list", "--status", "strange"],
    ] {
        let ended = folder.run(args);
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.told());
        assert!(
            !ended.stderr.is_empty() && ended.stdout.is_empty(),
            "{args:?}: {}",
            ended.told()
        );
    }
}

#[test]
fn an_id_starts_one_execution_only() {
    let folder = Folder::new();
    let args = [
        "run",
        "plain.yaml",
        "-q",
        "--id",
        "greeting-1",
        "-i",
        r#"{"name": "Ada"}"#,
    ];
    assert_eq!(folder.json(&args), "hello Ada");
    let again = folder.run(&args);
    assert_eq!(again.code, Some(2), "{}", again.told());
    assert!(again.stderr.contains("greeting-1 exists already"), "{}", again.told());
    assert_eq!(folder.ids().len(), 1);
}

#[test]
fn colours_come_when_they_are_asked_for() {
    let folder = Folder::new();
    let input = r#"{"customer": 7}"#;
    let plain = folder.run(&["run", "order.yaml", "-i", input]);
    assert!(!plain.stderr.contains('\u{1b}'), "{}", plain.told());
    let coloured = folder.run(&["run", "order.yaml", "-i", input, "--color", "always"]);
    assert!(coloured.stderr.contains("\u{1b}["), "{}", coloured.told());
}

#[test]
fn validate_tells_everything_about_everything() {
    let folder = Folder::new();
    let ended = folder.run(&["validate", "."]);
    assert_eq!(ended.code, Some(2), "{}", ended.told());
    for file in ["order.yaml", "waits.yaml", "parent.yaml", "broken.yaml:"] {
        assert!(ended.stdout.contains(file), "{file}: {}", ended.told());
    }
    assert!(!ended.stdout.contains("mocks"), "{}", ended.told());
    let good = folder.run(&["validate", "order.yaml", "parent.yaml"]);
    snapshot("validate-ok", &good.told());
    let json = folder.run(&["validate", "broken.yaml", "plain.yaml", "--json"]);
    assert_eq!(json.code, Some(2));
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        (&json["valid"], &json["files"][1]["workflow"]),
        (&false.into(), &"plain".into())
    );
    assert!(json["files"][0]["problems"].as_array().unwrap().len() >= 4);
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(folder.run(&["validate", empty.path().to_str().unwrap()]).code, Some(2));
}

#[test]
fn a_reader_that_goes_away_does_not_end_the_run() {
    let folder = Folder::new();
    let script = format!(
        "{} run order.yaml --mocks mocks.yaml --json -i '{INPUT}' | head -c 1 > /dev/null",
        env!("CARGO_BIN_EXE_bowline")
    );
    let status = std::process::Command::new("sh")
        .current_dir(folder.root())
        .args(["-c", &script])
        .status()
        .unwrap();
    assert!(status.success());
    let rows = folder.json(&["executions", "list", "--json"]);
    assert_eq!(rows[0]["status"], "succeeded", "{rows}");
}
