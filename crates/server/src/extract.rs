//! What handlers take from requests, refused with a [`Problem`] where it is wrong.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;

use crate::config::nearest;
use crate::problem::{Problem, Wrong};

/// Query parameters.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(error) => Err(Problem::invalid(format!(
                "the query is wrong: {}",
                plain(&error.body_text())
            ))),
        }
    }
}

/// The parts of the path that are in braces.
pub struct At<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(error) => Err(Problem::invalid(format!(
                "the path is wrong: {}",
                plain(&error.body_text())
            ))),
        }
    }
}

/// A JSON body.
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match MaybeJson::from_request(request, state).await?.0 {
            Some(value) => Ok(Self(value)),
            None => Err(Problem::invalid("the request has no body; send a JSON object")),
        }
    }
}

/// A JSON body that may be left away.
pub struct MaybeJson<T>(pub Option<T>);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for MaybeJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = match Bytes::from_request(request, state).await {
            Ok(bytes) => bytes,
            Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                return Err(Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "request.too-large",
                    "the body is larger than this server takes",
                ));
            }
            Err(error) => {
                return Err(Problem::invalid(format!(
                    "the body cannot be read: {}",
                    error.body_text()
                )));
            }
        };
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        if !is_json {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "request.media-type",
                "the body must be JSON, with `Content-Type: application/json`",
            ));
        }
        parse(&bytes).map(|value| Self(Some(value)))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
        .is_some_and(|media| media == "application/json" || media.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer(error.path());
        let message = meant(error.inner().to_string());
        let detail = if pointer.is_empty() {
            format!("the body is wrong: {message}")
        } else {
            format!("the body is wrong at {pointer}: {message}")
        };
        Problem::invalid(detail).problems(vec![Wrong { pointer, message }.into()])
    })?;
    reader
        .end()
        .map_err(|error| Problem::invalid(format!("the body has more than one JSON value: {error}")))?;
    Ok(value)
}

/// A message about a field that nobody knows, with the one that may be meant.
fn meant(message: String) -> String {
    let Some(rest) = message.strip_prefix("unknown field ") else {
        return message;
    };
    let mut names = rest.split('`').skip(1).step_by(2);
    let wrong = names.next().unwrap_or_default();
    match nearest(wrong, names) {
        Some(near) => format!("unknown field `{wrong}`; did you mean `{near}`?"),
        None => message,
    }
}

/// A place in a body as a JSON pointer, as far as it is known.
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for part in path {
        match part {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } => {}
            Segment::Unknown => break,
        }
    }
    pointer
}

/// What is wrong with a query or a path, without the words of the library that has read it.
pub(crate) fn plain(text: &str) -> String {
    let mut text = text;
    for words in [
        "Failed to deserialize query string",
        "Invalid URL",
        "Cannot parse value",
        "Cannot parse",
    ] {
        text = text.strip_prefix(words).unwrap_or(text).trim_start_matches([':', ' ']);
    }
    let text = text.replace("invalid digit found in string", "a whole number is expected");
    let text = text.replace("cannot parse integer from empty string", "a whole number is expected");
    let text = text.replace("number too large to fit in target type", "the number is too large");
    text.replace(
        "provided string was not `true` or `false`",
        "`true` or `false` is expected",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the refusals matter")]
    struct Body {
        list: Vec<u8>,
        #[serde(default)]
        map: BTreeMap<String, bool>,
    }

    #[test]
    fn a_field_that_is_misspelt_is_told_with_the_right_one() {
        let told = |body: &str| parse::<Body>(body.as_bytes()).unwrap_err().detail.clone();
        let near = told(r#"{"lsit": []}"#);
        assert!(near.ends_with("unknown field `lsit`; did you mean `list`?"), "{near}");
        let far = told(r#"{"something": []}"#);
        assert!(far.contains("expected `list` or `map`"), "{far}");
    }

    #[test]
    fn what_is_wrong_with_a_body_is_told_with_its_place() {
        for (body, place) in [
            (r#"{"list": [1, "x"]}"#, "/list/1"),
            (r#"{"list": [], "map": {"a/b": 1}}"#, "/map/a~1b"),
            ("7", ""),
            ("{", ""),
        ] {
            let problem = parse::<Body>(body.as_bytes()).unwrap_err();
            assert_eq!(problem.problems[0]["pointer"], place, "{body}: {}", problem.detail);
            assert!(!problem.detail.contains('?'), "{}", problem.detail);
        }
    }
}
