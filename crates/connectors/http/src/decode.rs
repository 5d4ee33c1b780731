//! Response bodies: from bytes to a value.
//!
//! A body that is not what it claims to be is an error that carries it whole: text that is no JSON as
//! text, bytes that are no text as base64. The workflow may still want it.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bowline_connector::{BlobRef, Masker};
use encoding_rs::{Encoding, UTF_8};
use mime::Mime;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use crate::config::ResponseType;
use crate::kind::is_json;

/// A body as a value.
#[derive(Debug, PartialEq)]
pub(crate) struct Decoded {
    pub(crate) value: Value,
    /// Whether `value` is base64.
    pub(crate) base64: bool,
}

/// A body that is not what it should be.
#[derive(Debug)]
pub(crate) struct Undecodable {
    pub(crate) code: &'static str,
    pub(crate) what: String,
    /// The body, whole.
    pub(crate) body: Decoded,
}

impl Decoded {
    fn value(value: impl Into<Value>) -> Self {
        Self {
            value: value.into(),
            base64: false,
        }
    }

    /// A reference to what was kept elsewhere.
    pub(crate) fn blob(blob: &BlobRef) -> Self {
        Self::value(serde_json::json!(blob))
    }

    fn bytes(bytes: &[u8]) -> Self {
        Self {
            value: STANDARD.encode(bytes).into(),
            base64: true,
        }
    }
}

/// Reads `bytes` as `wanted`; `charset` overrides what the headers say.
pub(crate) fn decode(
    bytes: &[u8],
    headers: &HeaderMap,
    wanted: ResponseType,
    charset: Option<&'static Encoding>,
) -> Result<Decoded, Undecodable> {
    if bytes.is_empty() || wanted == ResponseType::None {
        return Ok(Decoded::value(Value::Null));
    }
    let declared = declared(headers);
    let packed = packed(headers);
    let shape = match wanted {
        ResponseType::Binary => Shape::Bytes,
        ResponseType::Auto if packed.is_some() => Shape::Bytes,
        ResponseType::Json => Shape::Json,
        ResponseType::Text => Shape::Text,
        ResponseType::Auto | ResponseType::Blob | ResponseType::None => shape(bytes, declared.as_ref()),
    };
    if shape == Shape::Bytes {
        return Ok(Decoded::bytes(bytes));
    }
    if let Some(packed) = packed {
        return Err(Undecodable {
            code: "http.content-encoding",
            what: format!(
                "the answer is packed as {packed:?}, which was not asked for; responseType binary takes it as it is"
            ),
            body: Decoded::bytes(bytes),
        });
    }
    let named = || {
        declared
            .as_ref()
            .and_then(|mime| Encoding::for_label(mime.get_param(mime::CHARSET)?.as_str().as_bytes()))
    };
    let encoding = charset.or_else(named).unwrap_or(UTF_8);
    let (text, encoding, malformed) = encoding.decode(bytes);
    if malformed {
        return Err(Undecodable {
            code: "http.invalid-text",
            what: format!(
                "the answer is not {} text; set charset, or responseType binary",
                encoding.name()
            ),
            body: Decoded::bytes(bytes),
        });
    }
    if shape == Shape::Text {
        return Ok(Decoded::value(text.into_owned()));
    }
    match serde_json::from_str(&text) {
        Ok(value) => Ok(Decoded { value, base64: false }),
        Err(error) => Err(Undecodable {
            code: "http.invalid-json",
            what: format!("the answer is not JSON: {error}"),
            body: Decoded::value(text.into_owned()),
        }),
    }
}

/// Reads the body of an error answer as well as it goes; this never fails.
pub(crate) fn decode_anyhow(bytes: &[u8], headers: &HeaderMap) -> Decoded {
    decode(bytes, headers, ResponseType::Auto, None).unwrap_or_else(|undecodable| undecodable.body)
}

/// One line that says why, out of the body of an error answer: the usual fields of a JSON object, or the
/// first line of plain text. `None` where the body says nothing readable. At most 200 characters; the
/// whole body is in the error's data.
pub(crate) fn reason(body: &Decoded, headers: &HeaderMap, masker: &Masker) -> Option<String> {
    let text = match &body.value {
        Value::String(text) if !body.base64 => {
            let plain = declared(headers).is_none_or(|mime| mime.essence_str() == "text/plain");
            plain
                .then(|| text.lines().find(|line| !line.trim().is_empty()))?
                .map(Cow::from)
        }
        value => said(value).map(Cow::from),
    }?;
    // Before it is cut: half a secret would not be found any more.
    let text = masker.scrub_text(&text);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = text.chars().take(200).collect();
    if short.is_empty() {
        None
    } else {
        Some(if short.len() < text.len() {
            format!("{short}…")
        } else {
            short
        })
    }
}

fn said(value: &Value) -> Option<&str> {
    let error = value.get("error");
    ["error_description", "detail", "message", "title", "error"]
        .into_iter()
        .find_map(|name| value.get(name)?.as_str().or_else(|| error?.get(name)?.as_str()))
        .or_else(|| error?.get("message")?.as_str())
}

