//! Checks a part of a mocks file against the schema of its struct, and tells every mistake in words.
//!
//! The schema finds all mistakes at once, where reading into a struct stops at the first. Notations with
//! several forms (`delay`, `fault`) are judged by the form that the value resembles.

use bowline_expression::nearest;
use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Problem;

/// Checks `value`, which stands at `path`, and reads it into `T`. With problems it is `None`, unless they lie
/// in a part that `T` keeps as plain JSON and [`decode`]s later.
pub(crate) fn read<T: JsonSchema + DeserializeOwned>(
    value: &Value,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let schema = schema_of::<T>();
    match jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .build(&schema)
    {
        Ok(validator) => {
            for error in validator.iter_errors(value) {
                tell(&error, &schema, path, problems);
            }
        }
        Err(error) => problems.push(Problem::new(path, format!("cannot be checked: {error}"))),
    }
    decode(value, path, problems)
}

/// Reads a value whose shape was checked before. What only reading finds (a duration that is none) becomes a
/// problem, unless the check has told one about the same part.
pub(crate) fn decode<T: DeserializeOwned>(value: &Value, path: &str, problems: &mut Vec<Problem>) -> Option<T> {
    match serde_path_to_error::deserialize::<_, T>(value) {
        Ok(read) => Some(read),
        Err(error) => {
            if !problems.iter().any(|problem| lies_in(&problem.path, path)) {
                let inner = error.path().to_string();
                let path = if inner == "." {
                    path.to_owned()
                } else {
                    join(path, &inner)
                };
                problems.push(Problem::new(path, error.into_inner().to_string()));
            }
            None
        }
    }
}

fn lies_in(inner: &str, outer: &str) -> bool {
    outer.is_empty()
        || inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The schema of `T` as it is read, without references.
pub(crate) fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .for_deserialize()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// `base` and `inner` as one path; either may be empty.
pub(crate) fn join(base: &str, inner: &str) -> String {
    match (base.is_empty(), inner.is_empty()) {
        (true, _) => inner.to_owned(),
        (_, true) => base.to_owned(),
        _ if inner.starts_with('[') => format!("{base}{inner}"),
        _ => format!("{base}.{inner}"),
    }
}

/// A JSON pointer in the notation of paths: `/routes/0/path` is `routes[0].path`.
pub(crate) fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for segment in pointer.split('/').skip(1) {
        let name = segment.replace("~1", "/").replace("~0", "~");
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            path = join(&path, &format!("[{name}]"));
        } else {
            path = join(&path, &name);
        }
    }
    path
}

fn tell(error: &ValidationError<'_>, schema: &Value, base: &str, problems: &mut Vec<Problem>) {
    let path = join(base, &dotted(error.instance_path().as_str()));
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = known_fields(schema, error.schema_path().as_str());
            for name in unexpected {
                let hint =
                    nearest(name, known.iter().map(String::as_str)).map(|name| format!("did you mean `{name}`?"));
                problems.push(
                    Problem::new(join(&path, name), "unknown field")
                        .expected(format!("one of: {}", known.join(", ")))
                        .hint(hint),
                );
            }
        }
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            problems.push(Problem::new(path, format!("`{name}` is missing")));
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            tell_forms(error, context, schema, base, path, problems);
        }
        ValidationErrorKind::Enum { .. } | ValidationErrorKind::Constant { .. } => {
            problems.push(not_a_choice(error, path, &choices(error)));
        }
        ValidationErrorKind::Type { kind } => {
            problems.push(Problem::new(path, format!("is {}", kind_of(error.instance()))).expected(types(kind)));
        }
        ValidationErrorKind::Minimum { limit } => {
            problems.push(
                Problem::new(path, format!("{} is too small", error.instance())).expected(format!("{limit} or more")),
            );
        }
        ValidationErrorKind::Maximum { limit } => {
            problems.push(
                Problem::new(path, format!("{} is too great", error.instance())).expected(format!("{limit} or less")),
            );
        }
        ValidationErrorKind::MinLength { .. } => problems.push(Problem::new(path, "is empty")),
        _ => problems.push(Problem::new(path, error.to_string())),
    }
}

/// Several notations are allowed and none fits: tells about the one that was meant.
fn tell_forms(
    error: &ValidationError<'_>,
    forms: &[Vec<ValidationError<'static>>],
    schema: &Value,
    base: &str,
    path: String,
    problems: &mut Vec<Problem>,
) {
    let here = error.instance_path().as_str();
    let is_name = error.instance().is_string();
    let of_other_type = |form: &&Vec<ValidationError<'static>>| {
        form.iter()
            .filter(|inner| inner.instance_path().as_str() == here)
            .any(|inner| match inner.kind() {
                ValidationErrorKind::Type { .. } => true,
                _ => !is_name && !choices(inner).is_empty(),
            })
    };
    let meant: Vec<_> = forms.iter().filter(|form| !of_other_type(form)).collect();
    let all_choices: Vec<Value> = meant.iter().flat_map(|form| form.iter()).flat_map(choices).collect();
    if is_name && !all_choices.is_empty() {
        problems.push(not_a_choice(error, path, &all_choices));
    } else if let [form] = meant.as_slice() {
        for inner in *form {
            tell(inner, schema, base, problems);
        }
    } else {
        let mut expected: Vec<String> = Vec::new();
        for inner in forms.iter().flatten() {
            if let ValidationErrorKind::Type { kind } = inner.kind() {
                let text = types(kind);
                if !expected.contains(&text) {
                    expected.push(text);
                }
            }
        }
        let problem = Problem::new(path, format!("is {}", kind_of(error.instance())));
        problems.push(if expected.is_empty() {
            problem
        } else {
            problem.expected(expected.join(", or "))
        });
    }
}

