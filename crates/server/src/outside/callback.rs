//! Callbacks: answers from outside to what executions wait for, by token or by the other side's own reference.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bowline_core::{Answer, Payload, StepError};
use bowline_host::{CallbackAddress, Delivered, HostError};
use bowline_webhooks::body::{self, BodyError};
use bowline_webhooks::{CallbackConfig, DEFAULT_BODY_BYTES, Delivery, Refusal, Verified, too_large};
use serde_json::{Value, json};

use super::arrival::{self, Arrival, Terms};
use super::endpoints::Callback;
use super::incoming::{self, Address, Incoming, NoBody};
use super::once::Once;
use super::{Inner, answer, person, webhook};
use crate::problem::Problem;

/// What answers by token are counted under.
const BY_TOKEN: &str = "callbacks";

/// Takes a request at `/callbacks/{token}`.
pub(super) async fn take_token(inner: &Arc<Inner>, token: &str, address: Address, request: Request) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => return person::ask(inner, token, address.query()).await,
        Method::POST | Method::PUT => {}
        _ => {
            let methods = ["GET", "HEAD", "POST", "PUT"].map(ToOwned::to_owned);
            return answer::method_not_allowed(&methods);
        }
    }
    let incoming = match incoming::read(request, DEFAULT_BODY_BYTES, &inner.bodies).await {
        Ok(incoming) => incoming,
        Err(NoBody::TooLarge(_)) => return large(DEFAULT_BODY_BYTES).into_response(),
        Err(NoBody::TooSlow) => return answer::too_slow().into_response(),
        Err(NoBody::NoRoom) => return answer::no_room().into_response(),
        Err(NoBody::Broken) => return answer::broken().into_response(),
    };
    if person::is_form(&incoming) {
        return person::decide(inner, token, &address, &incoming).await;
    }
    answer_token(inner, token, &address, &incoming)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

async fn answer_token(inner: &Inner, token: &str, address: &Address, incoming: &Incoming) -> Result<Response, Problem> {
    // A token that is made up costs no more than this.
    let waiting = person::find(inner, token).await?;
    let content_type = incoming.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let blobs = inner.host.blobs_of(waiting.organization());
    let value = match body::read(content_type, &incoming.body, Some(&blobs)).await {
        Ok(value) => value,
        Err(BodyError::Refused(refusal)) => return Err(answer::refused(&refusal, "none")),
        Err(BodyError::Blob(error)) => return Err(unavailable(&error)),
    };
    let status = query(address.query(), "status");
    let given = match status.as_deref() {
        None | Some("succeeded") => {
            if let Some(form) = waiting.form() {
                let problems = bowline_flow::check_answer(&form, &value);
                if !problems.is_empty() {
                    return Err(Problem::new(
                        StatusCode::UNPROCESSABLE_ENTITY,
                        "approval.form",
                        "the answer does not fit the form of the approval",
                    )
                    .problems(problems.into_iter().map(Value::String).collect()));
                }
            }
            succeeded(&value)?
        }
        Some("failed") => Answer::Failed(failure(&value)?),
        Some("heartbeat") => Answer::Heartbeat,
        Some(_) => {
            return Err(Problem::invalid("`status` is none of succeeded, failed and heartbeat"));
        }
    };
    let decided = match &given {
        Answer::Succeeded { .. } => waiting.decided(address, &value),
        Answer::Failed(_) => waiting.decided(address, &json!({ "failed": true })),
        Answer::Heartbeat => None,
    };
    let delivered = deliver(inner, token, given).await?;
    person::audit(inner, decided, &delivered).await;
    inner.count(waiting.organization(), BY_TOKEN, outcome(&delivered));
    told(&delivered)
}

/// Hands an answer to the wait that a token leads to.
pub(super) async fn deliver(inner: &Inner, token: &str, answer: Answer) -> Result<Delivered, Problem> {
    let address = CallbackAddress::Token(token.to_owned());
    let delivered = inner.host.engine().deliver(&address, answer).await;
    match delivered {
        Ok(delivered) => Ok(delivered.into()),
        Err(error) => match HostError::from(error) {
            // Whose execution it is, and whether there is one, is nobody's business who has no token for it.
            error if error.kind == bowline_host::ErrorKind::NotFound => Err(bad_token()),
            error => Err(error.into()),
        },
    }
}

pub(super) fn bad_token() -> Problem {
    Problem::not_found("callback.bad-token", "this callback does not exist")
        .hint("use the address exactly as it was given")
}

pub(super) fn succeeded(value: &Value) -> Result<Answer, Problem> {
    let output = Payload::of(value).map_err(|error| Problem::internal(&error))?;
    Ok(Answer::Succeeded { output, event: None })
}

/// The error that a failed answer reports: `code` (or `error`) and `message`, as they are or in an object `error`; the
/// whole body is its data.
fn failure(body: &Value) -> Result<StepError, Problem> {
    let about = body.get("error").filter(|error| error.is_object()).unwrap_or(body);
    let text = |name: &str| {
        let text = about.get(name).and_then(Value::as_str).map(str::trim);
        text.filter(|text| !text.is_empty()).map(ToOwned::to_owned)
    };
    let (code, message) = (text("code").or_else(|| text("error")), text("message"));
    if about.is_object() && code.is_none() {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "callback.no-code",
            "the failure has no `code`, nor an `error` that is a text",
        )
        .hint(r#"send an object such as {"code": "valuation.refused", "message": "there is no such house"}"#));
    }
    let code = code.unwrap_or_else(|| "callback.failed".to_owned());
    let message = message.unwrap_or_else(|| "the other side reports a failure".to_owned());
    Ok(StepError::permanent(code, message).with_data(json!({ "callback": body })))
}

