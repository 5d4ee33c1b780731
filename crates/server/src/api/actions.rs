//! What can be done to an execution.

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bowline_host::{Host, HostError, Rerun, Resume, Retry, Signal, Started};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::executions::place;
use crate::App;
use crate::extract::{At, Json as Body, MaybeJson, Params};
use crate::guard::{Caller, Note, Role, Rule, Scope};
use crate::idempotency;
use crate::problem::Problem;
use crate::route::{Api, Operation};

/// Why something is done.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Reason {
    /// For the history.
    reason: Option<String>,
}

/// Whether it changed anything.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Changed {
    /// False where it was so already.
    pub(super) changed: bool,
}

pub(super) fn add(api: &mut Api) {
    let act = Rule::of(Role::Operator, Scope::Executions);
    let post = |path, id, summary| Operation::new(Method::POST, path, id, act, "executions", summary);
    let reason = json!({ "reason": "ordered twice" });

    let cancel = post(
        "/api/v1/executions/{id}/cancel",
        "cancelExecution",
        "Cancel an execution",
    );
    api.add(
        cancel
            .description("It ends when its compensations have run.")
            .optional_body::<Reason>(reason)
            .answers::<Changed>(200, "It is asked to stop; `changed` is false where it has ended")
            .problems(&[400, 404, 415, 503]),
        cancel_,
    );
    let pause = post(
        "/api/v1/executions/{id}/pause",
        "pauseExecution",
        "Make an execution stand still",
    );
    api.add(pause.answers::<Changed>(200, "It does").problems(&[404]), pause_);
    let unpause = post(
        "/api/v1/executions/{id}/unpause",
        "unpauseExecution",
        "Let a paused execution go on",
    );
    api.add(unpause.answers::<Changed>(200, "It does").problems(&[404]), unpause_);
    let resume = post(
        "/api/v1/executions/{id}/resume",
        "resumeExecution",
        "Take a failed execution up where it failed",
    );
    api.add(
        resume
            .description("The same execution goes on, on its own version or on another one.")
            .optional_body::<Resume>(json!({ "reason": "the service is back" }))
            .answers_with(204, "It goes on", "")
            .problems(&[400, 404, 409, 415, 422, 503]),
        resume_,
    );
    let retry = again(post(
        "/api/v1/executions/{id}/retry",
        "retryExecution",
        "Do an ended execution again from where it failed, as a new one",
    ));
    api.add(retry.optional_body::<Retry>(json!({ "from": "charge" })), retry_);
    let rerun = again(post(
        "/api/v1/executions/{id}/rerun",
        "rerunExecution",
        "Run an ended execution again, with the same input or another, as a new one",
    ));
    api.add(
        rerun.optional_body::<Rerun>(json!({ "input": { "customer": "ada", "amount": 13 } })),
        rerun_,
    );
    let signal = post(
        "/api/v1/executions/{id}/signals",
        "signalExecution",
        "Send a signal to an execution",
    );
    api.add(
        signal
            .description("It is kept until the execution waits for it.")
            .header(
                idempotency::HEADER,
                "The same as `id` in the body: a signal that is sent again is the same one.",
            )
            .body::<Signal>(json!({ "name": "priceChanged", "data": { "price": 12 } }))
            .answers::<Changed>(200, "It is recorded; `changed` is false where it was before")
            .problems(&[400, 404, 410, 415, 422, 503]),
        signal_,
    );
    let query = Operation::new(
        Method::GET,
        "/api/v1/executions/{id}/query",
        "queryExecution",
        Rule::of(Role::Viewer, Scope::Executions),
        "executions",
        "Look at the state of an execution: its variables and results so far",
    );
    api.add(
        query
            .description("Nothing is called and nothing is recorded.")
            .query::<Query>()
            .answers::<Value>(200, "The state, or what the expression makes of it")
            .problems(&[400, 403, 404, 422]),
        query_,
    );
}

/// What is asked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// An expression over `input`, `steps` and `variables`, such as `steps.charge.output.id`. Default: all of it.
    #[serde(default)]
    expression: Option<String>,
}

/// What retries and reruns have in common.
fn again(operation: Operation) -> Operation {
    operation
        .header(
            idempotency::HEADER,
            "With the same key, the execution that was made first is the answer.",
        )
        .answers::<Started>(200, "The same key made it before")
        .answers::<Started>(201, "A new execution has begun")
        .problems(&[400, 404, 409, 410, 415, 422, 503])
}

