//! The configuration of a `webhook-trigger`, and of a named callback endpoint.

use std::borrow::Cow;
use std::time::Duration;

use bowline_connector::{Millis, Secret};
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::authentication::Authentication;

/// The `type:` of the trigger.
pub const KIND: &str = "webhook-trigger";

/// Most bytes of a body where nothing else is said: 10 MiB.
pub const DEFAULT_BODY_BYTES: u64 = 10 << 20;

/// How long deliveries are kept, and second ones known, where nothing else is said: 30 days.
pub const DEFAULT_KEEP: Duration = Duration::from_secs(30 * 86_400);

/// How long a request waits for a response where nothing else is said: 30 seconds.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// A webhook: a path that others call to start the workflow.
///
/// A request is acknowledged when its execution has been started durably, and started once: a second one with the
/// sender's own id gets the answer of the first.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The path, such as `/webhooks/order-created`. `{name}` is one part of it and becomes `trigger.params.name`,
    /// `{*name}` at the end is all that follows. Organizations other than `default` are called with `/o/<organization>`
    /// before it.
    pub path: String,
    /// The method or methods: `GET`, `POST`, `PUT`, `PATCH` or `DELETE`. Default: `POST`.
    #[serde(default)]
    pub method: Methods,
    /// Who may send.
    pub authentication: Authentication,
    /// What the body has to be.
    #[serde(default)]
    pub validation: Option<Validation>,
    /// When the sender is answered, and with what. Default: `immediate`.
    #[serde(default)]
    pub respond: Respond,
    /// How long `result` and `step` wait before they answer 202 with the address of the execution. Default: 30 s.
    #[serde(default)]
    pub wait: Option<Millis>,
    /// Most bytes of a body; more is refused. Default: 10 MiB.
    #[serde(default)]
    pub max_body_bytes: Option<u64>,
    /// How long deliveries are kept, and by that how long a second one is known. Default: 30 days.
    #[serde(default)]
    pub keep: Option<Millis>,
    /// The address that senders call, without the query, where it is neither the server's public URL with the path nor
    /// what the request itself says. Only schemes that sign the address need it.
    #[serde(default)]
    pub url: Option<String>,
    /// Answers a sender that asks with GET whether the endpoint is there.
    #[serde(default)]
    pub challenge: Option<Challenge>,
}

/// What the body has to be.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Validation {
    /// JSON Schema of the body. What does not fit is refused with the places that do not.
    pub schema: Value,
}

/// When the sender is answered, and with what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Respond {
    /// At once, when the execution has been started durably: 202 with its id and its address (default).
    #[default]
    Immediate,
    /// With the workflow's output when it has ended.
    Result,
    /// With what a `respond` step says; with the output where none has when the workflow has ended.
    Step,
}

/// How a sender asks by GET whether the endpoint is there, before it sends anything: it has a text written back.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Challenge {
    /// The query parameter whose text is written back, such as `hub.challenge`.
    pub parameter: String,
    /// The query parameter that has to be `token`, such as `hub.verify_token`.
    #[serde(default)]
    pub token_parameter: Option<String>,
    /// What that parameter has to be.
    #[serde(default)]
    pub token: Option<Secret>,
}

/// Methods, as a text or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods(pub Vec<Method>);

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

impl Default for Methods {
    fn default() -> Self {
        Self(vec![Method::POST])
    }
}

impl<'de> Deserialize<'de> for Methods {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = || de::Error::custom("a method is one of GET, POST, PUT, PATCH and DELETE, or a list of them");
        let names = match Value::deserialize(deserializer)? {
            Value::String(name) => vec![name],
            Value::Array(items) if !items.is_empty() => items
                .into_iter()
                .map(|item| item.as_str().map(ToOwned::to_owned).ok_or_else(expected))
                .collect::<Result<_, _>>()?,
            _ => return Err(expected()),
        };
        names
            .iter()
            .map(|name| {
                let name = METHODS.iter().find(|known| known.eq_ignore_ascii_case(name));
                name.and_then(|name| name.parse().ok()).ok_or_else(expected)
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl JsonSchema for Methods {
    fn schema_name() -> Cow<'static, str> {
        "Methods".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A method, or a list of them.",
            "anyOf": [
                { "type": "string", "enum": METHODS },
                { "type": "array", "minItems": 1, "items": { "type": "string", "enum": METHODS } }
            ]
        })
    }
}

