//! Headers that go out: as users write them, and as they go on the wire.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bowline_connector::{Secret, StepError};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::failure::invalid;

/// The values of one header: text, a number or a boolean, or a list of them for a repeated header.
/// `null` sends none, which takes away a header of the connection. Prints as `***`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderValues(pub Vec<Secret>);

impl HeaderValues {
    fn one(value: Value) -> Result<Secret, String> {
        match value {
            Value::String(text) => Ok(Secret::new(text)),
            Value::Number(number) => Ok(Secret::new(number.to_string())),
            Value::Bool(flag) => Ok(Secret::new(flag.to_string())),
            _ => Err("a header value is text, a number or a boolean, or a list of these".into()),
        }
    }
}

impl<'de> Deserialize<'de> for HeaderValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self::default()),
            Value::Array(items) => items.into_iter().map(Self::one).collect::<Result<_, _>>().map(Self),
            one => Self::one(one).map(|value| Self(vec![value])),
        }
        .map_err(de::Error::custom)
    }
}

impl JsonSchema for HeaderValues {
    fn schema_name() -> Cow<'static, str> {
        "HeaderValues".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Text, a number or a boolean; a list of them repeats the header; `null` sends none.",
            "type": ["string", "number", "boolean", "array", "null"],
            "items": { "type": ["string", "number", "boolean"] }
        })
    }
}

/// Puts `headers` over those that `map` has; a name with no values is taken away.
pub(crate) fn put(map: &mut HeaderMap, headers: &BTreeMap<String, HeaderValues>) -> Result<(), StepError> {
    for (name, values) in headers {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| invalid("headers", &format!("{name:?} is not a header name")))?;
        if header == CONTENT_LENGTH || header == TRANSFER_ENCODING {
            return Err(invalid(
                &format!("headers.{name}"),
                "it is computed from the body; leave it out",
            ));
        }
        map.remove(&header);
        for value in &values.0 {
            let mut value = value_of(&format!("headers.{name}"), value.expose())?;
            // Any of them may be a secret: debug output of the client libraries then hides it.
            value.set_sensitive(true);
            map.append(&header, value);
        }
    }
    Ok(())
}

/// A header value, refused where it holds a line break or another control character.
pub(crate) fn value_of(field: &str, text: &str) -> Result<HeaderValue, StepError> {
    HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| invalid(field, "the value holds a line break or another control character"))
}

/// Headers that carry, by their name, something that only the origin they were written for may see.
pub(crate) fn is_credential(name: &HeaderName) -> bool {
    const WORDS: [&str; 9] = [
        "auth",
        "cookie",
        "key",
        "token",
        "secret",
        "session",
        "signature",
        "password",
        "credential",
    ];
    WORDS.iter().any(|word| name.as_str().contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(json: &str) -> BTreeMap<String, HeaderValues> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn later_ones_replace_without_regard_to_case_and_null_removes() {
        let mut map = HeaderMap::new();
        put(
            &mut map,
            &headers(r#"{"X-One": 1, "x-two": "2", "Accept": ["a", "b"]}"#),
        )
        .unwrap();
        put(&mut map, &headers(r#"{"x-ONE": true, "X-Two": null}"#)).unwrap();
        assert_eq!(map.get_all("x-one").iter().collect::<Vec<_>>(), ["true"]);
        assert!(!map.contains_key("x-two"));
        assert_eq!(map.get_all("accept").iter().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_line_break_is_refused_and_the_value_is_not_told() {
        let error = put(&mut HeaderMap::new(), &headers(r#"{"X-A": "top\r\nsecret: 1"}"#)).unwrap_err();
        assert_eq!(error.code, "config.invalid");
        assert!(
            error.message.contains("headers.X-A") && !error.message.contains("top"),
            "{error}"
        );
        assert!(put(&mut HeaderMap::new(), &headers(r#"{"bad name": "1"}"#)).is_err());
        assert!(put(&mut HeaderMap::new(), &headers(r#"{"Content-Length": 3}"#)).is_err());
        assert!(serde_json::from_str::<HeaderValues>(r#"{"a": 1}"#).is_err());
    }

    #[test]
    fn credentials_are_known_by_name() {
        for (name, expected) in [
            ("authorization", true),
            ("proxy-authorization", true),
            ("cookie", true),
            ("x-api-key", true),
            ("idempotency-key", true),
            ("x-amz-security-token", true),
            ("accept", false),
            ("content-type", false),
            ("x-trace", false),
        ] {
            assert_eq!(is_credential(&HeaderName::from_static(name)), expected, "{name}");
        }
    }
}
