//! Bodies: from bytes to what a workflow reads.
//!
//! JSON becomes its value, a form an object, text (XML too) a text; of a form with files each file becomes an object
//! with its name, its type and its content. What is nothing of that is content, which is kept beside the journal.

use std::convert::Infallible;
use std::sync::Arc;

use bowline_connector::{BlobInfo, BlobStore};
use bytes::Bytes;
use futures_util::stream;
use mime::Mime;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use crate::mac;
use crate::refusal::{Reason, Refusal};

/// Content up to so many bytes stands in the value in base64 where there is no place for it elsewhere: 64 KiB.
pub const INLINE: usize = 64 * 1024;

/// Parts of a form with files.
const MOST_PARTS: usize = 1_000;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The sender's fault.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Content could not be kept: the sender is to try again.
    #[error("content could not be kept: {0}")]
    Blob(#[from] bowline_connector::BlobError),
}

/// Reads a body as what its content type says; where that says nothing, as what it looks like. Content goes to
/// `blobs`.
///
/// # Errors
/// [`Reason::InvalidBody`] where it is not what it is said to be.
pub async fn read(
    content_type: Option<&str>,
    body: &Bytes,
    blobs: Option<&Arc<dyn BlobStore>>,
) -> Result<Value, BodyError> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    let Some(text) = content_type.filter(|text| !text.trim().is_empty()) else {
        return undeclared(body, blobs).await;
    };
    let mime: Mime = text
        .parse()
        .map_err(|_| invalid("the header Content-Type is not a media type such as application/json"))?;
    match (mime.type_(), mime.subtype()) {
        _ if mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON) => Ok(from_json(body)?),
        _ if mime.essence_str() == "application/x-www-form-urlencoded" => Ok(from_form(body)?),
        (mime::MULTIPART, mime::FORM_DATA) => from_parts(&mime, body, blobs).await,
        _ if is_text(&mime) => Ok(from_text(&mime, body)?),
        _ => content(body, Some(mime.essence_str()), blobs).await,
    }
}

/// How the body was read, where that may not be what its sender meant: JSON that is said to be something else. None where
/// it was read as what it looks like. It quotes nothing of the body.
pub fn mistaken(content_type: Option<&str>, body: &[u8]) -> Option<String> {
    let text = content_type.filter(|text| !text.trim().is_empty())?;
    let mime: Mime = text.parse().ok()?;
    let is_json = mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON);
    let begins_as_json = body
        .trim_ascii_start()
        .first()
        .is_some_and(|first| b"{[".contains(first));
    if is_json || !begins_as_json || serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err() {
        return None;
    }
    let read = match mime.essence_str() {
        "application/x-www-form-urlencoded" => "a form",
        _ if mime.type_() == mime::MULTIPART => "a form",
        _ if is_text(&mime) => "text",
        _ => "content",
    };
    Some(format!(
        "the body is JSON, and was taken as {read} because its Content-Type is {}; send it with Content-Type: application/json",
        mime.essence_str()
    ))
}

fn invalid(what: impl Into<String>) -> Refusal {
    Refusal::new(Reason::InvalidBody, what)
}

/// Never quotes the body, which a log could get to see.
fn from_json(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        invalid(format!(
            "the body is not JSON: it is wrong at line {}, column {}",
            error.line(),
            error.column()
        ))
    })
}

/// A field that comes several times is a list.
fn from_form(body: &[u8]) -> Result<Value, Refusal> {
    if std::str::from_utf8(body).is_err() {
        return Err(invalid("the form is not UTF-8"));
    }
    let mut fields = Map::new();
    for (name, value) in form_urlencoded::parse(body) {
        put(&mut fields, &name, Value::String(value.into_owned()));
    }
    Ok(Value::Object(fields))
}

fn put(fields: &mut Map<String, Value>, name: &str, value: Value) {
    match fields.get_mut(name) {
        None => drop(fields.insert(name.to_owned(), value)),
        Some(Value::Array(several)) => several.push(value),
        Some(one) => *one = Value::Array(vec![one.take(), value]),
    }
}

