//! One route: whether it is meant, and what it answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bowline_expression::{Expression, Moment};
use hyper::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::{Answer, AnswerPlan};
use super::callback::{CallbackPlan, Sending};
use super::matching::{Miss, compare};
use super::request::{Request, RouteScope, SCOPE_NAMES, unknown_names};
use crate::check::join;
use crate::definition::{self, Match};
use crate::error::Problem;
use crate::fault::Faults;
use crate::notation::Delay;
use crate::path::PathPattern;
use crate::seed::Chance;

/// A route, ready to answer. Counters make it stateful; it is shared between connections.
#[derive(Debug)]
pub(crate) struct Route {
    /// Such as `POST /charge`.
    pub(crate) name: String,
    pub(crate) faults: Faults,
    method: Option<String>,
    path: PathPattern,
    matching: Match,
    when: Option<Expression>,
    answers: Vec<AnswerPlan>,
    delay: Option<Delay>,
    times: u64,
    /// Calls this route took, repeated ones included.
    taken: AtomicU64,
    /// Answers given so far: the place in `answers`. A repeated key does not count.
    answered: AtomicU64,
    saved: Option<Mutex<HashMap<String, Saved>>>,
    callbacks: Vec<CallbackPlan>,
}

/// What an idempotent route remembers of a key.
#[derive(Debug)]
struct Saved {
    path: String,
    body: Value,
    answer: Answer,
}

/// What a route says to a call.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) answer: Answer,
    pub(crate) delay: std::time::Duration,
    pub(crate) repeated: bool,
    /// What the service does by itself afterwards.
    pub(crate) callbacks: Vec<Sending>,
    /// Why the answer is not the one in the file.
    pub(crate) error: Option<String>,
}

impl Route {
    /// Compiles the route that stands at `at`; `delay` is the service's own.
    pub(crate) fn compile(
        route: definition::Route,
        delay: Option<Delay>,
        at: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let before = problems.len();
        let path = PathPattern::parse(&route.path)
            .map_err(|problem| problems.push(Problem::new(join(at, "path"), problem)))
            .ok();
        let method = route
            .method
            .filter(|method| method != "*")
            .map(|method| method.to_ascii_uppercase());
        if let Some(name) = method
            .as_deref()
            .filter(|name| hyper::Method::from_bytes(name.as_bytes()).is_err())
        {
            problems.push(Problem::new(join(at, "method"), format!("`{name}` is not a method")));
        }
        let when = route
            .when
            .and_then(|text| compile_when(&text, &join(at, "when"), problems));
        let responses = match (route.response, route.responses) {
            (Some(_), Some(_)) => {
                problems.push(Problem::new(at, "has both `response` and `responses`").expected("one of them"));
                Vec::new()
            }
            (None, Some(several)) if several.is_empty() => {
                problems.push(Problem::new(join(at, "responses"), "is empty").expected("at least one response"));
                Vec::new()
            }
            (None, Some(several)) => {
                let places = several.into_iter().enumerate();
                places
                    .map(|(index, response)| (format!("responses[{index}]"), response))
                    .collect()
            }
            (one, None) => vec![(
                "response".to_owned(),
                one.unwrap_or_else(|| definition::Response {
                    status: 200,
                    ..Default::default()
                }),
            )],
        };
        let answers: Vec<_> = responses
            .into_iter()
            .filter_map(|(name, response)| AnswerPlan::compile(response, &join(at, &name), problems))
            .collect();
        let one = route.callback.map(|callback| ("callback".to_owned(), callback));
        let several = route.callbacks.into_iter().enumerate();
        let several = several.map(|(index, callback)| (format!("callbacks[{index}]"), callback));
        let callbacks: Vec<_> = one
            .into_iter()
            .chain(several)
            .filter_map(|(name, callback)| CallbackPlan::compile(callback, &join(at, &name), problems))
            .collect();
        let faults = Faults::compile(route.fault, route.faults, at, problems);
        if problems.len() > before {
            return None;
        }
        Some(Self {
            name: format!("{} {}", method.as_deref().unwrap_or("*"), route.path),
            faults,
            method,
            path: path?,
            matching: route.matching,
            when,
            answers,
            delay: route.delay.or(delay),
            times: route.times.map_or(u64::MAX, std::num::NonZero::get),
            taken: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            saved: route.idempotent.then(Mutex::default),
            callbacks,
        })
    }

