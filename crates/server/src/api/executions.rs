//! Executions: starting, searching, looking.

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use bowline_connector::Millis;
use bowline_host::{
    Ended, Execution, ExecutionSummary, HistoryEvent, Host, Page, Start, Started, StepDetail, Which, Why,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::search;
use crate::App;
use crate::accept::Taking;
use crate::extract::{At, Json as Body, Params};
use crate::guard::{Caller, Note, Role, Rule, Scope};
use crate::idempotency;
use crate::problem::Problem;
use crate::route::{Api, Operation};
use crate::{shaped, sse};

/// The header that names the execution which an answer comes from.
const EXECUTION: HeaderName = HeaderName::from_static("bowline-execution");

/// Events of a page of history, where nothing else is asked for.
const PAGE: usize = 200;

/// What is started.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewExecution {
    /// The name of the workflow.
    workflow: String,
    /// Which version of it. Default: the current one.
    #[serde(default)]
    version: Option<u32>,
    /// The input. Default: `{}`.
    #[serde(default = "empty")]
    input: Value,
    /// The id of the new execution. Default: a new UUID. One that exists is refused with 409. In organizations other than
    /// `default` it gets the organization's name before it, such as `acme~order-7`: the answer has the whole id.
    #[serde(default)]
    id: Option<String>,
}

fn empty() -> Value {
    json!({})
}

/// How long a start waits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wait {
    /// Answer with the result if there is one within this time, such as `30s`; else 202. Bounded by the server's
    /// `maxWait`. Default: do not wait.
    #[serde(default)]
    wait: Option<String>,
}

/// An execution that was started.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StartedView {
    /// Its id.
    id: String,
    /// False where the idempotency key led to one that was there already.
    created: bool,
    /// Where to see how it goes.
    status_url: String,
}

/// Where a page of history begins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct From_ {
    /// The number of the first commit; `next` of the page before. Default 0.
    #[serde(default)]
    from: u64,
    /// At most about so many events, 1000 at most. Default 200.
    #[serde(default)]
    limit: Option<usize>,
}

/// Where a stream begins.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Since {
    /// The number of the first commit that is told, where no `Last-Event-ID` says so. Default 0: all of it.
    #[serde(default)]
    from: u64,
}

/// Which value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// What went in, or what came out.
    of: Part,
    /// The path of a step. Default: the execution itself.
    #[serde(default)]
    step: Option<String>,
}

/// A side of an execution or step.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Part {
    /// What went in.
    Input,
    /// What came out.
    Output,
}

