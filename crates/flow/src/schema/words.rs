//! The checker's own words in schemas.

use serde_json::Value;

use crate::codes;
use crate::cursor::Cursor;
use crate::report::{Report, plain};
use crate::tree::Entry;

/// Whether a schema is the one of durations, which are read and not only matched.
pub(super) fn is_duration(schema: &Value) -> bool {
    schema
        .get("$ref")
        .and_then(Value::as_str)
        .is_some_and(|target| target.ends_with("/Duration"))
}

pub(super) fn is_later(entry: &Entry, property: &Value) -> bool {
    match property.get("x-later-unless").and_then(Value::as_array) {
        Some(allowed) => !allowed.contains(&entry.value.to_value()),
        None => property.get("x-later").is_some(),
    }
}

/// A field that is only in the schema to be refused by name.
pub(super) fn is_only_later(property: &Value) -> bool {
    property.get("x-later").is_some() || property.get("x-later-unless").is_some()
}

/// A part of the language that this version refuses by name.
pub(super) fn later(report: &mut Report, cursor: &Cursor, entry: &Entry) {
    let path = cursor.path.key(&entry.key);
    let message = format!("`{}` is not in this version of bowline yet", entry.key);
    report.add(codes::LATER, entry.key_at, &path, message, plain);
}
