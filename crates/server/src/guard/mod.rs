//! The guard: every request passes it before its handler, and every answer on its way out.
//!
//! It holds addresses and callers to their rates, bodies to their size and pace, finds out who calls, holds that one to the
//! rule of the route, and writes the audit log. A route without a rule is refused: see [`Routes`].

mod audit;
mod body;
mod caller;
mod limits;
pub mod origin;
mod rule;
pub mod session;
mod standing;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State as FromState};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONNECTION, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bowline_access::{Access, AccessError, Audit, Denied, Kind, Outcome, RecordError, Recorder};
use bowline_engine::Clock;
use bowline_host::Host;
use bowline_store::EntryWrite;
use serde_json::Value;

pub use caller::{Caller, Note};
pub use limits::Limits;
pub use rule::{Guarded, Role, Routes, Rule, Rules, Scope};
pub use session::FormToken;

use self::audit::{CallerAction, Refusals, finish};
use self::body::{Fate, Pace, Paced};
use self::limits::Rates;
use self::origin::Client;
use self::rule::Known;
use self::standing::{Presented, Standing};
use crate::config::Config;
use crate::problem::Problem;
use crate::{App, ServeError};

/// The organization that a caller wants to act in, where that is not its own.
const ORGANIZATION: HeaderName = HeaderName::from_static("bowline-organization");

/// How often what was counted for the audit log is written.
const WRITE_EVERY: Duration = Duration::from_mins(1);

/// After so many times of that the audit log is looked through for lines that are too old.
const TIDY_EVERY: u32 = 60;

/// What the guard keeps.
pub struct State {
    /// Keys, tokens, organizations, the audit log.
    pub access: Access,
    rates: Rates,
    /// Wrong credentials, by address.
    refusals: Refusals<IpAddr>,
    /// Changes that callers may not make.
    forbidden: Refusals<CallerAction>,
    /// What forms carry that need no session.
    forms: String,
}

/// Writes with the host's engine.
struct OfHost(Host);

#[async_trait]
impl Recorder for OfHost {
    async fn record(&self, entries: Vec<EntryWrite>) -> Result<(), RecordError> {
        Recorder::record(self.0.engine(), entries).await
    }
}

impl State {
    /// The guard of a server that starts.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(config: &Config, host: &Host) -> Result<Self, ServeError> {
        let recorder = Arc::new(OfHost(host.clone()));
        let access = Access::new(Arc::clone(host.store()), recorder, config.access.clone(), Clock::System)
            .map_err(|error| ServeError::Config(error.to_string()))?;
        Ok(Self {
            access,
            rates: Rates::new(&config.limits),
            refusals: Refusals::default(),
            forbidden: Refusals::default(),
            forms: bowline_access::random_text().map_err(|error| ServeError::Config(error.to_string()))?,
        })
    }
}

/// Refuses to listen where others can reach the server while nobody has to say who they are. True where a key or tokens
/// are needed, false where everybody on this machine is let in.
///
/// # Errors
/// Others could reach it; or the store cannot be read.
pub fn may_listen(app: &App, address: IpAddr) -> Result<bool, ServeError> {
    let is_configured = app
        .guard
        .access
        .is_configured_now()
        .map_err(|error| ServeError::Config(error.to_string()))?;
    if is_configured {
        return Ok(true);
    }
    let Some(why) = crate::config::keys_needed(&app.config, address) else {
        return Ok(false);
    };
    if address.to_canonical().is_loopback() {
        tracing::warn!("{why}");
        return Ok(true);
    }
    Err(ServeError::Config(why))
}

/// Forgets what is too old, until the server stops.
pub fn tidy(app: &App) {
    let app = app.clone();
    tokio::spawn(async move {
        let State {
            access,
            refusals,
            forbidden,
            ..
        } = &app.guard;
        let mut is_over = false;
        loop {
            if let Err(error) = access.forget_old_audit().await {
                tracing::warn!(%error, "old lines of the audit log could not be forgotten");
            }
            for _ in 0..TIDY_EVERY {
                tokio::select! {
                    () = tokio::time::sleep(WRITE_EVERY) => {}
                    () = app.stop.stopped() => is_over = true,
                }
                refusals
                    .write(access, ("credentials.refused", "other addresses"), is_over)
                    .await;
                forbidden
                    .write(access, ("changes.refused", "other callers"), is_over)
                    .await;
                if is_over {
                    return;
                }
            }
        }
    });
}

