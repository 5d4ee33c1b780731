//! Which way a request body is written: what the step says, or the rule of `bodyType: auto`.

use bowline_connector::StepError;
use mime::Mime;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use crate::config::{BodyType, Config};
use crate::failure::invalid;

/// The ways to write a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    None,
    Json,
    Form,
    Multipart,
    Text,
    Binary,
    File,
}

/// Which of them `config` asks for. `headers` are those that will be sent.
pub(crate) fn kind(config: &Config, headers: &HeaderMap) -> Result<Kind, StepError> {
    let (file, parts) = (config.body_file.is_some(), !config.multipart.is_empty());
    if file && (parts || config.body.is_some()) {
        return Err(invalid(
            "bodyFile",
            "it is the whole body; leave body and multipart out",
        ));
    }
    let clash = |what: &str, kind: BodyType| {
        Err(invalid(
            what,
            &format!("it does not go with bodyType {kind:?}").to_lowercase(),
        ))
    };
    match config.body_type {
        BodyType::Auto | BodyType::Multipart if parts => Ok(Kind::Multipart),
        kind if parts => clash("multipart", kind),
        BodyType::Auto | BodyType::Binary if file => Ok(Kind::File),
        kind if file => clash("bodyFile", kind),
        BodyType::Multipart if config.body.is_none() => {
            Err(invalid("multipart", "it is missing; bodyType asks for it"))
        }
        BodyType::Multipart => Ok(Kind::Multipart),
        _ if config.body.is_none() => Ok(Kind::None),
        BodyType::Json => Ok(Kind::Json),
        BodyType::Form => Ok(Kind::Form),
        BodyType::Text => Ok(Kind::Text),
        BodyType::Binary => Ok(Kind::Binary),
        BodyType::Auto => Ok(auto(config.body.as_ref(), headers)),
    }
}

/// The rule that the documentation of `bodyType` states.
fn auto(body: Option<&Value>, headers: &HeaderMap) -> Kind {
    let declared = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok()?.parse::<Mime>().ok());
    match (body, declared) {
        (Some(Value::String(text)), Some(declared)) if is_json(&declared) => {
            if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
                Kind::Text
            } else {
                Kind::Json
            }
        }
        (Some(Value::String(_)), _) => Kind::Text,
        (Some(Value::Object(_)), Some(declared)) if declared.essence_str() == "application/x-www-form-urlencoded" => {
            Kind::Form
        }
        _ => Kind::Json,
    }
}

/// Whether a content type is JSON or built on it.
pub(crate) fn is_json(mime: &Mime) -> bool {
    mime.subtype() == mime::JSON || mime.suffix() == Some(mime::JSON)
}
