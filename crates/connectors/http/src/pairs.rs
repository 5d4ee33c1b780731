//! Name and value pairs: the query of a URL, and form bodies.

use bowline_connector::StepError;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::failure::invalid;

/// How a list is written in a query or a form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ArrayStyle {
    /// `a=1&a=2`; the default.
    #[default]
    Repeat,
    /// `a[]=1&a[]=2`.
    Brackets,
    /// `a[0]=1&a[1]=2`.
    Indices,
    /// `a=1,2`.
    Comma,
}

/// A scalar as the text it has in a query, a form or a multipart field; `None` for null.
pub(crate) fn scalar(field: &str, name: &str, value: &Value) -> Result<Option<String>, StepError> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Array(_) | Value::Object(_) => Err(invalid(
            &format!("{field}.{name}"),
            "a list holds scalars and an object has no agreed form here; name its parts, such as `address[city]`",
        )),
    }
}

/// The pairs of `values` in their order. Null values and null items are left out.
pub(crate) fn pairs(
    field: &str,
    values: &Map<String, Value>,
    arrays: ArrayStyle,
) -> Result<Vec<(String, String)>, StepError> {
    let mut pairs = Vec::with_capacity(values.len());
    for (name, value) in values {
        let Value::Array(items) = value else {
            if let Some(text) = scalar(field, name, value)? {
                pairs.push((name.clone(), text));
            }
            continue;
        };
        let items = items
            .iter()
            .map(|item| scalar(field, name, item))
            .filter_map(Result::transpose);
        let items = items.collect::<Result<Vec<_>, _>>()?;
        match arrays {
            ArrayStyle::Repeat => pairs.extend(items.into_iter().map(|item| (name.clone(), item))),
            ArrayStyle::Brackets => pairs.extend(items.into_iter().map(|item| (format!("{name}[]"), item))),
            ArrayStyle::Indices => {
                pairs.extend(
                    items
                        .into_iter()
                        .enumerate()
                        .map(|(at, item)| (format!("{name}[{at}]"), item)),
                );
            }
            ArrayStyle::Comma if items.is_empty() => {}
            ArrayStyle::Comma => pairs.push((name.clone(), items.join(","))),
        }
    }
    Ok(pairs)
}

/// `application/x-www-form-urlencoded`.
pub(crate) fn encode(pairs: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_in_every_style() {
        let values = json!({ "z": [1, null, "b c"], "a": true, "gone": null, "n": 1.5 });
        let values = values.as_object().unwrap();
        for (style, expected) in [
            (ArrayStyle::Repeat, "z=1&z=b+c&a=true&n=1.5"),
            (ArrayStyle::Brackets, "z%5B%5D=1&z%5B%5D=b+c&a=true&n=1.5"),
            (ArrayStyle::Indices, "z%5B0%5D=1&z%5B1%5D=b+c&a=true&n=1.5"),
            (ArrayStyle::Comma, "z=1%2Cb+c&a=true&n=1.5"),
        ] {
            assert_eq!(encode(&pairs("query", values, style).unwrap()), expected, "{style:?}");
        }
    }

    #[test]
    fn an_object_is_refused_by_name() {
        for value in [json!({ "a": { "b": 1 } }), json!({ "a": [[1]] })] {
            let error = pairs("query", value.as_object().unwrap(), ArrayStyle::Repeat).unwrap_err();
            assert!(error.message.contains("query.a"), "{error}");
        }
    }
}