pub(super) fn add(api: &mut Api) {
    let see = Rule::of(Role::Viewer, Scope::Executions);
    let act = Rule::of(Role::Operator, Scope::Executions);
    let operation = |method, path, id, rule, summary| Operation::new(method, path, id, rule, "executions", summary);

    let start = operation(
        Method::POST,
        "/api/v1/executions",
        "startExecution",
        act,
        "Start an execution",
    );
    api.add(
        start
            .description(
                "The answer comes when the execution is durable. With `wait` it comes with the result, or with what a \
                 `respond` step of the workflow says; where neither is there in time the answer is 202 with the \
                 address to ask at.",
            )
            .query::<Wait>()
            .header(idempotency::HEADER, idempotency::MEANING)
            .header(
                "traceparent",
                "W3C trace context: the execution's steps become part of this trace.",
            )
            .body::<NewExecution>(json!({ "workflow": "order", "input": { "customer": "ada", "amount": 12 } }))
            .answers::<Ended>(200, "It ended in time, or the same key started it before")
            .answers::<StartedView>(201, "It has begun")
            .answers::<StartedView>(202, "It has begun, and did not end in time")
            .problems(&[400, 404, 409, 413, 415, 422, 503]),
        start_,
    );

    let list = operation(
        Method::GET,
        "/api/v1/executions",
        "searchExecutions",
        see,
        "List and search executions",
    );
    api.add(
        list.description(
            "Newest first. `input[customer.id]=ada` finds executions whose input has this text there; so does \
             `output[...]` with results. A page may hold fewer than `limit`, even none, although there is more: go on \
             while there is a `next`.",
        )
        .query::<search::Query>()
        .fields("input", "Fields of the input with their texts, by dotted path.")
        .fields("output", "Fields of the result with their texts, by dotted path.")
        .answers::<Page<ExecutionSummary>>(200, "A page")
        .problems(&[400]),
        search_,
    );
    let ticks = operation(
        Method::GET,
        "/api/v1/executions/events",
        "followExecutions",
        see,
        "Be told that the list of executions changes (server-sent events)",
    );
    api.add(
        ticks
            .description(
                "An event says that the list is to be read again, and no more: it has no id, and a client that comes back \
                 reads the list once.",
            )
            .answers_with(
                200,
                "An event `changed` at most four times a second",
                "text/event-stream",
            )
            .problems(&[503]),
        follow_all,
    );

    let one = operation(
        Method::GET,
        "/api/v1/executions/{id}",
        "getExecution",
        see,
        "One execution, with its steps",
    );
    api.add(one.answers::<Execution>(200, "The execution").problems(&[404]), get);
    let delete = operation(
        Method::DELETE,
        "/api/v1/executions/{id}",
        "deleteExecution",
        Rule::of(Role::Deployer, Scope::Executions),
        "Delete an execution that has ended, with its history",
    );
    api.add(
        delete.answers_with(204, "It is gone", "").problems(&[404, 409]),
        delete_,
    );
    let history = operation(
        Method::GET,
        "/api/v1/executions/{id}/history",
        "getHistory",
        see,
        "Everything that happened to an execution, in order",
    );
    api.add(
        history
            .query::<From_>()
            .answers::<Page<HistoryEvent>>(200, "A page")
            .problems(&[400, 404]),
        history_,
    );
    let follow = operation(
        Method::GET,
        "/api/v1/executions/{id}/events",
        "followExecution",
        see,
        "Follow an execution live (server-sent events)",
    );
    api.add(
        follow
            .description(
                "Each event `history` is one of the history. Ids are numbers of commits: a client that comes back with \
                 `Last-Event-ID` goes on behind it. The stream ends with the execution; after that it answers 204, \
                 which tells an EventSource to stop.",
            )
            .query::<Since>()
            .header("Last-Event-ID", "The id of the last event that was seen.")
            .answers_with(200, "The events", "text/event-stream")
            .answers_with(204, "It has ended, and there is nothing after that", "")
            .problems(&[400, 404, 503]),
        follow_,
    );
    let step = operation(
        Method::GET,
        "/api/v1/executions/{id}/steps/{*path}",
        "getStep",
        see,
        "One step, with what went in and what came out",
    );
    api.add(step.answers::<StepDetail>(200, "The step").problems(&[404]), step_);
    let value = operation(
        Method::GET,
        "/api/v1/executions/{id}/values",
        "getValue",
        see,
        "One value of an execution, however large it is",
    );
    api.add(
        value
            .query::<Wanted>()
            .answers::<Value>(200, "The value")
            .problems(&[400, 404]),
        value_,
    );
    let why = operation(
        Method::GET,
        "/api/v1/executions/{id}/why",
        "getWhy",
        see,
        "What an execution waits for, and what makes it go on",
    );
    api.add(why.answers::<Why>(200, "The answer").problems(&[404]), why_);
}

/// What stands in an address as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Where to see an execution.
pub(crate) fn place(id: &str) -> String {
    format!("/api/v1/executions/{}", utf8_percent_encode(id, PLAIN))
}

