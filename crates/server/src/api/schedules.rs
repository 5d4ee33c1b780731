//! Schedules, their ledgers, and the other triggers.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use bowline_host::Page;
use bowline_triggers::TriggerView;
use bowline_triggers::schedule::{
    Fate, FireView, Overlap, ScheduleConfig, ScheduleSpec, ScheduleView, Schedules, calendar,
};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::App;
use crate::extract::{At, Json as Body, MaybeJson, Params};
use crate::guard::{Caller, Role, Rule, Scope};
use crate::idempotency;
use crate::problem::Problem;
use crate::route::{Api, Operation};

/// How many due times a preview has where nobody says.
const PREVIEW: usize = 10;

/// All of them.
#[derive(Debug, Serialize, JsonSchema)]
struct All<T> {
    /// All of them.
    items: Vec<T>,
}

/// Why a schedule is paused.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Note {
    /// For those who wonder. Default: who paused it.
    note: Option<String>,
}

/// How it runs now.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct RunNow {
    /// What to do where an execution of it has not ended. Default: what the schedule says.
    overlap: Option<Overlap>,
}

/// Which times are made due.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Backfill {
    /// The first time, by RFC 3339.
    from: String,
    /// The last time, by RFC 3339.
    until: String,
    /// What to do where an execution of the schedule has not ended. Default `bufferAll`: one after the other.
    #[serde(default)]
    overlap: Option<Overlap>,
}

/// Which schedule, and how much of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Preview {
    /// When it is due.
    config: ScheduleConfig,
    /// From when on, by RFC 3339. Default: now.
    #[serde(default)]
    from: Option<String>,
    /// How many times, 1,000 at most. Default 10.
    #[serde(default)]
    count: Option<usize>,
}

/// Which lines of the ledger are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// Those with this fate.
    #[serde(default)]
    fate: Option<Fate>,
    /// `next` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// At most so many, 500 at most. Default 100.
    #[serde(default)]
    limit: Option<usize>,
}

pub(super) fn add(api: &mut Api) {
    let see = Rule::of(Role::Viewer, Scope::Schedules);
    let act = Rule::of(Role::Operator, Scope::Schedules);
    let make = Rule::of(Role::Deployer, Scope::Schedules);
    let operation = |method, path, id, rule, summary| Operation::new(method, path, id, rule, "schedules", summary);
    let one = "/api/v1/schedules/{name}";
    let example = json!({
        "workflow": "daily-report",
        "config": { "cron": "0 30 7 * * MON-FRI", "timezone": "Europe/Oslo", "overlap": "skip", "catchUp": "1h" },
        "input": { "region": "north" },
    });

    let list = operation(
        Method::GET,
        "/api/v1/schedules",
        "listSchedules",
        see,
        "List the schedules",
    );
    api.add(
        list.description("Those that triggers of workflows are, and those that were made here.")
            .answers::<All<ScheduleView>>(200, "All of them, by name"),
        list_,
    );
    let get = operation(Method::GET, one, "getSchedule", see, "Look at a schedule");
    api.add(get.answers::<ScheduleView>(200, "The schedule").problems(&[404]), get_);
    let put = operation(Method::PUT, one, "putSchedule", make, "Make or change a schedule");
    api.add(
        put.description("What is due by now keeps to what the schedule was before.")
            .body::<ScheduleSpec>(example)
            .answers::<ScheduleView>(200, "It was changed")
            .answers::<ScheduleView>(201, "It was made")
            .problems(&[400, 409, 415, 422]),
        put_,
    );
    let delete = operation(Method::DELETE, one, "deleteSchedule", make, "Delete a schedule");
    api.add(
        delete
            .description(
                "It starts nothing any more, and what waits is dropped. Executions that it started stay, and so does its \
                 ledger (`gone`), until it is deleted again. One that is a trigger is deleted in its workflow.",
            )
            .answers_with(204, "It is gone", "")
            .problems(&[404, 409]),
        delete_,
    );
    let pause = operation(
        Method::POST,
        "/api/v1/schedules/{name}/pause",
        "pauseSchedule",
        act,
        "Let a schedule start nothing",
    );
    api.add(
        pause
            .optional_body::<Note>(json!({ "note": "the bank is closed" }))
            .answers::<ScheduleView>(200, "It is paused")
            .problems(&[400, 404, 415]),
        pause_,
    );
    let unpause = operation(
        Method::POST,
        "/api/v1/schedules/{name}/unpause",
        "unpauseSchedule",
        act,
        "Let a paused schedule go on",
    );
    api.add(
        unpause
            .description("What was due in between is dropped; a backfill starts it.")
            .answers::<ScheduleView>(200, "It goes on")
            .problems(&[404]),
        unpause_,
    );
    let run = operation(
        Method::POST,
        "/api/v1/schedules/{name}/run",
        "runSchedule",
        act,
        "Make a schedule due now",
    );
    api.add(
        run.description("Also while it is paused. What became of it is in the answer: it need not have started.")
            .header(
                idempotency::HEADER,
                "With the same key, what was started first is the answer.",
            )
            .optional_body::<RunNow>(json!({ "overlap": "allow" }))
            .answers::<FireView>(200, "What became of it")
            .problems(&[400, 404, 415, 422]),
        run_,
    );
    let backfill = operation(
        Method::POST,
        "/api/v1/schedules/{name}/backfill",
        "backfillSchedule",
        act,
        "Start what a schedule should have started",
    );
    api.add(
        backfill
            .description(
                "Makes every time of the range due that is over and has no execution: missed, skipped, dropped, or before \
                 the schedule was made. Sent again, it starts nothing again. 1,000 times at most.",
            )
            .body::<Backfill>(json!({ "from": "2026-11-01T00:00:00Z", "until": "2026-11-07T23:59:59Z" }))
            .answers::<All<FireView>>(200, "What became of each")
            .problems(&[400, 404, 415, 422]),
        backfill_,
    );
    let fires = operation(
        Method::GET,
        "/api/v1/schedules/{name}/fires",
        "listFires",
        see,
        "List what became of each time a schedule was due",
    );
    api.add(
        fires
            .query::<Query>()
            .answers::<Page<FireView>>(200, "A page, the latest first")
            .problems(&[400, 404, 422]),
        fires_,
    );
    let preview = operation(
        Method::POST,
        "/api/v1/schedules/preview",
        "previewSchedule",
        see,
        "When would a schedule like this be due?",
    );
    api.add(
        preview
            .body::<Preview>(json!({ "config": { "cron": "30 2 * * *", "timezone": "Europe/Oslo" }, "count": 3 }))
            .answers::<All<String>>(200, "The times, by RFC 3339")
            .problems(&[400, 415, 422]),
        preview_,
    );
    let triggers = Operation::new(
        Method::GET,
        "/api/v1/triggers",
        "listTriggers",
        Rule::of(Role::Viewer, Scope::Workflows),
        "workflows",
        "List the triggers of deployed workflows, with what is wrong with them",
    );
    api.add(triggers.answers::<All<TriggerView>>(200, "All of them"), triggers_);
}

