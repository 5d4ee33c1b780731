//! Forms made of a JSON Schema: a field for each property, and the value that comes back. What a form cannot ask for by
//! itself, such as a list, is a field for JSON.

use std::collections::BTreeMap;

use maud::{Markup, html};
use serde_json::{Map, Value};

use crate::parts::json;

/// What the names of the fields begin with, so that none is taken for one of the page's own.
const PREFIX: &str = "field:";

/// How a property is asked for.
enum Kind<'a> {
    Text,
    Number {
        whole: bool,
    },
    YesOrNo,
    /// One of these values.
    Choice(&'a [Value]),
    Json,
}

fn kind(schema: &Value) -> Kind<'_> {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        return Kind::Choice(choices);
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => Kind::Text,
        Some("number") => Kind::Number { whole: false },
        Some("integer") => Kind::Number { whole: true },
        Some("boolean") => Kind::YesOrNo,
        _ => Kind::Json,
    }
}

/// The properties of a schema, without those that the page asks for by itself.
fn properties<'a>(schema: &'a Value, without: &[&str]) -> Vec<(&'a String, &'a Value)> {
    let all = schema.get("properties").and_then(Value::as_object);
    all.into_iter()
        .flatten()
        .filter(|(name, _)| !without.contains(&name.as_str()))
        .collect()
}

/// What the fields of a form begin with.
pub(crate) enum Begin<'a> {
    /// The defaults of the schema.
    Default,
    /// What somebody has written before, by the names of the fields.
    Typed(&'a BTreeMap<String, String>),
}

/// The properties that an object has to have.
pub(crate) fn required(schema: &Value) -> Vec<String> {
    let required = schema.get("required").and_then(Value::as_array);
    let names = required.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

/// A field for each property of an object's schema; none where it has no properties, so that JSON has to be written.
/// Those of `required` have to be filled in.
pub(crate) fn fields(
    schema: Option<&Value>,
    without: &[&str],
    required: &[String],
    begin: &Begin<'_>,
) -> Option<Markup> {
    let properties = properties(schema?, without);
    if properties.is_empty() {
        return None;
    }
    Some(html! {
        input type="hidden" name="how" value="fields";
        @for (name, property) in properties { (field(name, property, required.contains(name), begin)) }
    })
}

fn field(name: &str, schema: &Value, is_required: bool, begin: &Begin<'_>) -> Markup {
    let text = |part: &str| schema.get(part).and_then(Value::as_str);
    let title = text("title").unwrap_or(name);
    let field = format!("{PREFIX}{name}");
    let kind = kind(schema);
    let start = match begin {
        Begin::Typed(typed) => typed.get(&field).filter(|text| !text.trim().is_empty()).cloned(),
        Begin::Default => schema.get("default").map(|value| match kind {
            Kind::Text | Kind::Number { .. } => plain(value),
            Kind::YesOrNo | Kind::Choice(_) => value.to_string(),
            Kind::Json => json::pretty(value),
        }),
    };
    html! {
        label {
            span { (title) @if !is_required { " (optional)" } }
            @match kind {
                Kind::Choice(choices) => (choice(&field, choices, is_required, start.as_deref())),
                Kind::YesOrNo => (choice(&field, &[Value::Bool(true), Value::Bool(false)], is_required, start.as_deref())),
                Kind::Number { whole } => {
                    input type="number" name=(field) step=(if whole { "1" } else { "any" }) required[is_required]
                        min=[schema.get("minimum").filter(|least| least.is_number())]
                        max=[schema.get("maximum").filter(|most| most.is_number())]
                        placeholder=[example(schema)] value=[start];
                }
                Kind::Text => {
                    input name=(field) required[is_required] placeholder=[example(schema)] value=[start]
                        maxlength=[schema.get("maxLength").and_then(Value::as_u64)];
                }
                Kind::Json => {
                    textarea.short name=(field) data-json rows="3" spellcheck="false" required[is_required]
                        placeholder=[example(schema)] { @if let Some(start) = start { "\n" (start) } }
                    span.hint { "As JSON." }
                }
            }
            @if let Some(about) = text("description") { span.hint { (about) } }
        }
    }
}

fn choice(field: &str, choices: &[Value], is_required: bool, start: Option<&str>) -> Markup {
    html! {
        select name=(field) required[is_required] {
            option value="" { @if is_required { "Choose" } @else { "Not given" } }
            @for one in choices {
                option value=(one.to_string()) selected[start == Some(one.to_string().as_str())] {
                    @match one { Value::Bool(true) => "Yes", Value::Bool(false) => "No", _ => (plain(one)) }
                }
            }
        }
    }
}

/// A value as somebody would write it into a field.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn example(schema: &Value) -> Option<String> {
    let first = schema.get("examples").and_then(|all| all.get(0));
    schema.get("example").or(first).map(plain)
}

