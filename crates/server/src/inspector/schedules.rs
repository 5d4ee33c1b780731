//! Pages about schedules, and what is done to them.

use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::response::Response;
use bowline_connector::Millis;
use bowline_inspector::pages::schedules::{self, Fire, Schedule};
use bowline_triggers::schedule::{FireView, ScheduleConfig, ScheduleView};
use serde::Deserialize;

use super::answer::{self, encoded};
use super::executions::moment;
use super::form::Sent;
use super::visitor::Visitor;
use crate::App;
use crate::guard::{Note, Role, Routes, Rule, Scope};
use crate::problem::Problem;

/// So many times are started by one backfill at most.
const MOST: usize = 1000;

/// Lines of a page of the ledger.
const PAGE: usize = 50;

pub(super) fn routes() -> Routes {
    let look = Rule::of(Role::Viewer, Scope::Schedules);
    let act = Rule::of(Role::Operator, Scope::Schedules);
    let write = Rule::of(Role::Deployer, Scope::Schedules);
    Routes::new()
        .route(look, "inspector.schedules", Method::GET, "/ui/schedules", list)
        .route(look, "inspector.schedule", Method::GET, "/ui/schedules/{name}", one)
        .route(act, "runSchedule", Method::POST, "/ui/schedules/{name}/run", run)
        .route(act, "pauseSchedule", Method::POST, "/ui/schedules/{name}/pause", pause)
        .route(
            act,
            "unpauseSchedule",
            Method::POST,
            "/ui/schedules/{name}/unpause",
            unpause,
        )
        .route(
            act,
            "backfillSchedule",
            Method::POST,
            "/ui/schedules/{name}/backfill",
            backfill,
        )
        .route(
            write,
            "deleteSchedule",
            Method::POST,
            "/ui/schedules/{name}/delete",
            delete,
        )
}

async fn list(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    let found = app.triggers.schedules().list(visitor.organization()).await?;
    let schedules: Vec<_> = found.into_iter().map(schedule).collect();
    Ok(answer::page(schedules::list(&visitor.frame(), &schedules)))
}

/// Where the ledger begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct From {
    cursor: Option<String>,
}

async fn one(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(from): Query<From>,
) -> Result<Response, Problem> {
    let (all, organization) = (app.triggers.schedules(), visitor.organization());
    let view = all.get(organization, &name).await?;
    let fires = all
        .fires(organization, &name, None, from.cursor.as_deref(), PAGE)
        .await?;
    let lines: Vec<_> = fires.items.into_iter().map(fire).collect();
    let page = schedules::page(&visitor.frame(), &schedule(view), &lines, fires.next.as_deref());
    Ok(answer::page(page))
}

fn schedule(view: ScheduleView) -> Schedule {
    let rules = rules(&view);
    let is_paused = view.paused.is_some();
    Schedule {
        name: view.name,
        workflow: view.workflow,
        when: when(&view.config),
        zone: view.config.timezone.clone(),
        words: view.words,
        is_of_file: view.trigger.is_some() && !view.gone,
        paused: is_paused,
        note: view.paused.map(|paused| paused.note).unwrap_or_default(),
        over: view.gone || (!is_paused && view.next.is_empty() && view.problem.is_none()),
        next: view.next,
        overlap: word(&view.config.overlap),
        rules,
        problem: view.problem,
    }
}

/// When it is due, as it was written.
fn when(config: &ScheduleConfig) -> Vec<String> {
    let mut when: Vec<String> = config.cron.iter().flat_map(|cron| cron.all().to_vec()).collect();
    when.extend(config.every.map(|every| format!("every {}", told(every))));
    when.extend(config.at.iter().flat_map(|at| at.all().to_vec()));
    when
}

