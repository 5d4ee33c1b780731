//! Settings and their values in the words that problems use.

use serde_json::Value;

use super::settings::{Setting, allows};

/// What would be right for a setting, for the end of "expected".
pub(super) fn expected(setting: &Setting) -> String {
    match setting.name.as_str() {
        "listen" => return "an address and a port, such as 127.0.0.1:8080 or 0.0.0.0:8080".to_owned(),
        "limits.proxies" => return "a list of addresses and networks, such as 10.0.0.0/8".to_owned(),
        _ => {}
    }
    of_schema(&setting.schema)
}

fn of_schema(schema: &Value) -> String {
    if let Some(values) = choices(schema) {
        return format!("one of: {}", values.join(", "));
    }
    let takes = |kind: &str| allows(schema, kind);
    let bound = |word: &str| schema.get(word).filter(|bound| bound.is_number());
    // Durations are the only settings that are a number or a text.
    if takes("integer") && takes("string") {
        "a duration, such as 500ms, 30s or 5m, and 100 years at most".to_owned()
    } else if takes("integer") || takes("number") {
        let what = if takes("integer") { "a whole number" } else { "a number" };
        match (bound("minimum").map(number), bound("maximum").map(number)) {
            (Some(least), Some(most)) => format!("{what} from {least} to {most}"),
            (Some(least), None) => format!("{what}, {least} or more"),
            (None, Some(most)) => format!("{what}, {most} at most"),
            (None, None) => what.to_owned(),
        }
    } else if takes("boolean") {
        "true or false".to_owned()
    } else if takes("array") {
        let items = schema.get("items").and_then(choices);
        items.map_or_else(
            || "a list".to_owned(),
            |items| format!("a list of: {}", items.join(", ")),
        )
    } else if takes("object") {
        "a mapping".to_owned()
    } else {
        "text".to_owned()
    }
}

/// A number as people write it: `3`, not `3.0`.
fn number(value: &Value) -> String {
    match value.as_f64().filter(|_| value.is_f64()) {
        Some(float) => float.to_string(),
        None => value.to_string(),
    }
}

/// The values that a schema names, if it names all of them.
fn choices(schema: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().map(text).collect();
    }
    let kinds = ["oneOf", "anyOf"]
        .iter()
        .find_map(|word| schema.get(*word)?.as_array())?;
    let kinds = kinds
        .iter()
        .filter(|kind| kind.get("type") != Some(&Value::from("null")));
    let all: Option<Vec<Vec<String>>> = kinds
        .map(|kind| match kind.get("const") {
            Some(value) => text(value).map(|one| vec![one]),
            None => choices(kind),
        })
        .collect();
    all.map(|all| all.concat()).filter(|all| !all.is_empty())
}

/// Items of a list that cannot stand in it.
pub(super) fn refused_items(items: &[&Value], setting: &Setting) -> String {
    let all: Vec<String> = items.iter().map(|item| named(item, setting)).collect();
    format!("{} cannot stand here; expected {}", all.join(", "), expected(setting))
}

/// A value that cannot stand where it stands. What may be secret is not repeated.
pub(super) fn refused(value: &Value, setting: &Setting) -> String {
    refused_items(&[value], setting)
}

fn named(value: &Value, setting: &Setting) -> String {
    match value {
        _ if setting.is_secret() => "this".to_owned(),
        Value::String(text) => format!("`{}`", text.chars().take(60).collect::<String>()),
        Value::Null => "an empty value".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        other => format!("`{}`", number(other)),
    }
}

/// The name that is most like one that does not exist, if a third of it at most is different.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|other| (strsim::damerau_levenshtein(name, other), other))
        .min()
        .filter(|(distance, _)| distance * 3 <= name.len())
        .map(|(_, other)| other)
}
