//! Pages about workflows and their connections, and what is done to them.

use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::response::Response;
use bowline_host::{Start, StartKey};
use bowline_inspector::pages;
use serde::Deserialize;

use super::act::{begun, page_of};
use super::answer::{self, encoded};
use super::form::Sent;
use super::plans;
use super::visitor::Visitor;
use crate::App;
use crate::guard::{Note, Role, Routes, Rule, Scope};
use crate::problem::Problem;

pub(super) fn routes() -> Routes {
    let look = Rule::of(Role::Viewer, Scope::Workflows);
    let start_ = Rule::of(Role::Operator, Scope::Executions);
    let act = Rule::of(Role::Operator, Scope::Workflows);
    let connections_ = Rule::of(Role::Viewer, Scope::Connections);
    let try_ = Rule::of(Role::Operator, Scope::Connections);
    Routes::new()
        .route(look, "inspector.workflows", Method::GET, "/ui/workflows", list)
        .route(look, "inspector.workflow", Method::GET, "/ui/workflows/{name}", one)
        .route(
            start_,
            "startExecution",
            Method::POST,
            "/ui/workflows/{name}/start",
            start,
        )
        .route(act, "pauseWorkflow", Method::POST, "/ui/workflows/{name}/pause", pause)
        .route(
            act,
            "unpauseWorkflow",
            Method::POST,
            "/ui/workflows/{name}/unpause",
            unpause,
        )
        .route(
            connections_,
            "inspector.connections",
            Method::GET,
            "/ui/connections",
            connections,
        )
        .route(try_, "testConnection", Method::POST, "/ui/connections/test", test)
}

async fn list(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    let workflows = app.host.workflows(visitor.organization()).await?;
    Ok(answer::page(pages::workflows::page(&visitor.frame(), &workflows)))
}

/// Which version is shown, and which two are compared.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Versions {
    version: Option<u32>,
    from: Option<u32>,
    to: Option<u32>,
}

async fn one(
    State(app): State<App>,
    visitor: Visitor,
    Path(name): Path<String>,
    Query(versions): Query<Versions>,
) -> Result<Response, Problem> {
    let organization = visitor.organization();
    let workflow = app.host.workflow(organization, &name, versions.version).await?;
    let difference = match (versions.from, versions.to) {
        (Some(from), Some(to)) => Some(app.host.diff(organization, &name, from, to).await?),
        _ => None,
    };
    let plan = plans::of(&app, &workflow.deployment.hash).await;
    let page = pages::workflow::page(&visitor.frame(), &workflow, plan.as_deref(), difference.as_ref());
    Ok(answer::page(page))
}

async fn start(State(app): State<App>, Path(name): Path<String>, note: Note, sent: Sent) -> Result<Response, Problem> {
    let organization = sent.visitor.organization();
    let version = sent.number("version")?;
    let input = if sent.text("how") == "fields" {
        let workflow = app.host.workflow(organization, &name, version).await?;
        sent.fields(&workflow.input_schema.unwrap_or_default())?.into()
    } else {
        sent.json("input")?.unwrap_or_else(|| serde_json::json!({}))
    };
    let new = sent.id(&format!("start/{name}"));
    note.say("workflow", name.as_str());
    note.say_made("execution", new.as_str());
    let mut start = Start::new(name, input);
    start.with = vec![note.write()?];
    start.version = version;
    start.key = sent.some("key").map(StartKey::new);
    start.id = Some(new.clone());
    match app.host.start(organization, start).await {
        Ok(started) if started.created => page_of(&started.id, "started"),
        // Another execution than the form's own is one that somebody's key has.
        started => {
            let id = begun(new.clone(), started)?;
            let done = if id == new { "sent-again" } else { "existing" };
            page_of(&id, done)
        }
    }
}

fn back(name: &str, done: &str) -> Result<Response, Problem> {
    answer::redirect(&format!("/ui/workflows/{}?done={done}", encoded(name)))
}

async fn pause(State(app): State<App>, Path(name): Path<String>, sent: Sent) -> Result<Response, Problem> {
    app.host.pause_workflow(sent.visitor.organization(), &name).await?;
    back(&name, "paused")
}

async fn unpause(State(app): State<App>, Path(name): Path<String>, sent: Sent) -> Result<Response, Problem> {
    app.host.unpause_workflow(sent.visitor.organization(), &name).await?;
    back(&name, "unpaused")
}

async fn connections(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    let connections = app.host.connections(visitor.organization()).await?;
    Ok(answer::page(pages::connections::page(
        &visitor.frame(),
        &connections,
        None,
    )))
}

/// The page with what the test has found. Loading it again asks whether to test again.
async fn test(State(app): State<App>, sent: Sent) -> Result<Response, Problem> {
    let organization = sent.visitor.organization();
    let (workflow, name) = (sent.text("workflow"), sent.text("name"));
    let report = app.host.test_connection(organization, workflow, name).await?;
    let connections = app.host.connections(organization).await?;
    let tested = Some((workflow, name, &report));
    Ok(answer::page(pages::connections::page(
        &sent.visitor.frame(),
        &connections,
        tested,
    )))
}
