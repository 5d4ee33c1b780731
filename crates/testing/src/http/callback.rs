//! Calls that a service makes by itself after it was called: an asynchronous service tells its result.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use bowline_expression::{Binding, Moment, Scope, Template};
use jiff::Timestamp;
use reqwest::{Client, Method, Url};
use serde_json::{Map, Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, text_of};
use super::request::{RouteScope, SCOPE_NAMES};
use crate::check::{dotted, join};
use crate::definition::Callback;
use crate::error::Problem;
use crate::notation::Delay;
use crate::recorder::{BodyEncoding, Call, Recorder};
use crate::seed::Chance;

/// How often one call is tried while nobody answers, or with a status from 500, and the pause between.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// How long the other side may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Made on first use: most mocks call nobody.
static CLIENT: LazyLock<Client> = LazyLock::new(Client::new);

/// A callback of a route, compiled.
#[derive(Debug)]
pub(crate) struct CallbackPlan {
    method: Method,
    parts: Template,
    after: Delay,
    every: Delay,
    times: u32,
}

/// A callback with all that it says.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    method: Method,
    url: Result<Url, String>,
    headers: Vec<(String, String)>,
    body: Value,
    after: Duration,
    every: Duration,
    times: u32,
}

/// What a callback's expressions read: all that the answer's do, and the answer as `response`.
struct CallbackScope<'a> {
    route: &'a RouteScope<'a>,
    response: Value,
}

impl Scope for CallbackScope<'_> {
    fn get(&self, name: &str) -> Option<Binding> {
        match name {
            "response" => Some(Binding::open(self.response.clone())),
            _ => self.route.get(name),
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names = self.route.names();
        names.push("response".to_owned());
        names
    }
}

impl CallbackPlan {
    /// Compiles the callback that stands at `at`.
    pub(crate) fn compile(callback: Callback, at: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let method = callback.method.as_deref().unwrap_or("POST").to_ascii_uppercase();
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| problems.push(Problem::new(join(at, "method"), format!("`{method}` is not a method"))))
            .ok();
        let mut parts = Map::new();
        parts.insert("url".to_owned(), Value::String(callback.url));
        parts.insert("headers".to_owned(), Value::Object(callback.headers));
        parts.extend(callback.body.map(|body| ("body".to_owned(), body)));
        let parts = match Template::compile(&Value::Object(parts)) {
            Ok(parts) => Some(parts),
            Err(errors) => {
                for error in errors {
                    problems.push(Problem::new(join(at, &dotted(&error.pointer)), error.message).hint(error.hint));
                }
                None
            }
        };
        for (pointer, _, expression) in parts.iter().flat_map(Template::expressions) {
            let known = |name: &str| name == "response" || SCOPE_NAMES.contains(&name);
            for name in expression.roots().names.iter().filter(|name| !known(name)) {
                let problem = Problem::new(join(at, &dotted(pointer)), format!("reads `{name}`"));
                problems.push(problem.expected(format!("one of: {}, response", SCOPE_NAMES.join(", "))));
            }
        }
        if problems.len() > before {
            return None;
        }
        let none = Delay::default();
        Some(Self {
            method: method?,
            parts: parts?,
            after: callback.after.unwrap_or(none),
            every: callback.every.unwrap_or(none),
            times: callback.times.map_or(1, std::num::NonZero::get),
        })
    }

    /// The callback that follows a call with this answer.
    ///
    /// # Errors
    /// An expression that fails.
    pub(crate) fn render(&self, route: &RouteScope<'_>, answer: &Answer, moment: &Moment) -> Result<Sending, String> {
        let body = match serde_json::from_slice(&answer.body) {
            Ok(body) => body,
            Err(_) => Value::String(String::from_utf8_lossy(&answer.body).into_owned()),
        };
        let response = json!({ "status": answer.status.as_u16(), "body": body });
        let scope = CallbackScope { route, response };
        let rendered = self.parts.render(&scope, moment);
        let parts = rendered.map_err(|error| format!("callback: {error}"))?.value;
        let url = parts.get("url").map(text_of).unwrap_or_default();
        let headers = parts.get("headers").and_then(Value::as_object).into_iter().flatten();
        Ok(Sending {
            method: self.method.clone(),
            url: Url::parse(&url).map_err(|error| format!("{url:?} is not a URL: {error}")),
            headers: headers.map(|(name, value)| (name.clone(), text_of(value))).collect(),
            body: parts.get("body").cloned().unwrap_or_default(),
            after: within(self.after, route.chance),
            every: within(self.every, route.chance),
            times: self.times,
        })
    }
}

fn within(delay: Delay, chance: Chance) -> Duration {
    let (min, max) = (delay.min.duration(), delay.max.duration());
    min + max.saturating_sub(min).mul_f64(chance.fraction())
}

/// The callbacks of one service that are under way; dropping it ends them.
#[derive(Debug, Default)]
pub(crate) struct Callbacks(Mutex<JoinSet<()>>);

impl Callbacks {
    /// Makes the callbacks of a call, each in its time.
    pub(crate) fn send(
        &self,
        service: &str,
        sendings: Vec<Sending>,
        recorder: &Arc<Recorder>,
        stop: &CancellationToken,
    ) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        for sending in sendings {
            let (service, recorder, stop) = (service.to_owned(), Arc::clone(recorder), stop.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = send(&service, &sending, &recorder) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
    }
}

async fn send(service: &str, sending: &Sending, recorder: &Recorder) {
    tokio::time::sleep(sending.after).await;
    for round in 0..sending.times {
        if round > 0 {
            tokio::time::sleep(sending.every).await;
        }
        let at = Timestamp::now();
        let (status, error) = deliver(sending).await;
        if let Some(error) = &error {
            tracing::warn!(service, %error, "a mock's callback did not arrive");
        }
        let call = Call {
            number: 0,
            service: service.to_owned(),
            at,
            method: "CALLBACK".to_owned(),
            path: sending.url.as_ref().map(Url::to_string).unwrap_or_default(),
            query: Map::new(),
            headers: sending.headers.iter().cloned().collect(),
            body: sending.body.clone(),
            body_encoding: match &sending.body {
                Value::Null => BodyEncoding::None,
                Value::String(_) => BodyEncoding::Text,
                _ => BodyEncoding::Json,
            },
            status,
            route: None,
            idempotency_key: None,
            repeated: false,
            fault: None,
            error,
        };
        if let Err(error) = recorder.record(call) {
            tracing::error!(%error, "a mock cannot record a callback");
        }
    }
}

/// Delivers it once: what was answered, or why nothing was.
async fn deliver(sending: &Sending) -> (Option<u16>, Option<String>) {
    let url = match &sending.url {
        Ok(url) => url,
        Err(error) => return (None, Some(error.clone())),
    };
    let mut last = (None, None);
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let mut request = CLIENT.request(sending.method.clone(), url.clone()).timeout(PATIENCE);
        request = match &sending.body {
            Value::Null => request,
            Value::String(text) => request.body(text.clone()),
            body => request.json(body),
        };
        for (name, value) in &sending.headers {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(answer) if answer.status().is_server_error() => last = (Some(answer.status().as_u16()), None),
            Ok(answer) => return (Some(answer.status().as_u16()), None),
            // A request that cannot be built is not built the second time either.
            Err(error) if error.is_builder() => return (None, Some(error.to_string())),
            Err(error) => last = (None, Some(error.to_string())),
        }
    }
    last
}
