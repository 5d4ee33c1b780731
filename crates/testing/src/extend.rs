//! `extends`: a mocks file that is another one with a few things changed.
//!
//! A service whose `id` is in the other file is merged into that one as in RFC 7396 (JSON Merge Patch):
//! mappings are merged, `null` removes, and everything else, lists too, replaces. `env` is merged alike. So
//! `mocks.payment-fails.yaml` holds the fault and nothing else.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{MockError, Problem};
use crate::mocks::read_definition;

/// How many files may extend each other; a file that extends itself is found by it.
const DEEPEST: usize = 8;

/// The definition with what it `extends`; files are relative to `folder`.
///
/// # Errors
/// A file cannot be read, or extends too many others.
pub(crate) fn resolve(definition: &Value, folder: &Path) -> Result<Value, MockError> {
    resolve_within(definition, folder, DEEPEST)
}

fn resolve_within(definition: &Value, folder: &Path, depth: usize) -> Result<Value, MockError> {
    let Some(extends) = definition.get("extends") else {
        return Ok(definition.clone());
    };
    let wrong =
        |message: &str, expected: &str| MockError::Invalid(vec![Problem::new("extends", message).expected(expected)]);
    let Some(name) = extends.as_str() else {
        return Err(wrong("is not the name of a file", "text, relative to this file"));
    };
    if depth == 0 {
        return Err(wrong(
            "leads through too many files, or in a circle",
            "a file that stands on its own in the end",
        ));
    }
    let path = folder.join(name);
    let folder = path.parent().unwrap_or(Path::new(""));
    let other = resolve_within(&read_definition(&path)?, folder, depth - 1)?;
    let mut merged = long_form(other);
    // A relative file stays relative to the file that names it.
    if let Some(Value::String(record)) = merged.get_mut("record") {
        *record = folder.join(record.as_str()).to_string_lossy().into_owned();
    }
    for (name, value) in definition.as_object().into_iter().flatten() {
        match (name.as_str(), merged.get_mut(name)) {
            ("extends", _) => {}
            ("services", Some(Value::Array(services))) if value.is_array() => merge_services(services, value),
            (_, Some(other)) => merge(other, value),
            (_, None) => {
                merged.insert(name.clone(), value.clone());
            }
        }
    }
    Ok(Value::Object(merged))
}

fn long_form(definition: Value) -> Map<String, Value> {
    match definition {
        Value::Object(fields) => fields,
        services => Map::from_iter([("services".to_owned(), services)]),
    }
}

fn merge_services(services: &mut Vec<Value>, changes: &Value) {
    for change in changes.as_array().into_iter().flatten() {
        let id = change.get("id");
        match services
            .iter_mut()
            .find(|service| id.is_some() && service.get("id") == id)
        {
            Some(service) => merge(service, change),
            None => services.push(change.clone()),
        }
    }
}

fn merge(target: &mut Value, change: &Value) {
    let Value::Object(changes) = change else {
        *target = change.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(fields) = target {
        for (name, change) in changes {
            if change.is_null() {
                fields.remove(name);
            } else {
                merge(fields.entry(name.clone()).or_insert(Value::Null), change);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(files: &[(&str, Value)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            std::fs::write(path, content.to_string()).expect("a file");
        }
        folder
    }

    #[test]
    fn services_are_merged_by_id() {
        let base = json!({
            "record": "calls",
            "services": [
                { "id": "a", "type": "t", "config": { "port": 1, "delay": 5, "routes": [{ "path": "/a" }] } },
                { "id": "b", "type": "t" }
            ],
            "env": { "A": "1", "B": "2" }
        });
        let folder = written(&[("base/mocks.yaml", base)]);
        let change = json!({
            "extends": "base/mocks.yaml",
            "services": [
                { "id": "a", "config": { "fault": "hang", "delay": null, "routes": [] } },
                { "id": "c", "type": "t" }
            ],
            "env": { "B": "3", "C": "4" }
        });
        let expected = json!({
            "record": folder.path().join("base/calls"),
            "services": [
                { "id": "a", "type": "t", "config": { "port": 1, "routes": [], "fault": "hang" } },
                { "id": "b", "type": "t" },
                { "id": "c", "type": "t" }
            ],
            "env": { "A": "1", "B": "3", "C": "4" }
        });
        assert_eq!(resolve(&change, folder.path()).expect("resolved"), expected);
    }

    #[test]
    fn a_list_can_be_extended_and_a_circle_is_found() {
        let folder = written(&[
            ("list.yaml", json!([{ "id": "a" }])),
            ("circle.yaml", json!({ "extends": "circle.yaml", "services": [] })),
        ]);
        let extended = resolve(
            &json!({ "extends": "list.yaml", "services": [{ "id": "b" }] }),
            folder.path(),
        );
        assert_eq!(
            extended.expect("resolved"),
            json!({ "services": [{ "id": "a" }, { "id": "b" }] })
        );
        for (definition, part) in [
            (json!({ "extends": "circle.yaml" }), "in a circle"),
            (json!({ "extends": 3 }), "is not the name of a file"),
            (json!({ "extends": "none.yaml" }), "cannot read mocks from"),
        ] {
            let error = resolve(&definition, folder.path()).expect_err("refused").to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
