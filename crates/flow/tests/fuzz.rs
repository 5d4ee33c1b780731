//! Loading neither panics nor hangs nor gives up without a reason, whatever it is given.

mod common;

use std::path::Path;

use bowline_flow::{LoadOptions, Source, graph, load};
use bowline_testing::fuzz;

const DICTIONARY: &[&str] = &[
    "steps:\n",
    "  - ",
    "type: http-request\n",
    "config: {",
    "url: x",
    "parallel: [",
    "joinStrategy: ",
    "{ quorum: 1 }",
    "saga: {",
    "action: ",
    "compensation: ",
    "switch: ",
    "when: ",
    "forEach: ",
    "repeat: ",
    "until: ",
    "try: ",
    "catch: ",
    "wait: 1s",
    "set: {",
    "return: ",
    "fail: ",
    "node: ",
    "nodes: ",
    "workflow: ",
    "scatter: ",
    "gather: ",
    "strategy: ",
    "output: ",
    "input: ",
    "${",
    "}",
    "${input.a}",
    "${steps.a}",
    "$${",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "---\n",
    "|\n",
    ">-\n",
    "\t",
    "\"",
    "'",
    "`",
    "- [",
    "]",
    "{",
    ": ",
    "null",
    "true",
    "1e999",
    "007",
    "\u{feff}",
    "\r\n",
    "id: a",
    "connections: ",
    "errorHandling: ",
    "fallback: ",
    "transform: ",
    "callback: {",
    "correlate: ",
    "heartbeat: ",
    "success: ",
    "waitFor: {",
    "event: ",
    "signal: ",
    "where: ",
    "emit: {",
    "approve: {",
    "who: [",
    "what: ",
    "quorum: ",
    "form: {",
    "onUnknownOutcome: {",
    "verify: ",
    "${callback.url}",
    "${callbacks.a.url}",
    "${response}",
];

#[test]
fn loading_survives_everything() {
    let registry = common::registry();
    let mut corpus = Vec::new();
    for folder in ["tests/notation", "tests/bad"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in std::fs::read_dir(folder).expect("the folder is there").flatten() {
            if entry
                .path()
                .extension()
                .is_some_and(|ending| ending == "yaml" || ending == "json")
            {
                corpus.push(std::fs::read_to_string(entry.path()).expect("the file is there"));
            }
        }
    }
    corpus.sort();
    let corpus: Vec<&str> = corpus.iter().map(String::as_str).collect();
    let report = fuzz::run(&corpus, DICTIONARY, |text| {
        let source = Source::new("w.yaml", text).with_shared(
            "bowline.yaml",
            "nodes: { a: { type: http-request, config: { url: x } } }",
        );
        match load(source, &registry, &LoadOptions::default()) {
            Ok(plan) => {
                assert!(!plan.steps.is_empty());
                let svg = graph::svg(&plan);
                assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
                format!(
                    "plan of {} steps, {}",
                    plan.all_steps().len(),
                    graph::mermaid(&plan).lines().count()
                )
            }
            Err(problems) => {
                assert!(!problems.0.is_empty());
                let mut codes: Vec<String> = problems.0.iter().map(|problem| problem.code.to_string()).collect();
                assert!(!codes.contains(&"BOW0199".to_owned()), "refused without a reason");
                let _ = problems.to_string();
                codes.dedup();
                codes.join(" ")
            }
        }
    });
    let report = report.unwrap_or_else(|finding| panic!("{finding}"));
    assert!(report.inputs >= corpus.len() as u64);
    assert!(
        report.slowest.0 < std::time::Duration::from_secs(20),
        "{:?}",
        report.slowest
    );
}
