//! The settings that there are, as the type's schema tells them.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{Config, PREFIX};

/// One setting of the reference.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its dotted name: `events.heartbeat`.
    pub name: String,
    /// The variable that sets it.
    pub variable: String,
    /// Its JSON Schema.
    pub schema: Value,
    /// Its default; null where there is none.
    pub default: Value,
}

impl Setting {
    /// Whether its value is never shown: its schema has `"writeOnly": true`.
    pub fn is_secret(&self) -> bool {
        self.schema.get("writeOnly").and_then(Value::as_bool) == Some(true)
    }
}

/// Every setting, in the order of the type.
pub fn settings() -> Vec<Setting> {
    let schema = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value();
    let default = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut all = Vec::new();
    gather("", &schema, &default, &mut all);
    all
}

fn gather(name: &str, schema: &Value, default: &Value, all: &mut Vec<Setting>) {
    for (key, field) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let name = if name.is_empty() {
            key.clone()
        } else {
            format!("{name}.{key}")
        };
        let default = default.get(key).unwrap_or(&Value::Null);
        // A section that may be left out as a whole is gone into all the same.
        if let Some(inner) = section(field) {
            gather(&name, inner, default, all);
        } else {
            all.push(Setting {
                variable: variable(&name),
                name,
                schema: field.clone(),
                default: default.clone(),
            });
        }
    }
}

/// The object that a field is, if it is one with fields of its own.
fn section(field: &Value) -> Option<&Value> {
    if field.get("properties").is_some() {
        return Some(field);
    }
    let mut kinds = field
        .get("anyOf")?
        .as_array()?
        .iter()
        .filter(|kind| kind.get("type") != Some(&Value::from("null")));
    kinds
        .next()
        .filter(|kind| kind.get("properties").is_some() && kinds.next().is_none())
}

/// `events.maxAge` is set by `BOWLINE_SERVER_EVENTS_MAX_AGE`.
fn variable(name: &str) -> String {
    let mut out = PREFIX.to_owned();
    for letter in name.chars() {
        match letter {
            '.' => out.push('_'),
            letter if letter.is_ascii_uppercase() => {
                out.push('_');
                out.push(letter);
            }
            letter => out.push(letter.to_ascii_uppercase()),
        }
    }
    out
}

/// The value of a variable: what the schema says its text is. JSON is read for lists and mappings; a list of texts may
/// also be written with commas.
pub(super) fn read(text: &str, schema: &Value) -> Value {
    let takes = |kind: &str| allows(schema, kind);
    let parsed: Option<Value> = serde_json::from_str(text).ok();
    match parsed {
        Some(Value::Null) if !takes("string") => Value::Null,
        Some(value @ Value::Bool(_)) if takes("boolean") => value,
        Some(value @ Value::Number(_)) if takes("integer") || takes("number") => value,
        Some(value @ Value::Array(_)) if takes("array") => value,
        Some(value @ Value::Object(_)) if takes("object") => value,
        _ if takes("array") && !takes("string") => text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(Value::from)
            .collect(),
        _ => text.into(),
    }
}

pub(super) fn allows(schema: &Value, kind: &str) -> bool {
    let named = match schema.get("type") {
        Some(Value::String(name)) => name == kind,
        Some(Value::Array(names)) => names.iter().any(|name| name == kind),
        _ => false,
    };
    named
        || ["anyOf", "oneOf"]
            .iter()
            .filter_map(|word| schema.get(*word)?.as_array())
            .flatten()
            .any(|schema| allows(schema, kind))
}
