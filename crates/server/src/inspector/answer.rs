//! Answers with pages.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::header::{
    ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bowline_inspector::{Frame, Notice, pages};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::problem::{PROBLEM_JSON, Problem};

/// What a page may load and where its forms may go: only here. Nothing may show it in a frame.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What stands in a part of an address as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The longest problem that is made a page.
const LONGEST: usize = 256 * 1024;

/// A page.
pub(super) fn page(text: String) -> Response {
    with_status(StatusCode::OK, text)
}

/// A page with another status than 200.
pub(super) fn with_status(status: StatusCode, text: String) -> Response {
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // Not `no-referrer`: a browser would then hide the origin of forms, too.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// Sends the browser on, with GET.
pub(super) fn redirect(to: &str) -> Result<Response, Problem> {
    let location = HeaderValue::from_str(to).map_err(|_| Problem::invalid("that address cannot be used"))?;
    Ok((StatusCode::SEE_OTHER, [(LOCATION, location)]).into_response())
}

/// Sends the browser on, with a cookie.
pub(super) fn redirect_with(to: &str, cookie: HeaderValue) -> Result<Response, Problem> {
    let mut response = redirect(to)?;
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(response)
}

/// Text within an address.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// What a page needs of a [`Problem`].
#[derive(Debug, Deserialize)]
struct Told {
    title: String,
    detail: String,
    #[serde(default)]
    hint: Option<String>,
    #[serde(default)]
    problems: Vec<serde_json::Value>,
}

/// Makes pages of problems, where a browser shows them to somebody. Who has to log in is sent there.
pub(super) async fn dress(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    if !(path == "/ui" || path.starts_with("/ui/")) {
        return next.run(request).await;
    }
    let wants_page = wants_page(request.headers());
    let wanted = request
        .uri()
        .path_and_query()
        .map_or("/ui/executions", |wanted| wanted.as_str())
        .to_owned();
    let is_look = request.method() == Method::GET;
    let response = next.run(request).await;
    let is_problem = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|media| media == PROBLEM_JSON);
    if !wants_page || !is_problem {
        return response;
    }
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED && path != "/ui/login" {
        let next = if is_look { wanted.as_str() } else { "/ui/executions" };
        let login = redirect(&format!("/ui/login?next={}", encoded(next)));
        return login.unwrap_or_else(IntoResponse::into_response);
    }
    let retry = response.headers().get(RETRY_AFTER).cloned();
    let Ok(body) = to_bytes(response.into_body(), LONGEST).await else {
        return status.into_response();
    };
    let Ok(told) = serde_json::from_slice::<Told>(&body) else {
        return (status, body).into_response();
    };
    let problems = told.problems.iter().map(line).collect();
    let notice = Notice::Bad {
        message: told.detail,
        hint: told.hint,
        problems,
    };
    let back = ("/ui/executions", "To the executions");
    let mut dressed = with_status(
        status,
        pages::problem::page(&Frame::default(), None, &told.title, notice, back),
    );
    dressed.headers_mut().remove(WWW_AUTHENTICATE);
    if let Some(retry) = retry {
        dressed.headers_mut().insert(RETRY_AFTER, retry);
    }
    dressed
}

fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// One of the things that are wrong, with its place.
pub(super) fn line(problem: &serde_json::Value) -> String {
    let text = |name: &str| {
        problem
            .get(name)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
    };
    let place = problem
        .get("line")
        .map_or_else(String::new, |line| format!("{}:{line}: ", text("file")));
    format!("{place}{}", text("message"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_problem_is_told_with_its_place() {
        assert_eq!(
            line(&json!({"file": "a.yaml", "line": 3, "message": "wrong"})),
            "a.yaml:3: wrong"
        );
        assert_eq!(line(&json!({"at": "x", "message": "wrong"})), "wrong");
    }
}
