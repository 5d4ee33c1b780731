//! The schema of the language, and checking documents against schemas.
//!
//! `language.json` is the one description of what a document may hold. The checker walks it, and
//! [`language_schema`] makes the schema for editors of it, so both always agree. It is JSON Schema with a
//! few words of its own:
//! - `x-key`: of several mappings the one whose key is there is meant;
//! - `x-step`, `x-document`: the common fields of steps or documents belong to it too;
//! - `x-template`: expressions may stand here; `x-fixed`: none may, though it is text; `x-no-expressions` says
//!   the same in a connector's configuration, where they may stand everywhere else;
//! - `x-positive`: a duration that cannot be 0;
//! - `x-later`, `x-later-unless`: parts of the language that this version refuses by name;
//! - `x-what`: what people call the thing.

mod check;
mod choose;
mod editor;
mod values;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use bowline_connector::{ConnectionEntry, ConnectorEntry, TriggerType};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

pub(crate) use check::{Checker, Mode, no_time};
pub use editor::language_schema;
pub(crate) use values::has_expression;

/// Definitions that `$ref`s name, with the fields of `StepCommon` and `DocumentCommon` put in.
static LANGUAGE: LazyLock<Value> = LazyLock::new(|| {
    let mut definitions: Map<String, Value> = serde_json::from_str(include_str!("language.json")).unwrap_or_default();
    let step = definitions.remove("StepCommon").unwrap_or_default();
    let document = definitions.remove("DocumentCommon").unwrap_or_default();
    for (base, word, name) in [
        ("ParallelStep", "ParallelDocument", "A workflow that is one fan-out."),
        (
            "ScatterStep",
            "ScatterDocument",
            "A workflow that is one scatter-gather.",
        ),
        ("SagaStep", "NestedSagaDocument", "A workflow that is one saga."),
        ("NodeStep", "NodeDocument", "A workflow that is one node."),
    ] {
        if let Some(mut definition) = definitions.get(base).cloned() {
            definition["x-document"] = Value::Bool(true);
            definition["description"] = Value::String(name.to_owned());
            definitions.insert(word.to_owned(), definition);
        }
    }
    for definition in definitions.values_mut() {
        for (marker, common) in [("x-step", &step), ("x-document", &document)] {
            if definition.get(marker).is_some() {
                add_properties(definition, common);
            }
        }
    }
    let mut root = Map::new();
    root.insert("$defs".to_owned(), Value::Object(definitions));
    Value::Object(root)
});

/// Adds the properties of `common` that `definition` does not have.
fn add_properties(definition: &mut Value, common: &Value) {
    let Some(own) = definition.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, schema) in common["properties"].as_object().into_iter().flatten() {
        if !own.contains_key(name) {
            own.insert(name.clone(), schema.clone());
        }
    }
}

/// The language's definitions.
pub(crate) fn language() -> &'static Value {
    &LANGUAGE
}

/// The definition called `name`; `true` (anything) where there is none, which a test rules out.
pub(crate) fn definition(name: &str) -> &'static Value {
    static ANYTHING: Value = Value::Bool(true);
    LANGUAGE
        .get("$defs")
        .and_then(|definitions| definitions.get(name))
        .unwrap_or(&ANYTHING)
}

/// A whole schema of one connector or connection type, with its own definitions.
pub(crate) fn whole(config_schema: fn(&mut SchemaGenerator) -> Schema) -> Value {
    let mut generator = SchemaGenerator::default();
    let mut schema = config_schema(&mut generator).to_value();
    let definitions = generator.take_definitions(true);
    if let Some(fields) = schema.as_object_mut()
        && !definitions.is_empty()
    {
        fields.insert("$defs".to_owned(), Value::Object(definitions));
    }
    schema
}

/// The schemas of connectors, connection types and triggers, made once each.
#[derive(Default)]
pub(crate) struct Configs {
    connectors: HashMap<&'static str, Arc<Value>>,
    connections: HashMap<&'static str, Arc<Value>>,
    triggers: HashMap<&'static str, Arc<Value>>,
}

impl Configs {
    pub(crate) fn connector(&mut self, entry: &ConnectorEntry) -> Arc<Value> {
        Arc::clone(
            self.connectors
                .entry(entry.name)
                .or_insert_with(|| Arc::new(whole(entry.config_schema))),
        )
    }

    pub(crate) fn trigger(&mut self, kind: &TriggerType) -> Arc<Value> {
        Arc::clone(
            self.triggers
                .entry(kind.name)
                .or_insert_with(|| Arc::new(whole(kind.config_schema))),
        )
    }

    pub(crate) fn connection(&mut self, entry: &ConnectionEntry) -> Arc<Value> {
        Arc::clone(
            self.connections
                .entry(entry.name)
                .or_insert_with(|| Arc::new(whole(entry.config_schema))),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(target)) = fields.get("$ref") {
                    found.push(target.clone());
                }
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_definition_that_is_named_is_there() {
        let mut found = Vec::new();
        references(language(), &mut found);
        assert!(found.len() > 100);
        for target in found {
            assert!(language().pointer(&target[1..]).is_some(), "{target}");
        }
        for name in [
            "WorkflowDocument",
            "SagaDocument",
            "NodeDocument",
            "ParallelDocument",
            "ScatterDocument",
            "SharedDocument",
        ] {
            assert!(definition(name)["properties"].is_object(), "{name}");
        }
    }
}