fn is_text(mime: &Mime) -> bool {
    let texts = ["xml", "javascript", "yaml", "x-yaml", "x-ndjson", "jsonl", "graphql"];
    mime.type_() == mime::TEXT
        || mime
            .suffix()
            .is_some_and(|suffix| suffix == mime::XML || suffix == "yaml")
        || (mime.type_() == mime::APPLICATION && texts.contains(&mime.subtype().as_str()))
}

fn from_text(mime: &Mime, body: &[u8]) -> Result<Value, Refusal> {
    let charset = mime.get_param(mime::CHARSET);
    if charset.is_some_and(|charset| charset == "iso-8859-1" || charset == "latin1") {
        return Ok(Value::String(body.iter().copied().map(char::from).collect()));
    }
    if charset.is_some_and(|charset| charset != mime::UTF_8 && charset != "us-ascii" && charset != "utf8") {
        return Err(invalid("the text is in a charset that is not taken; send UTF-8"));
    }
    std::str::from_utf8(body)
        .map(|text| Value::String(text.to_owned()))
        .map_err(|_| invalid("the text is not UTF-8"))
}

async fn undeclared(body: &Bytes, blobs: Option<&Arc<dyn BlobStore>>) -> Result<Value, BodyError> {
    if let Ok(value) = serde_json::from_slice(body) {
        return Ok(value);
    }
    match std::str::from_utf8(body) {
        Ok(text) => Ok(Value::String(text.to_owned())),
        Err(_) => content(body, None, blobs).await,
    }
}

async fn from_parts(mime: &Mime, body: &Bytes, blobs: Option<&Arc<dyn BlobStore>>) -> Result<Value, BodyError> {
    let wrong = |_| invalid("the body is not multipart/form-data with the boundary that its content type names");
    let boundary = multer::parse_boundary(mime.as_ref()).map_err(wrong)?;
    let whole = stream::iter([Ok::<_, Infallible>(body.clone())]);
    let mut parts = multer::Multipart::new(whole, boundary);
    let mut fields = Map::new();
    let mut count = 0;
    while let Some(part) = parts.next_field().await.map_err(wrong)? {
        count += 1;
        if count > MOST_PARTS {
            return Err(invalid(format!("the form has more than {MOST_PARTS} parts")).into());
        }
        let name = part
            .name()
            .ok_or_else(|| invalid("a part of the form has no name"))?
            .to_owned();
        let file = part.file_name().map(ToOwned::to_owned);
        let kind = part.content_type().cloned();
        let bytes = part.bytes().await.map_err(wrong)?;
        let value = match (file, &kind) {
            (None, Some(kind)) if kind.subtype() == mime::JSON => from_json(&bytes)?,
            (None, kind) if kind.as_ref().is_none_or(is_text) => Value::String(
                String::from_utf8(bytes.to_vec()).map_err(|_| invalid("a field of the form is not UTF-8"))?,
            ),
            (file, kind) => {
                let kind = kind.as_ref().map(Mime::essence_str);
                json!({
                    "filename": file,
                    "contentType": kind,
                    "size": bytes.len(),
                    "content": content(&bytes, kind, blobs).await?,
                })
            }
        };
        put(&mut fields, &name, value);
    }
    Ok(Value::Object(fields))
}

