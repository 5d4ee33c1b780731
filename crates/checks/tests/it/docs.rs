//! What the documentation shows works.
//!
//! A ```` ```yaml ```` block is one of these, by what is in it or by a word after `yaml`:
//! - a workflow (`steps:` or one block as a whole document): it loads without problems;
//! - a list of steps: it does as the `steps:` of a workflow;
//! - `shared`: it loads as the `bowline.yaml` beside a workflow;
//! - `connections:` or `nodes:` alone: it loads with a step beside it;
//! - mocks (`services:`, or a list of services): the mock services would start;
//! - `fragment`: part of something, and read as YAML only.

use std::path::Path;

use anyhow::{Context as _, Result};
use bowline_checks::files::{self, File, root};
use bowline_checks::markdown::{Block, blocks, doc_blocks, links};
use bowline_flow::{LoadOptions, Problems, Source, document, explain, load};
use bowline_testing::MockServices;
use serde_json::Value;

/// Steps that do nothing, for documents that only declare.
const NOTHING: &str = "\nsteps: [{ set: { done: true } }]\n";

/// Keys that make a document without `steps` a workflow.
const BLOCKS: &[&str] = &["steps", "parallel", "scatter", "saga"];

/// Pages that are made from the connectors.
const REFERENCE: &str = "docs/reference/";

fn pages() -> Result<Vec<File>> {
    let all = files::find("", &[".md"])?;
    assert!(all.len() > 4, "only {} pages were found", all.len());
    Ok(all)
}

#[test]
fn every_example_in_the_documentation_works() -> Result<()> {
    let mut broken = Vec::new();
    let mut loaded = 0;
    let written: Vec<File> = pages()?
        .into_iter()
        .filter(|page| !page.path.starts_with(REFERENCE))
        .collect();
    for block in written.iter().flat_map(blocks).filter(|block| block.is("yaml")) {
        match check(&block) {
            Ok(counts) => loaded += usize::from(counts),
            Err(problem) => broken.push(format!("{}: {problem}", block.place())),
        }
    }
    assert!(loaded >= 20, "only {loaded} examples were found");
    super::none("examples that do not work", &broken);
    Ok(())
}

/// Whether it was more than read.
fn check(block: &Block) -> Result<bool, String> {
    let value = document(&block.text).map_err(|problems| told(&problems))?;
    if block.is("fragment") {
        return Ok(false);
    }
    let has = |key: &str| value.get(key).is_some();
    if is_mocks(&value) {
        // `extends` in an example means the mocks of this one.
        let base = root().join("examples/user-registration");
        MockServices::check(&value, &base).map_err(|error| error.to_string())?;
    } else if block.is("shared") {
        let source = Source::new("example.yaml", NOTHING).with_shared("bowline.yaml", &block.text);
        loads(source)?;
    } else if value.is_array() {
        let steps: Vec<String> = block.text.lines().map(|line| format!("  {line}")).collect();
        loads(Source::new(
            "example.yaml",
            format!(
                "steps:
{}
",
                steps.join(
                    "
"
                )
            ),
        ))?;
    } else if BLOCKS.iter().any(|key| has(key)) || block.is("workflow") {
        loads(Source::new("example.yaml", &block.text))?;
    } else if has("connections") || has("nodes") {
        loads(Source::new("example.yaml", block.text.clone() + NOTHING))?;
    } else {
        return Err("nobody can tell what this is; mark it `fragment` if it is a part of something".into());
    }
    Ok(true)
}

fn is_mocks(value: &Value) -> bool {
    let is_service = |value: &Value| value["type"].as_str().is_some_and(|kind| kind.starts_with("mock-"));
    value.get("services").is_some() || value.as_array().is_some_and(|items| items.iter().all(is_service))
}

fn loads(source: Source) -> Result<(), String> {
    load(source, &super::REGISTRY, &LoadOptions::default())
        .map(drop)
        .map_err(|problems| told(&problems))
}

fn told(problems: &Problems) -> String {
    problems.to_string().replace('\n', "\n    ")
}