fn unavailable(error: &bowline_core::BlobError) -> Problem {
    tracing::warn!(%error, "the body of a callback could not be kept");
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "blob.failed",
        "the body could not be kept; send it again",
    )
    .retry_after(5)
}

fn large(limit: u64) -> Problem {
    answer::refused(&too_large(limit), "none")
}

fn query(query: &str, wanted: &str) -> Option<String> {
    query.split('&').find_map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name == wanted).then(|| value.to_owned())
    })
}

fn outcome(delivered: &Delivered) -> &'static str {
    match delivered {
        Delivered::Accepted { .. } => "accepted",
        Delivered::Duplicate { .. } => "duplicate",
        Delivered::Late { .. } => "late",
        Delivered::Kept { .. } => "kept",
        Delivered::NotAwaited => "not-awaited",
    }
}

/// What became of it, for a sender who knows no more than an address.
fn told(delivered: &Delivered) -> Result<Response, Problem> {
    let (status, body) = match delivered {
        Delivered::Accepted { .. } | Delivered::Duplicate { .. } => {
            (StatusCode::OK, json!({ "outcome": outcome(delivered) }))
        }
        Delivered::Kept { expires_at, .. } => (
            StatusCode::ACCEPTED,
            json!({ "outcome": "kept", "expiresAt": expires_at }),
        ),
        Delivered::Late { .. } => {
            return Err(Problem::new(
                StatusCode::GONE,
                "callback.late",
                "nobody waits for this any more; it changed nothing",
            ));
        }
        Delivered::NotAwaited => {
            return Err(Problem::not_found(
                "callback.not-awaited",
                "nobody waits for this, and signs of life are not kept",
            ));
        }
    };
    Ok(json_of(status, &body))
}

fn json_of(status: StatusCode, body: &Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}

/// Takes a request at a named endpoint.
pub(super) async fn take_named(
    inner: &Arc<Inner>,
    callback: &Callback,
    params: BTreeMap<String, String>,
    address: Address,
    request: Request,
) -> Response {
    let organization = &*callback.active.organization;
    let Ok(config) = &callback.config else {
        let named = (organization, &*callback.id);
        return arrival::take_unconfigured(inner, named, callback.carrier(), params, address, request).await;
    };
    let terms = Terms {
        limit: config.body_limit(),
        authentication: config.authentication.name(),
        carrier: config.authentication.carrier(),
    };
    let address = address.called(config.url.as_deref());
    let arrival = match Arrival::read(inner, terms, params, address, request).await {
        Ok(arrival) => arrival,
        Err(answer) => return answer,
    };
    match hear(inner, callback, config, &arrival).await {
        Ok(Some(delivered)) => {
            inner.count(organization, &callback.id, outcome(&delivered));
            told(&delivered).unwrap_or_else(IntoResponse::into_response)
        }
        // It came before, and what became of it then stands.
        Ok(None) => {
            inner.count(organization, &callback.id, "duplicate");
            json_of(StatusCode::OK, &json!({ "outcome": "duplicate" }))
        }
        Err(Unheard::Refused(refusal)) => arrival.refuse(inner, organization, &callback.id, refusal).await,
        Err(Unheard::Failed(problem)) => {
            inner.count(organization, &callback.id, "failed");
            problem.into_response()
        }
    }
}

enum Unheard {
    Refused(Refusal),
    Failed(Problem),
}

impl From<Refusal> for Unheard {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Problem> for Unheard {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

async fn hear(
    inner: &Inner,
    callback: &Callback,
    config: &CallbackConfig,
    arrival: &Arrival,
) -> Result<Option<Delivered>, Unheard> {
    let verified = config.authentication.verify(&arrival.received()?)?;
    let (delivery, raw) = (&arrival.delivery, &arrival.incoming.body);
    let content_type = delivery.header("content-type");
    let blobs = inner.host.blobs_of(&callback.active.organization);
    let value = match body::read(content_type, raw, Some(&blobs)).await {
        Ok(value) => value,
        Err(BodyError::Refused(refusal)) => return Err(refusal.into()),
        Err(BodyError::Blob(error)) => return Err(unavailable(&error).into()),
    };
    let said = of_callback(delivery, value, &verified);
    let heard = callback.named.hear(&callback.active.settings, &said).map_err(|error| {
        let about = format!("of callbacks.{}", callback.named.name);
        let masker = inner.host.masker(&callback.active.organization);
        let refusal = webhook::unselectable(&masker, &error, "correlate, success or failure", &about);
        refusal.hint(body::mistaken(content_type, raw))
    })?;
    let given = match heard.failure {
        Some(failure) => Answer::Failed(failure),
        None => succeeded(&said["body"])?,
    };
    let organization = &*callback.active.organization;
    let to = CallbackAddress::Key {
        organization: organization.to_owned(),
        name: callback.named.name.clone(),
        key: heard.key,
    };
    let delivered = Once::new(inner, organization, &callback.id, &verified)
        .deliver(&to, given)
        .await;
    delivered.map_err(|error| Unheard::Failed(error.into()))
}

/// What `correlate`, `success` and `failure` read as `callback`.
fn of_callback(delivery: &Delivery, body: Value, verified: &Verified) -> Value {
    let all = delivery.trigger(body, verified);
    let fields = ["body", "headers", "query", "params", "method", "path"];
    fields
        .iter()
        .map(|name| ((*name).to_owned(), all[*name].clone()))
        .collect()
}
