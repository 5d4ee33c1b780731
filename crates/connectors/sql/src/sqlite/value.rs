//! Values between JSON and SQLite.
//!
//! Nothing loses precision without a word: an integer that a JSON number of another program could not hold
//! becomes text, a number that SQLite cannot hold is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rusqlite::types::{Value as SqlValue, ValueRef};
use serde_json::{Number, Value};

/// Largest integer that every JSON reader keeps exactly: 2^53.
const EXACT: u64 = 1 << 53;

/// The key of an object that stands for bytes.
const BLOB: &str = "$blob";

/// A JSON value as a bound value. Lists and objects become JSON text.
///
/// # Errors
/// Why it cannot be bound, without the value.
pub(super) fn to_sql(value: &Value) -> Result<SqlValue, String> {
    Ok(match value {
        Value::Null => SqlValue::Null,
        Value::Bool(truth) => SqlValue::Integer(i64::from(*truth)),
        Value::String(text) => SqlValue::Text(text.clone()),
        Value::Number(number) => number_to_sql(number)?,
        Value::Object(fields) if fields.len() == 1 && fields.contains_key(BLOB) => match &fields[BLOB] {
            Value::String(text) => SqlValue::Blob(
                BASE64
                    .decode(text)
                    .map_err(|error| format!("its `{BLOB}` is not base64: {error}"))?,
            ),
            _ => return Err(format!("its `{BLOB}` is not a text of base64")),
        },
        Value::Array(_) | Value::Object(_) => SqlValue::Text(value.to_string()),
    })
}

fn number_to_sql(number: &Number) -> Result<SqlValue, String> {
    if let Some(integer) = number.as_i64() {
        return Ok(SqlValue::Integer(integer));
    }
    if number.is_u64() {
        return Err("the number is beyond SQLite's largest integer (2^63 - 1); give it as text".into());
    }
    number
        .as_f64()
        .map(SqlValue::Real)
        .ok_or_else(|| "the number has no binary form; give it as text".into())
}

/// How the values of a column become JSON, by its declared type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// As stored.
    Plain,
    /// 0 and 1 are false and true.
    Boolean,
    /// Text is parsed.
    Json,
}

impl Kind {
    /// The kind of a column declared as `declared`.
    pub(super) fn of(declared: Option<&str>, parse_json: bool) -> Self {
        match declared.map(str::to_ascii_uppercase).as_deref() {
            Some("BOOLEAN" | "BOOL") => Self::Boolean,
            Some("JSON" | "JSONB") if parse_json => Self::Json,
            _ => Self::Plain,
        }
    }
}

/// A stored value as JSON.
///
/// # Errors
/// Why it cannot be given, without the value.
pub(super) fn from_sql(value: ValueRef<'_>, kind: Kind) -> Result<Value, String> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(0) if kind == Kind::Boolean => Value::Bool(false),
        ValueRef::Integer(1) if kind == Kind::Boolean => Value::Bool(true),
        ValueRef::Integer(integer) => integer_to_json(integer),
        ValueRef::Real(real) => {
            Value::Number(Number::from_f64(real).ok_or("it is not a finite number, which JSON cannot hold")?)
        }
        ValueRef::Text(bytes) => {
            let text = std::str::from_utf8(bytes).map_err(|_| "its text is not UTF-8; select it as a BLOB")?;
            if kind == Kind::Json {
                serde_json::from_str(text)
                    .map_err(|error| format!("it is declared JSON but holds none ({error}); set `parseJson: false`"))?
            } else {
                Value::String(text.to_owned())
            }
        }
        ValueRef::Blob(bytes) => Value::String(BASE64.encode(bytes)),
    })
}

/// An integer as a number, or as text where readers of JSON would round it.
pub(super) fn integer_to_json(integer: i64) -> Value {
    if integer.unsigned_abs() <= EXACT {
        Value::from(integer)
    } else {
        Value::String(integer.to_string())
    }
}

/// About how many bytes `value` has as JSON.
pub(super) fn size(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Null => 4,
        ValueRef::Integer(_) | ValueRef::Real(_) => 8,
        ValueRef::Text(bytes) => bytes.len() as u64 + 2,
        ValueRef::Blob(bytes) => bytes.len() as u64 * 4 / 3 + 2,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_goes_in() {
        for (value, expected) in [
            (json!(null), SqlValue::Null),
            (json!(true), SqlValue::Integer(1)),
            (json!(-5), SqlValue::Integer(-5)),
            (json!(1.5), SqlValue::Real(1.5)),
            (json!("x"), SqlValue::Text("x".into())),
            (json!([1, "a"]), SqlValue::Text("[1,\"a\"]".into())),
            (json!({ "a": 1 }), SqlValue::Text("{\"a\":1}".into())),
            (json!({ "$blob": "AAH/" }), SqlValue::Blob(vec![0, 1, 255])),
        ] {
            assert_eq!(to_sql(&value), Ok(expected), "{value}");
        }
        for value in [json!(u64::MAX), json!({ "$blob": "?" }), json!({ "$blob": 1 })] {
            assert!(to_sql(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn stored_values_come_out() {
        for (value, kind, expected) in [
            (ValueRef::Null, Kind::Boolean, json!(null)),
            (ValueRef::Integer(1), Kind::Boolean, json!(true)),
            (ValueRef::Integer(2), Kind::Boolean, json!(2)),
            (ValueRef::Integer(1), Kind::Plain, json!(1)),
            (
                ValueRef::Integer(9_007_199_254_740_992),
                Kind::Plain,
                json!(9_007_199_254_740_992_u64),
            ),
            (
                ValueRef::Integer(9_007_199_254_740_993),
                Kind::Plain,
                json!("9007199254740993"),
            ),
            (ValueRef::Integer(i64::MIN), Kind::Plain, json!("-9223372036854775808")),
            (ValueRef::Real(0.5), Kind::Plain, json!(0.5)),
            (ValueRef::Text(b"{\"a\":[1]}"), Kind::Json, json!({ "a": [1] })),
            (ValueRef::Text(b"{\"a\":[1]}"), Kind::Plain, json!("{\"a\":[1]}")),
            (ValueRef::Blob(&[0, 1, 255]), Kind::Plain, json!("AAH/")),
        ] {
            assert_eq!(from_sql(value, kind), Ok(expected));
        }
        assert!(from_sql(ValueRef::Real(f64::INFINITY), Kind::Plain).is_err());
        assert!(from_sql(ValueRef::Text(&[0xff]), Kind::Plain).is_err());
        assert!(from_sql(ValueRef::Text(b"{"), Kind::Json).is_err());
    }
}