async fn list_(State(app): State<App>, caller: Caller) -> Result<Json<All<ScheduleView>>, Problem> {
    let items = app.triggers.schedules().list(&caller.organization).await?;
    Ok(Json(All { items }))
}

async fn get_(State(app): State<App>, caller: Caller, At(name): At<String>) -> Result<Json<ScheduleView>, Problem> {
    Ok(Json(app.triggers.schedules().get(&caller.organization, &name).await?))
}

async fn put_(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    Body(spec): Body<ScheduleSpec>,
) -> Result<(StatusCode, Json<ScheduleView>), Problem> {
    let schedules = app.triggers.schedules();
    let is_new = schedules.put(&caller.organization, &name, spec).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(schedules.get(&caller.organization, &name).await?)))
}

async fn delete_(State(app): State<App>, caller: Caller, At(name): At<String>) -> Result<StatusCode, Problem> {
    app.triggers.schedules().delete(&caller.organization, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn pause_(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    MaybeJson(body): MaybeJson<Note>,
) -> Result<Json<ScheduleView>, Problem> {
    let note = body.and_then(|body| body.note);
    let note = note.unwrap_or_else(|| format!("by {}", caller.name));
    let schedules = app.triggers.schedules();
    schedules.pause(&caller.organization, &name, &note).await?;
    Ok(Json(schedules.get(&caller.organization, &name).await?))
}

async fn unpause_(State(app): State<App>, caller: Caller, At(name): At<String>) -> Result<Json<ScheduleView>, Problem> {
    let schedules = app.triggers.schedules();
    schedules.unpause(&caller.organization, &name).await?;
    Ok(Json(schedules.get(&caller.organization, &name).await?))
}

async fn run_(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    headers: HeaderMap,
    MaybeJson(body): MaybeJson<RunNow>,
) -> Result<Json<FireView>, Problem> {
    let what = format!("schedule/{name}");
    let id = idempotency::key(&headers)?.map(|key| idempotency::id(&caller.organization, &what, key));
    let overlap = body.and_then(|body| body.overlap);
    let schedules = app.triggers.schedules();
    let fire = schedules
        .run_now(&caller.organization, &name, overlap, id.as_deref())
        .await?;
    Ok(Json(fire))
}

async fn backfill_(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    Body(body): Body<Backfill>,
) -> Result<Json<All<FireView>>, Problem> {
    let range = (moment("from", &body.from)?, moment("until", &body.until)?);
    let schedules = app.triggers.schedules();
    let items = schedules
        .backfill(&caller.organization, &name, range, body.overlap)
        .await?;
    Ok(Json(All { items }))
}

async fn fires_(
    State(app): State<App>,
    caller: Caller,
    At(name): At<String>,
    Params(query): Params<Query>,
) -> Result<Json<Page<FireView>>, Problem> {
    let limit = super::limit(query.limit)?;
    let schedules = app.triggers.schedules();
    let cursor = query.cursor.as_deref();
    Ok(Json(
        schedules
            .fires(&caller.organization, &name, query.fate, cursor, limit)
            .await?,
    ))
}

async fn preview_(State(app): State<App>, _: Caller, Body(body): Body<Preview>) -> Result<Json<All<String>>, Problem> {
    let from = match &body.from {
        Some(from) => moment("from", from)?,
        None => app.triggers.schedules().now(),
    };
    let count = body.count.unwrap_or(PREVIEW);
    if !(1..=1000).contains(&count) {
        return Err(Problem::invalid(format!("`count` is {count}; write 1 to 1000")));
    }
    // A rare expression takes a while to walk.
    let due = tokio::task::spawn_blocking(move || Schedules::preview(&body.config, from, count)).await;
    let items = due.map_err(|error| Problem::internal(&error))??;
    Ok(Json(All { items }))
}

async fn triggers_(State(app): State<App>, caller: Caller) -> Result<Json<All<TriggerView>>, Problem> {
    let items = app.triggers.list(&caller.organization);
    Ok(Json(All { items }))
}

fn moment(field: &str, text: &str) -> Result<i64, Problem> {
    calendar::moment(text, &TimeZone::UTC).map_err(|error| Problem::invalid(format!("`{field}: {text}` {error}")))
}
