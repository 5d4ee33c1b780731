//! What handlers take from requests, refused with a [`Problem`] where it is wrong.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::problem::Problem;

/// Query parameters.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(error) => Err(Problem::invalid(format!("the query is wrong: {}", error.body_text()))),
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
            Err(error) => Err(Problem::invalid(format!("the path is wrong: {}", error.body_text()))),
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
        let at = error.path().to_string();
        let inner = error.inner();
        let problem = Problem::invalid(format!("the body is wrong at `{at}`: {inner}"));
        problem.problems(vec![json!({ "at": at, "message": inner.to_string() })])
    })?;
    reader
        .end()
        .map_err(|error| Problem::invalid(format!("the body has more than one JSON value: {error}")))?;
    Ok(value)
}
