//! What an answer becomes in the journal.

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// The answer of the service.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// Status code, such as 200.
    pub status: u16,
    /// Headers by lower-case name. A repeated header is joined with `, `; `set-cookie` is always a list.
    #[schemars(with = "BTreeMap<String, Value>")]
    pub headers: Map<String, Value>,
    /// Body: a JSON value, text, base64 when `bodyEncoding` says so, or a reference to a blob
    /// (`{"$blob": "sha256:…", "size": …, "contentType": …}`). Null when it is empty or not read.
    pub body: Value,
    /// `base64` when `body` is base64 of bytes; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub body_encoding: Option<&'static str>,
    /// The URL that answered, after redirects, without user information, fragment and API key.
    pub url: String,
}

/// The headers of an answer as JSON.
pub(crate) fn headers(map: &HeaderMap) -> Map<String, Value> {
    let mut headers = Map::with_capacity(map.keys_len());
    for name in map.keys() {
        let mut values = map.get_all(name).iter().map(text);
        let value = if name == SET_COOKIE {
            values.map(Value::String).collect()
        } else {
            let first = values.next().unwrap_or_default();
            Value::String(values.fold(first, |all, next| all + ", " + &next))
        };
        headers.insert(name.as_str().to_owned(), value);
    }
    headers
}

/// A header value as text: UTF-8 where it is, else every byte one character, so that nothing is lost.
fn text(value: &HeaderValue) -> String {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().map(|&byte| char::from(byte)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn repeated_headers_join_and_cookies_stay_apart() {
        let mut map = HeaderMap::new();
        for (name, value) in [
            ("vary", &b"a"[..]),
            ("vary", b"b"),
            ("set-cookie", b"c=1, d"),
            ("x-latin", b"\xe9"),
        ] {
            map.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        assert_eq!(
            Value::Object(headers(&map)),
            json!({ "vary": "a, b", "set-cookie": ["c=1, d"], "x-latin": "é" })
        );
    }
}