/// Holds every request of the router to the rule of its route (`app.rules`), and to the limits. What no route matches is
/// for the fallback, which lets anybody in.
pub fn layer(router: Router<App>, app: &App) -> Router<App> {
    router
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(app.clone(), check))
}

async fn check(FromState(app): FromState<App>, request: Request, next: Next) -> Response {
    match admit(&app, request).await {
        Ok((admitted, request)) => {
            let response = next.run(request).await;
            settle(&app, admitted, response).await
        }
        Err(problem) => with_headers(problem.into_response(), true),
    }
}

/// The address of whoever sent a request: of its connection, or what a proxy that is believed says.
pub(crate) fn sender(app: &App, request: &Request) -> Option<IpAddr> {
    let peer = origin::peer(request.extensions())?;
    Some(origin::client(peer, request.headers(), &app.config.limits.proxies))
}

/// What is to be done after the answer.
struct Admitted {
    fate: Fate,
    /// The line of the audit log, where the request may change something.
    note: Option<Note>,
    /// What lets the caller read on, where the answer may be a stream.
    standing: Option<Standing>,
    is_guarded: bool,
}

async fn admit(app: &App, mut request: Request) -> Result<(Admitted, Request), Problem> {
    let limits = &app.config.limits;
    let peer = origin::peer(request.extensions())
        .ok_or_else(|| Problem::internal(&"a connection without an address has come in"))?;
    let client = origin::client(peer, request.headers(), &limits.proxies);
    let whose = crate::accept::whose(client);
    app.guard.rates.addresses.take(&whose).map_err(|wait| {
        too_many(
            "rate.address",
            "this address has sent more requests than the server takes of one",
            wait,
        )
    })?;

    let path = request
        .extensions()
        .get::<MatchedPath>()
        .map(|path| path.as_str().to_owned());
    let is_api = path.as_deref().is_some_and(|path| !is_from_outside(path));
    let pace = Pace {
        most: if is_api { limits.api_body } else { limits.webhook_body },
        grace: limits.body_timeout.duration(),
        rate: limits.body_rate,
    };
    if pace.is_declared_too_large(request.headers()) {
        body::drop_some(request.into_body()).await;
        return Err(too_large(pace.most));
    }

    let guarded = match &path {
        None => None,
        Some(path) => match rule::find(&app.rules, request.method(), path) {
            Known::Route(guarded) => match guarded.rule {
                Rule::Public => None,
                Rule::Of { role, scope } => Some((guarded.action, role, scope)),
            },
            Known::OtherMethod => None,
            Known::Nothing => {
                return Err(Problem::internal(&format_args!("nobody has said who may call {path}")));
            }
        },
    };
    let is_guarded = guarded.is_some();
    let mut note = None;
    let mut standing = None;
    if let Some((action, role, scope)) = guarded {
        // A proxy may say nothing of itself. Browsers and programs do not speak HTTP/1.0, and where others are to reach the
        // server, being on this machine proves nothing.
        let is_direct = request.version() != Version::HTTP_10 && origin::is_for_this_machine(&app.config);
        let asked = Asked::of(&request);
        let presented = Presented::of(
            peer,
            request.headers(),
            is_direct,
            asked.is_page(),
            is_of_folder(request.extensions()),
        );
        let (caller, form) = identify(app, &presented, &asked, whose).await?;
        let who = format!("{}\u{0}{}", caller.home, caller.key.as_deref().unwrap_or(&caller.name));
        app.guard.rates.callers.take(&who).map_err(|wait| {
            too_many(
                "rate.caller",
                "this caller has sent more requests than the server takes of one",
                wait,
            )
        })?;
        let line = Audit::note(&caller, action, &target(request.uri().path()), Value::Null).came_from(client);
        let line = Note::new(app.guard.access.clone(), line);
        // Who may only look changes nothing.
        let is_change = role > Role::Viewer && !is_safe(request.method());
        if let Err(denied) = may(&caller, role, scope) {
            let problem = refused(&denied).hint(how_to(&caller, role, scope));
            if is_change {
                let answer = problem.clone().into_response();
                app.guard.forbidden.note_change(&line, &answer).await;
            }
            return Err(problem);
        }
        note = is_change.then(|| line.clone());
        standing = (request.method() == Method::GET).then(|| Standing {
            access: app.guard.access.clone(),
            presented,
            role,
            scope,
        });
        let extensions = request.extensions_mut();
        extensions.insert(Caller(caller));
        extensions.insert(line);
        extensions.insert(form);
    }
    request.extensions_mut().insert(Client(client));
    let fate = Fate::default();
    let of_body = fate.clone();
    let request = request.map(|body| Body::new(Paced::new(body, pace, of_body)));
    let admitted = Admitted {
        fate,
        note,
        standing,
        is_guarded,
    };
    Ok((admitted, request))
}

