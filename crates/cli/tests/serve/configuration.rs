//! The configuration of the server as the program tells it.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::process::program;

fn check(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = program(folder, &["config", "check", "--json"]);
    command.args(args).envs(env.iter().copied()).output().unwrap()
}

#[test]
fn flags_go_over_variables_and_those_over_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = "server:\n  listen: 127.0.0.1:1\n  stopGrace: 5s\n  events: { heartbeat: 1s, max: 7 }\n  data: there\n";
    std::fs::write(folder.path().join("bowline.yaml"), file).unwrap();
    let env = [
        ("BOWLINE_SERVER_LISTEN", "127.0.0.1:2"),
        ("BOWLINE_SERVER_EVENTS_HEARTBEAT", "2s"),
    ];
    let checked = check(folder.path(), &["--listen", "127.0.0.1:3"], &env);
    assert!(checked.status.success(), "{checked:?}");
    let all: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let now = |name: &str| {
        (
            all[name]["value"].clone(),
            all[name]["from"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(now("listen"), ("127.0.0.1:3".into(), "--listen".into()));
    assert_eq!(
        now("events.heartbeat"),
        (2000.into(), "BOWLINE_SERVER_EVENTS_HEARTBEAT".into())
    );
    assert_eq!(now("events.max"), (7.into(), "bowline.yaml".into()));
    assert_eq!(now("stopGrace"), (5000.into(), "bowline.yaml".into()));
    assert_eq!(now("maxWait"), (60_000.into(), "default".into()));
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = |text: &str| std::fs::write(folder.path().join("bowline.yaml"), text).unwrap();
    let told = |env: &[(&str, &str)]| {
        let checked = check(folder.path(), &[], env);
        assert_eq!(checked.status.code(), Some(2), "{checked:?}");
        String::from_utf8(checked.stderr).unwrap()
    };
    file("server: { stopGrcae: 5s }\n");
    let text = told(&[]);
    assert!(text.contains("bowline.yaml") && text.contains("stopGrcae"), "{text}");
    file("server: { events: { heartbeat: soon } }\n");
    let text = told(&[]);
    assert!(text.contains("events.heartbeat") && text.contains("soon"), "{text}");
    file("server: {}\n");
    let text = told(&[("BOWLINE_SERVER_LISTEN", "everywhere")]);
    assert!(text.contains("BOWLINE_SERVER_LISTEN: listen"), "{text}");
    let text = told(&[("BOWLINE_SERVER_LISTNE", "127.0.0.1:1")]);
    assert!(text.contains("is BOWLINE_SERVER_LISTEN meant?"), "{text}");
}

#[test]
fn the_description_of_the_api_needs_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let written = program(folder.path(), &["openapi", "-o", "api.json"]).output().unwrap();
    assert!(written.status.success(), "{written:?}");
    let text = std::fs::read_to_string(folder.path().join("api.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}
