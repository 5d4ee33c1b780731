//! A request as routes, expressions and the record see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bowline_expression::{Binding, Expression, Scope};
use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::recorder::BodyEncoding;
use crate::seed::Chance;

/// A request that was read whole.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Map<String, Value>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
    pub(crate) body_encoding: BodyEncoding,
}

impl Request {
    pub(crate) fn new(parts: &Parts, bytes: &Bytes) -> Self {
        let (body, body_encoding) = body(&parts.headers, bytes);
        Self {
            method: parts.method.as_str().to_owned(),
            path: parts.uri.path().to_owned(),
            query: parts
                .uri
                .query()
                .map(|query| pairs(query.as_bytes()))
                .unwrap_or_default(),
            headers: headers(&parts.headers),
            body,
            body_encoding,
        }
    }

    pub(crate) fn idempotency_key(&self) -> Option<&str> {
        self.headers.get("idempotency-key").map(String::as_str)
    }
}

/// What expressions of a route may read: `request`, `random` and `calls`.
pub(crate) struct RouteScope<'a> {
    pub(crate) request: &'a Request,
    pub(crate) parameters: &'a Map<String, Value>,
    /// Which call of the route this is, from 1.
    pub(crate) count: u64,
    /// Which call of the service this is, from 1.
    pub(crate) calls: u64,
    pub(crate) chance: Chance,
}

impl Scope for RouteScope<'_> {
    fn get(&self, name: &str) -> Option<Binding> {
        let value = match name {
            "request" => json!({
                "method": self.request.method,
                "path": self.request.path,
                "query": self.request.query,
                "headers": self.request.headers,
                "params": self.parameters,
                "body": self.request.body,
                "count": self.count,
            }),
            "random" => json!({ "uuid": self.chance.uuid().to_string(), "number": self.chance.fraction() }),
            "calls" => json!(self.calls),
            _ => return None,
        };
        Some(Binding {
            value: Arc::new(value),
            secret: false,
        })
    }

    fn names(&self) -> Vec<String> {
        SCOPE_NAMES.map(str::to_owned).to_vec()
    }
}

/// The names that [`RouteScope`] has.
pub(crate) const SCOPE_NAMES: [&str; 3] = ["request", "random", "calls"];

/// The names that an expression reads and [`RouteScope`] does not have.
pub(crate) fn unknown_names(expression: &Expression) -> impl Iterator<Item = &str> {
    let names = expression.roots().names.iter().map(String::as_str);
    names.filter(|name| !SCOPE_NAMES.contains(name))
}

fn headers(map: &HeaderMap) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in map {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(&value);
            })
            .or_insert_with(|| value.into_owned());
    }
    headers
}

/// `a=1&b=2`; a name that is there several times becomes a list.
fn pairs(text: &[u8]) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(text) {
        let value = Value::String(value.into_owned());
        match fields.get_mut(name.as_ref()) {
            Some(Value::Array(several)) => several.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
            None => {
                fields.insert(name.into_owned(), value);
            }
        }
    }
    fields
}

/// What the bytes are, by their content type; bytes without one, or with a wrong one, are looked at.
fn body(headers: &HeaderMap, bytes: &Bytes) -> (Value, BodyEncoding) {
    if bytes.is_empty() {
        return (Value::Null, BodyEncoding::None);
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mime = content_type
        .and_then(|text| text.split(';').next())
        .map(|text| text.trim().to_ascii_lowercase());
    let may_be_json = match mime.as_deref() {
        None => true,
        Some(mime) => mime.ends_with("/json") || mime.ends_with("+json"),
    };
    if mime.as_deref() == Some("application/x-www-form-urlencoded") {
        return (Value::Object(pairs(bytes)), BodyEncoding::Form);
    }
    if may_be_json && let Ok(value) = serde_json::from_slice(bytes) {
        return (value, BodyEncoding::Json);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => (Value::String(text.to_owned()), BodyEncoding::Text),
        Err(_) => (Value::String(STANDARD.encode(bytes)), BodyEncoding::Base64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: Option<&str>, bytes: &[u8]) -> (Value, BodyEncoding) {
        let mut request = hyper::Request::builder().uri("/a?x=1&y=2&y=3");
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let request = Request::new(&parts, &Bytes::copy_from_slice(bytes));
        assert_eq!(Value::Object(request.query.clone()), json!({"x": "1", "y": ["2", "3"]}));
        (request.body, request.body_encoding)
    }

    #[test]
    fn bodies_are_what_they_are() {
        let json = json!({"a": 1});
        assert_eq!(read(None, b""), (Value::Null, BodyEncoding::None));
        assert_eq!(read(None, br#"{"a":1}"#), (json.clone(), BodyEncoding::Json));
        assert_eq!(
            read(Some("application/json; charset=utf-8"), br#"{"a":1}"#),
            (json.clone(), BodyEncoding::Json)
        );
        assert_eq!(
            read(Some("application/problem+json"), br#"{"a":1}"#),
            (json, BodyEncoding::Json)
        );
        assert_eq!(read(Some("text/plain"), b"1"), (json!("1"), BodyEncoding::Text));
        assert_eq!(
            read(Some("application/json"), b"{oops"),
            (json!("{oops"), BodyEncoding::Text)
        );
        assert_eq!(read(None, &[0xff, 0x00]), (json!("/wA="), BodyEncoding::Base64));
        let form = read(Some("application/x-www-form-urlencoded"), b"To=%2B47&Body=Hi+there");
        assert_eq!(form, (json!({"To": "+47", "Body": "Hi there"}), BodyEncoding::Form));
    }
}
