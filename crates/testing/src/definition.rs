//! What a mocks file may say: the structs here are its reader, its checker and its JSON Schema at once.
//!
//! A file is a list of services, or a document with `services`, `env`, `record` and `extends`. Every service has an
//! `id`, a `type` and a `config`, as nodes have.

use std::num::{NonZeroU32, NonZeroU64};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::notation::{Delay, Fault, present};

/// The long form of a mocks file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Document {
    /// Another mocks file that this one changes: services with the same `id` are merged into the other's, mapping by
    /// mapping, and `env` likewise; `null` removes. Relative to this file.
    #[serde(default)]
    #[expect(dead_code, reason = "was followed before the rest is read")]
    extends: Option<String>,
    /// The services to start; may be left out beside `extends`.
    #[serde(default)]
    #[schemars(with = "Vec<Service>")]
    pub(crate) services: Vec<Value>,
    /// Environment variables for the workflow. Values may use `${mocks.<id>.url}`, `.host` and `.port`.
    #[serde(default)]
    pub(crate) env: Map<String, Value>,
    /// A file that every call is appended to as one JSON line, before it is answered. Relative to the mocks file.
    #[serde(default)]
    pub(crate) record: Option<String>,
}

impl Document {
    /// The long form of a list of services.
    pub(crate) fn of_services(services: Vec<Value>) -> Self {
        Self {
            extends: None,
            services,
            env: Map::new(),
            record: None,
        }
    }
}

/// Either form of a mocks file; only its schema is used.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "describes the file for its schema; it is read part by part to find all problems"
)]
pub(crate) enum MocksFile {
    /// Just the services.
    List(Vec<Service>),
    /// Services, environment and recording.
    Document(Document),
}

/// Any service; only its schema is used.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "describes the file for its schema; the type of a service decides how it is read"
)]
pub(crate) enum Service {
    /// HTTP.
    Http(HttpService),
    /// Mail.
    Smtp(SmtpService),
}

/// The `type` of an HTTP service.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) enum HttpType {
    #[serde(rename = "mock-http-service")]
    MockHttpService,
}

/// The `type` of a mail service.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) enum SmtpType {
    #[serde(rename = "mock-smtp-service")]
    MockSmtpService,
}

/// An HTTP service that answers by its routes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HttpService {
    /// Name of the service, unique in the file.
    #[schemars(length(min = 1))]
    pub(crate) id: String,
    #[serde(rename = "type")]
    #[expect(dead_code, reason = "read before, to choose this struct")]
    kind: HttpType,
    /// Routes, port and faults.
    pub(crate) config: HttpConfig,
}

/// How an HTTP service behaves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HttpConfig {
    /// Port on 127.0.0.1. Absent or 0: any free port.
    #[serde(default)]
    pub(crate) port: u16,
    /// Makes `random` and random delays the same in every run. Absent: different in every run.
    #[serde(default)]
    pub(crate) seed: Option<u64>,
    /// Routes; the first that fits a request answers it.
    #[serde(default)]
    #[schemars(with = "Vec<Route>")]
    pub(crate) routes: Vec<Value>,
    /// Time before each answer of a route that says none itself.
    #[serde(default)]
    pub(crate) delay: Option<Delay>,
    /// A fault that any call to the service can meet.
    #[serde(default)]
    pub(crate) fault: Option<Fault>,
    /// Several faults; the first that is due strikes.
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
}

/// One route.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Route {
    /// Path such as `/users/:id`, `/users/{id}` or `/files/*`. Parameters are whole segments; `*` at the end takes
    /// the rest of the path, elsewhere one segment.
    pub(crate) path: String,
    /// Method. Absent or `*`: any.
    #[serde(default)]
    pub(crate) method: Option<String>,
    /// What the request must hold besides.
    #[serde(default, rename = "match")]
    pub(crate) matching: Match,
    /// The route answers only where this expression over `request` is true: `${ request.body.amount > 100 }`.
    #[serde(default)]
    pub(crate) when: Option<String>,
    /// The answer. Absent, and `responses` too: 200 without a body.
    #[serde(default)]
    pub(crate) response: Option<Response>,
    /// Answers in order, one for each call; the last one repeats.
    #[serde(default)]
    pub(crate) responses: Option<Vec<Response>>,
    /// Time before the answer: milliseconds, text such as `1s`, or `{min, max}`.
    #[serde(default)]
    pub(crate) delay: Option<Delay>,
    /// How many calls the route answers; later ones look at the routes below it.
    #[serde(default)]
    pub(crate) times: Option<NonZeroU64>,
    /// A repeated `Idempotency-Key` gets the first answer again, and the call is recorded as repeated.
    #[serde(default)]
    pub(crate) idempotent: bool,
    /// A call that the service makes by itself afterwards, as asynchronous services do.
    #[serde(default)]
    pub(crate) callback: Option<Callback>,
    /// Several of them.
    #[serde(default)]
    pub(crate) callbacks: Vec<Callback>,
    /// A fault of this route.
    #[serde(default)]
    pub(crate) fault: Option<Fault>,
    /// Several faults; the first that is due strikes.
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
}

