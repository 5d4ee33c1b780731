//! The shape of a step's result: which part of a table, and how its fields are called.
//!
//! `output: { format, transform }` of a node works on every connector that returns rows, so it stands here
//! and not in one of them. Applying a shape is a pure function: a replayed run gets the same value.

use bowline_core::StepError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How the result of a step is given to the steps after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shape {
    /// Which part of a result with rows is the result. Default: all of it, with `rows`, `rowCount` and `columns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// What happens to the fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Transform>,
}

/// Which part of a result with rows is the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// The list of rows. `rows` is the same.
    #[serde(alias = "rows")]
    Array,
    /// The first row, or null when there is none.
    Object,
    /// The only column of the only row; anything else is the error `output.not-scalar`.
    Scalar,
}

/// What happens to the fields of each row, or of a result that is an object or a list of objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transform {
    /// Renames `created_at` to `createdAt`, in the fields of a row and not below them. Two fields that would
    /// get one name are the error `output.camelcase-collision`. Default false.
    #[serde(default)]
    pub camel_case: bool,
    /// Fields to leave out, by the name before or after `camelCase`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_fields: Vec<String>,
    /// An expression that gives the result from what the rest of the shape gave. Whoever applies the shape
    /// evaluates it afterwards: [`Shape::apply`] does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
}

impl Shape {
    /// The result in this shape. A result of several statements (`results`) is shaped one by one.
    ///
    /// # Errors
    /// `output.camelcase-collision`, `output.not-scalar`, and `output.no-rows` for a format where the result
    /// has no rows. All permanent.
    pub fn apply(&self, output: Value) -> Result<Value, StepError> {
        if self.format.is_none() && self.transform.is_none() {
            return Ok(output);
        }
        match output {
            Value::Object(mut fields) if is_several(&fields) => {
                if let Some(Value::Array(results)) = fields.get_mut("results") {
                    for result in results {
                        *result = self.apply(result.take())?;
                    }
                }
                Ok(Value::Object(fields))
            }
            Value::Object(mut fields) if has_rows(&fields) => {
                let rows = match fields.get_mut("rows").map(Value::take) {
                    Some(Value::Array(rows)) => self.transform_all(rows)?,
                    _ => Vec::new(),
                };
                if let Some(format) = self.format {
                    return pick(format, rows);
                }
                if let Some(Value::Array(columns)) = fields.get_mut("columns") {
                    self.transform_names(columns);
                }
                fields.insert("rows".into(), Value::Array(rows));
                Ok(Value::Object(fields))
            }
            Value::Array(rows) => {
                let rows = self.transform_all(rows)?;
                match self.format {
                    Some(format) => pick(format, rows),
                    None => Ok(Value::Array(rows)),
                }
            }
            _ if self.format.is_some() => Err(StepError::permanent(
                "output.no-rows",
                "`output.format` needs a result with rows, but this result has none",
            )),
            other => self.transform_one(other),
        }
    }

    fn transform_all(&self, rows: Vec<Value>) -> Result<Vec<Value>, StepError> {
        rows.into_iter().map(|row| self.transform_one(row)).collect()
    }

    fn transform_one(&self, row: Value) -> Result<Value, StepError> {
        let (transform, fields) = match (&self.transform, row) {
            (Some(transform), Value::Object(fields)) => (transform, fields),
            (_, other) => return Ok(other),
        };
        let mut renamed = Map::with_capacity(fields.len());
        for (name, value) in fields {
            let Some(new) = transform.name(&name) else { continue };
            if renamed.contains_key(&new) {
                return Err(StepError::permanent(
                    "output.camelcase-collision",
                    format!("two fields would be called `{new}`, one of them `{name}`; rename it or exclude it"),
                ));
            }
            renamed.insert(new, value);
        }
        Ok(Value::Object(renamed))
    }

    /// The list of column names, in step with the rows.
    fn transform_names(&self, columns: &mut Vec<Value>) {
        let Some(transform) = &self.transform else { return };
        columns.retain_mut(|column| match column.as_str().map(|name| transform.name(name)) {
            Some(Some(new)) => {
                *column = Value::String(new);
                true
            }
            Some(None) => false,
            None => true,
        });
    }
}

impl Transform {
    /// The field's new name; `None` where it is left out.
    fn name(&self, name: &str) -> Option<String> {
        let new = if self.camel_case {
            camel_case(name)
        } else {
            name.to_owned()
        };
        let excluded = self.exclude_fields.iter().any(|field| field == name || *field == new);
        (!excluded).then_some(new)
    }
}

fn has_rows(fields: &Map<String, Value>) -> bool {
    matches!(fields.get("rows"), Some(Value::Array(_)))
}

fn is_several(fields: &Map<String, Value>) -> bool {
    match fields.get("results") {
        Some(Value::Array(results)) => {
            !results.is_empty() && results.iter().all(|result| result.as_object().is_some_and(has_rows))
        }
        _ => false,
    }
}

fn pick(format: Format, rows: Vec<Value>) -> Result<Value, StepError> {
    match format {
        Format::Array => Ok(Value::Array(rows)),
        Format::Object => Ok(rows.into_iter().next().unwrap_or(Value::Null)),
        Format::Scalar => {
            let count = rows.len();
            let not_scalar = |what: String| StepError::permanent("output.not-scalar", what);
            let [row] = <[Value; 1]>::try_from(rows)
                .map_err(|_| not_scalar(format!("`format: scalar` needs exactly one row, but there are {count}")))?;
            let Value::Object(fields) = row else { return Ok(row) };
            let count = fields.len();
            let mut values = fields.into_iter().map(|(_, value)| value);
            match (values.next(), values.next()) {
                (Some(value), None) => Ok(value),
                _ => Err(not_scalar(format!(
                    "`format: scalar` needs exactly one column, but there are {count}"
                ))),
            }
        }
    }
}

