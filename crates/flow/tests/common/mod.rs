//! Connectors of a fixed shape, so that these tests do not change with the real ones.

use std::collections::BTreeMap;

use bowline_connector::{Millis, Registry, Secret, StepContext, StepError, TriggerType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its reading are used")]
struct HttpRequest {
    /// Name of a connection of type `http`.
    connection: Option<String>,
    /// HTTP method. Default GET.
    #[serde(default)]
    method: Method,
    /// Absolute URL, or a path below the connection's.
    url: String,
    /// Request headers.
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    /// Query parameters.
    #[serde(default)]
    query: BTreeMap<String, Value>,
    /// JSON body.
    body: Option<Value>,
    /// How long the call may take.
    timeout: Option<Millis>,
    /// Whether redirects are followed.
    #[serde(default)]
    follow_redirects: bool,
    /// Redirects to follow.
    max_redirects: Option<u8>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    #[default]
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its reading are used")]
struct SqlQuery {
    /// Name of a connection of a SQL type.
    connection: String,
    /// One statement.
    #[schemars(extend("x-no-expressions" = true))]
    query: String,
    /// Values of its placeholders.
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema and its reading are used")]
enum Parameters {
    List(Vec<Value>),
    Named(BTreeMap<String, Value>),
}

impl Default for Parameters {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(try_from = "MailFields")]
struct Mail;

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its reading are used")]
struct MailFields {
    /// Receivers.
    to: Vec<String>,
    /// Subject line.
    subject: String,
    /// Text of the message.
    text: Option<String>,
    /// HTML of the message.
    html: Option<String>,
}

impl TryFrom<MailFields> for Mail {
    type Error = &'static str;

    fn try_from(fields: MailFields) -> Result<Self, Self::Error> {
        if fields.text.is_none() && fields.html.is_none() {
            Err("`text` or `html` is missing")
        } else {
            Ok(Self)
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its reading are used")]
struct HttpConnection {
    /// Where relative URLs start.
    base_url: String,
    /// How calls prove who makes them.
    authentication: Option<Authentication>,
    /// Headers of every call.
    #[serde(default)]
    headers: BTreeMap<String, Secret>,
    /// How long a call may take.
    timeout: Option<Millis>,
    /// Retry policy of the steps that use this connection.
    retry_policy: Option<Value>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its reading are used")]
enum Authentication {
    Bearer { credentials: Token },
    Basic { credentials: UserAndPassword },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its reading are used")]
struct Token {
    token: Secret,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its reading are used")]
struct UserAndPassword {
    username: String,
    password: Secret,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its reading are used")]
struct Sqlite {
    /// The database file.
    database: String,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its reading are used")]
struct Webhook {
    /// Where deliveries arrive.
    path: String,
    /// How the other side proves who it is.
    authentication: Option<Signature>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its reading are used")]
struct Signature {
    /// What signatures are made with.
    secret: Secret,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its reading are used")]
struct Schedule {
    /// When.
    cron: String,
    /// Where.
    timezone: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema and its reading are used")]
struct Endpoint {
    /// Where calls arrive.
    path: Option<String>,
    /// How the other side proves who it is.
    authentication: Option<Signature>,
}

#[derive(Serialize, JsonSchema)]
struct Nothing {}

async fn nothing<C>(_: StepContext, _: C) -> Result<Nothing, StepError> {
    Ok(Nothing {})
}

/// `http-request`, `sql-query`, `email-send`; connections `http` and `sqlite`; `webhook-trigger` and `schedule`.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.add("http-request", nothing::<HttpRequest>);
    registry.add("sql-query", nothing::<SqlQuery>);
    registry.add("email-send", nothing::<Mail>);
    registry.add_connection("http", |_, _: HttpConnection| Ok(()));
    registry.add_connection("sqlite", |_, _: Sqlite| Ok(()));
    let came = &[("body", "What was sent."), ("headers", "Its headers.")];
    registry.add_trigger(
        TriggerType::of::<Webhook>("webhook-trigger")
            .input("${trigger.body}")
            .fields(came),
    );
    registry.add_trigger(TriggerType::of::<Schedule>("schedule"));
    registry.set_callback_endpoint(TriggerType::of::<Endpoint>("callback").fields(came));
    registry
}
