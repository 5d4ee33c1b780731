//! Second names of fields, made known to the schema.
//!
//! Serde reads them through `#[serde(alias)]`; without this the generated schema would call them unknown.

use schemars::Schema;
use serde_json::{Map, Value};

/// Adds to an object schema a property `alias` that means the same as `field`. A field that has aliases
/// is no longer required by name: either name will do, and the configuration's own check says so.
pub(crate) fn add(schema: &mut Schema, field: &str, alias: &str) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(required)) = object.get_mut("required") {
        required.retain(|name| name.as_str() != Some(field));
    }
    let Some(Value::Object(properties)) = object.get_mut("properties") else {
        return;
    };
    let Some(mut copy) = properties.get(field).cloned() else {
        return;
    };
    if let Value::Object(copy) = &mut copy {
        copy.insert("description".into(), format!("The same as `{field}`.").into());
    } else {
        copy = Value::Object(Map::from_iter([(
            "description".to_owned(),
            format!("The same as `{field}`.").into(),
        )]));
    }
    properties.insert(alias.to_owned(), copy);
}
