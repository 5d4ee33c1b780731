//! What the program tells about itself, and the example that it writes.

use serde_json::Value;

use crate::common::{Folder, snapshot};

#[test]
fn init_writes_an_example_that_runs_and_overwrites_nothing() {
    let folder = Folder::new();
    let made = folder.run(&["init", "hello"]);
    assert_eq!(made.code, Some(0), "{}", made.told());
    snapshot("init", &made.told());
    let args = [
        "run",
        "hello/order.yaml",
        "--mocks",
        "hello/mocks.yaml",
        "-q",
        "-i",
        "@hello/input.json",
    ];
    assert_eq!(
        folder.json(&args),
        serde_json::json!({ "charge": "charge-1", "parcel": "parcel-1" })
    );
    assert_eq!(folder.run(&["validate", "hello"]).code, Some(0));
    let again = folder.run(&["init", "hello", "--name", "other"]);
    assert_eq!(again.code, Some(2), "{}", again.told());
    assert!(!folder.path("hello/other.yaml").exists());
    assert_eq!(folder.run(&["init", "new", "--name", "../x"]).code, Some(2));
}

#[test]
fn codes_are_explained() {
    let folder = Folder::new();
    let known = folder.run(&["explain", "bow0107"]);
    assert_eq!(known.code, Some(0));
    assert!(
        known.stdout.starts_with("BOW0107: a field that nothing reads"),
        "{}",
        known.told()
    );
    let all = folder.run(&["explain"]);
    assert!(all.stdout.lines().count() > 20, "{}", all.told());
    let unknown = folder.run(&["explain", "BOW0170"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("did you mean BOW0"), "{}", unknown.told());
}

#[test]
fn schemas_are_json() {
    let folder = Folder::new();
    for args in [&["schema"][..], &["schema", "--mocks"], &["schema", "-o", "out.json"]] {
        let ended = folder.run(args);
        assert_eq!(ended.code, Some(0), "{}", ended.told());
        let text = if args.len() == 3 {
            std::fs::read_to_string(folder.path("out.json")).unwrap()
        } else {
            ended.stdout
        };
        let schema: Value = serde_json::from_str(&text).unwrap();
        assert!(schema["$schema"].is_string() && schema["title"].is_string());
    }
}

#[test]
fn completions_are_scripts() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ended = folder.run(&["completions", shell]);
        assert!(ended.code == Some(0) && ended.stdout.contains("executions"), "{shell}");
    }
}

#[test]
fn connectors_are_listed_and_described() {
    let folder = Folder::new();
    let list = folder.run(&["connectors"]);
    for name in ["http-request", "sql-query", "email-send", "sms-send", "sqlite", "smtp"] {
        assert!(list.stdout.contains(&format!("  {name} ")), "{name}: {}", list.told());
        let page = folder.run(&["connectors", name]);
        assert!(page.stdout.starts_with(&format!("# {name}\n")), "{}", page.told());
        assert!(
            page.stdout.contains("| field | type | default | meaning |"),
            "{}",
            page.told()
        );
    }
    let schema = folder.json(&["connectors", "http-request", "--json"]);
    assert!(schema["config"]["properties"]["url"].is_object(), "{schema}");
    let unknown = folder.run(&["connectors", "http-reqest"]);
    assert!(
        unknown.code == Some(2) && unknown.stderr.contains("did you mean http-request?"),
        "{}",
        unknown.told()
    );
}

#[test]
fn workflows_are_drawn() {
    let folder = Folder::new();
    let mermaid = folder.run(&["graph", "order.yaml"]);
    assert!(
        mermaid.code == Some(0) && mermaid.stdout.contains("charge"),
        "{}",
        mermaid.told()
    );
    let svg = folder.run(&["graph", "order.yaml", "--format", "svg", "-o", "order.svg"]);
    assert_eq!(svg.told(), "exit: 0\n---- stdout\n\n---- stderr\n");
    assert!(
        std::fs::read_to_string(folder.path("order.svg"))
            .unwrap()
            .contains("<svg")
    );
    assert_eq!(folder.run(&["graph", "broken.yaml"]).code, Some(2));
}

#[test]
fn generated_pages_are_written_and_checked() {
    let folder = Folder::new();
    let before = folder.run(&["generate", "--check"]);
    assert_eq!(before.code, Some(2));
    assert!(
        before.stdout.contains("out of date: docs/reference/cli.md"),
        "{}",
        before.told()
    );
    assert_eq!(folder.run(&["generate"]).code, Some(0));
    let after = folder.run(&["generate", "--check"]);
    assert_eq!(after.told(), "exit: 0\n---- stdout\n\n---- stderr\n");
    folder.write("docs/reference/errors.md", "changed by hand");
    let changed = folder.run(&["generate", "--check"]);
    assert_eq!(
        (changed.code, changed.stdout.as_str()),
        (Some(2), "out of date: docs/reference/errors.md\n")
    );
}

#[test]
fn help_tells_what_there_is() {
    let folder = Folder::new();
    for args in [&["--help"][..], &["run", "--help"], &["executions", "--help"]] {
        let ended = folder.run(args);
        assert_eq!(ended.code, Some(0));
        snapshot(&format!("help-{}", args.join("").replace("--help", "")), &ended.stdout);
    }
}
