//! The schema, the doc comments and the examples that the reference pages are made of.

use bowline_connector_http::{Config, ConnectionConfig};
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

use crate::support::registry;

fn schema<T: JsonSchema>() -> Value {
    SchemaGenerator::default().into_root_schema_for::<T>().to_value()
}

/// Every property at any depth, as `(path, schema)`.
fn properties(path: &str, schema: &Value, found: &mut Vec<(String, Value)>) {
    match schema {
        Value::Object(object) => {
            for (name, value) in object
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                found.push((format!("{path}.{name}"), value.clone()));
            }
            for (name, value) in object {
                properties(&format!("{path}/{name}"), value, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| properties(path, item, found)),
        _ => {}
    }
}

#[test]
fn every_field_has_a_description() {
    for schema in [schema::<Config>(), schema::<ConnectionConfig>()] {
        let mut found = Vec::new();
        properties("", &schema, &mut found);
        assert!(found.len() > 15, "no properties found");
        for (path, property) in found {
            if path.rsplit('.').next() == Some("type") {
                continue;
            }
            assert!(
                property.get("description").and_then(Value::as_str).is_some(),
                "{path} has no description: {property}"
            );
        }
    }
}

#[test]
fn second_names_are_known_to_the_schema() {
    let config = schema::<Config>();
    for name in [
        "endpoint",
        "payload",
        "queryParams",
        "url",
        "body",
        "query",
        "retries",
        "retryDelay",
    ] {
        assert!(config["properties"].get(name).is_some(), "{name}");
    }
    assert_eq!(config["additionalProperties"], false);
    assert!(
        config
            .get("required")
            .is_none_or(|required| required == &serde_json::json!([])),
        "{}",
        config["required"]
    );
}

#[test]
fn examples_have_the_shape_they_show() {
    let registry = registry();
    let mut generator = SchemaGenerator::default();
    let entry = registry.connector("http-request").unwrap();
    let schema = (entry.config_schema)(&mut generator).to_value();
    let description = schema["description"].as_str().unwrap();
    assert_eq!(description.matches("```yaml\ntype: http-request\n").count(), 3);
    assert!(registry.connection("http").is_some());
    for config in [
        serde_json::json!({ "connection": "shop", "url": "/orders", "query": { "status": ["open", "paid"], "limit": 50 } }),
        serde_json::json!({ "method": "POST", "url": "https://files.example/upload", "multipart": [
            { "name": "title", "value": "Invoice 1" },
            { "name": "document", "file": "out/invoice.pdf", "contentType": "application/pdf" } ] }),
    ] {
        (entry.check)(&config).unwrap();
    }
}