    /// Takes a call if it is meant for this route: its path parameters and which call of the route it is.
    pub(crate) fn take(
        &self,
        request: &Request,
        calls: u64,
        chance: Chance,
        moment: &Moment,
    ) -> Result<(Map<String, Value>, u64), Miss> {
        let parameters = self.path.matches(&request.path).ok_or(Miss::Path)?;
        if self.method.as_deref().is_some_and(|method| method != request.method) {
            return Err(Miss::Method);
        }
        if let Some(miss) = compare(&self.matching, request) {
            return Err(miss);
        }
        if let Some(when) = &self.when {
            let scope = RouteScope {
                request,
                parameters: &parameters,
                count: self.taken.load(Ordering::Relaxed) + 1,
                calls,
                chance,
            };
            match when.evaluate(&scope, moment) {
                Ok(evaluated) if evaluated.value == Some(Value::Bool(true)) => {}
                Ok(_) => return Err(Miss::When(None)),
                Err(error) => return Err(Miss::When(Some(error.to_string()))),
            }
        }
        let one_more = |taken: u64| (taken < self.times).then_some(taken + 1);
        let taken = self
            .taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .map_err(|_| Miss::Spent)?;
        Ok((parameters, taken + 1))
    }

    /// The answer to a call that this route took.
    pub(crate) fn reply(&self, scope: &RouteScope<'_>, moment: &Moment) -> Reply {
        let (Some(saved), Some(key)) = (&self.saved, scope.request.idempotency_key()) else {
            return self.next(scope, moment);
        };
        // Held while rendering, so that two calls with one key at the same moment are carried out once.
        let mut saved = saved.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = saved.get(key) {
            let same = first.path == scope.request.path && first.body == scope.request.body;
            return Reply {
                answer: if same { first.answer.clone() } else { key_reused() },
                delay: self
                    .answers
                    .last()
                    .map(|plan| plan.delay(self.delay, scope.chance))
                    .unwrap_or_default(),
                repeated: same,
                error: None,
                callbacks: Vec::new(),
            };
        }
        let reply = self.next(scope, moment);
        let turned_away = reply.answer.status.is_server_error() || reply.answer.status == StatusCode::TOO_MANY_REQUESTS;
        if !turned_away {
            let first = Saved {
                path: scope.request.path.clone(),
                body: scope.request.body.clone(),
                answer: reply.answer.clone(),
            };
            saved.insert(key.to_owned(), first);
        }
        reply
    }

    /// The next of the answers; the last one repeats.
    fn next(&self, scope: &RouteScope<'_>, moment: &Moment) -> Reply {
        let place = usize::try_from(self.answered.fetch_add(1, Ordering::Relaxed)).unwrap_or(usize::MAX);
        let Some(plan) = self.answers.get(place).or_else(|| self.answers.last()) else {
            return Reply::failed("the route has no answer".to_owned());
        };
        match plan.render(scope, moment) {
            Ok(answer) => match self.callbacks_of(&answer, scope, moment) {
                Ok(callbacks) => Reply {
                    callbacks,
                    answer,
                    delay: plan.delay(self.delay, scope.chance),
                    repeated: false,
                    error: None,
                },
                Err(error) => Reply::failed(error),
            },
            Err(error) => Reply::failed(error),
        }
    }

    /// What follows an answer. What is refused has no consequences.
    fn callbacks_of(&self, answer: &Answer, scope: &RouteScope<'_>, moment: &Moment) -> Result<Vec<Sending>, String> {
        if answer.status.as_u16() >= 400 {
            return Ok(Vec::new());
        }
        let callbacks = self.callbacks.iter();
        callbacks
            .map(|callback| callback.render(scope, answer, moment))
            .collect()
    }
}

impl Reply {
    /// An answer at once.
    pub(crate) fn plain(answer: Answer) -> Self {
        Self {
            answer,
            delay: std::time::Duration::ZERO,
            repeated: false,
            error: None,
            callbacks: Vec::new(),
        }
    }

    /// 500, and why.
    fn failed(error: String) -> Self {
        let body = json!({ "error": "mock", "message": error });
        Self {
            error: Some(error),
            ..Self::plain(Answer::json(StatusCode::INTERNAL_SERVER_ERROR, &body))
        }
    }
}

fn key_reused() -> Answer {
    let message = "this Idempotency-Key was used for another request";
    Answer::json(
        StatusCode::UNPROCESSABLE_ENTITY,
        &json!({ "error": "idempotency-key-reused", "message": message }),
    )
}

/// `${...}` or the bare expression, taken as true or false by the rules of `$boolean`.
fn compile_when(text: &str, path: &str, problems: &mut Vec<Problem>) -> Option<Expression> {
    let trimmed = text.trim();
    let source = trimmed
        .strip_prefix("${")
        .and_then(|inner| inner.strip_suffix('}'))
        .unwrap_or(trimmed);
    let checked = match Expression::compile(source) {
        Ok(checked) => checked,
        Err(error) => {
            problems.push(Problem::new(path, error.message).hint(error.hint));
            return None;
        }
    };
    if let Some(name) = unknown_names(&checked).next() {
        problems.push(
            Problem::new(path, format!("reads `{name}`")).expected(format!("one of: {}", SCOPE_NAMES.join(", "))),
        );
        return None;
    }
    // The line break ends a comment that the expression may end with.
    Expression::compile(&format!("$boolean({source}\n)"))
        .map_err(|error| problems.push(Problem::new(path, error.message).hint(error.hint)))
        .ok()
}
