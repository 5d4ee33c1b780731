//! Errors as RFC 9457 problem details, and the one place where a kind of error becomes a status code.

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bowline_host::{ErrorKind, HostError};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// The media type of [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request was refused, or could not be carried out. Its [`Details`] are its fields.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Problem(Box<Details>);

/// Why a request was refused, or could not be carried out (RFC 9457).
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Details {
    /// Where this kind of problem is described, relative to the server.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words; the same for every occurrence.
    pub title: Cow<'static, str>,
    /// The status code of the response.
    #[serde(serialize_with = "number")]
    #[schemars(with = "u16")]
    pub status: StatusCode,
    /// The kind of problem for programs, such as `execution.not-found`. It does not change between versions.
    pub code: Cow<'static, str>,
    /// What was wrong in this request.
    pub detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Everything that is wrong with what was sent, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<Wrong>")]
    pub problems: Vec<Value>,
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// One thing that is wrong with what was sent. Problems of workflow files have more: `file`, `line`, `column`, `code`,
/// `path`, `expected`, `hint`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Wrong {
    /// What of the body: a JSON pointer, such as `/input/customer`; empty where it is about all of it, or about a file.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl From<Wrong> for Value {
    fn from(wrong: Wrong) -> Self {
        serde_json::json!({ "pointer": wrong.pointer, "message": wrong.message })
    }
}

impl Deref for Problem {
    type Target = Details;

    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for Problem {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

impl Problem {
    /// A problem with this status and code. `detail` says what was wrong and must not quote secrets.
    pub fn new(status: StatusCode, code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        let code = code.into();
        Self(Box::new(Details {
            kind: format!("/docs#{code}"),
            title: status.canonical_reason().unwrap_or("Refused").into(),
            status,
            code,
            detail: detail.into(),
            hint: None,
            problems: Vec::new(),
            headers: Vec::new(),
        }))
    }

    /// 400: the request itself is wrong.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request.invalid", detail)
    }

    /// 404: there is no such thing, or it belongs to somebody else.
    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 500: a fault of ours. What it was goes to the log under a number that the answer names.
    pub fn internal(error: &dyn std::fmt::Display) -> Self {
        let number = uuid::Uuid::now_v7();
        tracing::error!(%number, %error, "a request failed by a fault");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            format!("the request failed by a fault of the server; its log tells more under {number}"),
        )
    }

    /// 503: the server is stopping. Its successor answers.
    pub fn stopping() -> Self {
        let detail = "the server is stopping";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server.stopping", detail).retry_after(1)
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn problems(mut self, problems: Vec<Value>) -> Self {
        let with_place = |problem| match problem {
            Value::String(message) => {
                let pointer = String::new();
                Wrong { pointer, message }.into()
            }
            problem => problem,
        };
        self.problems = problems.into_iter().map(with_place).collect();
        self
    }

    /// A header of the response.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// When the client may try again, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, seconds.into())
    }
}

/// The code of the problem that an answer is, for whoever handles it on its way out.
#[derive(Clone, Debug)]
pub struct Code(pub Cow<'static, str>);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status;
        let text = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, text).into_response();
        response.extensions_mut().insert(Code(self.0.code));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        for (name, value) in self.0.headers {
            headers.insert(name, value);
        }
        response
    }
}

impl From<HostError> for Problem {
    fn from(error: HostError) -> Self {
        let status = match error.kind {
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            // Who may ask for it is another question: it cannot be done as things stand.
            ErrorKind::Conflict | ErrorKind::Refused => StatusCode::CONFLICT,
            ErrorKind::Gone => StatusCode::GONE,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Internal => return Self::internal(&error),
        };
        let mut problem = Self::new(status, error.code, error.message);
        problem.hint = error.hint;
        problem.problems = error
            .problems
            .iter()
            .filter_map(|problem| serde_json::to_value(problem).ok())
            .collect();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            return problem.retry_after(1);
        }
        problem
    }
}