/// How a caller comes by what it needs for a route.
fn how_to(caller: &bowline_access::Caller, role: Role, scope: Scope) -> String {
    if caller.kind == Kind::Jwt {
        return format!("use a token that has the role {role} or a higher one, and the scope {scope}");
    }
    let role = if scope == Scope::Organizations {
        Role::Admin
    } else {
        role.max(caller.role)
    };
    let whose = if caller.home == bowline_access::DEFAULT_ORGANIZATION || scope == Scope::Organizations {
        String::new()
    } else {
        format!(" --organization {}", caller.home)
    };
    let mut scopes: Vec<&str> = caller.scopes.iter().map(|scope| scope.name()).collect();
    if !scopes.contains(&scope.name()) {
        scopes.push(scope.name());
    }
    let scopes = if caller.scopes == Scope::usual() && scope != Scope::Organizations {
        String::new()
    } else {
        format!(" --scope {}", scopes.join(","))
    };
    format!("use a key that may: `bowline keys create NAME --role {role}{scopes}{whose}`")
}

/// Whether a request came through the socket in the data folder.
fn is_of_folder(extensions: &axum::http::Extensions) -> bool {
    #[cfg(unix)]
    return extensions.get::<crate::accept::folder::OfFolder>().is_some();
    #[cfg(not(unix))]
    return false;
}

/// Organizations are for those alone who may act in all of them.
fn may(caller: &bowline_access::Caller, role: Role, scope: Scope) -> Result<(), Denied> {
    caller.may(role, scope)?;
    if scope == Scope::Organizations && !caller.is_super_admin() {
        return Err(Denied::Forbidden(
            "organizations are for admins of the organization `default` with the scope organizations".into(),
        ));
    }
    Ok(())
}

/// What is asked for: a request without its body, which no two threads may look at.
struct Asked {
    method: Method,
    path: String,
    headers: HeaderMap,
}

impl Asked {
    fn of(request: &Request) -> Self {
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            headers: request.headers().clone(),
        }
    }

    fn is_page(&self) -> bool {
        self.path.starts_with("/ui/")
    }
}

/// Who sends a request, and what forms of that one carry.
async fn identify(
    app: &App,
    presented: &Presented,
    asked: &Asked,
    whose: IpAddr,
) -> Result<(bowline_access::Caller, FormToken), Problem> {
    let access = &app.guard.access;
    let headers = &asked.headers;
    let session = presented.session.as_deref();
    let form = match session.filter(|_| !headers.contains_key(AUTHORIZATION)) {
        Some(session) => bowline_access::form_token(session),
        None => bowline_access::form_token(&app.guard.forms),
    };
    let caller = match presented.caller(access).await {
        Ok(caller) => caller,
        Err(denied) => return Err(wrong(app, whose, &asked.path, &denied).await),
    };
    not_foreign(&caller, &asked.method, headers, asked.is_page())?;
    let caller = presented.acting(access, caller).await.map_err(|denied| match denied {
        Denied::Malformed(why) => Problem::invalid(why),
        other => refused(&other),
    })?;
    Ok((caller, FormToken(form)))
}

/// Why somebody is not let in, as an answer. Wrong credentials count, and those of an address that has sent too many are
/// not told apart from others any more. Right ones are let in all the same: others may share the address.
async fn wrong(app: &App, whose: IpAddr, path: &str, denied: &Denied) -> Problem {
    app.guard.refusals.note(&app.guard.access, whose, path, denied).await;
    if matches!(denied, Denied::UnknownKey | Denied::Token(_)) {
        let failures = &app.guard.rates.failures;
        if let Err(wait) = failures.check(&whose) {
            return too_many(
                "rate.failures",
                "too many wrong credentials have come from this address",
                wait,
            );
        }
        failures.note(whose);
    }
    refused(denied)
}