/// Everything else that is set.
fn rules(view: &ScheduleView) -> Vec<(String, String)> {
    let config = &view.config;
    let mut rules = vec![("Starts late by at most".to_owned(), told(config.catch_up))];
    if !config.jitter.duration().is_zero() {
        rules.push(("Jitter".to_owned(), told(config.jitter)));
    }
    if !config.exclude.is_empty() {
        rules.push(("Left out".to_owned(), config.exclude.join(", ")));
    }
    for (name, value) in [("From", &config.start), ("Until", &config.end)] {
        rules.extend(value.clone().map(|value| (name.to_owned(), value)));
    }
    rules.push(("Started so far".to_owned(), view.started.to_string()));
    rules.extend(config.limit.map(|limit| ("At most".to_owned(), limit.to_string())));
    if config.pause_on_failure {
        rules.push(("A failure".to_owned(), "pauses it".to_owned()));
    }
    rules
}

/// A duration as people read it.
fn told(duration: Millis) -> String {
    bowline_inspector::duration(i64::try_from(duration.duration().as_millis()).unwrap_or(i64::MAX))
}

/// A value of a configuration as it is written there.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn fire(view: FireView) -> Fire {
    Fire {
        due: view.due,
        until: view.until,
        count: view.count.unwrap_or(1),
        fate: view.fate.name().to_owned(),
        at: view.decided_at,
        execution: view.execution,
        note: view.reason.unwrap_or_default(),
    }
}

fn back(name: &str, done: &str) -> Result<Response, Problem> {
    answer::redirect(&format!("/ui/schedules/{}?done={done}", encoded(name)))
}

async fn run(State(app): State<App>, Path(name): Path<String>, sent: Sent) -> Result<Response, Problem> {
    let id = sent.id(&format!("schedule/{name}"));
    let fired = app.triggers.schedules();
    let fired = fired
        .run_now(sent.visitor.organization(), &name, None, Some(&id))
        .await?;
    back(
        &name,
        if fired.fate == bowline_triggers::schedule::Fate::Started {
            "ran"
        } else {
            "not-ran"
        },
    )
}

async fn pause(State(app): State<App>, Path(name): Path<String>, sent: Sent) -> Result<Response, Problem> {
    let note = sent
        .some("note")
        .unwrap_or_else(|| format!("paused by {}", sent.visitor.name()));
    app.triggers
        .schedules()
        .pause(sent.visitor.organization(), &name, &note)
        .await?;
    back(&name, "paused")
}

async fn unpause(State(app): State<App>, Path(name): Path<String>, sent: Sent) -> Result<Response, Problem> {
    app.triggers
        .schedules()
        .unpause(sent.visitor.organization(), &name)
        .await?;
    back(&name, "unpaused")
}

async fn backfill(
    State(app): State<App>,
    Path(name): Path<String>,
    note: Note,
    sent: Sent,
) -> Result<Response, Problem> {
    let range = moment("from", sent.text("from"))?.zip(moment("until", sent.text("until"))?);
    let range = range.ok_or_else(|| Problem::invalid("say from when, and until when"))?;
    if sent.text("confirmed") != "yes" {
        note.only_looks();
        return ask(&app, &name, &sent, range).await;
    }
    app.triggers
        .schedules()
        .backfill(sent.visitor.organization(), &name, range, None)
        .await?;
    back(&name, "backfilled")
}

/// Shows which times a backfill would start.
async fn ask(app: &App, name: &str, sent: &Sent, (from, until): (i64, i64)) -> Result<Response, Problem> {
    let all = app.triggers.schedules();
    let (times, more) = all.dues(sent.visitor.organization(), name, (from, until), MOST).await?;
    let range = (sent.text("from"), sent.text("until"));
    let page = schedules::confirm(&sent.visitor.frame(), name, range, &times, more);
    Ok(answer::page(page))
}

async fn delete(State(app): State<App>, Path(name): Path<String>, sent: Sent) -> Result<Response, Problem> {
    app.triggers
        .schedules()
        .delete(sent.visitor.organization(), &name)
        .await?;
    answer::redirect("/ui/schedules?done=gone")
}