fn located(status: StatusCode, started: &Started) -> Response {
    let url = place(&started.id);
    let location = HeaderValue::from_str(&url);
    let view = StartedView {
        id: started.id.clone(),
        created: started.created,
        status_url: url,
    };
    let mut response = (status, Json(view)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// How long a request wants to wait; none where it does not.
fn wished(app: &App, wait: Option<&str>) -> Result<Option<Duration>, Problem> {
    let Some(text) = wait else { return Ok(None) };
    let wish = Millis::parse(text).map_err(|error| Problem::invalid(format!("`wait`: {error}")))?;
    Ok(Some(wish.duration().min(app.config.max_wait.duration())))
}

async fn start_(
    State(app): State<App>,
    caller: Caller,
    note: Note,
    headers: HeaderMap,
    Params(query): Params<Wait>,
    Body(body): Body<NewExecution>,
) -> Result<Response, Problem> {
    let wish = wished(&app, query.wait.as_deref())?;
    note.say("workflow", body.workflow.as_str());
    let id = if let Some(chosen) = &body.id {
        let id = Host::chosen_id(&caller.organization, chosen)?;
        note.say("execution", id.as_str());
        id
    } else {
        let id = uuid::Uuid::now_v7().to_string();
        note.say_made("execution", id.as_str());
        id
    };
    let start = Start {
        workflow: body.workflow,
        version: body.version,
        input: body.input,
        key: idempotency::start_key(&headers)?,
        id: Some(id),
        chosen_id: None,
        with: vec![note.write()?],
        trace: trace(&headers),
    };
    let started = app.host.start(&caller.organization, start).await?;
    let Some(limit) = wish else {
        let status = if started.created {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        return Ok(located(status, &started));
    };
    // Who waits is not kept waiting by the end of this process.
    let ended = tokio::select! {
        ended = app.host.wait(&caller.organization, &started.id, limit) => ended?,
        () = app.stop.stopped() => None,
    };
    let Some(mut ended) = ended else {
        return Ok(located(StatusCode::ACCEPTED, &started));
    };
    let mut response = match ended.response.take() {
        Some(said) => shaped::response(said),
        None => Json(ended).into_response(),
    };
    if let Ok(id) = HeaderValue::from_str(&started.id) {
        response.headers_mut().insert(EXECUTION, id);
    }
    Ok(response)
}

/// The caller's trace, if it is one.
pub(crate) fn trace(headers: &HeaderMap) -> Option<String> {
    let text = headers
        .get("traceparent")?
        .to_str()
        .ok()
        .filter(|text| text.len() <= 256)?;
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let fits = matches!(parts.as_slice(), [version, trace, span, flags, ..]
        if is_hex(version, 2) && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2));
    fits.then(|| text.to_owned())
}

async fn search_(
    State(app): State<App>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<Page<ExecutionSummary>>, Problem> {
    let search = search::read(query.as_deref().unwrap_or_default())?;
    Ok(Json(app.host.search(&caller.organization, &search).await?))
}

async fn follow_all(State(app): State<App>, caller: Caller) -> Result<Response, Problem> {
    sse::list(&app, &caller.organization)
}

async fn get(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Json<Execution>, Problem> {
    Ok(Json(app.host.execution(&caller.organization, &id).await?))
}

async fn delete_(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<StatusCode, Problem> {
    app.host.delete(&caller.organization, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn history_(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Params(query): Params<From_>,
) -> Result<Json<Page<HistoryEvent>>, Problem> {
    let limit = match query.limit {
        Some(limit) if !(1..=1000).contains(&limit) => {
            return Err(Problem::invalid(format!("`limit` is {limit}; write 1 to 1000")));
        }
        limit => limit.unwrap_or(PAGE),
    };
    let page = app.host.history(&caller.organization, &id, query.from, limit).await?;
    Ok(Json(page))
}

async fn follow_(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    taking: Option<Extension<Taking>>,
    headers: HeaderMap,
    Params(query): Params<Since>,
) -> Result<Response, Problem> {
    let from = sse::position(&headers, query.from)?;
    let taking = taking.map_or_else(Taking::always, |Extension(taking)| taking);
    sse::execution(&app, &caller.organization, &id, from, taking).await
}

async fn step_(
    State(app): State<App>,
    caller: Caller,
    At((id, path)): At<(String, String)>,
) -> Result<Json<StepDetail>, Problem> {
    Ok(Json(app.host.step(&caller.organization, &id, &path).await?))
}

async fn value_(
    State(app): State<App>,
    caller: Caller,
    At(id): At<String>,
    Params(query): Params<Wanted>,
) -> Result<Json<Value>, Problem> {
    let which = match (query.of, query.step) {
        (Part::Input, None) => Which::Input,
        (Part::Output, None) => Which::Output,
        (Part::Input, Some(path)) => Which::StepInput(path),
        (Part::Output, Some(path)) => Which::StepOutput(path),
    };
    let value = app.host.payload(&caller.organization, &id, which).await?;
    value
        .map(Json)
        .ok_or_else(|| Problem::not_found("value.not-found", "there is no such value, or not yet"))
}

async fn why_(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Json<Why>, Problem> {
    Ok(Json(app.host.why(&caller.organization, &id).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_trace_is_taken_for_one() {
        let with = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", text.parse().unwrap());
            trace(&headers)
        };
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(with(good).as_deref(), Some(good));
        for bad in [
            "",
            "00",
            "00-xyz-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        ] {
            assert_eq!(with(bad), None, "{bad}");
        }
        assert_eq!(trace(&HeaderMap::new()), None);
    }
}