/// What a body is read as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Json,
    Text,
    Bytes,
}

/// What the headers say that a body is; `None` where they do not say.
pub(crate) fn announced(headers: &HeaderMap) -> Option<Shape> {
    if packed(headers).is_some() {
        return Some(Shape::Bytes);
    }
    declared(headers).as_ref().map(shape_of)
}

fn shape(bytes: &[u8], declared: Option<&Mime>) -> Shape {
    match declared {
        Some(mime) => shape_of(mime),
        None if std::str::from_utf8(bytes).is_ok() => Shape::Text,
        None => Shape::Bytes,
    }
}

fn shape_of(mime: &Mime) -> Shape {
    let texts = [
        "xml",
        "javascript",
        "ecmascript",
        "x-www-form-urlencoded",
        "yaml",
        "x-yaml",
        "toml",
        "x-ndjson",
        "jsonl",
        "graphql",
        "sql",
    ];
    if is_json(mime) {
        Shape::Json
    } else if mime.type_() == mime::TEXT
        || mime
            .suffix()
            .is_some_and(|suffix| suffix == mime::XML || suffix == "yaml")
        || (mime.type_() == mime::APPLICATION && texts.contains(&mime.subtype().as_str()))
    {
        Shape::Text
    } else {
        Shape::Bytes
    }
}

fn declared(headers: &HeaderMap) -> Option<Mime> {
    headers.get(CONTENT_TYPE)?.to_str().ok()?.parse().ok()
}

/// The name of a packing that the body is in, although none was asked for.
fn packed(headers: &HeaderMap) -> Option<String> {
    let name = headers
        .get(CONTENT_ENCODING)?
        .to_str()
        .ok()?
        .trim()
        .to_ascii_lowercase();
    (!matches!(name.as_str(), "" | "identity")).then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn headers(content_type: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        }
        headers
    }

    #[test]
    fn auto_goes_by_the_content_type() {
        for (content_type, bytes, expected) in [
            ("application/json", &b"{\"a\":1}"[..], Decoded::value(json!({ "a": 1 }))),
            (
                "application/problem+json; charset=utf-8",
                b"\xef\xbb\xbf[1]",
                Decoded::value(json!([1])),
            ),
            ("application/json; charset=iso-8859-1", b"\"\xe9\"", Decoded::value("é")),
            ("text/html; charset=windows-1252", b"\x80", Decoded::value("€")),
            ("text/plain", "é".as_bytes(), Decoded::value("é")),
            ("application/soap+xml", b"<a/>", Decoded::value("<a/>")),
            ("application/pdf", b"%PDF", Decoded::bytes(b"%PDF")),
            ("", b"hello", Decoded::value("hello")),
            ("", b"\xff\x00", Decoded::bytes(b"\xff\x00")),
            ("not a type", b"hello", Decoded::value("hello")),
            ("application/json", b"", Decoded::value(Value::Null)),
        ] {
            assert_eq!(
                decode(bytes, &headers(content_type), ResponseType::Auto, None).unwrap(),
                expected,
                "{content_type}"
            );
        }
    }

    #[test]
    fn what_is_not_what_it_claims_is_kept_whole() {
        let error = decode(b"<html>", &headers("application/json"), ResponseType::Auto, None).unwrap_err();
        assert_eq!(
            (error.code, error.body),
            ("http.invalid-json", Decoded::value("<html>"))
        );
        let error = decode(b"caf\xe9", &headers("text/plain"), ResponseType::Auto, None).unwrap_err();
        assert_eq!(
            (error.code, error.body),
            ("http.invalid-text", Decoded::bytes(b"caf\xe9"))
        );
        let latin = Encoding::for_label(b"latin1");
        assert_eq!(
            decode(b"caf\xe9", &headers("text/plain"), ResponseType::Auto, latin).unwrap(),
            Decoded::value("café")
        );
    }

    #[test]
    fn packed_bodies_are_bytes() {
        let mut headers = headers("application/json");
        headers.insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(decode(b"\x1f\x8b", &headers, ResponseType::Auto, None).unwrap().base64);
        assert_eq!(
            decode(b"\x1f\x8b", &headers, ResponseType::Json, None)
                .unwrap_err()
                .code,
            "http.content-encoding"
        );
    }

    #[test]
    fn the_reason_is_found() {
        for (content_type, bytes, expected) in [
            (
                "application/json",
                r#"{"message":"no\n such  user"}"#,
                Some("no such user"),
            ),
            ("application/json", r#"{"error":{"message":"deep"}}"#, Some("deep")),
            (
                "application/json",
                r#"{"error":"bad","error_description":"worse"}"#,
                Some("worse"),
            ),
            ("application/json", r"[1]", None),
            ("text/plain", "\n busy \nmore", Some("busy")),
            ("text/html", "<h1>busy</h1>", None),
            ("", "", None),
        ] {
            let headers = headers(content_type);
            let body = decode_anyhow(bytes.as_bytes(), &headers);
            assert_eq!(
                reason(&body, &headers, &Masker::default()).as_deref(),
                expected,
                "{bytes}"
            );
        }
    }
}
