//! The JSON Schema that editors use for completion and hover.

use bowline_connector::Registry;
use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::{definition, language};

/// The JSON Schema (draft 2020-12) of workflow files with the connectors of `registry`: each `type` with the
/// fields of its `config`. Every field of a configuration takes an expression too.
pub fn language_schema(registry: &Registry) -> Value {
    let mut generator = SchemaGenerator::default();
    let mut types = Vec::new();
    let mut connectors = Vec::new();
    for entry in registry.connectors() {
        let config = takes_expressions((entry.config_schema)(&mut generator).to_value());
        types.push(Value::from(entry.name));
        connectors.push(when_type(
            entry.name,
            json!({ "properties": { "config": with_retries(config) } }),
        ));
    }
    let mut kinds = Vec::new();
    let mut connections = Vec::new();
    for entry in registry.connections() {
        let mut config = takes_expressions((entry.config_schema)(&mut generator).to_value());
        if let Some(properties) = config.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("type".to_owned(), json!({ "const": entry.name }));
        }
        kinds.push(Value::from(entry.name));
        connections.push(when_type(entry.name, config));
    }

    let mut triggers = Vec::new();
    let mut names = Vec::new();
    for kind in registry.triggers() {
        let config = takes_expressions((kind.config_schema)(&mut generator).to_value());
        names.push(Value::from(kind.name));
        triggers.push(when_type(kind.name, json!({ "properties": { "config": config } })));
    }

    let mut definitions = Map::new();
    for (name, definition) in language()["$defs"].as_object().into_iter().flatten() {
        definitions.insert(name.clone(), for_editors(definition));
    }
    for name in ["NodeStep", "NodeDocument"] {
        if let Some(definition) = definitions.get_mut(name) {
            definition["properties"]["type"]["enum"] = Value::Array(types.clone());
            definition["allOf"] = Value::Array(connectors.clone());
        }
    }
    if let Some(definition) = definitions.get_mut("Connection") {
        definition["properties"]["type"]["enum"] = Value::Array(kinds);
        definition["allOf"] = Value::Array(connections);
    }
    // Without any, every type is left as it is: an `enum` must not be empty.
    if let Some(definition) = definitions.get_mut("Trigger").filter(|_| !names.is_empty()) {
        definition["properties"]["type"]["enum"] = Value::Array(names);
        definition["allOf"] = Value::Array(triggers);
    }
    definitions.insert(
        "ExpressionText".to_owned(),
        json!({ "type": "string", "pattern": "\\$\\{" }),
    );
    for (name, definition) in generator.take_definitions(true) {
        // The language's own definition of a duration says the same.
        definitions.entry(name).or_insert_with(|| takes_expressions(definition));
    }
    let documents = [
        "WorkflowDocument",
        "SagaDocument",
        "NestedSagaDocument",
        "ParallelDocument",
        "ScatterDocument",
        "NodeDocument",
    ];
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Bowline workflow",
        "description": "A workflow file of Bowline: steps, or one node or block.",
        "anyOf": documents.map(|name| json!({ "$ref": format!("#/$defs/{name}") })),
        "$defs": definitions,
    })
}

fn when_type(name: &str, then: Value) -> Value {
    json!({ "if": { "properties": { "type": { "const": name } }, "required": ["type"] }, "then": then })
}

/// `retries`, `retryDelay` and `timeout` are understood in every configuration.
fn with_retries(mut config: Value) -> Value {
    if let Some(properties) = config.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, schema) in definition("EngineFields")["properties"]
            .as_object()
            .into_iter()
            .flatten()
        {
            if name != "timeout" || !properties.contains_key(name) {
                properties.insert(name.clone(), for_editors(schema));
            }
        }
    }
    config
}

/// The language's own words are taken out, and what this version refuses.
fn for_editors(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, value)| {
                let refused = value.get("x-later").is_some();
                !refused && (!name.starts_with("x-") || name.as_str() == "x-key")
            });
            let mut kept: Map<String, Value> = kept.map(|(name, value)| (name.clone(), for_editors(value))).collect();
            kept.remove("x-key");
            // A type beside which an expression may stand.
            if fields.contains_key("x-template") && fields.get("enum").is_some() {
                let description = kept.get("description").cloned();
                let mut either = json!({ "anyOf": [kept, { "$ref": "#/$defs/ExpressionText" }] });
                if let (Some(description), Some(fields)) = (description, either.as_object_mut()) {
                    fields.insert("description".to_owned(), description);
                }
                return either;
            }
            if fields.contains_key("x-template")
                && let Some(Value::String(name)) = kept.get("type")
                && name != "string"
            {
                let both = json!([name, "string"]);
                kept.insert("type".to_owned(), both);
            }
            Value::Object(kept)
        }
        Value::Array(items) => items.iter().map(for_editors).collect(),
        other => other.clone(),
    }
}

/// Makes a configuration's schema take an expression wherever it does not take text already.
fn takes_expressions(schema: Value) -> Value {
    let Value::Object(fields) = schema else { return schema };
    let mut changed = Map::new();
    for (name, value) in fields {
        let value = match (name.as_str(), value) {
            ("properties" | "patternProperties", Value::Object(properties)) => properties
                .into_iter()
                .map(|(name, property)| (name, field(property)))
                .collect(),
            ("items" | "additionalProperties", value @ Value::Object(_)) => field(value),
            ("prefixItems", Value::Array(items)) => items.into_iter().map(field).collect(),
            ("oneOf" | "anyOf" | "allOf", Value::Array(items)) => items.into_iter().map(takes_expressions).collect(),
            (_, value) => value,
        };
        changed.insert(name, value);
    }
    Value::Object(changed)
}

/// A field: its schema, or an expression.
fn field(schema: Value) -> Value {
    let takes_text = |schema: &Value| match schema.get("type") {
        Some(Value::String(name)) => name == "string" && schema.get("enum").is_none(),
        Some(Value::Array(names)) => names.iter().any(|name| name == "string"),
        _ => false,
    };
    let anything = schema.as_object().is_some_and(|fields| {
        ["type", "$ref", "oneOf", "anyOf", "allOf", "enum", "const"]
            .iter()
            .all(|word| !fields.contains_key(*word))
    });
    let schema = takes_expressions(schema);
    if schema.is_boolean() || anything || takes_text(&schema) || schema.get("const").is_some() {
        return schema;
    }
    let description = schema.get("description").cloned();
    let mut either = json!({ "anyOf": [schema, { "$ref": "#/$defs/ExpressionText" }] });
    if let (Some(description), Some(fields)) = (description, either.as_object_mut()) {
        fields.insert("description".to_owned(), description);
    }
    either
}
