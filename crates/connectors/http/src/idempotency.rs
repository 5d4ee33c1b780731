//! The key under which a service recognises a repeated call.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::header::{HeaderName, HeaderValue};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// The name of the header that carries the idempotency key, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdempotencyHeader {
    /// Send no key.
    Off,
    /// Send it under this name.
    Named(HeaderName),
}

impl Default for IdempotencyHeader {
    fn default() -> Self {
        Self::Named(HeaderName::from_static("idempotency-key"))
    }
}

/// What cannot stand in a header value: control characters, and everything outside ASCII is encoded anyway.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// The key as a header value. Characters that a header cannot carry are percent-encoded, so that distinct
/// keys stay distinct.
pub(crate) fn header_value(key: &str) -> Option<HeaderValue> {
    let text: Cow<'_, str> = utf8_percent_encode(key, ENCODED).into();
    HeaderValue::from_str(&text).ok()
}

impl<'de> Deserialize<'de> for IdempotencyHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(false) => Ok(Self::Off),
            Value::Bool(true) => Ok(Self::default()),
            Value::String(name) => HeaderName::from_bytes(name.as_bytes())
                .map(Self::Named)
                .map_err(|_| de::Error::custom(format!("idempotencyHeader: {name:?} is not a header name"))),
            _ => Err(de::Error::custom("idempotencyHeader is a header name or false")),
        }
    }
}

impl JsonSchema for IdempotencyHeader {
    fn schema_name() -> Cow<'static, str> {
        "IdempotencyHeader".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A header name, or `false` to send no key. `true` is the default name, `Idempotency-Key`.",
            "type": ["string", "boolean"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_fits_into_a_header() {
        for (key, expected) in [
            ("run-1/charge", "run-1/charge"),
            ("é/\n", "%C3%A9/%0A"),
            ("100%", "100%25"),
            ("a b", "a b"),
        ] {
            assert_eq!(header_value(key).unwrap(), expected, "{key}");
        }
    }

    #[test]
    fn a_name_or_false() {
        assert_eq!(
            serde_json::from_str::<IdempotencyHeader>("false").unwrap(),
            IdempotencyHeader::Off
        );
        assert_eq!(
            serde_json::from_str::<IdempotencyHeader>("true").unwrap(),
            IdempotencyHeader::default()
        );
        assert!(serde_json::from_str::<IdempotencyHeader>("\"a b\"").is_err());
        assert!(serde_json::from_str::<IdempotencyHeader>("3").is_err());
    }
}
