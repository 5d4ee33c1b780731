//! Documents beside workflows: inputs, credentials, lists of variables.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::exit::{Failure, Result};

/// Reads a YAML or JSON file; `what` says in an error what it was to be.
pub(crate) fn read(path: &Path, what: &str) -> Result<Value> {
    let text = text(path, what)?;
    parse(&text, &format!("{what} {}", path.display()))
}

/// Reads a text file.
pub(crate) fn text(path: &Path, what: &str) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{what} {} cannot be read: {error}", path.display())))
}

/// JSON is read as JSON, which is quick and exact; everything else is YAML.
pub(crate) fn parse(text: &str, what: &str) -> Result<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    bowline_flow::document(text).map_err(|problems| {
        let all: Vec<String> = problems
            .0
            .iter()
            .map(|problem| {
                format!(
                    "{}:{}: {}",
                    problem.location.line, problem.location.column, problem.message
                )
            })
            .collect();
        Failure::usage(format!("{what} is neither JSON nor YAML: {}", all.join("; ")))
    })
}

/// The input of an execution, as `--input` gives it: JSON text, `@FILE` or a file's path, `-` for stdin.
pub(crate) fn input(given: Option<&str>) -> Result<Value> {
    let Some(given) = given else { return Ok(json!({})) };
    if given == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::usage(format!("the input cannot be read from stdin: {error}")))?;
        return parse(&text, "the input from stdin");
    }
    if let Some(path) = file_of(given) {
        return read(&path, "the input");
    }
    serde_json::from_str(given).map_err(|error| {
        Failure::usage(format!("the input is not JSON: {error}"))
            .hint("--input takes JSON text, @FILE for a JSON or YAML file, or - for stdin")
    })
}

fn file_of(given: &str) -> Option<PathBuf> {
    if let Some(path) = given.strip_prefix('@') {
        return Some(path.into());
    }
    let path = Path::new(given);
    let ending = path.extension().and_then(|ending| ending.to_str());
    // No JSON text that is not in brackets or quotes ends like this.
    let is_path = matches!(ending, Some("json" | "yaml" | "yml")) && !given.trim_start().starts_with(['{', '[', '"']);
    is_path.then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_text_or_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let yaml = folder.path().join("in.yaml");
        std::fs::write(&yaml, "a: [1, x]\n").unwrap();
        let yaml = yaml.to_str().unwrap();
        assert_eq!(input(None).unwrap(), json!({}));
        assert_eq!(input(Some("[1]")).unwrap(), json!([1]));
        assert_eq!(input(Some(&format!("@{yaml}"))).unwrap(), json!({ "a": [1, "x"] }));
        assert_eq!(input(Some(yaml)).unwrap(), json!({ "a": [1, "x"] }));
        for wrong in ["{", "no.json", "@no.json", "@"] {
            assert!(input(Some(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_of_json_files_are_exact() {
        let value = parse("{\"n\": 12345678901234567}", "it").unwrap();
        assert_eq!(value["n"], json!(12_345_678_901_234_567_u64));
    }
}
