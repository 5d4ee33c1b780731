//! What a `respond` step said, as an answer over HTTP.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::problem::Problem;

/// Headers that are the server's own to say: those of the connection, and those by which one answer changes what a
/// browser does with everything else at this address, the inspector too.
const OURS: &[&str] = &[
    "alt-svc",
    "clear-site-data",
    "connection",
    "content-length",
    "content-security-policy",
    "content-security-policy-report-only",
    "keep-alive",
    "nel",
    "origin-agent-cluster",
    "proxy-authenticate",
    "proxy-connection",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    "set-cookie",
    "set-cookie2",
    "strict-transport-security",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-content-type-options",
];

/// A document is an origin of its own: no script of it, and no page that it frames, is one of the inspector's.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox allow-forms");

/// Says of an answer whose content is somebody else's that a browser must not take it for a page of this server.
/// What has a policy already keeps it.
pub(crate) fn sandboxed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(SANDBOX);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The answer: text as it is, everything else as JSON, unless its headers name another type. One that cannot be sent
/// (status 99, a header with a line break) is told as a fault.
pub fn response(said: bowline_host::Response) -> Response {
    let status = match StatusCode::from_u16(said.status) {
        Ok(status) if !status.is_informational() => status,
        _ => {
            return Problem::internal(&format!("a `respond` step said the status {}", said.status)).into_response();
        }
    };
    let (media, bytes) = match said.body {
        Value::Null => (None, Vec::new()),
        Value::String(text) => (Some("text/plain; charset=utf-8"), text.into_bytes()),
        other => (Some("application/json"), other.to_string().into_bytes()),
    };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(media) = media {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    }
    for (name, value) in said.headers {
        let read = (name.parse::<HeaderName>(), value.parse::<HeaderValue>());
        let (Ok(name), Ok(value)) = read else {
            return Problem::internal(&format!("a `respond` step said a header that cannot be sent: {name:?}"))
                .into_response();
        };
        if !OURS.contains(&name.as_str()) {
            headers.insert(name, value);
        }
    }
    if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        *response.body_mut() = Body::empty();
        response.headers_mut().remove(CONTENT_LENGTH);
    }
    sandboxed(response)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(value: Value) -> Response {
        response(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn status_headers_and_body_are_as_they_were_said() {
        let answer = said(json!({ "status": 201, "headers": { "X-Order": "7" }, "body": { "ok": true } }));
        assert_eq!(answer.status(), 201);
        assert_eq!(answer.headers()["x-order"], "7");
        assert_eq!(answer.headers()["content-type"], "application/json");
        let answer = said(json!({ "headers": { "content-type": "text/html" }, "body": "<b>" }));
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/html");
    }

    #[test]
    fn what_cannot_be_sent_is_a_fault_and_the_connection_stays_ours() {
        assert_eq!(said(json!({ "status": 99 })).status(), 500);
        assert_eq!(said(json!({ "status": 101 })).status(), 500);
        assert_eq!(said(json!({ "headers": { "a\nb": "c" } })).status(), 500);
        assert_eq!(said(json!({ "headers": { "a": "b\r\nc" } })).status(), 500);
        let answer = said(json!({ "headers": { "Transfer-Encoding": "chunked" } }));
        assert!(!answer.headers().contains_key("transfer-encoding"));
    }

    #[test]
    fn an_answer_is_no_page_of_this_server() {
        let answer = said(json!({
            "headers": {
                "Content-Type": "text/html",
                "Content-Security-Policy": "script-src *",
                "Set-Cookie": "bowline_session=mine",
                "Service-Worker-Allowed": "/",
                "Clear-Site-Data": "*",
                "Strict-Transport-Security": "max-age=31536000",
                "X-Content-Type-Options": "none",
            },
            "body": "<script>fetch('/ui')</script>",
        }));
        let mut names: Vec<_> = answer.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["content-security-policy", "content-type", "x-content-type-options"]
        );
        assert_eq!(answer.headers()["content-security-policy"], "sandbox allow-forms");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    }
}
