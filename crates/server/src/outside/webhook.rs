//! Taking a delivery: verified over its raw bytes, kept in the commit that starts its execution, then answered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use bowline_core::StepError;
use bowline_flow::plan::Selected;
use bowline_host::{ErrorKind, Host, HostError, Masker, Start};
use bowline_webhooks::body::{self, BodyError};
use bowline_webhooks::{Authentication, Delivery, Endpoint, Fate, Misfit, Reason, Refusal, Respond, Verified, kept_id};
use serde_json::Value;
use uuid::Uuid;

use super::arrival::{self, Arrival, Terms};
use super::endpoints::Webhook;
use super::incoming::Address;
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

impl Untaken {
    fn hint(self, hint: impl FnOnce() -> Option<String>) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.hint(hint())),
            failed @ Self::Failed(_) => failed,
        }
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
        let named = (organization, &*webhook.id);
        return arrival::take_unconfigured(inner, named, webhook.carrier(), params, address, request).await;
    };
    if let Some(answer) = asked(inner, webhook, endpoint, request.method(), address.query()) {
        return answer;
    }
    let authentication = &endpoint.config.authentication;
    let terms = Terms {
        limit: endpoint.config.body_limit(),
        authentication: authentication.name(),
        carrier: authentication.carrier(),
    };
    let address = address.called(endpoint.config.url.as_deref());
    let mut arrival = match Arrival::read(inner, terms, params, address, request).await {
        Ok(arrival) => arrival,
        Err(answer) => return answer,
    };
    let verified = arrival.received().and_then(|received| endpoint.verify(&received));
    let taken = match verified {
        Ok(verified) => {
            let Arrival { incoming, delivery, .. } = &mut arrival;
            delivery.verified = !matches!(authentication, Authentication::None {});
            let trace = trace(&incoming.headers);
            start(inner, webhook, endpoint, delivery, &incoming.body, verified, trace).await
        }
        Err(refusal) => Err(refusal.into()),
    };
    match taken {
        Ok(taken) => {
            // What it was made of need not stay in memory while its sender waits.
            drop(arrival);
            respond(inner, webhook, endpoint, taken).await
        }
        Err(Untaken::Refused(refusal)) => arrival.refuse(inner, organization, &webhook.id, refusal).await,
        Err(Untaken::Failed(error)) => {
            inner.count(organization, &webhook.id, "failed");
            Problem::from(error).into_response()
        }
    }
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
    let value = match body::read(content_type.as_deref(), raw, Some(&host.blobs_of(organization))).await {
        Ok(value) => value,
        Err(BodyError::Refused(refusal)) => return Err(refusal.into()),
        Err(BodyError::Blob(error)) => return Err(not_kept(&error).into()),
    };
    if let Some(text) = endpoint.url_verification(&value) {
        return Ok(Taken::Challenge(text));
    }
    let hint = || body::mistaken(content_type.as_deref(), raw);
    endpoint.validate(&value).map_err(|refusal| refusal.hint(hint()))?;
    let selected = select(host, webhook, delivery, value, &verified).await;
    let (input, key) = match selected.map_err(|untaken| untaken.hint(hint))? {
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
        Err(error) if error.kind == ErrorKind::Invalid => Err(unfit(error).hint(hint()).into()),
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
async fn select(
    host: &Host,
    webhook: &Webhook,
    delivery: &Delivery,
    body: Value,
    verified: &Verified,
) -> Result<Selected, Untaken> {
    let values = delivery.trigger(body, verified);
    let settings = Arc::clone(&webhook.active.settings);
    let selected = if webhook.trigger.is_light() {
        webhook.trigger.select(&settings, &values)
    } else {
        // An expression may take its time, which others must not wait for.
        let trigger = webhook.trigger.clone();
        let done = tokio::task::spawn_blocking(move || trigger.select(&settings, &values)).await;
        done.map_err(|error| HostError::new(ErrorKind::Internal, "task.failed", error.to_string()))?
    };
    selected.map_err(|error| {
        tracing::debug!(code = %error.code, endpoint = %webhook.id, "a trigger's expression failed");
        let about = format!("of the trigger {}", webhook.trigger.id);
        unselectable(
            &host.masker(&webhook.active.organization),
            &error,
            "when, input or key",
            &about,
        )
        .into()
    })
}

/// The refusal of what an expression does not fit. What an expression says can quote what it read, so the sender and the
/// log are told its field and code, and the inbox the rest.
pub(super) fn unselectable(masker: &Masker, error: &StepError, fields: &str, about: &str) -> Refusal {
    let field = error.data.as_ref().and_then(|data| data["field"].as_str());
    let message = format!(
        "`{}` {about} cannot be evaluated for this delivery [{}]",
        field.unwrap_or(fields),
        masker.scrub_text(&error.code)
    );
    let mut refusal = Refusal::new(Reason::Unselectable, message);
    refusal.detail = Some(masker.scrub_text(&error.message).into_owned());
    refusal
}

/// The body fits the endpoint, and what the trigger makes of it does not fit the workflow's input.
fn unfit(error: HostError) -> Refusal {
    let mut refusal = Refusal::new(Reason::SchemaMismatch, error.message);
    refusal.misfits = error
        .problems
        .into_iter()
        .map(|problem| Misfit {
            pointer: problem.pointer,
            message: problem.message,
        })
        .collect();
    refusal
}

async fn respond(inner: &Inner, webhook: &Webhook, endpoint: &Endpoint, taken: Taken) -> Response {
    let organization = &*webhook.active.organization;
    let (delivery, execution, is_duplicate) = match taken {
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
            (delivery, execution, is_duplicate)
        }
    };
    let limit = match endpoint.config.respond {
        Respond::Immediate => Duration::ZERO,
        Respond::Result | Respond::Step => endpoint.config.wait(),
    };
    if limit.is_zero() {
        return answer::accepted(&execution, &delivery, is_duplicate);
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
        None => answer::accepted(&execution, &delivery, is_duplicate),
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