fn choices(error: &ValidationError<'_>) -> Vec<Value> {
    match error.kind() {
        ValidationErrorKind::Enum { options } => options.as_array().cloned().unwrap_or_default(),
        ValidationErrorKind::Constant { expected_value } => vec![expected_value.as_ref().clone()],
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            context.iter().flatten().flat_map(choices).collect()
        }
        _ => Vec::new(),
    }
}

fn not_a_choice(error: &ValidationError<'_>, path: String, choices: &[Value]) -> Problem {
    let names: Vec<&str> = choices.iter().filter_map(Value::as_str).collect();
    let given = error.instance();
    let near = given.as_str().and_then(|given| nearest(given, names.iter().copied()));
    Problem::new(path, format!("{given} is not allowed here"))
        .expected(format!("one of: {}", names.join(", ")))
        .hint(near.map(|name| format!("did you mean `{name}`?")))
}

/// The fields that the struct has whose `additionalProperties` failed at `schema_path`.
fn known_fields(schema: &Value, schema_path: &str) -> Vec<String> {
    let object = schema_path.rsplit_once('/').map_or("", |(parent, _)| parent);
    schema
        .pointer(object)
        .and_then(|object| object.get("properties"))
        .and_then(Value::as_object)
        .map(|fields| fields.keys().cloned().collect())
        .unwrap_or_default()
}

fn types(kind: &TypeKind) -> String {
    let name = |text: String| match text.as_str() {
        "object" => "a mapping".to_owned(),
        "array" => "a list".to_owned(),
        "string" => "text".to_owned(),
        "integer" => "a whole number".to_owned(),
        "number" => "a number".to_owned(),
        "boolean" => "true or false".to_owned(),
        _ => text,
    };
    match kind {
        TypeKind::Single(one) => name(one.to_string()),
        TypeKind::Multiple(several) => {
            let names: Vec<String> = several
                .iter()
                .map(|one| one.to_string())
                .filter(|one| one != "null")
                .map(name)
                .collect();
            names.join(" or ")
        }
    }
}

/// What a value is, for people.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{HttpService, Route};
    use serde_json::json;

    fn told<T: JsonSchema + DeserializeOwned>(value: Value) -> Vec<String> {
        let mut problems = Vec::new();
        let _ = read::<T>(&value, "services[0]", &mut problems);
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn every_mistake_is_told_with_its_path() {
        let told = told::<HttpService>(json!({
            "id": "pay",
            "type": "mock-http-service",
            "config": {
                "prot": 1,
                "port": 70_000,
                "fault": "rset",
                "faults": [{ "type": "reset", "evry": 2 }],
                "routes": [{ "path": "/a", "response": { "status": 99 }, "delay": { "min": 1 } }, { "method": 3 }]
            }
        }));
        let all = told.join("\n");
        for part in [
            "services[0].config.prot: unknown field",
            "did you mean `port`?",
            "services[0].config.port: 70000 is too great",
            "services[0].config.fault: \"rset\" is not allowed here",
            "did you mean `reset`?",
            "services[0].config.faults[0].evry: unknown field",
            "did you mean `every`?",
            "services[0].config.routes[0].response.status: 99 is too small\n  expected 200 or more",
            "services[0].config.routes[0].delay: `max` is missing",
            "services[0].config.routes[1]: `path` is missing",
            "services[0].config.routes[1].method: is a number\n  expected text",
        ] {
            assert!(all.contains(part), "no `{part}` in\n{all}");
        }
    }

    #[test]
    fn what_only_reading_finds_has_a_path_too() {
        assert_eq!(
            told::<Route>(json!({ "path": "/a", "delay": "5 parsecs" })),
            [
                "services[0].delay: `5 parsecs` is not a duration; write milliseconds, \"30s\", \"5m\", \"2d\" or ISO 8601 (PT5M)"
            ]
        );
        assert_eq!(
            told::<Route>(json!({ "path": "/a", "response": { "delay": { "min": "2s", "max": 5 } } })),
            ["services[0].response.delay: `min` is greater than `max`"]
        );
    }

    #[test]
    fn pointers_become_paths() {
        assert_eq!(dotted(""), "");
        assert_eq!(dotted("/routes/0/a~1b/c"), "routes[0].a/b.c");
        assert_eq!(join("a", "[0].b"), "a[0].b");
        assert_eq!(join("", "b"), "b");
    }
}
