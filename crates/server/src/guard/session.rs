//! Sessions of browsers: the cookie, and what forms carry.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};

use crate::App;
use crate::problem::Problem;

/// The name of the cookie.
const NAME: &str = "bowline_session";

/// The name of the cookie that says in which organization pages are looked at.
const PLACE: &str = "bowline_organization";

/// What a form carries in a hidden field of the name `form-token`, so that a page of somebody else cannot send it.
/// Handlers take it as an argument, both to write forms and to check them.
#[derive(Clone)]
pub struct FormToken(pub(super) String);

impl FormToken {
    /// The value of the field.
    pub fn value(&self) -> &str {
        &self.0
    }

    /// Holds what a form has carried to it.
    ///
    /// # Errors
    /// It is not the one of this session.
    pub fn check(&self, sent: &str) -> Result<(), Problem> {
        let is_same = sent.len() == self.0.len()
            && sent
                .bytes()
                .zip(self.0.bytes())
                .fold(0, |differs, (one, other)| differs | (one ^ other))
                == 0;
        if is_same {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "access.form",
            "the form is of another session, or older than this one",
        )
        .hint("open the page again and send the form from there"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for FormToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Problem::internal(&"a handler asks for a form's token on a route without a rule"))
    }
}

/// The session in a request's cookies.
pub(super) fn sent(headers: &HeaderMap) -> Option<&str> {
    of_cookies(headers, NAME)
}

/// The organization that a browser's pages are in, where somebody has gone to another one than their own.
pub(super) fn place(headers: &HeaderMap) -> Option<&str> {
    of_cookies(headers, PLACE)
}

fn of_cookies<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// Begins a session with the text of an API key: the `Set-Cookie` of the answer.
///
/// # Errors
/// Why the key is not accepted.
pub async fn begin(app: &App, key: &str) -> Result<HeaderValue, Problem> {
    let made = app
        .guard
        .access
        .log_in(key, None)
        .await
        .map_err(|denied| super::refused(&denied))?;
    cookie(app, &made.token, made.seconds)
}

/// As [`begin`], for somebody of whom nothing else is known: wrong keys from one address count as they do elsewhere.
///
/// # Errors
/// Why the key is not accepted; too many wrong ones have come from there.
pub async fn attempt(app: &App, client: IpAddr, key: &str) -> Result<HeaderValue, Problem> {
    match app.guard.access.log_in(key, Some(client)).await {
        Ok(made) => cookie(app, &made.token, made.seconds),
        Err(denied) => Err(super::wrong(app, crate::accept::whose(client), "/ui/login", &denied).await),
    }
}

/// Ends the session of a request: the `Set-Cookie` of the answer.
///
/// # Errors
/// Where that cannot be written.
pub async fn end(app: &App, headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    if let Some(token) = sent(headers) {
        app.guard
            .access
            .log_out(token)
            .await
            .map_err(|error| super::failed(&error))?;
    }
    cookie(app, "", 0)
}

/// Lets a browser's pages be in another organization until it is closed; none: in their own again. Whether somebody may
/// be there is asked with each request.
///
/// # Errors
/// A name that no organization has.
pub fn go(app: &App, organization: Option<&str>) -> Result<HeaderValue, Problem> {
    let (name, age) = match organization {
        Some(name) => (name, ""),
        None => ("", "; Max-Age=0"),
    };
    let secure = secure(app);
    let text = format!("{PLACE}={name}; Path=/ui; HttpOnly; SameSite=Strict{age}{secure}");
    HeaderValue::from_str(&text).map_err(|error| Problem::internal(&error))
}

fn secure(app: &App) -> &'static str {
    let url = app.config.public_url.as_deref();
    if url.is_some_and(|url| url.starts_with("https://")) {
        "; Secure"
    } else {
        ""
    }
}

fn cookie(app: &App, token: &str, seconds: u64) -> Result<HeaderValue, Problem> {
    let secure = secure(app);
    let text = format!("{NAME}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}");
    HeaderValue::from_str(&text).map_err(|error| Problem::internal(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_is_found_among_other_cookies() {
        let of = |text: &str| {
            let headers = HeaderMap::from_iter([(COOKIE, text.parse().unwrap())]);
            sent(&headers).map(str::to_owned)
        };
        assert_eq!(of("a=1; bowline_session=x; b=2").as_deref(), Some("x"));
        assert_eq!(of("xbowline_session=x; bowline_sessions=y"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn a_form_of_another_session_is_refused() {
        let token = FormToken("abc".into());
        assert!(token.check("abc").is_ok());
        for bad in ["", "ab", "abd", "abcd"] {
            assert!(token.check(bad).is_err(), "{bad}");
        }
    }
}
