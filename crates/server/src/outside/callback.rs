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
use bowline_webhooks::{
    CallbackConfig, DEFAULT_BODY_BYTES, Delivery, Fate, KeptBody, Reason, Received, Refusal, Verified, kept_headers,
    kept_url, too_large,
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::endpoints::Callback;
use super::incoming::{self, Address, Incoming, NoBody};
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
        return person::decide(inner, token, &incoming).await;
    }
    answer_token(inner, token, &address, &incoming)
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

async fn answer_token(inner: &Inner, token: &str, address: &Address, incoming: &Incoming) -> Result<Response, Problem> {
    // A token that is made up costs no more than this.
    let waiting = person::find(inner, token).await?;
    let content_type = incoming.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let value = match body::read(content_type, &incoming.body, Some(inner.host.blobs())).await {
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
        Some("failed") => Answer::Failed(failure(value)),
        Some("heartbeat") => Answer::Heartbeat,
        Some(_) => {
            return Err(Problem::invalid("`status` is none of succeeded, failed and heartbeat"));
        }
    };
    let delivered = deliver(inner, token, given).await?;
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

/// The error that a failed answer reports: `code` and `message`, as they are or in an `error`; the whole body is its data.
fn failure(body: Value) -> StepError {
    let about = body.get("error").filter(|error| error.is_object()).unwrap_or(&body);
    let text = |name: &str| {
        let text = about.get(name).and_then(Value::as_str).map(str::trim);
        text.filter(|text| !text.is_empty()).map(ToOwned::to_owned)
    };
    let code = text("code").unwrap_or_else(|| "callback.failed".to_owned());
    let message = text("message").unwrap_or_else(|| "the other side reports a failure".to_owned());
    StepError::permanent(code, message).with_data(json!({ "callback": body }))
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
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    Ok((status, headers, body.to_string()).into_response())
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
        inner.count(organization, &callback.id, Reason::NotConfigured.name());
        return answer::not_configured("none").into_response();
    };
    let address = address.called(config.url.as_deref());
    let method = request.method().clone();
    let (incoming, whole) = match incoming::read(request, config.body_limit(), &inner.bodies).await {
        Ok(incoming) => (incoming, true),
        Err(NoBody::TooLarge(headers)) => {
            let body = axum::body::Bytes::new();
            let incoming = Incoming {
                method,
                headers,
                body,
                _share: None,
            };
            (incoming, false)
        }
        Err(NoBody::TooSlow) => return answer::too_slow().into_response(),
        Err(NoBody::NoRoom) => return answer::no_room().into_response(),
        Err(NoBody::Broken) => return answer::broken().into_response(),
    };
    let delivery = delivery(config, &address, &incoming, params);
    let heard = if whole {
        hear(inner, callback, config, &address, &incoming, &delivery).await
    } else {
        Err(Unheard::Refused(too_large(config.body_limit())))
    };
    match heard {
        Ok(delivered) => {
            inner.count(organization, &callback.id, outcome(&delivered));
            told(&delivered).unwrap_or_else(IntoResponse::into_response)
        }
        Err(Unheard::Refused(refusal)) => {
            inner.count(organization, &callback.id, refusal.reason.name());
            tracing::info!(
                %organization, endpoint = %callback.id, delivery = %delivery.id, reason = refusal.reason.name(),
                "a callback was refused"
            );
            let problem = answer::refused(&refusal, config.authentication.name());
            webhook::refuse(inner, organization, &callback.id, delivery, &incoming.body, refusal).await;
            problem.into_response()
        }
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
    address: &Address,
    incoming: &Incoming,
    delivery: &Delivery,
) -> Result<Delivered, Unheard> {
    let received = Received {
        method: &incoming.method,
        url: &address.url,
        path: &address.path,
        headers: &incoming.headers,
        body: &incoming.body,
        at: address.at,
    };
    let verified = config.authentication.verify(&received)?;
    let value = match body::read(
        delivery.header("content-type"),
        &incoming.body,
        Some(inner.host.blobs()),
    )
    .await
    {
        Ok(value) => value,
        Err(BodyError::Refused(refusal)) => return Err(refusal.into()),
        Err(BodyError::Blob(error)) => return Err(unavailable(&error).into()),
    };
    let said = of_callback(delivery, value, &verified);
    let heard = callback.named.hear(&callback.active.settings, &said).map_err(|error| {
        let message = format!(
            "what the endpoint says about calls (correlate, success or failure) cannot be evaluated for this one [{}]",
            inner.host.masker().scrub_text(&error.code)
        );
        Refusal::new(Reason::Unselectable, message)
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
    let delivered = inner.host.deliver(organization, &to, given).await;
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

fn delivery(
    config: &CallbackConfig,
    address: &Address,
    incoming: &Incoming,
    params: BTreeMap<String, String>,
) -> Delivery {
    let (hidden_header, hidden_parameter) = config.authentication.hidden();
    Delivery {
        id: Uuid::now_v7().to_string(),
        at: address.at,
        method: incoming.method.to_string(),
        url: kept_url(&address.url, hidden_parameter),
        path: address.path.clone(),
        params,
        headers: kept_headers(&incoming.headers, hidden_header),
        size: incoming.body.len() as u64,
        body: KeptBody::Dropped,
        from: address.from.clone(),
        authentication: config.authentication.name().to_owned(),
        source_id: None,
        proof: None,
        replay_of: None,
        fate: Fate::Filtered,
    }
}
