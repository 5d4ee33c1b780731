//! Logging in and out.

use axum::extract::{Query, Request, State};
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use bowline_inspector::pages;
use serde::Deserialize;

use super::answer;
use super::form::{self, Sent};
use crate::App;
use crate::guard::origin::Client;
use crate::guard::{Role, Routes, Rule, Scope, origin, session};
use crate::problem::Problem;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route(Rule::Public, "session.ask", Method::GET, "/ui/login", ask)
        .route(Rule::Public, "session.begin", Method::POST, "/ui/login", begin)
        .route(
            Rule::of(Role::Viewer, Scope::Executions),
            "session.end",
            Method::POST,
            "/ui/logout",
            end,
        )
}

/// Where to go then.
#[derive(Debug, Deserialize)]
struct Next {
    #[serde(default)]
    next: String,
}

async fn ask(Query(next): Query<Next>) -> Response {
    answer::page(pages::login::page(&own(&next.next), "", None))
}

/// A form that nobody is known to have sent: only a page of ours may send it, so that nobody is logged in as somebody else.
async fn begin(State(app): State<App>, request: Request) -> Result<Response, Problem> {
    if origin::is_foreign(request.headers()) {
        return Err(Problem::new(
            axum::http::StatusCode::FORBIDDEN,
            "access.foreign",
            "the form was sent by a page of another origin",
        ));
    }
    let client = request
        .extensions()
        .get::<Client>()
        .copied()
        .ok_or_else(|| Problem::internal(&"a request without an address has come in"))?;
    let fields = form::read(request, &app).await?;
    let text = |name: &str| fields.get(name).map_or("", |text| text.trim());
    let next = own(text("next"));
    match session::attempt(&app, client.0, text("key")).await {
        Ok(cookie) => answer::redirect_with(&next, cookie),
        Err(problem) if problem.status.is_server_error() => Err(problem),
        Err(problem) => {
            let mut page = answer::page(pages::login::page(&next, "", Some(&problem.detail)));
            *page.status_mut() = problem.status;
            Ok(page)
        }
    }
}

async fn end(State(app): State<App>, headers: HeaderMap, _sent: Sent) -> Result<Response, Problem> {
    let cookie = session::end(&app, &headers).await?;
    let mut response = answer::redirect_with("/ui/login", cookie)?;
    // Whoever logs in next on this browser begins in their own organization.
    response.headers_mut().append(SET_COOKIE, session::go(&app, None)?);
    Ok(response)
}

/// An address on this server, whatever was asked for: a path of ours, and no host.
fn own(next: &str) -> String {
    let is_own = next.starts_with("/ui/") && !next.contains(['\\', '\r', '\n']);
    if is_own {
        next.to_owned()
    } else {
        "/ui/executions".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        assert_eq!(own("/ui/workflows?x=1"), "/ui/workflows?x=1");
        for bad in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/ui/\r\nx",
            "",
            "/api/v1/executions",
        ] {
            assert_eq!(own(bad), "/ui/executions", "{bad}");
        }
    }
}
