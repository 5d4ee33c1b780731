//! Values and types in the words that problems use.

use serde_json::Value;

use crate::tree::{Kind, Node};

use super::check::Checker;
use super::words::is_duration;

/// Whether and how a text holds expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// None.
    Plain,
    /// It is one expression, or may be: the value can have any type.
    Whole,
    /// Expressions with text around them: the value is a text.
    Mixed,
}

/// Whether and how a text holds expressions.
pub(crate) fn classify(text: &str) -> Text {
    if !has_expression(text) {
        return Text::Plain;
    }
    let several = text.matches("${").count() > 1;
    match (text.starts_with("${") && text.ends_with('}'), several) {
        // `${a} and ${b}` looks like one expression from outside; the template knows, and types are checked
        // again when it is rendered.
        (true, _) => Text::Whole,
        (false, _) => Text::Mixed,
    }
}

/// Whether there is a `${` that is not written `$${`.
pub(crate) fn has_expression(text: &str) -> bool {
    text.match_indices("${").any(|(at, _)| !text[..at].ends_with('$'))
}

/// The names under `type`; none where anything is allowed.
pub(crate) fn types(schema: &Value) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => Some(names.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

/// Whether a value is of a JSON Schema type.
pub(crate) fn is_of_type(node: &Node, name: &str) -> bool {
    match &node.kind {
        Kind::Null => name == "null",
        Kind::Bool(_) => name == "boolean",
        Kind::Number(number) => {
            name == "number"
                || name == "integer" && (!number.is_f64() || number.as_f64().is_some_and(|f| f.fract() == 0.0))
        }
        Kind::Text(..) => name == "string",
        Kind::List(_) => name == "array",
        Kind::Map(_) => name == "object",
    }
}

/// Whether a value could be `wanted` if it were another value of its type.
pub(crate) fn same_kind(node: &Node, wanted: &Value) -> bool {
    let name = match wanted {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    is_of_type(node, name)
}

/// A value as a document would have it.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let short: String = text.chars().take(60).collect();
            if short.len() < text.len() {
                format!("`{short}...`")
            } else {
                format!("`{short}`")
            }
        }
        other => format!("`{other}`"),
    }
}

/// What a schema wants, for `expected`.
pub(crate) fn describe<'a>(checker: &Checker<'a>, schema: &'a Value) -> String {
    if is_duration(schema) {
        return "a duration, such as 30s".to_owned();
    }
    let schema = checker.resolve(schema);
    if let Some(what) = schema.get("x-what").and_then(Value::as_str) {
        return what.to_owned();
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        let list = values.iter().map(show).collect::<Vec<_>>().join(", ");
        return if values.len() == 1 {
            list
        } else {
            format!("one of: {list}")
        };
    }
    if let Some(value) = schema.get("const") {
        return show(value);
    }
    let mut parts: Vec<String> = Vec::new();
    let mut add = |part: String| {
        if !parts.contains(&part) {
            parts.push(part);
        }
    };
    let is_computed = schema.get("x-template").is_some();
    match schema
        .get("oneOf")
        .or_else(|| schema.get("anyOf"))
        .and_then(Value::as_array)
    {
        Some(branches) => branches
            .iter()
            .map(|branch| describe(checker, branch))
            .for_each(&mut add),
        None => match types(schema) {
            Some(types) => types
                .iter()
                .map(|name| {
                    if is_computed && types.len() > 1 && *name == "string" {
                        "an expression"
                    } else {
                        type_name(name)
                    }
                })
                .map(str::to_owned)
                .for_each(&mut add),
            None => add("a value".to_owned()),
        },
    }
    if parts.len() > 1 {
        parts.retain(|part| part != "nothing");
    }
    parts.join(" or ")
}

fn type_name(name: &str) -> &str {
    match name {
        "null" => "nothing",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "text",
        "array" => "a list",
        "object" => "a mapping",
        other => other,
    }
}

/// How a value of the wrong type can be made right.
pub(crate) fn type_hint(node: &Node, types: &[&str]) -> Option<String> {
    let wants = |name: &str| types.contains(&name);
    match &node.kind {
        Kind::Text(text, _) if wants("boolean") => match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "true" | "y" => Some("write true, without quotes".to_owned()),
            "no" | "off" | "false" | "n" => Some("write false, without quotes".to_owned()),
            _ => None,
        },
        Kind::Text(text, _) if (wants("integer") || wants("number")) && text.parse::<f64>().is_ok() => {
            Some(format!("write {text} without quotes"))
        }
        Kind::Number(number) if wants("string") => Some(format!("write it in quotes: \"{number}\"")),
        Kind::Bool(value) if wants("string") => Some(format!("write it in quotes: \"{value}\"")),
        Kind::Map(_) | Kind::Text(..) | Kind::Number(_) if wants("array") => {
            Some("put `- ` before it to make it a list of one".to_owned())
        }
        _ => None,
    }
}

/// Why a number or a text is out of the schema's bounds.
pub(crate) fn out_of_range(node: &Node, schema: &Value) -> Option<String> {
    let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
    match &node.kind {
        Kind::Number(number) => {
            let value = number.as_f64()?;
            let shown = |word: &str| schema.get(word).map(Value::to_string).unwrap_or_default();
            if bound("minimum").is_some_and(|least| value < least) {
                Some(format!("{number} is too small; the least is {}", shown("minimum")))
            } else if bound("maximum").is_some_and(|most| value > most) {
                Some(format!("{number} is too large; the most is {}", shown("maximum")))
            } else if bound("exclusiveMinimum").is_some_and(|least| value <= least) {
                Some(format!(
                    "{number} is too small; it has to be more than {}",
                    shown("exclusiveMinimum")
                ))
            } else if bound("exclusiveMaximum").is_some_and(|most| value >= most) {
                Some(format!(
                    "{number} is too large; it has to be less than {}",
                    shown("exclusiveMaximum")
                ))
            } else {
                None
            }
        }
        Kind::Text(text, _) => {
            let length = text.chars().count() as f64;
            if bound("minLength").is_some_and(|least| length < least) {
                Some(if text.is_empty() {
                    "this text is empty".to_owned()
                } else {
                    "this text is too short".to_owned()
                })
            } else if bound("maxLength").is_some_and(|most| length > most) {
                Some("this text is too long".to_owned())
            } else {
                None
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_classified() {
        for (text, expected) in [
            ("", Text::Plain),
            ("$1", Text::Plain),
            ("$${x}", Text::Plain),
            ("${x}", Text::Whole),
            ("${ {'a': 1} }", Text::Whole),
            ("a ${x}", Text::Mixed),
            ("${x} b", Text::Mixed),
            ("$${x} ${y}", Text::Mixed),
        ] {
            assert_eq!(classify(text), expected, "{text}");
        }
    }
}
