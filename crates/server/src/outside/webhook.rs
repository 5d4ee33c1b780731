//! Taking a delivery: verified over its raw bytes, kept in the commit that starts its execution, then answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use bowline_flow::plan::Selected;
use bowline_host::{ErrorKind, Host, HostError, Start};
use bowline_webhooks::body::{self, BodyError};
use bowline_webhooks::{
    Delivery, Endpoint, Fate, INLINE_BODY, KeptBody, Misfit, Reason, Received, Refusal, Respond, Verified,
    kept_headers, kept_id, kept_url, too_large,
};
use serde_json::Value;
use uuid::Uuid;

use super::endpoints::Webhook;
use super::incoming::{self, Address, Incoming, NoBody};
use super::{Inner, answer, inbox};
use crate::api::executions::trace;
use crate::problem::Problem;

/// Why a delivery did not start anything.
pub(super) enum Untaken {
    Refused(Refusal),
    /// Not the sender's fault.
    Failed(HostError),
}

impl From<Refusal> for Untaken {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<HostError> for Untaken {
    fn from(error: HostError) -> Self {
        Self::Failed(error)
    }
}

/// What a delivery led to, durably.
pub(super) enum Taken {
    Started {
        delivery: String,
        execution: String,
        /// It came before.
        is_duplicate: bool,
    },
    Filtered {
        is_duplicate: bool,
    },
    /// A text to be written back.
    Challenge(String),
}

/// Takes a request for a webhook.
pub(super) async fn take(
    inner: &Arc<Inner>,
    webhook: &Webhook,
    params: BTreeMap<String, String>,
    address: Address,
    request: Request,
) -> Response {
    let organization = &*webhook.active.organization;
    let Ok(endpoint) = &webhook.endpoint else {
        inner.count(organization, &webhook.id, Reason::NotConfigured.name());
        return answer::not_configured("none").into_response();
    };
    let authentication = endpoint.config.authentication.name();
    if let Some(answer) = asked(inner, webhook, endpoint, request.method(), address.query()) {
        return answer;
    }
    let address = address.called(endpoint.config.url.as_deref());
    let limit = endpoint.config.body_limit();
    let method = request.method().clone();
    let (incoming, whole) = match incoming::read(request, limit, &inner.bodies).await {
        Ok(incoming) => (incoming, true),
        Err(NoBody::TooLarge(headers)) => {
            let body = Bytes::new();
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
    let received = Received {
        method: &incoming.method,
        url: &address.url,
        path: &address.path,
        headers: &incoming.headers,
        body: &incoming.body,
        at: address.at,
    };
    let verified = if whole {
        endpoint.verify(&received)
    } else {
        Err(too_large(limit))
    };
    let mut delivery = delivery(endpoint, &address, &incoming, params);
    let taken = match verified {
        Ok(verified) => {
            let trace = trace(&incoming.headers);
            start(inner, webhook, endpoint, &mut delivery, &incoming.body, verified, trace).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    match taken {
        Ok(taken) => {
            // What it was made of need not stay in memory while its sender waits.
            drop((incoming, delivery));
            respond(inner, webhook, endpoint, taken).await
        }
        Err(Untaken::Refused(refusal)) => {
            inner.count(organization, &webhook.id, refusal.reason.name());
            tracing::info!(
                %organization, endpoint = %webhook.id, delivery = %delivery.id, reason = refusal.reason.name(),
                "a webhook delivery was refused"
            );
            let problem = answer::refused(&refusal, authentication);
            refuse(inner, organization, &webhook.id, delivery, &incoming.body, refusal).await;
            problem.into_response()
        }
        Err(Untaken::Failed(error)) => {
            inner.count(organization, &webhook.id, "failed");
            Problem::from(error).into_response()
        }
    }
}

/// Keeps a refused request, its body only where it is small.
pub(super) async fn refuse(
    inner: &Inner,
    organization: &str,
    endpoint: &str,
    mut delivery: Delivery,
    body: &Bytes,
    refusal: Refusal,
) {
    let is_here = refusal.reason != Reason::BodyTooLarge && body.len() <= INLINE_BODY;
    delivery.body = if is_here {
        KeptBody::inline(body)
    } else {
        KeptBody::Dropped
    };
    delivery.fate = Fate::Refused { refusal };
    inner
        .quarantine
        .keep(&inner.host, organization, endpoint, &delivery)
        .await;
}

/// The answer to a sender that asks by GET whether the endpoint is there; none where the request is no such question.
pub(super) fn challenge(inner: &Inner, webhook: &Webhook, request: &Request) -> Option<Response> {
    let endpoint = webhook.endpoint.as_ref().ok()?;
    let query = request.uri().query().unwrap_or_default();
    asked(inner, webhook, endpoint, request.method(), query)
}

fn asked(inner: &Inner, webhook: &Webhook, endpoint: &Endpoint, method: &Method, query: &str) -> Option<Response> {
    let (answer, outcome) = match endpoint.challenge(method, query)? {
        Ok(text) => (answer::plain(text), "challenge"),
        Err(refusal) => (answer::refused(&refusal, "none").into_response(), refusal.reason.name()),
    };
    inner.count(&webhook.active.organization, &webhook.id, outcome);
    Some(answer)
}

/// What will be kept of a request, before anything is known about it.
pub(super) fn delivery(
    endpoint: &Endpoint,
    address: &Address,
    incoming: &Incoming,
    params: BTreeMap<String, String>,
) -> Delivery {
    let authentication = &endpoint.config.authentication;
    let (hidden_header, hidden_parameter) = authentication.hidden();
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
        authentication: authentication.name().to_owned(),
        source_id: None,
        proof: None,
        replay_of: None,
        fate: Fate::Filtered,
    }
}

/// Starts the execution of a verified delivery, once, and keeps the delivery in the same commit.
pub(super) async fn start(
    inner: &Inner,
    webhook: &Webhook,
    endpoint: &Endpoint,
    delivery: &mut Delivery,
    raw: &Bytes,
    verified: Verified,
    trace: Option<String>,
) -> Result<Taken, Untaken> {
    let host = &inner.host;
    let active = &webhook.active;
    let organization = &*active.organization;
    delivery.source_id = verified.id.clone().map(kept_id);
    delivery.proof.clone_from(&verified.proof);
    let content_type = delivery.header("content-type").map(ToOwned::to_owned);
    let value = match body::read(content_type.as_deref(), raw, Some(host.blobs())).await {
        Ok(value) => value,
        Err(BodyError::Refused(refusal)) => return Err(refusal.into()),
        Err(BodyError::Blob(error)) => return Err(not_kept(&error).into()),
    };
    if let Some(text) = endpoint.url_verification(&value) {
        return Ok(Taken::Challenge(text));
    }
    endpoint.validate(&value)?;
    let (input, key) = match select(host, webhook, delivery, value, &verified)? {
        Selected::Start { input, key } => (Some(input), key),
        Selected::Filtered => (None, None),
    };
    if let (Some(key), None) = (key, &delivery.replay_of) {
        delivery.source_id = Some(kept_id(key));
    }
    delivery.body = inbox::keep_body(host, raw, content_type.as_deref()).await?;
    let execution = Uuid::now_v7().to_string();
    delivery.fate = match &input {
        Some(_) => Fate::Started {
            execution: execution.clone(),
            workflow: active.workflow.to_string(),
            version: Some(active.version),
        },
        None => Fate::Filtered,
    };
    let with = inbox::taken(organization, &webhook.id, delivery)?;
    let done = match input {
        None => host.engine().record(Vec::new(), with).await.map_err(HostError::from),
        Some(input) => {
            let start = Start {
                id: Some(execution.clone()),
                version: Some(active.version),
                with,
                trace,
                ..Start::new(&*active.workflow, input)
            };
            host.start(organization, start).await.map(drop)
        }
    };
    match done {
        Ok(()) if matches!(delivery.fate, Fate::Filtered) => Ok(Taken::Filtered { is_duplicate: false }),
        Ok(()) => Ok(Taken::Started {
            delivery: delivery.id.clone(),
            execution,
            is_duplicate: false,
        }),
        Err(error) if error.code == "entry.exists" => again(inner, webhook, delivery).await,
        Err(error) if error.kind == ErrorKind::Invalid => Err(unfit(error).into()),
        Err(error) => Err(error.into()),
    }
}

fn not_kept(error: &bowline_core::BlobError) -> HostError {
    HostError::new(
        ErrorKind::Unavailable,
        "blob.failed",
        format!("content could not be kept: {error}"),
    )
}

/// What the first delivery of what this one is known by led to.
async fn again(inner: &Inner, webhook: &Webhook, delivery: &Delivery) -> Result<Taken, Untaken> {
    let organization = &*webhook.active.organization;
    let first = inbox::first(&inner.host, organization, &webhook.id, delivery).await?;
    match first {
        Some(inbox::First {
            delivery,
            execution: Some(execution),
        }) => Ok(Taken::Started {
            delivery,
            execution,
            is_duplicate: true,
        }),
        Some(_) => Ok(Taken::Filtered { is_duplicate: true }),
        // It was forgotten between the two looks: the sender comes again.
        None => Err(HostError::new(
            ErrorKind::Unavailable,
            "webhook.try-again",
            "this delivery is being forgotten at this moment; send it again",
        )
        .into()),
    }
}

/// What the workflow says about this delivery.
fn select(
    host: &Host,
    webhook: &Webhook,
    delivery: &Delivery,
    body: Value,
    verified: &Verified,
) -> Result<Selected, Refusal> {
    let trigger = delivery.trigger(body, verified);
    let selected = webhook.trigger.select(&webhook.active.settings, &trigger);
    selected.map_err(|error| {
        // What an expression says can quote what it read, so the sender and the log are told its code, and the inbox
        // where to look.
        tracing::debug!(code = %error.code, endpoint = %webhook.id, "a trigger's expression failed");
        let message = format!(
            "what the workflow says about this trigger (when, input or key) cannot be evaluated for this delivery [{}]",
            host.masker().scrub_text(&error.code)
        );
        Refusal::new(Reason::Unselectable, message)
    })
}

/// The body fits the endpoint, and what the trigger makes of it does not fit the workflow's input.
fn unfit(error: HostError) -> Refusal {
    let mut refusal = Refusal::new(Reason::SchemaMismatch, error.message);
    refusal.misfits = error
        .problems
        .into_iter()
        .map(|problem| Misfit {
            pointer: problem.path,
            message: problem.message,
        })
        .collect();
    refusal
}

async fn respond(inner: &Inner, webhook: &Webhook, endpoint: &Endpoint, taken: Taken) -> Response {
    let organization = &*webhook.active.organization;
    let (delivery, execution) = match taken {
        Taken::Challenge(text) => {
            inner.count(organization, &webhook.id, "challenge");
            return answer::plain(text);
        }
        Taken::Filtered { is_duplicate } => {
            let outcome = if is_duplicate { "duplicate" } else { "filtered" };
            inner.count(organization, &webhook.id, outcome);
            return answer::nothing();
        }
        Taken::Started {
            delivery,
            execution,
            is_duplicate,
        } => {
            let outcome = if is_duplicate { "duplicate" } else { "started" };
            inner.count(organization, &webhook.id, outcome);
            (delivery, execution)
        }
    };
    let limit = match endpoint.config.respond {
        Respond::Immediate => Duration::ZERO,
        Respond::Result | Respond::Step => endpoint.config.wait(),
    };
    if limit.is_zero() {
        return answer::accepted(&execution, &delivery);
    }
    let waits_for_end = endpoint.config.respond == Respond::Result;
    let ended = tokio::select! {
        ended = wait(&inner.host, organization, &execution, limit, waits_for_end) => ended,
        // The server ends, and who waits is not left without an answer.
        () = inner.stop.stopped() => None,
    };
    match ended {
        Some(ended) => answer::ended(ended),
        // It was taken durably, whatever keeps us from waiting.
        None => answer::accepted(&execution, &delivery),
    }
}

/// How the execution came out, within `limit`.
async fn wait(
    host: &Host,
    organization: &str,
    execution: &str,
    limit: Duration,
    to_the_end: bool,
) -> Option<bowline_host::Ended> {
    let ended = host.wait(organization, execution, limit).await.ok()??;
    if !to_the_end {
        return Some(ended);
    }
    // `result` is the workflow's result, whether it has a respond step or not.
    ended.status.is_finished().then_some(bowline_host::Ended {
        response: None,
        ..ended
    })
}