/// Content as a workflow passes it on: a reference to a blob.
async fn content(
    bytes: &Bytes,
    content_type: Option<&str>,
    blobs: Option<&Arc<dyn BlobStore>>,
) -> Result<Value, BodyError> {
    let Some(blobs) = blobs else {
        if bytes.len() > INLINE {
            return Err(invalid("the body is content of more than 64 KiB, and there is no place to keep it").into());
        }
        return Ok(json!({ "base64": mac::base64(bytes) }));
    };
    let info = BlobInfo {
        content_type: content_type.map(ToOwned::to_owned),
        announced: Some(bytes.len() as u64),
    };
    let whole = stream::iter([Ok(bytes.clone())]);
    Ok(json!(blobs.put(Box::pin(whole), info).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(content_type: &str, body: &'static [u8]) -> Result<Value, BodyError> {
        let content_type = (!content_type.is_empty()).then_some(content_type);
        read(content_type, &Bytes::from_static(body), None).await
    }

    #[tokio::test]
    async fn every_kind_is_read() {
        for (kind, body, expected) in [
            ("application/json", br#"{"a":1}"#.as_slice(), json!({ "a": 1 })),
            ("application/cloudevents+json; charset=utf-8", b"[1]", json!([1])),
            (
                "application/x-www-form-urlencoded",
                b"a=1&b=x+y&a=%C3%A9",
                json!({ "a": ["1", "é"], "b": "x y" }),
            ),
            ("text/plain", b"hello", json!("hello")),
            ("text/plain; charset=ISO-8859-1", b"\xe9", json!("é")),
            ("application/xml", b"<a/>", json!("<a/>")),
            ("application/soap+xml", b"<a/>", json!("<a/>")),
            ("image/png", b"\x89PNG", json!({ "base64": "iVBORw==" })),
            ("", br#"{"a":1}"#, json!({ "a": 1 })),
            ("", b"hello", json!("hello")),
            ("", b"\xff", json!({ "base64": "/w==" })),
            ("application/json", b"", Value::Null),
        ] {
            assert_eq!(of(kind, body).await.unwrap(), expected, "{kind}");
        }
    }

    #[test]
    fn json_that_is_said_to_be_something_else_is_told() {
        let form = "application/x-www-form-urlencoded";
        let told = mistaken(Some(form), br#" {"hush":1}"#).unwrap();
        assert!(
            told.contains("as a form because") && told.contains("application/json"),
            "{told}"
        );
        assert!(!told.contains("hush"), "{told}");
        assert!(mistaken(Some("text/plain"), b"[1]").unwrap().contains("as text"));
        assert!(mistaken(Some("image/png"), b"[1]").unwrap().contains("as content"));
        for (kind, body) in [
            (Some("application/json"), b"{}".as_slice()),
            (Some("application/vnd.x+json"), b"{}"),
            (Some(form), b"a=1"),
            (Some("text/plain"), b"12"),
            (Some("text/plain"), b"{ not json"),
            (None, b"{}"),
        ] {
            assert_eq!(mistaken(kind, body), None, "{kind:?}");
        }
    }

    #[tokio::test]
    async fn forms_with_files_are_read() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n\
            --x\r\nContent-Disposition: form-data; name=\"meta\"\r\nContent-Type: application/json\r\n\r\n{\"n\":2}\r\n\
            --x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\nContent-Type: application/zip\r\n\r\n\xff\x00\r\n\
            --x--\r\n";
        let value = of("multipart/form-data; boundary=x", body).await.unwrap();
        let expected = json!({
            "note": "hi",
            "meta": { "n": 2 },
            "file": { "filename": "a.bin", "contentType": "application/zip", "size": 2, "content": { "base64": "/wA=" } }
        });
        assert_eq!(value, expected);
    }

    #[tokio::test]
    async fn what_it_is_not_is_refused_without_quoting_it() {
        for (kind, body) in [
            ("application/json", b"{\"hush\": hush}".as_slice()),
            ("application/x-www-form-urlencoded", b"a=\xff"),
            ("text/plain", b"\xff\xfe"),
            ("text/plain; charset=utf-16", b"a"),
            ("nonsense", b"hush"),
            ("multipart/form-data", b"hush"),
            ("multipart/form-data; boundary=y", b"--x\r\nhush"),
        ] {
            match of(kind, body).await {
                Err(BodyError::Refused(refusal)) => {
                    assert_eq!(refusal.reason, Reason::InvalidBody, "{kind}");
                    assert!(!refusal.message.contains("hush"), "{}", refusal.message);
                }
                other => panic!("{kind}: {other:?}"),
            }
        }
    }
}