impl Config {
    /// Most bytes of a body.
    pub fn body_limit(&self) -> u64 {
        self.max_body_bytes.unwrap_or(DEFAULT_BODY_BYTES)
    }

    /// How long deliveries are kept: as long as their signatures count, at least, so that none of them counts twice.
    pub fn keep(&self) -> Duration {
        let keep = self.keep.map_or(DEFAULT_KEEP, Millis::duration);
        keep.max(self.authentication.counts_for())
    }

    /// How long a request waits for a response.
    pub fn wait(&self) -> Duration {
        self.wait.map_or(DEFAULT_WAIT, Millis::duration)
    }

    /// The methods, each with the path. Parameters have no names in it, as paths that differ in those only are one.
    pub(crate) fn claims(&self) -> Vec<String> {
        let parts = self.path.split('/').map(|part| match part {
            _ if part.starts_with("{*") => "{*}",
            _ if part.starts_with('{') => "{}",
            other => other,
        });
        let path = parts.collect::<Vec<_>>().join("/");
        let methods = self.method.0.iter();
        methods.map(|method| format!("{method} {path}")).collect()
    }

    /// What makes it unusable, beyond its form.
    ///
    /// # Errors
    /// One text for each thing, naming the field.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        problems.extend(check_path(&self.path).err());
        problems.extend(self.authentication.check().err().into_iter().flatten());
        if let Some(validation) = &self.validation
            && let Err(error) = jsonschema::validator_for(&validation.schema)
        {
            problems.push(format!("validation.schema: it is not a JSON Schema: {error}"));
        }
        if let Some(challenge) = &self.challenge {
            if challenge.token_parameter.is_some() != challenge.token.is_some() {
                problems.push("challenge: tokenParameter and token need each other".to_owned());
            }
            if challenge.token.as_ref().is_some_and(|token| token.expose().is_empty()) {
                problems.push("challenge.token: it is empty".to_owned());
            }
            if self.method.0.contains(&Method::GET) {
                problems.push("challenge: GET starts this workflow, so it cannot answer a challenge".to_owned());
            }
        }
        if let Some(url) = &self.url
            && !url::Url::parse(url).is_ok_and(|url| url.has_host() && url.query().is_none())
        {
            problems.push("url: it is not an absolute address without a query".to_owned());
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// First parts of paths that are the server's own. `callbacks` is for tokens and callback endpoints.
const RESERVED: [&str; 10] = [
    "api",
    "callbacks",
    "docs",
    "health",
    "metrics",
    "o",
    "openapi.json",
    "ui",
    "version",
    "favicon.ico",
];

/// What tokens of callbacks begin with: `/callbacks/bw_...` leads to what an execution waits for, and never to an endpoint.
pub const TOKEN_PREFIX: &str = "bw_";

/// What is wrong with a path of a trigger.
///
/// # Errors
/// What, in words.
pub fn check_path(path: &str) -> Result<(), String> {
    check_form(path)?;
    let first = path.split('/').nth(1).unwrap_or_default();
    if first.contains('{') {
        return Err(format!(
            "path: {path} begins with a parameter, so it would take the server's own paths too; begin it with a name, such \
             as /webhooks{path}"
        ));
    }
    if RESERVED.contains(&first) || first.is_empty() {
        return Err(format!(
            "path: {path} is the server's own; take one below /webhooks, such as /webhooks/orders"
        ));
    }
    Ok(())
}

/// What is wrong with a path of a named callback endpoint.
///
/// # Errors
/// What, in words.
pub fn check_callback_path(path: &str) -> Result<(), String> {
    let Some(rest) = path.strip_prefix("/callbacks/").filter(|rest| !rest.is_empty()) else {
        return check_path(path);
    };
    check_form(path)?;
    let second = rest.split('/').next().unwrap_or_default();
    if second.contains('{') || second.starts_with(TOKEN_PREFIX) {
        return Err(format!(
            "path: {path} would take the addresses of callbacks by token, /callbacks/{TOKEN_PREFIX}...; take a path such as \
             /callbacks/valuation"
        ));
    }
    Ok(())
}

fn check_form(path: &str) -> Result<(), String> {
    if !path.starts_with('/') || path.contains(['?', '#', ' ']) || path.contains("//") {
        return Err(format!(
            "path: {path:?} is not a path such as /webhooks/orders or /webhooks/{{shop}}/orders"
        ));
    }
    let mut names: Vec<&str> = path.split('/').filter(|part| part.starts_with('{')).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    if names.len() < count {
        return Err(format!("path: {path} has a parameter twice"));
    }
    matchit::Router::new()
        .insert(path, ())
        .map_err(|error| format!("path: {path} cannot be used: {error}"))
}

/// How a named callback endpoint of `bowline.yaml` is called and by whom.
///
/// ```yaml
/// callbacks:
///   valuation:
///     authentication: { type: signature, secret: "${env.VALUATION_SECRET}" }
///     correlate: "${callback.body.valuationReference}"
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CallbackConfig {
    /// The path. Default: `/callbacks/` and the name.
    #[serde(default)]
    pub path: Option<String>,
    /// The method or methods. Default: `POST` and `PUT`.
    #[serde(default)]
    pub method: Option<Methods>,
    /// Who may call. A reference can often be guessed, so `none` is for services that cannot do better.
    pub authentication: Authentication,
    /// Most bytes of a body; more is refused. Default: 10 MiB.
    #[serde(default)]
    pub max_body_bytes: Option<u64>,
    /// The address that callers call, without the query, where a scheme signs the address.
    #[serde(default)]
    pub url: Option<String>,
}

impl CallbackConfig {
    /// The path of the endpoint called `name`.
    pub fn path(&self, name: &str) -> String {
        self.path.clone().unwrap_or_else(|| format!("/callbacks/{name}"))
    }

    /// The methods that it takes.
    pub fn methods(&self) -> Vec<Method> {
        self.method
            .as_ref()
            .map_or_else(|| vec![Method::POST, Method::PUT], |methods| methods.0.clone())
    }

    /// Most bytes of a body.
    pub fn body_limit(&self) -> u64 {
        self.max_body_bytes.unwrap_or(DEFAULT_BODY_BYTES)
    }

    /// What makes it unusable, beyond its form.
    ///
    /// # Errors
    /// One text for each thing, naming the field.
    pub fn check(&self, name: &str) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        problems.extend(check_callback_path(&self.path(name)).err());
        problems.extend(self.authentication.check().err().into_iter().flatten());
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_takes_what_is_the_servers_or_anothers_wait() {
        for path in ["/webhooks/x", "/webhooks/{shop}/{*rest}", "/x"] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        for path in ["/{a}/{b}", "/{*all}", "/a{b}/c", "/callbacks/x", "/ui", "/"] {
            assert!(check_path(path).is_err(), "{path}");
        }
        for path in ["/callbacks/valuation", "/callbacks/valuation/{id}", "/webhooks/x"] {
            assert_eq!(check_callback_path(path), Ok(()), "{path}");
        }
        for path in [
            "/callbacks/{t}",
            "/callbacks/{*t}",
            "/callbacks/bw_x",
            "/{a}/{b}",
            "/callbacks/",
            "/callbacks",
        ] {
            assert!(check_callback_path(path).is_err(), "{path}");
        }
    }
}
