//! Webhooks and callbacks from outside.
//!
//! Everything that no route of the server takes comes to [`fallback`]: a webhook may have any path. Which path leads to
//! what follows from the workflows that are deployed ([`endpoints`]). [`webhook`] takes deliveries, [`callback`] answers
//! that executions wait for, [`person`] shows a page to people who follow such a link. [`inbox`] keeps deliveries, and
//! [`desk`] shows them and plays them again.

mod answer;
mod arrival;
mod callback;
mod desk;
mod endpoints;
mod inbox;
mod incoming;
mod keep;
mod once;
mod person;
mod prune;
mod recheck;
mod webhook;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State as Shared};
use axum::response::{IntoResponse, Response};
use bowline_core::TokenKey;
use bowline_host::{DEFAULT_ORGANIZATION, Host};
use bowline_webhooks::Seal;

pub use self::desk::{
    DeliverySummary, DeliveryView, EndpointProblem, EndpointView, KeptBodyView, Outcome, Replay, Replayed,
};
use self::endpoints::{Claims, Endpoints, Target};
use self::inbox::Quarantine;
use self::incoming::{Address, Budget};
use crate::config::Config;
use crate::guard::Routes;
use crate::problem::Problem;
use crate::{App, ServeError, Stop, guard, shaped};

/// What this part keeps.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    host: Host,
    public_url: Option<String>,
    endpoints: Endpoints,
    tokens: TokenKey,
    seal: Seal,
    quarantine: Quarantine,
    counts: Mutex<BTreeMap<Count, u64>>,
    bodies: Budget,
    stop: Stop,
}

/// Requests of one endpoint that had one outcome.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count {
    /// The organization.
    pub organization: String,
    /// The endpoint's id; `callbacks` for those by token.
    pub endpoint: String,
    /// `started`, `duplicate`, `filtered`, `challenge`, the reason of a refusal, or what became of a callback.
    pub outcome: &'static str,
}

impl State {
    /// The state of a server that starts.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn new(config: &Config, host: &Host, stop: &Stop) -> Result<Self, ServeError> {
        let unreadable = |error| ServeError::Config(format!("the data folder cannot be read: {error}"));
        let key = host.store().token_key().map_err(unreadable)?;
        let claims = Claims::load(host.store().as_ref()).map_err(unreadable)?;
        let state = Self(Arc::new(Inner {
            host: host.clone(),
            public_url: config
                .public_url
                .as_deref()
                .map(|url| url.trim_end_matches('/').to_owned()),
            endpoints: Endpoints::new(host, &claims),
            tokens: TokenKey::new(key),
            seal: Seal::new(key),
            quarantine: Quarantine::default(),
            counts: Mutex::default(),
            bodies: Budget::new(config.connections.body_bytes),
            stop: stop.clone(),
        }));
        prune::spawn(&state.0);
        keep::spawn(&state.0, claims);
        Ok(state)
    }

    /// Takes up what was deployed, as the next request from outside would: from now on what is wrong with its endpoints is
    /// told with the workflows.
    pub fn follow(&self) {
        self.0.endpoints.current();
    }

    /// How many requests had which outcome since the server began.
    pub fn counts(&self) -> Vec<(Count, u64)> {
        let counts = self.0.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(count, number)| (count.clone(), *number)).collect()
    }
}

