//! Every file of `tests/bad` is refused, and what is said about it is what a reader needs.
//!
//! `NAME.yaml` is the workflow, `NAME.shared` the shared file beside it. The snapshots are whole reports.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use bowline_flow::{LoadOptions, Source, load};

fn options() -> LoadOptions {
    let starts = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let workflows = [
        ("ship-order", starts(&[])),
        ("ship-twin", starts(&[])),
        ("loop-a", starts(&["loop-b"])),
        ("loop-b", starts(&["bad-workflows"])),
        ("bad-workflows", starts(&["loop-a", "bad-workflows"])),
    ];
    LoadOptions {
        workflows: Some(
            workflows
                .into_iter()
                .map(|(name, starts)| (name.to_owned(), starts))
                .collect::<BTreeMap<_, _>>(),
        ),
        twins: [
            ("ship-twin", ["ship.yaml", "ship-new.yaml"]),
            ("twin", ["twins.yaml", "twin.yaml"]),
        ]
        .map(|(name, files)| (name.to_owned(), files.map(str::to_owned).to_vec()))
        .into(),
    }
}

#[test]
fn every_bad_document_is_refused_with_all_that_is_wrong() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let registry = common::registry();
    let mut count = 0;
    let mut failed = Vec::new();
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder is there")
        .flatten()
        .map(|e| e.path())
        .collect();
    names.sort();
    for path in names
        .into_iter()
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
    {
        let name = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a name")
            .to_owned();
        let text = std::fs::read_to_string(&path).expect("the file is there");
        let mut source = Source::new(format!("{name}.yaml"), text.clone());
        if let Ok(shared) = std::fs::read_to_string(path.with_extension("shared")) {
            source = source.with_shared("bowline.yaml", shared);
        }
        let report = match load(source, &registry, &options()) {
            Ok(_) => panic!("{name} was accepted"),
            Err(problems) => problems.to_string(),
        };
        if report.contains("BOW0199") {
            failed.push(format!("{name}: {report}"));
        }
        count += 1;
        insta::with_settings!({ snapshot_path => "bad", prepend_module_to_snapshot => false, omit_expression => true, description => text }, {
            insta::assert_snapshot!(name, report);
        });
    }
    assert!(failed.is_empty(), "{failed:?}");
    assert!(count >= 45, "only {count}");
}

#[test]
fn problems_have_a_form_for_programs() {
    let source = Source::new("w.yaml", "steps:\n  - type: http-requst\n");
    let problems = load(source, &common::registry(), &LoadOptions::default()).expect_err("it is wrong");
    let value = serde_json::to_value(&problems).expect("it is JSON");
    insta::assert_json_snapshot!(value, @r#"
    [
      {
        "code": "BOW0114",
        "file": "w.yaml",
        "line": 2,
        "column": 11,
        "path": "steps[0].type",
        "message": "there is no connector called `http-requst`",
        "expected": "one of: email-send, http-request, sql-query",
        "hint": "did you mean `http-request`?"
      }
    ]
    "#);
}

#[test]
fn a_document_cannot_forge_lines_of_a_report() {
    let source = Source::new(
        "w.yaml",
        "\"a\\nw.yaml:1:1: fine\\u001b[2J\": 1\nsteps: [ { wait: 1s } ]\n",
    );
    let report = load(source, &common::registry(), &LoadOptions::default())
        .expect_err("it is wrong")
        .to_string();
    assert!(
        !report.lines().any(|line| line.starts_with("w.yaml:1:1: fine")),
        "{report}"
    );
    assert!(!report.contains('\u{1b}'), "{report:?}");
}
