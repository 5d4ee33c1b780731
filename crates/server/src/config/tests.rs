use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use bowline_flow::SharedFile;
use serde_json::{Value, json};

use super::settings::read;
use super::*;

fn env(name: &str, text: &str) -> Sources {
    Sources {
        env: BTreeMap::from([(name.to_owned(), text.to_owned())]),
        ..Sources::default()
    }
}

fn file(text: &str) -> Sources {
    Sources {
        file: Some(SharedFile::parse("/etc/bowline/b.yaml", text).unwrap()),
        ..Sources::default()
    }
}

#[test]
fn every_setting_has_a_variable_of_its_own_that_can_set_its_default() {
    let all = settings();
    assert!(all.len() > 15, "{}", all.len());
    let mut variables = BTreeSet::new();
    for setting in all {
        assert!(variables.insert(setting.variable.clone()), "{} twice", setting.variable);
        let text = match &setting.default {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let loaded = env(&setting.variable, &text).load();
        let loaded = loaded.unwrap_or_else(|error| panic!("{}={text}: {error}", setting.variable));
        assert_eq!(loaded.config, Config::default(), "{}", setting.variable);
        assert_eq!(loaded.origins[&setting.name], Origin::Variable(setting.variable));
    }
}

#[test]
fn names_of_variables_are_those_of_settings_in_capitals() {
    let all = settings();
    let of = |name: &str| {
        all.iter()
            .find(|setting| setting.name == name)
            .unwrap()
            .variable
            .clone()
    };
    assert_eq!(of("events.heartbeat"), "BOWLINE_SERVER_EVENTS_HEARTBEAT");
    assert_eq!(of("stopGrace"), "BOWLINE_SERVER_STOP_GRACE");
}

#[test]
fn paths_of_a_file_begin_at_its_folder() {
    let config = file("server: { data: data, workflows: /flows }\n")
        .load()
        .unwrap()
        .config;
    assert_eq!(config.data.unwrap(), Path::new("/etc/bowline/data"));
    assert_eq!(config.workflows.unwrap(), Path::new("/flows"));
}

#[test]
fn texts_become_what_the_setting_is() {
    let list = json!({ "type": "array", "items": { "type": "string" } });
    assert_eq!(read("a, b,", &list), json!(["a", "b"]));
    assert_eq!(read("[\"a,b\"]", &list), json!(["a,b"]));
    assert_eq!(read("7", &json!({ "type": "string" })), json!("7"));
    assert_eq!(read("7", &json!({ "type": ["integer", "null"] })), json!(7));
    assert_eq!(read("true", &json!({ "type": "boolean" })), json!(true));
    assert_eq!(read("yes", &json!({ "type": "boolean" })), json!("yes"));
    assert_eq!(read("5s", &json!({ "type": ["integer", "string"] })), json!("5s"));
    let optional = json!({ "anyOf": [{ "type": "object" }, { "type": "null" }] });
    assert_eq!(read("{\"a\": 1}", &optional), json!({ "a": 1 }));
}

#[test]
fn names_for_this_machine_and_slashes_at_the_end_do_no_harm() {
    let text = "server: { listen: \"localhost:81\", publicUrl: https://flows.example/ }\n";
    let config = file(text).load().unwrap().config;
    assert_eq!(config.listen, "127.0.0.1:81".parse().unwrap());
    assert_eq!(config.public_url.unwrap(), "https://flows.example");
}

#[test]
fn all_that_is_wrong_is_told_at_once_with_places_and_what_would_be_right() {
    let text = "\
server:
  listen: 127.0.0.1
  publicUrl: flows.example.com
  workflws: here
  stopGrace: soon
  connections: { max: 0, headers: lots }
  events: { heartbeat: 0 }
  logs: { format: jsn }
  limits: { proxies: [10.0.0.0/8, 10.0.0.0/99, here] }
  traces: { endpoint: nope, sample: 3, headers: hunter2 }
  access: { jwt: { issuer: a, algorithms: [none] } }
  max: 3
sever: {}
";
    let told = file(text).load().unwrap_err().to_string();
    for expected in [
        "b.yaml:2:11: listen: `127.0.0.1` cannot stand here; expected an address and a port, such as 127.0.0.1:8080",
        "b.yaml:3:14: publicUrl: `flows.example.com` does not begin with http:// or https://",
        "b.yaml:4:3: there is no setting `workflws`; did you mean `workflows`?",
        "b.yaml:5:14: stopGrace: `soon` cannot stand here; expected a duration, such as 500ms",
        "b.yaml:6:23: connections.max: `0` cannot stand here; expected a whole number, 1 or more",
        "connections.headers: `lots` cannot stand here; expected a whole number, 1 or more",
        "b.yaml:7:24: events.heartbeat: nothing can be done in no time",
        "logs.format: `jsn` cannot stand here; expected one of: text, json",
        "limits.proxies: `10.0.0.0/99`, `here` cannot stand here; expected a list of addresses and networks",
        "traces.endpoint: \"nope\" is not the address of an OTLP receiver",
        "traces.sample: `3` cannot stand here; expected a number from 0",
        "traces.headers: this cannot stand here; expected a mapping",
        "access.jwt.algorithms: `none` cannot stand here; expected a list of: RS256",
        "b.yaml:11:13: access.jwt: missing field `audience`",
        "b.yaml:12:3: there is no setting `max`; did you mean `",
        "b.yaml:13:1: unknown field `sever`; did you mean `server`?",
    ] {
        assert!(told.contains(expected), "no `{expected}` in:\n{told}");
    }
    assert!(!told.contains("hunter2"), "{told}");
    assert_eq!(told.lines().count(), 17, "{told}");
}

#[test]
fn variables_that_are_wrong_are_named() {
    for (sources, parts) in [
        (file("server: []\n"), ["b.yaml:1:9", "mapping"]),
        (
            env("BOWLINE_SERVER_EVENTS_MAX", "-1"),
            ["BOWLINE_SERVER_EVENTS_MAX: events.max: `-1`", "1 or more"],
        ),
        (
            env("BOWLINE_SERVER_EVENT_MAX", "1"),
            ["BOWLINE_SERVER_EVENT_MAX", "is BOWLINE_SERVER_EVENTS_MAX meant?"],
        ),
        (
            env("BOWLINE_SERVER_X", "1"),
            ["BOWLINE_SERVER_X", "bowline config reference"],
        ),
    ] {
        let text = sources.load().unwrap_err().to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
    assert!(env("BOWLINE_OTHER", "1").load().is_ok());
}
