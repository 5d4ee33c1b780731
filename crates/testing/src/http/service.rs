//! What a service says to a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bowline_expression::{Limits, Moment, nearest};
use hyper::StatusCode;
use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::callback::{Callbacks, Sending};
use super::matching::Miss;
use super::request::{Request, RouteScope};
use super::route::{Reply, Route};
use crate::check::{decode, join};
use crate::definition::{self, HttpService};
use crate::error::Problem;
use crate::fault::{Faults, Strike};
use crate::recorder::{Call, Recorder};
use crate::seed::Seed;

/// An HTTP service, ready to answer.
#[derive(Debug)]
pub(crate) struct Service {
    id: String,
    seed: Seed,
    faults: Faults,
    routes: Vec<Route>,
    calls: AtomicU64,
    callbacks: Callbacks,
}

/// Everything about one call.
#[derive(Debug)]
pub(crate) struct Decision {
    pub(crate) call: Call,
    pub(crate) answer: Answer,
    pub(crate) delay: Duration,
    pub(crate) strike: Option<Strike>,
    pub(crate) callbacks: Vec<Sending>,
}

impl Service {
    /// Compiles the service that stands at `path`.
    pub(crate) fn compile(service: HttpService, path: &str, problems: &mut Vec<Problem>) -> Self {
        let config = service.config;
        let path = join(path, "config");
        let mut routes = Vec::new();
        for (index, route) in config.routes.iter().enumerate() {
            let at = join(&path, &format!("routes[{index}]"));
            if let Some(route) = decode::<definition::Route>(route, &at, problems) {
                routes.extend(Route::compile(route, config.delay, &at, problems));
            }
        }
        Self {
            seed: Seed::new(config.seed, &service.id),
            faults: Faults::compile(config.fault, config.faults, &path, problems),
            id: service.id,
            routes,
            calls: AtomicU64::new(0),
            callbacks: Callbacks::default(),
        }
    }

    /// Finds the route and settles what it answers, what goes wrong, and what is recorded.
    pub(crate) fn decide(&self, request: Request) -> Decision {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let chance = self.seed.call(calls);
        let at = Timestamp::now();
        let moment = Moment {
            now_ms: at.as_millisecond(),
            seed: chance.number(),
            limits: Limits::default(),
        };
        let mut strike = self.faults.next();
        let mut misses = Vec::new();
        let mut taken = None;
        for route in &self.routes {
            match route.take(&request, calls, chance, &moment) {
                Ok((parameters, count)) => {
                    taken = Some((route, parameters, count));
                    break;
                }
                Err(miss) => misses.push((miss, route)),
            }
        }
        let mut route_name = None;
        let reply = match taken {
            None => Reply::plain(match strike {
                Some(Strike::Status(fault)) => Answer::of_fault(fault),
                _ => self.no_route(&request, &misses),
            }),
            Some((route, parameters, count)) => {
                route_name = Some(route.name.clone());
                let of_route = route.faults.next();
                strike = strike.or(of_route);
                let scope = RouteScope {
                    request: &request,
                    parameters: &parameters,
                    count,
                    calls,
                    chance,
                };
                // A status fault turns the call away before the route does anything.
                match strike {
                    Some(Strike::Status(fault)) => Reply::plain(Answer::of_fault(fault)),
                    _ => route.reply(&scope, &moment),
                }
            }
        };
        let answers = matches!(strike, None | Some(Strike::Status(_)));
        let call = Call {
            number: 0,
            service: self.id.clone(),
            at,
            idempotency_key: request.idempotency_key().map(str::to_owned),
            method: request.method,
            path: request.path,
            query: request.query,
            headers: request.headers,
            body: request.body,
            body_encoding: request.body_encoding,
            status: answers.then(|| reply.answer.status.as_u16()),
            route: route_name,
            repeated: reply.repeated,
            fault: strike.map(|strike| strike.name().to_owned()),
            error: reply.error,
        };
        Decision {
            call,
            answer: reply.answer,
            delay: reply.delay,
            strike: strike.cloned(),
            callbacks: reply.callbacks,
        }
    }

    /// Makes the callbacks that follow a call.
    pub(crate) fn call_back(&self, callbacks: Vec<Sending>, recorder: &Arc<Recorder>, stop: &CancellationToken) {
        if !callbacks.is_empty() {
            self.callbacks.send(&self.id, callbacks, recorder, stop);
        }
    }

    /// 404, and which route comes nearest.
    fn no_route(&self, request: &Request, misses: &[(Miss, &Route)]) -> Answer {
        let asked = format!("{} {}", request.method, request.path);
        let near = misses
            .iter()
            .max_by(|(one, _), (other, _)| one.cmp(other))
            .filter(|(miss, _)| *miss != Miss::Path);
        let names = || self.routes.iter().map(|route| route.name.as_str());
        let why = if let Some((miss, route)) = near {
            let reason = match miss {
                Miss::Path | Miss::Method => "has another method".to_owned(),
                Miss::Spent => "has answered all its `times`".to_owned(),
                Miss::Part(place) => format!("wants another `{place}`"),
                Miss::When(None) => "says no in `when`".to_owned(),
                Miss::When(Some(error)) => format!("cannot evaluate `when`: {error}"),
            };
            format!("; `{}` {reason}", route.name)
        } else if let Some(name) = nearest(&asked, names()) {
            format!("; the nearest is `{name}`")
        } else {
            String::new()
        };
        let listed: Vec<&str> = names().take(50).collect();
        Answer::json(
            StatusCode::NOT_FOUND,
            &json!({
                "error": "no-route",
                "message": format!("mock service `{}` has no route for {asked}{why}", self.id),
                "routes": listed,
            }),
        )
    }
}
