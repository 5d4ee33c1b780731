//! Files that are too large, too deep, not text, or no files at all: refused, never a panic, never a hang.

mod common;

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bowline_flow::{LoadOptions, Problems, Source, load, load_file};

fn report(text: &str) -> String {
    let start = Instant::now();
    let result = load(
        Source::new("w.yaml", text),
        &common::registry(),
        &LoadOptions::default(),
    );
    assert!(
        start.elapsed() < Duration::from_mins(1),
        "it took {:?}",
        start.elapsed()
    );
    result.err().map_or_else(String::new, |problems| problems.to_string())
}

fn report_of_file(path: &Path) -> String {
    load_file(path, &common::registry())
        .err()
        .map_or_else(String::new, |problems| problems.to_string())
}

#[test]
fn large_documents_are_refused_by_name() {
    assert!(report(&"# x\n".repeat(2_000_000)).contains("BOW0103"));
    assert!(report(&"[".repeat(1_000_000)).contains("BOW0103"));
    assert!(report(&"{a: ".repeat(1_000_000)).contains("BOW0103"));
    let mut nested = String::new();
    for level in 0..400 {
        let _ = writeln!(nested, "{}a:", " ".repeat(level));
    }
    assert!(report(&nested).contains("BOW0103"));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..40 {
        let _ = writeln!(bomb, "a{i}: &a{i} [{}]", vec![format!("*a{}", i - 1); 9].join(", "));
    }
    assert!(report(&bomb).contains("BOW0103"));
}

#[test]
fn many_problems_are_cut_off() {
    let steps = "  - { id: a, type: http-request, config: { ulr: x } }\n".repeat(10_000);
    let problems = load(
        Source::new("w.yaml", format!("steps:\n{steps}")),
        &common::registry(),
        &LoadOptions::default(),
    );
    assert_eq!(problems.expect_err("it is wrong").0.len(), Problems::MOST);
}

#[test]
fn references_cannot_multiply_without_end() {
    let mut text = "nodes:\n  big:\n    type: http-request\n    config:\n      url: x\n      body:\n".to_owned();
    for i in 0..20_000 {
        let _ = writeln!(text, "        k{i}: 1");
    }
    text += "steps:\n";
    for i in 0..20_000 {
        let _ = writeln!(text, "  - {{ id: s{i}, node: big }}");
    }
    assert!(report(&text).contains("BOW0103"));
}

#[test]
fn a_large_good_workflow_loads() {
    let mut text = "steps:\n".to_owned();
    for i in 0..3000 {
        let _ = writeln!(
            text,
            "  - id: step_{i}\n    type: http-request\n    config: {{ url: \"https://x.example/${{input.id}}\" }}"
        );
    }
    assert_eq!(report(&text), "");
}

#[test]
fn what_is_no_text_is_told_with_the_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("w.yaml");
    std::fs::write(&path, b"name: x\nsteps: \xff\xfe").expect("it is written");
    let report = report_of_file(&path);
    assert!(
        report.contains("w.yaml:2:8: the file is not UTF-8 text: something else at byte 15"),
        "{report}"
    );
    std::fs::write(&path, b"name: \0").expect("it is written");
    assert!(report_of_file(&path).contains("a zero byte at byte 6"));
    std::fs::write(&path, b"\xff\xfen\0a\0").expect("it is written");
    assert!(report_of_file(&path).contains("UTF-16"));
    std::fs::write(&path, "\u{feff}steps:\r\n  - wait: 1s\r\n").expect("it is written");
    assert_eq!(
        report_of_file(&path),
        "",
        "a mark at the start and Windows line ends are fine"
    );
    std::fs::write(&path, vec![b'#'; 5_000_000]).expect("it is written");
    assert!(report_of_file(&path).contains("BOW0103"));
}

#[test]
fn what_is_no_file_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(report_of_file(folder.path()).contains("this is a folder, not a file"));
    assert!(report_of_file(&folder.path().join("none.yaml")).contains("BOW0101"));
    let path = folder.path().join("w.yaml");
    std::fs::write(&path, "steps: [ { wait: 1s } ]").expect("it is written");
    assert_eq!(report_of_file(&path), "");
    assert!(report_of_file(&path.join("below-a-file.yaml")).contains("BOW0101"));
    // The shared file beside it cannot be read.
    std::fs::create_dir(folder.path().join("bowline.yaml")).expect("a folder of this name");
    assert!(report_of_file(&path).contains("bowline.yaml:1:1: this is a folder"));
}

#[cfg(unix)]
#[test]
fn pipes_and_sockets_are_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("s.yaml");
    let _socket = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    assert!(report_of_file(&path).contains("not a regular file"));
}

#[test]
fn workflows_of_a_folder_are_known_to_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("it is written");
    write("a.yaml", "steps: [ { workflow: b } ]");
    write(
        "b.yaml",
        "name: b\nsteps: [ { switch: [ { when: true, steps: [ { workflow: third } ] } ] } ]",
    );
    write("c.json", r#"{"name": "third", "steps": [{"workflow": "a"}]}"#);
    write("d.yaml", "steps: [ { workflow: third-one } ]");
    write("broken.yaml", "steps: [");
    write("e.test.yaml", "name: third-one");
    let report = report_of_file(&folder.path().join("a.yaml"));
    assert!(report.contains("a -> b -> third -> a"), "{report}");
    assert!(report_of_file(&folder.path().join("d.yaml")).contains("there is no workflow called `third-one`"));
}

#[test]
fn what_is_stored_and_broken_is_refused() {
    for content in [&b""[..], b"{}", b"\xff", b"{\"file\":\"a\",\"text\":\"steps: []\"}"] {
        assert!(bowline_flow::Plan::from_content(content, &common::registry()).is_err());
    }
}

#[test]
fn two_workflows_of_one_name_in_a_folder_are_refused_with_both_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("it can be written");
    write("a.yaml", "name: order\nsteps: [ { wait: 1s } ]\n");
    write("b.yaml", "name: other\nsteps: [ { wait: 1s } ]\n");
    write("parent.yaml", "steps: [ { workflow: order } ]\n");
    let load = |name: &str| load_file(&folder.path().join(name), &common::registry()).map(drop);
    for name in ["a.yaml", "b.yaml", "parent.yaml"] {
        assert_eq!(load(name).map_err(|problems| problems.to_string()), Ok(()), "{name}");
    }
    // The name of a file without a `name` counts too.
    write("order.json", "{ \"steps\": [ { \"wait\": 1 } ] }");
    for name in ["a.yaml", "order.json", "parent.yaml"] {
        let problems = load(name).expect_err("it is not clear which one is meant").to_string();
        assert!(
            problems.contains("BOW0133") && problems.contains("a.yaml, ") && problems.contains("order.json"),
            "{name}: {problems}"
        );
    }
    assert!(load("b.yaml").is_ok());
}