/// `created_at` as `createdAt`; `USER_ID` as `userId`. Underscores in front stay, a name without any is kept.
fn camel_case(name: &str) -> String {
    let body = name.trim_start_matches('_');
    if !body.contains('_') {
        return name.to_owned();
    }
    let shouting = !body.chars().any(char::is_lowercase);
    let mut result = name[..name.len() - body.len()].to_owned();
    let start = result.len();
    for word in body.split('_').filter(|word| !word.is_empty()) {
        let word = if shouting { word.to_lowercase() } else { word.to_owned() };
        if result.len() == start {
            result.push_str(&word);
            continue;
        }
        let mut letters = word.chars();
        result.extend(letters.next().into_iter().flat_map(char::to_uppercase));
        result.push_str(letters.as_str());
    }
    result
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shape(written: Value) -> Shape {
        serde_json::from_value(written).expect("a shape")
    }

    #[test]
    fn names_become_camel_case() {
        for (name, expected) in [
            ("created_at", "createdAt"),
            ("USER_ID", "userId"),
            ("ID", "ID"),
            ("userId", "userId"),
            ("_private_key", "_privateKey"),
            ("address_2", "address2"),
            ("a__b_", "aB"),
            ("straße_ö", "straßeÖ"),
            ("_", "_"),
            ("", ""),
        ] {
            assert_eq!(camel_case(name), expected, "{name}");
        }
    }

    #[test]
    fn a_table_is_given_as_asked() {
        let table =
            json!({ "rows": [{ "user_id": 1, "password": "x" }], "rowCount": 1, "columns": ["user_id", "password"] });
        let transform = json!({ "camelCase": true, "excludeFields": ["password"] });
        for (written, expected) in [
            (json!({}), table.clone()),
            (json!({ "format": "array" }), json!([{ "user_id": 1, "password": "x" }])),
            (
                json!({ "format": "rows", "transform": transform }),
                json!([{ "userId": 1 }]),
            ),
            (
                json!({ "format": "object", "transform": transform }),
                json!({ "userId": 1 }),
            ),
            (json!({ "format": "scalar", "transform": transform }), json!(1)),
            (
                json!({ "transform": transform }),
                json!({ "rows": [{ "userId": 1 }], "rowCount": 1, "columns": ["userId"] }),
            ),
            (
                json!({ "transform": { "camelCase": true, "excludeFields": ["userId"] } }),
                json!({ "rows": [{ "password": "x" }], "rowCount": 1, "columns": ["password"] }),
            ),
        ] {
            assert_eq!(shape(written.clone()).apply(table.clone()), Ok(expected), "{written}");
        }
        let empty = json!({ "rows": [] });
        assert_eq!(
            shape(json!({ "format": "object" })).apply(empty.clone()),
            Ok(Value::Null)
        );
        assert_eq!(shape(json!({ "format": "array" })).apply(empty), Ok(json!([])));
    }

    #[test]
    fn other_results_are_shaped_too() {
        let camel = shape(json!({ "transform": { "camelCase": true } }));
        assert_eq!(
            camel.apply(json!({ "a_b": { "c_d": 1 } })),
            Ok(json!({ "aB": { "c_d": 1 } })),
            "top level only"
        );
        assert_eq!(camel.apply(json!([{ "a_b": 1 }, 2])), Ok(json!([{ "aB": 1 }, 2])));
        assert_eq!(camel.apply(json!("a_b")), Ok(json!("a_b")));
        let several = json!({ "results": [{ "rows": [{ "a_b": 1 }] }, { "rows": [] }] });
        assert_eq!(
            shape(json!({ "format": "object" })).apply(several),
            Ok(json!({ "results": [{ "a_b": 1 }, null] }))
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let scalar = json!({ "format": "scalar" });
        for (written, output, code) in [
            (
                json!({ "transform": { "camelCase": true } }),
                json!({ "rows": [{ "a_b": 1, "aB": 2 }] }),
                "output.camelcase-collision",
            ),
            (scalar.clone(), json!({ "rows": [] }), "output.not-scalar"),
            (
                scalar.clone(),
                json!({ "rows": [{ "a": 1 }, { "a": 2 }] }),
                "output.not-scalar",
            ),
            (
                scalar.clone(),
                json!({ "rows": [{ "a": 1, "b": 2 }] }),
                "output.not-scalar",
            ),
            (scalar.clone(), json!({ "rows": [{}] }), "output.not-scalar"),
            (scalar, json!({ "status": 200 }), "output.no-rows"),
        ] {
            let error = shape(written).apply(output.clone()).expect_err("refused");
            assert_eq!(error.code, code, "{output}");
        }
        let excluded = json!({ "transform": { "camelCase": true, "excludeFields": ["a_b"] } });
        assert_eq!(
            shape(excluded).apply(json!({ "a_b": 1, "aB": 2 })),
            Ok(json!({ "aB": 2 })),
            "nothing collides then"
        );
        assert!(serde_json::from_value::<Shape>(json!({ "transform": { "camelcase": true } })).is_err());
    }
}