/// The object that the fields of [a form](self) have given, in the types that the schema asks for. What was left empty was
/// not given. `sent` finds the text of a field by its name.
///
/// # Errors
/// What cannot be read, a line for each field. Whether the object fits the schema is not looked at here.
pub fn read<'a>(schema: &Value, sent: impl Fn(&str) -> &'a str) -> Result<Map<String, Value>, Vec<String>> {
    let (mut read, mut problems) = (Map::new(), Vec::new());
    for (name, property) in properties(schema, &[]) {
        let text = sent(&format!("{PREFIX}{name}")).trim();
        if text.is_empty() {
            continue;
        }
        let value = match kind(property) {
            Kind::Text => Some(Value::from(text)),
            Kind::Number { .. } => text.parse::<serde_json::Number>().ok().map(Value::Number),
            Kind::YesOrNo => text.parse::<bool>().ok().map(Value::Bool),
            Kind::Choice(_) | Kind::Json => serde_json::from_str(text).ok(),
        };
        match value {
            Some(value) => {
                read.insert(name.clone(), value);
            }
            None => problems.push(match kind(property) {
                Kind::Number { .. } => format!("`{name}` must be a number, such as 12.5"),
                Kind::Json => format!("`{name}` is not JSON: a list is written as [1, 2], a text in quotes"),
                _ => format!("`{name}` must be one of the values that the form offers"),
            }),
        }
    }
    if problems.is_empty() { Ok(read) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "type": "object",
            "required": ["order"],
            "properties": {
                "order": { "type": "string", "title": "Order", "description": "Its number", "example": "o-1" },
                "amount": { "type": "number", "default": 12, "minimum": 1 },
                "count": { "type": "integer" },
                "express": { "type": "boolean" },
                "speed": { "enum": ["slow", 2] },
                "lines": { "type": "array" },
            }
        })
    }

    fn sent(pairs: &[(&str, &str)]) -> Result<Value, Vec<String>> {
        let all: BTreeMap<String, &str> = pairs
            .iter()
            .map(|(name, text)| (format!("field:{name}"), *text))
            .collect();
        read(&schema(), |name| all.get(name).copied().unwrap_or_default()).map(Value::Object)
    }

    #[test]
    fn a_schema_becomes_fields() {
        let text = fields(Some(&schema()), &["count"], &required(&schema()), &Begin::Default)
            .unwrap()
            .0;
        for wanted in [
            r#"<input name="field:order" required placeholder="o-1""#,
            r#"type="number" name="field:amount" step="any" min="1" value="12""#,
            "Order",
            "Its number",
            "express (optional)",
            r#"<option value="&quot;slow&quot;">slow"#,
            r#"name="field:lines" data-json"#,
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
        assert!(!text.contains("field:count"));
        assert!(fields(None, &[], &[], &Begin::Default).is_none());
        let list = json!({ "type": "array" });
        assert!(fields(Some(&list), &[], &[], &Begin::Default).is_none());
    }

    #[test]
    fn fields_begin_with_what_was_written() {
        let typed = [
            ("order", "o-7"),
            ("amount", "many"),
            ("express", "false"),
            ("speed", "2"),
            ("lines", "[1"),
        ];
        let typed = typed.map(|(name, text)| (format!("field:{name}"), text.to_owned()));
        let text = fields(Some(&schema()), &[], &[], &Begin::Typed(&typed.into()))
            .unwrap()
            .0;
        for wanted in [
            r#"value="o-7""#,
            r#"value="many""#,
            r#"<option value="false" selected>No"#,
            r#"<option value="2" selected>2"#,
            "[1</textarea>",
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
    }

    #[test]
    fn values_come_back_in_their_types() {
        let all = sent(&[
            ("order", " o-1 "),
            ("amount", "2.50"),
            ("count", ""),
            ("express", "false"),
            ("speed", "2"),
            ("lines", "[{\"sku\": 1}]"),
            ("other", "x"),
        ]);
        let expected = json!({
            "order": "o-1", "amount": 2.5, "express": false, "speed": 2, "lines": [{ "sku": 1 }]
        });
        assert_eq!(all.unwrap(), expected);
    }

    #[test]
    fn everything_that_cannot_be_read_is_told() {
        let told = sent(&[("amount", "many"), ("lines", "[1"), ("express", "perhaps")]).unwrap_err();
        assert_eq!(told.len(), 3);
        assert!(told[0].contains("`amount` must be a number"), "{told:?}");
    }
}