/// Connectors show themselves in their doc comments, which become the reference. What such an example takes for
/// granted (a connection, an earlier step) may be missing; everything else has to be right.
#[test]
fn every_example_in_a_connector_works() -> Result<()> {
    let mut broken = Vec::new();
    let mut loaded = 0;
    let connectors = files::find("crates/connectors", &[".rs"])?;
    let reference: Vec<File> = pages()?
        .into_iter()
        .filter(|page| page.path.starts_with(REFERENCE))
        .collect();
    let shown = connectors
        .iter()
        .flat_map(doc_blocks)
        .chain(reference.iter().flat_map(blocks));
    for block in shown.filter(|block| block.is("yaml")) {
        let Ok(value) = document(&block.text) else {
            broken.push(format!("{}: this is not YAML", block.place()));
            continue;
        };
        let text = if value.get("type").is_some() {
            block.text.clone()
        } else if value.get("connections").is_some() {
            block.text.clone() + NOTHING
        } else {
            continue;
        };
        loaded += 1;
        let Err(problems) = load(
            Source::new("example.yaml", text),
            &super::REGISTRY,
            &LoadOptions::default(),
        ) else {
            continue;
        };
        let taken_for_granted = ["BOW0113", "BOW0119"];
        let wrong = problems
            .0
            .iter()
            .filter(|problem| !taken_for_granted.contains(&problem.code.to_string().as_str()));
        broken.extend(wrong.map(|problem| format!("{}: {problem}", block.place())));
    }
    assert!(loaded >= 5, "only {loaded} examples were found");
    super::none("examples that do not work", &broken);
    Ok(())
}

#[test]
fn every_link_leads_somewhere() -> Result<()> {
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in pages()? {
        let page_path = root().join(&page.path);
        let folder = page_path.parent().unwrap_or(Path::new("."));
        for (line, target) in links(&page) {
            seen += 1;
            if !folder.join(&target).exists() {
                broken.push(format!("{}:{line}: {target}", page.path));
            }
        }
    }
    assert!(seen > 5, "only {seen} links were found");
    super::none("links to nothing", &broken);
    Ok(())
}

#[test]
fn every_code_that_is_named_exists() -> Result<()> {
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in pages()? {
        for part in page.text.split("BOW").skip(1) {
            let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
            if digits.len() == 4 {
                seen += 1;
                if explain(&digits).is_none() {
                    broken.push(format!("{}: BOW{digits}", page.path));
                }
            }
        }
    }
    assert!(seen > 0, "no code is named");
    super::none("codes that do not exist", &broken);
    Ok(())
}

/// docs/language.md is the whole language: every field that a workflow may have stands there.
#[test]
fn the_language_is_documented_whole() -> Result<()> {
    let text = files::read("crates/flow/src/schema/language.json")?.text;
    let language: Value = serde_json::from_str(&text).context("language.json")?;
    let page = files::read("docs/language.md")?.text;
    let mut words = Vec::new();
    collect(&language, &mut words);
    words.sort_unstable();
    words.dedup();
    assert!(words.len() > 60, "the language has only {} words", words.len());
    let stands = |word: &str| {
        [
            format!("`{word}`"),
            format!("`{word}:"),
            format!(" {word}: "),
            format!(" {word}:\n"),
            format!(": {word}"),
        ]
        .iter()
        .any(|form| page.contains(form))
    };
    let missing: Vec<String> = words
        .into_iter()
        .filter(|word| !stands(word))
        .map(ToOwned::to_owned)
        .collect();
    super::none("docs/language.md does not name", &missing);
    Ok(())
}

/// Fields of objects, words of choices, and what is planned.
fn collect<'a>(value: &'a Value, words: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("properties", Value::Object(properties)) => words.extend(properties.keys().map(String::as_str)),
                    ("enum" | "x-later-keys", Value::Array(choices)) => {
                        words.extend(choices.iter().filter_map(Value::as_str));
                    }
                    _ => {}
                }
                collect(value, words);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, words)),
        _ => {}
    }
}