async fn cancel_(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    MaybeJson(body): MaybeJson<Reason>,
) -> Result<Json<Changed>, Problem> {
    let reason = body.and_then(|body| body.reason);
    let reason = reason.unwrap_or_else(|| format!("cancelled by {}", caller.name));
    let changed = app.host.cancel(&caller.organization, &id, &reason).await?;
    Ok(Json(Changed { changed }))
}

async fn pause_(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Json<Changed>, Problem> {
    let changed = app.host.pause(&caller.organization, &id).await?;
    Ok(Json(Changed { changed }))
}

async fn unpause_(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Json<Changed>, Problem> {
    let changed = app.host.unpause(&caller.organization, &id).await?;
    Ok(Json(Changed { changed }))
}

async fn resume_(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    MaybeJson(body): MaybeJson<Resume>,
) -> Result<StatusCode, Problem> {
    app.host
        .resume(&caller.organization, &id, body.unwrap_or_default())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn retry_(
    State(app): State<App>,
    caller: Caller,
    note: Note,
    At(id): At<String>,
    headers: HeaderMap,
    MaybeJson(body): MaybeJson<Retry>,
) -> Result<Response, Problem> {
    let mut retry = body.unwrap_or_default();
    let new = NewId::of(&caller, &headers, ("retry", &id), retry.id.take())?;
    new.say(&note);
    retry.id = Some(new.id.clone());
    retry.with = vec![note.write()?];
    begun(new, app.host.retry(&caller.organization, &id, retry).await)
}

async fn rerun_(
    State(app): State<App>,
    caller: Caller,
    note: Note,
    At(id): At<String>,
    headers: HeaderMap,
    MaybeJson(body): MaybeJson<Rerun>,
) -> Result<Response, Problem> {
    let mut rerun = body.unwrap_or_default();
    let new = NewId::of(&caller, &headers, ("rerun", &id), rerun.id.take())?;
    new.say(&note);
    rerun.id = Some(new.id.clone());
    rerun.with = vec![note.write()?];
    begun(new, app.host.rerun(&caller.organization, &id, rerun).await)
}

/// The id of an execution that is made of another one.
struct NewId {
    id: String,
    /// It follows from the request's `Idempotency-Key`: one that is there already is the answer.
    is_of_key: bool,
    /// The caller wants this one.
    is_chosen: bool,
}

impl NewId {
    /// The line of the audit log names it: in any case where the caller has chosen it, otherwise if it is made.
    fn say(&self, note: &Note) {
        if self.is_chosen {
            note.say("execution", self.id.as_str());
        } else {
            note.say_made("execution", self.id.as_str());
        }
    }

    fn of(
        caller: &Caller,
        headers: &HeaderMap,
        (what, id): (&str, &str),
        chosen: Option<String>,
    ) -> Result<Self, Problem> {
        let key = idempotency::key(headers)?;
        let is_chosen = chosen.is_some();
        let new = match (key, chosen) {
            (Some(_), Some(_)) => {
                return Err(Problem::invalid(
                    "both an Idempotency-Key and an `id` were sent; send one of them",
                ));
            }
            (Some(key), None) => idempotency::id(&caller.organization, &format!("{what}/{id}"), key),
            (None, Some(chosen)) => Host::chosen_id(&caller.organization, &chosen)?,
            (None, None) => uuid::Uuid::now_v7().to_string(),
        };
        Ok(Self {
            id: new,
            is_of_key: key.is_some(),
            is_chosen,
        })
    }
}

/// A new execution; or the one that the same key has made before.
fn begun(new: NewId, started: Result<Started, HostError>) -> Result<Response, Problem> {
    let (status, started) = match started {
        Err(error) if new.is_of_key && error.code == "execution.exists" => (
            StatusCode::OK,
            Started {
                id: new.id,
                created: false,
            },
        ),
        started => (StatusCode::CREATED, started?),
    };
    Ok((status, [(LOCATION, place(&started.id))], Json(started)).into_response())
}

async fn signal_(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    headers: HeaderMap,
    Body(mut signal): Body<Signal>,
) -> Result<Json<Changed>, Problem> {
    if signal.id.is_none() {
        signal.id = idempotency::key(&headers)?.map(str::to_owned);
    }
    let changed = app.host.signal(&caller.organization, &id, signal).await?;
    Ok(Json(Changed { changed }))
}

async fn query_(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Params(query): Params<Query>,
) -> Result<Json<Value>, Problem> {
    let expression = query.expression.as_deref();
    Ok(Json(app.host.query(&caller.organization, &id, expression).await?))
}
