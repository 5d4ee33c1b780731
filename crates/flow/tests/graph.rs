//! Pictures of workflows.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::path::Path;

use bowline_flow::{LoadOptions, Plan, Source, graph, load};

fn plan(text: &str) -> Plan {
    load(
        Source::new("w.yaml", text),
        &common::registry(),
        &LoadOptions::default(),
    )
    .unwrap_or_else(|problems| panic!("{problems}"))
}

fn whole_language() -> Plan {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notation/whole-language.yaml");
    plan(&std::fs::read_to_string(path).expect("the file is there"))
}

#[test]
fn mermaid_shows_every_block() {
    insta::assert_snapshot!(graph::mermaid(&whole_language()));
}

#[test]
fn svg_is_well_formed_and_stands_by_itself() {
    let svg = graph::svg(&whole_language());
    let mut open: Vec<&str> = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').expect("every tag ends");
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().expect("a name"));
        }
    }
    assert!(open.is_empty(), "{open:?}");
    for part in ["<title", "prefers-color-scheme", "create_profile", "undo_notify"] {
        assert!(svg.contains(part), "{part}");
    }
    for part in ["<script", "href", "NaN", "http://x"] {
        assert!(!svg.contains(part), "{part}");
    }
    insta::assert_snapshot!(svg);
}

#[test]
fn no_document_breaks_out_of_a_picture() {
    let evil = plan(
        "name: '<script>alert(1)'\nsteps:\n  - { when: '${input.a = \"]; click n1 evil\"}', wait: 1s }\n  \
         - fail: { error: '\"<svg onload=x>' }",
    );
    let svg = graph::svg(&evil);
    assert!(!svg.contains("<script") && !svg.contains("<svg onload"));
    let chart = graph::mermaid(&evil);
    assert!(!chart.contains("click n1 evil\"") || chart.contains("#34;"), "{chart}");
    assert!(!chart.contains("]; click"), "{chart}");
}