impl Inner {
    fn count(&self, organization: &str, endpoint: &str, outcome: &'static str) {
        let count = Count {
            organization: organization.to_owned(),
            endpoint: endpoint.to_owned(),
            outcome,
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(count).or_default() += 1;
    }
}

/// Its routes: none of its own, because any path may be a webhook's.
pub fn routes() -> Routes {
    Routes::new()
}

/// What answers where no route is.
pub async fn fallback(Shared(app): Shared<App>, request: Request) -> Response {
    // Whatever a sender or a workflow says stands at the address of the inspector.
    let from = guard::sender(&app, &request);
    shaped::sandboxed(lead(&app.outside.0, from, request).await)
}

/// What requests at a path count as, because paths are others' to choose. An extension of the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route(pub(crate) &'static str);

const WEBHOOK: Route = Route("/webhooks/{path}");
const NAMED: Route = Route("/callbacks/{name}");
const TOKEN: Route = Route("/callbacks/{token}");

fn counted(mut response: Response, route: Route) -> Response {
    response.extensions_mut().insert(route);
    response
}

async fn lead(inner: &Arc<Inner>, from: Option<IpAddr>, request: Request) -> Response {
    let (organization, path) = split(request.uri().path());
    let (organization, path) = (organization.to_owned(), path.to_owned());
    let address = Address::of(&request, from, inner.public_url.as_deref());
    // Before the endpoints: no path of a workflow may catch what is meant for another's wait.
    if let Some(token) = path.strip_prefix("/callbacks/")
        && is_token(token)
    {
        return counted(callback::take_token(inner, token, address, request).await, TOKEN);
    }
    let built = inner.endpoints.current();
    match built.find(&organization, &path, request.method()) {
        endpoints::Found::Webhook(webhook, params) => {
            counted(webhook::take(inner, &webhook, params, address, request).await, WEBHOOK)
        }
        endpoints::Found::Callback(endpoint, params) => {
            let answer = callback::take_named(inner, &endpoint, params, address, request).await;
            counted(answer, NAMED)
        }
        endpoints::Found::Away(away, params) => {
            let route = if away.is_callback() { NAMED } else { WEBHOOK };
            let carrier = away.carrier().clone();
            let named = (&*away.organization, away.id());
            let answer = arrival::take_unconfigured(inner, named, carrier, params, address, request).await;
            counted(answer, route)
        }
        endpoints::Found::OtherMethods(methods, target) => {
            let (asked, route) = match &target {
                Target::Webhook(webhook) => (webhook::challenge(inner, webhook, &request), WEBHOOK),
                Target::Callback(_) => (None, NAMED),
                Target::Away(away) if away.is_callback() => (None, NAMED),
                Target::Away(_) => (None, WEBHOOK),
            };
            counted(asked.unwrap_or_else(|| answer::method_not_allowed(&methods)), route)
        }
        endpoints::Found::Nothing => match path.strip_prefix("/callbacks/") {
            Some(token) if !token.contains('/') => {
                counted(callback::take_token(inner, token, address, request).await, TOKEN)
            }
            _ => Problem::not_found("path.not-found", "nothing is at this path").into_response(),
        },
    }
}

/// Whether a text has the form of a token; no endpoint has a path of it.
fn is_token(text: &str) -> bool {
    text.starts_with(bowline_webhooks::TOKEN_PREFIX) && !text.contains('/')
}

/// The organization that a path names, and the rest of it.
fn split(path: &str) -> (&str, &str) {
    let named = path.strip_prefix("/o/").and_then(|rest| {
        let slash = rest.find('/')?;
        let (organization, rest) = rest.split_at(slash);
        (!organization.is_empty()).then_some((organization, rest))
    });
    named.unwrap_or((DEFAULT_ORGANIZATION, path))
}

/// How a path of an organization begins.
fn joined(organization: &str, path: &str) -> String {
    if organization == DEFAULT_ORGANIZATION {
        path.to_owned()
    } else {
        format!("/o/{organization}{path}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_name_their_organization() {
        assert_eq!(split("/webhooks/x"), ("default", "/webhooks/x"));
        assert_eq!(split("/o/acme/webhooks/x"), ("acme", "/webhooks/x"));
        assert_eq!(split("/o/acme"), ("default", "/o/acme"));
        assert_eq!(split("/o//x"), ("default", "/o//x"));
        assert_eq!(joined("acme", "/webhooks/x"), "/o/acme/webhooks/x");
        assert_eq!(joined("default", "/webhooks/x"), "/webhooks/x");
    }
}
