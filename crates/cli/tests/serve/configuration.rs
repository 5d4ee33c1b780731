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

/// What the program says when it refuses, whether it checks or serves.
fn refused(folder: &Path, args: &[&str], env: &[(&str, &str)]) -> String {
    let mut all = Vec::new();
    for command in [&["config", "check"][..], &["serve"]] {
        let mut command = program(folder, command);
        let ended = command.args(args).envs(env.iter().copied()).output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        all.push(String::from_utf8(ended.stderr).unwrap());
    }
    assert_eq!(all[0], all[1]);
    all.remove(0)
}

#[test]
fn what_serve_refuses_the_check_finds_and_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = "server:\n  publicUrl: flows.example.com/\n  workflows: missing\n  data: bowline.yaml\n  \
                credentials: nothere.yaml\n  envFile: none.env\n  logs: { filter: \"a=b=c\" }\n  \
                traces: { endpoint: nope, sample: 3 }\n  connections: { max: 0 }\n  \
                access: { jwt: { issuer: i, audience: a } }\nsever: {}\n";
    std::fs::write(folder.path().join("bowline.yaml"), file).unwrap();
    let told = refused(folder.path(), &[], &[]);
    for (line, setting) in [
        ("2:14", "publicUrl"),
        ("3:14", "workflows"),
        ("4:9", "data"),
        ("5:16", "credentials"),
        ("6:12", "envFile"),
        ("7:19", "logs.filter"),
        ("8:23", "traces.endpoint"),
        ("8:37", "traces.sample"),
        ("9:23", "connections.max"),
        ("10:13", "access.jwt"),
    ] {
        assert!(
            told.contains(&format!("bowline.yaml:{line}: {setting}: ")),
            "{line} {setting} in {told}"
        );
    }
    assert!(
        told.contains("bowline.yaml:11:1: unknown field `sever`; did you mean `server`?"),
        "{told}"
    );
    assert!(!folder.path().join(".bowline").exists());

    std::fs::remove_file(folder.path().join("bowline.yaml")).unwrap();
    std::fs::write(folder.path().join("flow.yaml"), "steps: [{ wait: 1ms }]\n").unwrap();
    let told = refused(folder.path(), &["flow.yaml"], &[]);
    assert!(told.contains("flow.yaml is a file; name the folder"), "{told}");
    let told = refused(folder.path(), &["nodir"], &[]);
    assert!(told.contains("there is no folder nodir"), "{told}");
    let told = refused(folder.path(), &["--listen", "127.0.0.1"], &[]);
    assert!(
        told.contains("--listen: listen: `127.0.0.1`") && told.contains("127.0.0.1:8080"),
        "{told}"
    );
    let folders = [("BOWLINE_DATA", "a"), ("BOWLINE_SERVER_DATA", "b")];
    let told = refused(folder.path(), &[], &folders);
    assert!(
        told.contains("BOWLINE_DATA") && told.contains("BOWLINE_SERVER_DATA"),
        "{told}"
    );
    // Only where one of the two would be used, and where they are two.
    for (command, folders) in [
        (&["validate", "flow.yaml"][..], folders),
        (&["config", "check", "--data", "c"], folders),
        (
            &["config", "check"],
            [("BOWLINE_DATA", "a"), ("BOWLINE_SERVER_DATA", "./a")],
        ),
    ] {
        let ended = program(folder.path(), command).envs(folders).output().unwrap();
        assert!(ended.status.success(), "{command:?}: {ended:?}");
    }
}

#[test]
fn what_only_shows_later_is_found_by_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let file = |text: &str| std::fs::write(folder.path().join("bowline.yaml"), text).unwrap();
    file(
        "server:\n  credentials: nothere.yaml\n  stopGrace: 100000d\n  limits: { apiBody: 0, webhookBody: 0, bodyTimeout: 0 }\n  \
         connections: { headerBytes: 1, bodyBytes: 0 }\n  access:\n    keepAudit: 1ms\n    \
         jwt: { audience: \"\", algorithms: [], jwksFile: none.json }\n",
    );
    let told = refused(folder.path(), &[], &[]);
    for wanted in [
        "credentials nothere.yaml cannot be read: No such file",
        "and 100 years at most",
        "limits.apiBody: `0`",
        "limits.webhookBody: `0`",
        "limits.bodyTimeout: ",
        "connections.headerBytes: `1` cannot stand here; expected a whole number, 8192 or more",
        "connections.bodyBytes: `0`",
        "access.keepAudit: ",
        "access.jwt: missing field `issuer`",
        "access.jwt.audience: this is empty",
        "access.jwt.algorithms: this is empty",
        "access.jwt.jwksFile: none.json: ",
    ] {
        assert!(told.contains(wanted), "no `{wanted}` in {told}");
    }
    file("callbacks:\n  valuation:\n    correlate: \"${foo\"\n    authentication: { type: basik }\n");
    let checked = check(folder.path(), &[], &[]);
    let told = String::from_utf8(checked.stderr).unwrap();
    assert_eq!(checked.status.code(), Some(2), "{told}");
    assert!(told.contains("bowline.yaml:3:") && told.contains("basik"), "{told}");
}

#[test]
fn listening_for_others_needs_a_key_before_anything_is_deployed() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("flow.yaml"), "steps: [{ wait: 1ms }]\n").unwrap();
    let elsewhere = [("BOWLINE_SERVER_LISTEN", "0.0.0.0:0"), ("BOWLINE_SERVER_DATA", "kept")];
    let checked = check(folder.path(), &[], &elsewhere);
    let warned = String::from_utf8(checked.stderr).unwrap();
    assert!(
        checked.status.success() && warned.contains("bowline keys create"),
        "{warned}"
    );
    let served = program(folder.path(), &["serve"]).envs(elsewhere).output().unwrap();
    let told = String::from_utf8(served.stderr).unwrap();
    assert_eq!(served.status.code(), Some(2), "{told}");
    assert!(told.contains("bowline keys create") && !told.contains("flow"), "{told}");
    assert!(!folder.path().join("kept").exists());

    // The server's variable is the data folder of every other command, too.
    let made = program(folder.path(), &["keys", "create", "first", "--role", "viewer"])
        .envs(elsewhere)
        .output()
        .unwrap();
    assert!(
        made.status.success() && folder.path().join("kept/bowline.db").exists(),
        "{made:?}"
    );
    let checked = check(folder.path(), &[], &elsewhere);
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");
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