/// A browser sends cookies, and reaches this machine, whoever's page asks it to.
/// A link to a page of the inspector may stand anywhere: whose page it stands on sees nothing of what opens.
fn not_foreign(
    caller: &bowline_access::Caller,
    method: &Method,
    headers: &HeaderMap,
    is_page: bool,
) -> Result<(), Problem> {
    let is_bad = match caller.kind {
        _ if is_page && *method == Method::GET && origin::is_followed_link(headers) => false,
        Kind::Key | Kind::Jwt => false,
        Kind::Loopback => origin::is_foreign(headers),
        Kind::Session => origin::is_foreign(headers) || (!is_safe(method) && !origin::is_from_own_page(headers)),
    };
    if is_bad {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "access.foreign",
            "the request was sent by a page of another origin, or does not say by which",
        )
        .hint("send it from this server's own pages, or with an API key"));
    }
    Ok(())
}

async fn settle(app: &App, admitted: Admitted, mut response: Response) -> Response {
    if admitted.fate.is_too_large() {
        let most = if admitted.is_guarded {
            app.config.limits.api_body
        } else {
            app.config.limits.webhook_body
        };
        response = too_large(most).into_response();
    } else if admitted.fate.is_too_slow() {
        response = Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "request.too-slow",
            "the body came too slowly, and the request was given up",
        )
        .header(CONNECTION, HeaderValue::from_static("close"))
        .into_response();
    }
    let status = response.status();
    if let Some(note) = admitted.note {
        let outcome = if status.is_server_error() {
            Outcome::Failed
        } else if status.is_client_error() {
            Outcome::Refused
        } else {
            Outcome::Done
        };
        // What was done has the line in its own commit already, if the handler saw to that.
        if !note.is_look() && (outcome != Outcome::Done || !note.is_taken()) {
            finish(&note, outcome, &response).await;
        }
    }
    if let Some(standing) = admitted.standing {
        response = standing.watch(&app.config, response);
    }
    with_headers(response, admitted.is_guarded)
}

fn with_headers(mut response: Response, is_guarded: bool) -> Response {
    let headers = response.headers_mut();
    headers
        .entry(X_CONTENT_TYPE_OPTIONS)
        .or_insert(HeaderValue::from_static("nosniff"));
    if is_guarded {
        headers
            .entry(CACHE_CONTROL)
            .or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

/// Whether services send their own content there, and not the API's.
fn is_from_outside(path: &str) -> bool {
    ["/webhooks", "/callbacks", "/o/"]
        .iter()
        .any(|prefix| path.starts_with(prefix))
}

/// A path as the audit log has it: without callback tokens.
fn target(path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .map(|part| if part.starts_with("bw_") { "bw_***" } else { part })
        .collect();
    parts.join("/")
}

/// Why somebody is not let in, as an answer.
pub fn refused(denied: &Denied) -> Problem {
    let status = match denied {
        Denied::Forbidden(_) => StatusCode::FORBIDDEN,
        Denied::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::UNAUTHORIZED,
    };
    let problem = Problem::new(status, denied.code(), denied.to_string());
    match status {
        StatusCode::UNAUTHORIZED => {
            problem.header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"bowline\""))
        }
        StatusCode::SERVICE_UNAVAILABLE => problem.retry_after(1),
        _ => problem,
    }
}

/// Why a change of keys or organizations was not made, as an answer.
pub fn failed(error: &AccessError) -> Problem {
    let (status, code) = match error {
        AccessError::NotFound { .. } => (StatusCode::NOT_FOUND, "access.not-found"),
        AccessError::Conflict(_) => (StatusCode::CONFLICT, "access.conflict"),
        AccessError::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "access.invalid"),
        AccessError::Unavailable(_) => {
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "access.unavailable", error.to_string())
                .retry_after(1);
        }
    };
    Problem::new(status, code, error.to_string())
}

fn too_many(code: &'static str, why: &str, wait: u64) -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        code,
        format!("{why}; try again in {wait} s"),
    )
    .retry_after(wait)
}

fn too_large(most: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "request.too-large",
        format!("the body is larger than the {most} bytes that are taken here"),
    )
    .header(CONNECTION, HeaderValue::from_static("close"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_in_paths_are_not_logged() {
        assert_eq!(target("/api/v1/callbacks/bw_secret/x"), "/api/v1/callbacks/bw_***/x");
        assert_eq!(target("/api/v1/executions/a"), "/api/v1/executions/a");
    }
}
