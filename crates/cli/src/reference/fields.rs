//! JSON Schemas as Markdown tables.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The table of an object's fields; a line on the type of anything else.
pub(crate) fn table(schema: &Value) -> String {
    let Some(properties) = schema
        .get("properties")
        .and_then(Value::as_object)
        .filter(|all| !all.is_empty())
    else {
        return match alternatives(schema) {
            Some(kinds) => kinds.iter().map(alternative).collect(),
            None => format!("{}\n", type_of(schema)),
        };
    };
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut table = String::from("| field | type | default | meaning |\n|---|---|---|---|\n");
    for (name, field) in properties {
        let default = match field.get("default") {
            _ if required.contains(&name.as_str()) => "required".to_owned(),
            None | Some(Value::Null) => String::new(),
            Some(value) => format!("`{value}`"),
        };
        // Writing to a text cannot fail.
        let _ = writeln!(
            table,
            "| `{name}` | {} | {default} | {} |",
            cell(&type_of(field)),
            meaning(field)
        );
    }
    if let Some(kinds) = alternatives(schema) {
        table.push('\n');
        table.extend(kinds.iter().map(alternative));
    }
    table
}

/// The tables of all types that the schema names, except those in `told`, to which they are added.
pub(crate) fn definitions(schema: &Value, heading: &str, told: &mut Map<String, Value>) -> String {
    let mut out = String::new();
    for (name, definition) in schema.get("$defs").and_then(Value::as_object).into_iter().flatten() {
        if told.insert(name.clone(), Value::Null).is_some() {
            continue;
        }
        let _ = write!(out, "\n{heading} {name}\n\n");
        if let Some(text) = definition.get("description").and_then(Value::as_str) {
            out.push_str(text);
            out.push_str("\n\n");
        }
        out.push_str(&table(definition));
    }
    out
}

fn alternatives(schema: &Value) -> Option<&Vec<Value>> {
    let kinds = schema
        .get("oneOf")
        .or_else(|| schema.get("anyOf"))
        .and_then(Value::as_array)?;
    // An optional value is no alternative.
    (kinds.iter().filter(|kind| !is_null(kind)).count() > 1).then_some(kinds)
}

/// A form with more fields than these has a line for each of them.
const FEW_FIELDS: usize = 2;

/// One of several forms that a value may have.
fn alternative(schema: &Value) -> String {
    let text = meaning(schema);
    let dash = if text.is_empty() { "" } else { ": " };
    match schema.get("properties").and_then(Value::as_object) {
        Some(properties) => {
            let (tags, own): (Vec<_>, Vec<_>) = properties.iter().partition(|(_, field)| field.get("const").is_some());
            let short = |(name, field): &(&String, &Value)| format!("`{name}` ({})", type_of(field));
            if own.len() <= FEW_FIELDS {
                let fields: Vec<String> = tags.iter().chain(&own).map(short).collect();
                return format!("- {}{dash}{text}\n", fields.join(", "));
            }
            let required = schema.get("required").and_then(Value::as_array);
            let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|one| one == name));
            let tags: Vec<String> = tags.iter().map(short).collect();
            let mut out = format!("- {}{dash}{text}\n", tags.join(", "));
            for (name, field) in own {
                let needed = if is_required(name) { ", required" } else { "" };
                // Writing to a text cannot fail.
                let _ = writeln!(out, "  - `{name}` ({}{needed}): {}", type_of(field), meaning(field));
            }
            out
        }
        None => format!("- {}{dash}{text}\n", type_of(schema)),
    }
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").is_some_and(|kind| kind == "null")
}

/// A type in a few words: `string`, `list of string`, `"a" or "b"`, the name of a definition.
pub(super) fn type_of(schema: &Value) -> String {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        return target.rsplit('/').next().unwrap_or(target).to_owned();
    }
    if let Some(value) = schema.get("const") {
        return format!("`{value}`");
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<String> = values
            .iter()
            .filter(|value| !value.is_null())
            .map(|value| format!("`{value}`"))
            .collect();
        return values.join(" or ");
    }
    for word in ["oneOf", "anyOf", "allOf"] {
        if let Some(kinds) = schema.get(word).and_then(Value::as_array) {
            let mut names: Vec<String> = kinds.iter().filter(|kind| !is_null(kind)).map(type_of).collect();
            names.dedup();
            return names.join(" or ");
        }
    }
    match schema.get("type") {
        Some(Value::String(name)) => named(name, schema),
        Some(Value::Array(names)) => {
            let names: Vec<String> = names
                .iter()
                .filter_map(Value::as_str)
                .filter(|name| *name != "null")
                .map(|name| named(name, schema))
                .collect();
            names.join(" or ")
        }
        _ => "any".to_owned(),
    }
}

fn named(name: &str, schema: &Value) -> String {
    match name {
        "array" => schema
            .get("items")
            .map_or_else(|| "list".to_owned(), |items| format!("list of {}", type_of(items))),
        "object" => match schema.get("additionalProperties") {
            Some(values) if values.is_object() => format!("mapping to {}", type_of(values)),
            _ => "mapping".to_owned(),
        },
        other => other.to_owned(),
    }
}

pub(super) fn meaning(schema: &Value) -> String {
    schema
        .get("description")
        .and_then(Value::as_str)
        .map(cell)
        .unwrap_or_default()
}

/// A text in one cell of a table.
pub(super) fn cell(text: &str) -> String {
    text.trim()
        .replace("\n\n", "<br>")
        .replace('\n', " ")
        .replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_are_told_in_words() {
        for (schema, expected) in [
            (json!({ "type": "string" }), "string"),
            (json!({ "type": ["integer", "null"] }), "integer"),
            (
                json!({ "type": "array", "items": { "$ref": "#/$defs/Part" } }),
                "list of Part",
            ),
            (
                json!({ "type": "object", "additionalProperties": { "type": "string" } }),
                "mapping to string",
            ),
            (json!({ "enum": ["a", "b", null] }), "`\"a\"` or `\"b\"`"),
            (
                json!({ "anyOf": [{ "$ref": "#/$defs/Tls" }, { "type": "null" }] }),
                "Tls",
            ),
            (json!(true), "any"),
        ] {
            assert_eq!(type_of(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn a_form_with_many_fields_tells_what_each_means() {
        let schema = json!({ "oneOf": [
            { "properties": { "type": { "const": "none" } }, "description": "Nobody." },
            {
                "required": ["type", "secret"],
                "description": "Signed.",
                "properties": {
                    "type": { "const": "signature" },
                    "secret": { "type": "string", "description": "The secret." },
                    "header": { "type": ["string", "null"], "description": "Where. Default: `X-It`." },
                    "signed": { "type": "string", "description": "What, with `{body}`." },
                },
            },
        ] });
        assert_eq!(
            table(&schema),
            "- `type` (`\"none\"`): Nobody.\n\
             - `type` (`\"signature\"`): Signed.\n  \
               - `secret` (string, required): The secret.\n  \
               - `header` (string): Where. Default: `X-It`.\n  \
               - `signed` (string): What, with `{body}`.\n"
        );
    }

    #[test]
    fn a_table_has_a_row_for_each_field() {
        let schema = json!({
            "required": ["url"],
            "properties": {
                "url": { "type": "string", "description": "Where to.\nAbsolute | relative.\n\nMore." },
                "max": { "type": "integer", "default": 3 },
            },
        });
        assert_eq!(
            table(&schema),
            "| field | type | default | meaning |\n|---|---|---|---|\n\
             | `url` | string | required | Where to. Absolute \\| relative.<br>More. |\n\
             | `max` | integer | `3` |  |\n"
        );
    }
}
