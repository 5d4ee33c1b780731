//! Answers to senders. The one place where what became of a request becomes a status.

use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bowline_host::{Ended, Status};
use bowline_webhooks::{Reason, Refusal};
use serde_json::json;

use crate::problem::Problem;
use crate::shaped;

/// Says which execution a request started.
const EXECUTION: HeaderName = HeaderName::from_static("bowline-execution");

/// A refused request.
pub(super) fn refused(refusal: &Refusal, authentication: &str) -> Problem {
    let (status, code) = match refusal.reason {
        Reason::NotConfigured => (StatusCode::SERVICE_UNAVAILABLE, "webhook.not-configured"),
        Reason::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "webhook.body-too-large"),
        Reason::InvalidBody => (StatusCode::BAD_REQUEST, "webhook.invalid-body"),
        Reason::SchemaMismatch => (StatusCode::BAD_REQUEST, "webhook.schema-mismatch"),
        Reason::Unselectable => (StatusCode::UNPROCESSABLE_ENTITY, "webhook.unselectable"),
        Reason::NoSecretCounts => (StatusCode::UNAUTHORIZED, "webhook.no-secret-counts"),
        Reason::MissingHeader => (StatusCode::UNAUTHORIZED, "webhook.missing-header"),
        Reason::MalformedHeader => (StatusCode::UNAUTHORIZED, "webhook.malformed-header"),
        Reason::WrongAlgorithm => (StatusCode::UNAUTHORIZED, "webhook.wrong-algorithm"),
        Reason::TooOld => (StatusCode::UNAUTHORIZED, "webhook.too-old"),
        Reason::TooNew => (StatusCode::UNAUTHORIZED, "webhook.too-new"),
        Reason::WrongSignature => (StatusCode::UNAUTHORIZED, "webhook.wrong-signature"),
        Reason::WrongCredentials => (StatusCode::UNAUTHORIZED, "webhook.wrong-credentials"),
    };
    let problems = refusal
        .misfits
        .iter()
        .filter_map(|misfit| serde_json::to_value(misfit).ok())
        .collect();
    let mut problem = Problem::new(status, code, refusal.message.clone()).problems(problems);
    problem.hint.clone_from(&refusal.hint);
    match (status, authentication) {
        (StatusCode::SERVICE_UNAVAILABLE, _) => problem.retry_after(60),
        (StatusCode::UNAUTHORIZED, "basic") => problem.header(
            WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"webhook\", charset=\"UTF-8\""),
        ),
        (StatusCode::UNAUTHORIZED, "bearer") => problem.header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        // RFC 9110 wants a challenge with every 401, and there is no registered one for signatures.
        (StatusCode::UNAUTHORIZED, _) => problem.header(WWW_AUTHENTICATE, HeaderValue::from_static("Signature")),
        _ => problem,
    }
}

pub(super) fn too_slow() -> Problem {
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "request.too-slow",
        "the body did not come in time",
    )
}

pub(super) fn no_room() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "request.no-room",
        "too many large bodies are on their way at this moment; send it again",
    )
    .retry_after(5)
}

pub(super) fn broken() -> Problem {
    Problem::invalid("the body broke off")
}

pub(super) fn method_not_allowed(methods: &[String]) -> Response {
    let list = methods.join(", ");
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "request.method",
        format!("this endpoint takes {list}"),
    );
    match HeaderValue::from_str(&list) {
        Ok(allow) => problem.header(ALLOW, allow).into_response(),
        Err(_) => problem.into_response(),
    }
}

/// A text that a sender wants written back.
pub(super) fn plain(text: String) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-content-type-options"), "nosniff"),
    ];
    (StatusCode::OK, headers, text).into_response()
}

/// Nothing was to be done.
pub(super) fn nothing() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// The execution has been started, and goes on.
pub(super) fn accepted(execution: &str, delivery: &str, is_duplicate: bool) -> Response {
    let status = format!("/api/v1/executions/{execution}");
    let mut body = json!({ "execution": execution, "delivery": delivery, "status": status });
    if is_duplicate {
        body["duplicate"] = true.into();
    }
    let headers = [(CONTENT_TYPE, "application/json")];
    let mut response = (StatusCode::ACCEPTED, headers, body.to_string()).into_response();
    if let Ok(location) = HeaderValue::from_str(&status) {
        response.headers_mut().insert(LOCATION, location);
    }
    marked(response, execution)
}

/// How an execution came out, as the answer to who started it.
pub(super) fn ended(ended: Ended) -> Response {
    let id = ended.id.clone();
    let response = if let Some(response) = ended.response {
        shaped::response(response)
    } else if ended.status == Status::Succeeded {
        let body = ended.output.unwrap_or_default().to_string();
        (StatusCode::OK, [(CONTENT_TYPE, "application/json")], body).into_response()
    } else {
        // Why is for those who may see the execution: what an error says can be an address or a row of a table. A
        // workflow that wants to tell its callers more has a `respond` step.
        let problem = Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "execution.failed",
            format!("the workflow ended without a result; its execution is {id}"),
        );
        problem.into_response()
    };
    marked(response, &id)
}

fn marked(mut response: Response, execution: &str) -> Response {
    if let Ok(id) = HeaderValue::from_str(execution) {
        response.headers_mut().insert(EXECUTION, id);
    }
    response
}