/// A call that a service makes by itself after it has carried out what it was asked for. One that nobody answers, or with
/// a status from 500, is repeated every half second, 20 times in all. It is recorded as a call of the service with the
/// method `CALLBACK`. Strings may hold `${}` over `request`, `random`, `calls` and `response` (`status`, `body`).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Callback {
    /// Where it goes: `${request.body.callbackUrl}`.
    pub(crate) url: String,
    /// Method. Default POST.
    #[serde(default)]
    pub(crate) method: Option<String>,
    /// Headers.
    #[serde(default)]
    pub(crate) headers: Map<String, Value>,
    /// Body: text is sent as it is, everything else as JSON.
    #[serde(default, deserialize_with = "present")]
    pub(crate) body: Option<Value>,
    /// Time since the request came in; an answer with a longer `delay` comes after the callback. Default none.
    #[serde(default)]
    pub(crate) after: Option<Delay>,
    /// How often it is made. Default once.
    #[serde(default)]
    pub(crate) times: Option<NonZeroU32>,
    /// Time between two of them. Default none.
    #[serde(default)]
    pub(crate) every: Option<Delay>,
}

/// What a request must hold for a route to answer it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Match {
    /// Query parameters and their values.
    #[serde(default)]
    pub(crate) query: Map<String, Value>,
    /// Headers and their values; names without regard to case.
    #[serde(default)]
    pub(crate) headers: Map<String, Value>,
    /// Part of the body: objects may hold more, lists must be the same length, other values must be equal.
    #[serde(default, deserialize_with = "present")]
    pub(crate) body: Option<Value>,
}

/// One answer. Strings in `headers`, `body` and `bodyText` may hold `${}` over `request`, `random` and `calls`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Response {
    /// Status.
    #[serde(default = "ok")]
    #[schemars(range(min = 200, max = 599))]
    pub(crate) status: u16,
    /// Headers; a list sends the header several times.
    #[serde(default)]
    pub(crate) headers: Map<String, Value>,
    /// Body: text is sent as it is, everything else as JSON.
    #[serde(default, deserialize_with = "present")]
    pub(crate) body: Option<Value>,
    /// Body as text, whatever it looks like.
    #[serde(default)]
    pub(crate) body_text: Option<String>,
    /// Time before this answer; overrides the delay of the route.
    #[serde(default)]
    pub(crate) delay: Option<Delay>,
}

/// A mail service that keeps what is sent to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SmtpService {
    /// Name of the service, unique in the file.
    #[schemars(length(min = 1))]
    pub(crate) id: String,
    #[serde(rename = "type")]
    #[expect(dead_code, reason = "read before, to choose this struct")]
    kind: SmtpType,
    /// Port, refusals and faults.
    #[serde(default)]
    pub(crate) config: SmtpConfig,
}

/// How a mail service behaves.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SmtpConfig {
    /// Port on 127.0.0.1. Absent or 0: any free port.
    #[serde(default)]
    pub(crate) port: u16,
    /// Recipients that are refused.
    #[serde(default)]
    pub(crate) rejects: Vec<Reject>,
    /// A fault that any message can meet, after it was received.
    #[serde(default)]
    pub(crate) fault: Option<Fault>,
    /// Several faults; the first that is due strikes.
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
}

/// A recipient that is refused.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Reject {
    /// Address, without regard to case; `*` stands for any characters.
    pub(crate) to: String,
    /// Reply code: 4xx may be tried again, 5xx may not.
    #[serde(default = "mailbox_unavailable")]
    #[schemars(range(min = 400, max = 599))]
    pub(crate) code: u16,
    /// Text after the code, on one line.
    #[serde(default = "no_such_user")]
    pub(crate) message: String,
}

fn ok() -> u16 {
    200
}

fn mailbox_unavailable() -> u16 {
    550
}

fn no_such_user() -> String {
    "no such user here".to_owned()
}
