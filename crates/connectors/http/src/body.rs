//! Request bodies: from what users write to bytes, in a form that can be sent more than once.
//!
//! A redirect may ask for the same body again, so a plan holds bytes that are cheap to clone, or the path
//! of a file that is opened for every request.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bowline_connector::{BlobRef, StepContext, StepError};
use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Body, Client, Request, RequestBuilder};
use serde_json::{Map, Value};

use crate::blob::BlobBody;
use crate::config::Config;
use crate::failure::invalid;
use crate::file::FileBody;
use crate::kind::{Kind, kind};
use crate::multipart::{self, ReadyPart};
use crate::pairs;
use crate::quiet::Activity;

/// A body that can be sent, as often as needed.
#[derive(Clone)]
pub(crate) enum BodyPlan {
    None,
    Bytes { bytes: Bytes, content_type: &'static str },
    File(FileBody),
    Blob(BlobBody),
    Multipart(Vec<ReadyPart>),
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// Works out the body of `config`. `headers` are those that will be sent; `key` is an API key that goes
/// into the body.
pub(crate) async fn plan(
    config: &Config,
    headers: &HeaderMap,
    key: Option<&(String, String)>,
    ctx: &StepContext,
) -> Result<BodyPlan, StepError> {
    let plan = match (kind(config, headers)?, &config.body) {
        (Kind::Json | Kind::Text | Kind::Binary, Some(value)) if key.is_none() && BlobRef::of(value).is_some() => {
            blob(ctx, value)?
        }
        (Kind::Json, Some(value)) if let Some(blob) = BlobRef::within(value) => return Err(misplaced(&blob)),
        (Kind::Form | Kind::Multipart, Some(value)) if let Some(blob) = BlobRef::of(value) => {
            return Err(misplaced(&blob));
        }
        (Kind::None, _) => match key {
            None => BodyPlan::None,
            Some(key) => json(&Value::Object(Map::new()), Some(key))?,
        },
        (Kind::Json, Some(value)) => json(value, key)?,
        (Kind::Json, None) => json(&Value::Object(Map::new()), key)?,
        (Kind::Form, Some(Value::Object(fields))) => {
            let mut pairs = pairs::pairs("body", fields, config.query_arrays)?;
            pairs.extend(key.cloned());
            BodyPlan::Bytes {
                bytes: pairs::encode(&pairs).into(),
                content_type: FORM,
            }
        }
        (Kind::Form, _) => return Err(invalid("body", "a form is written from an object of fields")),
        (Kind::Multipart, fields) => {
            let mut parts = Vec::new();
            match fields {
                None => {}
                Some(Value::Object(fields)) => {
                    let (blobs, fields): (Map<_, _>, Map<_, _>) = fields
                        .clone()
                        .into_iter()
                        .partition(|(_, value)| BlobRef::of(value).is_some());
                    for (name, value) in pairs::pairs("body", &fields, config.query_arrays)? {
                        parts.push(ReadyPart::field(&name, value));
                    }
                    for (name, value) in &blobs {
                        parts.extend(multipart::of_blob(name, value, ctx)?);
                    }
                }
                Some(_) => return Err(invalid("body", "next to multipart it is an object of fields")),
            }
            parts.extend(multipart::ready(&config.multipart, ctx).await?);
            parts.extend(key.map(|(name, value)| ReadyPart::field(name, value.clone())));
            BodyPlan::Multipart(parts)
        }
        (Kind::Text | Kind::Binary | Kind::File, _) if key.is_some() => {
            return Err(invalid(
                "authentication: keyLocation",
                "only a JSON object, a form or a multipart body can hold a key",
            ));
        }
        (Kind::Text, Some(Value::String(text))) => BodyPlan::Bytes {
            bytes: text.clone().into(),
            content_type: TEXT,
        },
        (Kind::Text, Some(Value::Object(_) | Value::Array(_)) | None) => {
            return Err(invalid("body", "for bodyType text it is text"));
        }
        (Kind::Text, Some(scalar)) => BodyPlan::Bytes {
            bytes: scalar.to_string().into(),
            content_type: TEXT,
        },
        (Kind::Binary, Some(Value::String(text))) => BodyPlan::Bytes {
            bytes: from_base64("body", text)?,
            content_type: BYTES,
        },
        (Kind::Binary, _) => {
            return Err(invalid(
                "body",
                "for bodyType binary it is base64 text, or use bodyFile",
            ));
        }
        (Kind::File, _) => {
            let path = config.body_file.as_deref().unwrap_or_default();
            BodyPlan::File(FileBody::find("bodyFile", path, ctx).await?)
        }
    };
    match config.max_request_size {
        Some(limit) if plan.len() > limit.0 => Err(StepError::permanent(
            "http.request-too-large",
            format!(
                "the request body has {} bytes, and maxRequestSize is {limit}",
                plan.len()
            ),
        )),
        _ => Ok(plan),
    }
}

fn blob(ctx: &StepContext, value: &Value) -> Result<BodyPlan, StepError> {
    match BlobRef::of(value) {
        Some(blob) => BlobBody::find(ctx, "body", blob).map(BodyPlan::Blob),
        None => Err(invalid("body", "it is no reference to a blob")),
    }
}

/// A service can do nothing with a reference.
fn misplaced(blob: &BlobRef) -> StepError {
    invalid(
        "body",
        &format!(
            "inside of it stands a reference to blob {}; a blob is sent as the whole body, or as a part of a multipart form",
            blob.id
        ),
    )
}

fn json(value: &Value, key: Option<&(String, String)>) -> Result<BodyPlan, StepError> {
    let bytes = match (key, value) {
        (None, value) => value.to_string(),
        (Some((name, key)), Value::Object(fields)) => {
            let mut fields = fields.clone();
            fields.insert(name.clone(), key.clone().into());
            Value::Object(fields).to_string()
        }
        (Some(_), _) => {
            return Err(invalid(
                "authentication: keyLocation",
                "only a JSON object, a form or a multipart body can hold a key",
            ));
        }
    };
    Ok(BodyPlan::Bytes {
        bytes: bytes.into(),
        content_type: JSON,
    })
}

/// Base64 with the standard alphabet; padding may be missing and white space may be there.
pub(crate) fn from_base64(field: &str, text: &str) -> Result<Bytes, StepError> {
    const DECODER: GeneralPurpose = GeneralPurpose::new(
        &STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let text: String = text.split_ascii_whitespace().collect();
    // The decoder's own message quotes a byte of the content, which may be a secret.
    DECODER
        .decode(text)
        .map(Bytes::from)
        .map_err(|_| invalid(field, "it is not base64"))
}

impl BodyPlan {
    /// Bytes of the content; of all parts together for a multipart form.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::None => 0,
            Self::Bytes { bytes, .. } => bytes.len() as u64,
            Self::File(file) => file.len(),
            Self::Blob(blob) => blob.len(),
            Self::Multipart(parts) => parts.iter().map(ReadyPart::len).sum(),
        }
    }

    /// Puts the body on `request`. A content type that is there already stays, except for multipart
    /// forms, whose boundary only we know.
    pub(crate) async fn put(
        &self,
        client: &Client,
        mut request: Request,
        activity: &Activity,
    ) -> Result<Request, StepError> {
        let mut own_type = None;
        let content_type = match self {
            Self::None => return Ok(request),
            Self::Multipart(parts) => {
                request.headers_mut().remove(CONTENT_TYPE);
                let form = multipart::form(parts, activity).await?;
                return RequestBuilder::from_parts(client.clone(), request)
                    .multipart(form)
                    .build()
                    .map_err(|error| invalid("multipart", "it cannot be written").caused_by(&error.without_url()));
            }
            Self::Bytes { bytes, content_type } => {
                *request.body_mut() = Some(Body::from(bytes.clone()));
                content_type
            }
            Self::File(file) => {
                *request.body_mut() = Some(file.open(activity).await?);
                request
                    .headers_mut()
                    .insert(CONTENT_LENGTH, HeaderValue::from(file.len()));
                BYTES
            }
            Self::Blob(blob) => {
                *request.body_mut() = Some(blob.open(activity).await?);
                request
                    .headers_mut()
                    .insert(CONTENT_LENGTH, HeaderValue::from(blob.len()));
                own_type = blob.content_type().and_then(|text| HeaderValue::from_str(text).ok());
                BYTES
            }
        };
        request
            .headers_mut()
            .entry(CONTENT_TYPE)
            .or_insert(own_type.unwrap_or(HeaderValue::from_static(content_type)));
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;
    use serde_json::json;

    use super::*;

    async fn check(config: Value, content_type: Option<&str>) -> Result<(String, String), StepError> {
        let config: Config = serde_json::from_value(config).unwrap();
        let mut headers = HeaderMap::new();
        if let Some(content_type) = content_type {
            headers.insert(HeaderName::from_static("content-type"), content_type.parse().unwrap());
        }
        match plan(&config, &headers, None, &StepContext::for_tests()).await? {
            BodyPlan::None => Ok(("none".into(), String::new())),
            BodyPlan::Bytes { bytes, content_type } => {
                Ok((content_type.into(), String::from_utf8_lossy(&bytes).into_owned()))
            }
            BodyPlan::File(_) => Ok(("file".into(), String::new())),
            BodyPlan::Blob(blob) => Ok(("blob".into(), blob.len().to_string())),
            BodyPlan::Multipart(parts) => Ok(("multipart".into(), parts.len().to_string())),
        }
    }

    #[tokio::test]
    async fn the_rule_of_auto() {
        for (config, declared, kind, text) in [
            (json!({}), None, "none", ""),
            (json!({ "body": null }), None, "none", ""),
            (json!({ "body": { "a": 1 } }), None, JSON, r#"{"a":1}"#),
            (
                json!({ "body": [1, 2] }),
                Some("application/vnd.api+json"),
                JSON,
                "[1,2]",
            ),
            (json!({ "body": true }), None, JSON, "true"),
            (json!({ "body": "hello" }), None, TEXT, "hello"),
            (json!({ "body": "<a/>" }), Some("application/xml"), TEXT, "<a/>"),
            (json!({ "body": "{\"a\": 1}" }), Some(JSON), TEXT, "{\"a\": 1}"),
            (json!({ "body": "hello" }), Some(JSON), JSON, "\"hello\""),
            (json!({ "body": "hello", "bodyType": "json" }), None, JSON, "\"hello\""),
            (
                json!({ "body": { "a": [1, 2], "b": "x y" } }),
                Some(FORM),
                FORM,
                "a=1&a=2&b=x+y",
            ),
            (json!({ "body": { "a": 1 }, "bodyType": "form" }), None, FORM, "a=1"),
            (json!({ "body": "aGkh", "bodyType": "binary" }), None, BYTES, "hi!"),
            (json!({ "body": "aGk", "bodyType": "binary" }), None, BYTES, "hi"),
            (json!({ "body": 5, "bodyType": "text" }), None, TEXT, "5"),
            (
                json!({ "body": { "a": 1 }, "bodyType": "multipart" }),
                None,
                "multipart",
                "1",
            ),
            (
                json!({ "multipart": [{ "name": "a", "value": 1 }], "body": { "b": 2 } }),
                None,
                "multipart",
                "2",
            ),
            (json!({ "bodyFile": "Cargo.toml" }), None, "file", ""),
        ] {
            let done = check(config.clone(), declared).await.unwrap();
            assert_eq!(
                (done.0.as_str(), done.1.as_str()),
                (kind, text),
                "{config} with {declared:?}"
            );
        }
    }

    #[tokio::test]
    async fn contradictions_are_named() {
        for (config, field) in [
            (json!({ "bodyFile": "Cargo.toml", "body": 1 }), "bodyFile"),
            (json!({ "bodyFile": "Cargo.toml", "bodyType": "json" }), "bodyFile"),
            (json!({ "bodyFile": "no-such-file" }), "bodyFile"),
            (json!({ "bodyFile": "src" }), "bodyFile"),
            (
                json!({ "multipart": [{ "name": "a", "value": 1 }], "bodyType": "form" }),
                "multipart",
            ),
            (json!({ "bodyType": "multipart" }), "multipart"),
            (json!({ "multipart": [{ "name": "a" }] }), "multipart[0]"),
            (json!({ "multipart": [{ "value": "a" }] }), "multipart[0].name"),
            (
                json!({ "multipart": [{ "name": "a", "base64": "%" }] }),
                "multipart[0].base64",
            ),
            (
                json!({ "multipart": [{ "name": "a", "value": 1, "contentType": "x" }] }),
                "multipart.a.contentType",
            ),
            (json!({ "body": "x", "bodyType": "form" }), "body"),
            (json!({ "body": { "a": 1 }, "bodyType": "text" }), "body"),
            (json!({ "body": "%%", "bodyType": "binary" }), "body"),
            (json!({ "body": { "a": { "b": 1 } }, "bodyType": "form" }), "body.a"),
            (json!({ "body": "12345", "maxRequestSize": 4 }), "maxRequestSize"),
        ] {
            let error = check(config.clone(), None).await.unwrap_err();
            assert!(error.message.contains(field), "{config}: {error}");
            assert_eq!(error.kind, bowline_connector::ErrorKind::Permanent);
        }
    }

    #[tokio::test]
    async fn a_key_in_the_body_joins_its_fields() {
        let key = ("k".to_owned(), "v".to_owned());
        let plan = |config: Value| {
            let (config, key): (Config, _) = (serde_json::from_value(config).unwrap(), key.clone());
            async move { plan(&config, &HeaderMap::new(), Some(&key), &StepContext::for_tests()).await }
        };
        for (config, expected) in [
            (json!({ "body": { "a": 1 } }), r#"{"a":1,"k":"v"}"#),
            (json!({}), r#"{"k":"v"}"#),
            (json!({ "body": { "a": 1 }, "bodyType": "form" }), "a=1&k=v"),
        ] {
            let Ok(BodyPlan::Bytes { bytes, .. }) = plan(config).await else {
                panic!("no bytes")
            };
            assert_eq!(bytes, expected);
        }
        for config in [
            json!({ "body": [1] }),
            json!({ "body": "x" }),
            json!({ "bodyFile": "Cargo.toml" }),
        ] {
            assert_eq!(plan(config).await.err().unwrap().code, "config.invalid");
        }
    }
}
