//! Pages about executions.

use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::response::Response;
use bowline_host::{Search, Status, Waiting, Which};
use bowline_inspector::pages::{self, execution, executions};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::visitor::Visitor;
use super::{answer, plans};
use crate::App;
use crate::guard::{Role, Routes, Rule, Scope};
use crate::problem::Problem;

/// Executions on a page.
const PAGE: usize = 50;

/// So many of a page are asked why they do not go on, or have failed: each is a look into its journal.
const ASKED_WHY: usize = 20;

/// Events of a page of history.
const EVENTS: usize = 100;

pub(super) fn routes() -> Routes {
    let look = Rule::of(Role::Viewer, Scope::Executions);
    Routes::new()
        .route(look, "inspector.executions", Method::GET, "/ui/executions", list)
        .route(look, "inspector.execution", Method::GET, "/ui/executions/{id}", one)
        .route(look, "inspector.value", Method::GET, "/ui/executions/{id}/input", input)
        .route(
            look,
            "inspector.value",
            Method::GET,
            "/ui/executions/{id}/output",
            output,
        )
        .route(look, "inspector.step", Method::GET, "/ui/executions/{id}/step", step)
        .route(
            look,
            "inspector.value",
            Method::GET,
            "/ui/executions/{id}/step/input",
            step_input,
        )
        .route(
            look,
            "inspector.value",
            Method::GET,
            "/ui/executions/{id}/step/output",
            step_output,
        )
}

/// What the search form sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Form {
    status: String,
    workflow: String,
    error: String,
    id: String,
    since: String,
    until: String,
    input: String,
    output: String,
    cursor: String,
}

async fn list(State(app): State<App>, visitor: Visitor, Query(form): Query<Form>) -> Result<Response, Problem> {
    let organization = visitor.organization();
    let search = search(&form)?;
    let found = app.host.search(organization, &search).await?;
    let workflows = app.host.workflows(organization).await?;
    let names: Vec<_> = workflows.into_iter().map(|workflow| workflow.name).collect();
    let mut reasons = Vec::new();
    for item in found
        .items
        .iter()
        .filter(|item| !item.status.is_finished() || item.status == Status::Failed)
        .take(ASKED_WHY)
    {
        // One that has gone since the search has no reason any more.
        reasons.extend(app.host.why(organization, &item.id).await);
    }
    let asked = executions::Asked {
        status: form.status,
        workflow: form.workflow,
        error: form.error,
        id: form.id,
        since: form.since,
        until: form.until,
        input: form.input,
        output: form.output,
        cursor: form.cursor,
    };
    let mut frame = visitor.frame();
    let open = app.host.approvals(organization, &Waiting::default()).await?;
    frame.approvals = open.items.len();
    let page = executions::page(&frame, &asked, &names, &found, &reasons);
    Ok(answer::page(page))
}

fn search(form: &Form) -> Result<Search, Problem> {
    let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let status = match form.status.as_str() {
        "" | "unfinished" => None,
        name => Some(status(name)?),
    };
    Ok(Search {
        status,
        unfinished: form.status == "unfinished",
        workflow: some(&form.workflow),
        error: some(&form.error),
        id_prefix: some(&form.id),
        since: moment("since", &form.since)?,
        until: moment("until", &form.until)?,
        input: field("input", &form.input)?,
        output: field("output", &form.output)?,
        cursor: some(&form.cursor),
        limit: PAGE,
        ..Search::default()
    })
}

fn status(name: &str) -> Result<Status, Problem> {
    let all = [
        Status::Running,
        Status::Waiting,
        Status::Paused,
        Status::Succeeded,
        Status::Failed,
        Status::Cancelled,
    ];
    let found = all.into_iter().find(|status| status.name() == name);
    found.ok_or_else(|| Problem::invalid(format!("`{name}` is no status")))
}

/// Milliseconds since 1970 of what a field for date and time gives.
pub(super) fn moment(name: &str, text: &str) -> Result<Option<i64>, Problem> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let read: Result<DateTime, _> = text.trim().trim_end_matches('Z').parse();
    let at = read.and_then(|at| at.to_zoned(TimeZone::UTC));
    at.map(|at| Some(at.timestamp().as_millisecond()))
        .map_err(|_| Problem::invalid(format!("`{name}` must be a date and a time, such as 2026-11-22T10:30")))
}

fn field(name: &str, text: &str) -> Result<Vec<(String, String)>, Problem> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let pair = text.split_once('=');
    let (path, value) = pair.ok_or_else(|| {
        Problem::invalid(format!(
            "the {name} field is searched for as `field=text`, such as `customer.id=17`"
        ))
    })?;
    Ok(vec![(path.trim().to_owned(), value.trim().to_owned())])
}

/// What the page of an execution is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part {
    history: u64,
}

async fn one(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Result<Response, Problem> {
    let organization = visitor.organization();
    let execution = app.host.execution(organization, &id).await?;
    let history = app.host.history(organization, &id, part.history, EVENTS).await?;
    let plan = plans::of(&app, &execution.summary.definition).await;
    let approvals = if execution.summary.status.is_finished() {
        Vec::new()
    } else {
        let waiting = Waiting {
            execution: Some(id.clone()),
            ..Waiting::default()
        };
        app.host.approvals(organization, &waiting).await?.items
    };
    let versions = if execution.can.resume {
        // A workflow that is not deployed has none.
        let workflow = app.host.workflow(organization, &execution.summary.workflow, None).await;
        workflow.map_or_else(
            |_| Vec::new(),
            |workflow| workflow.versions.iter().map(|one| one.version).collect(),
        )
    } else {
        Vec::new()
    };
    let shown = execution::Shown {
        execution: &execution,
        plan: plan.as_deref(),
        history: &history,
        history_from: part.history,
        approvals: &approvals,
        versions: &versions,
        now: jiff::Timestamp::now().as_millisecond(),
    };
    Ok(answer::page(execution::page(&visitor.frame(), &shown)))
}

/// Which step.
#[derive(Debug, Deserialize)]
struct AtPath {
    path: String,
}

async fn step(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(at): Query<AtPath>,
) -> Result<Response, Problem> {
    let detail = app.host.step(visitor.organization(), &id, &at.path).await?;
    Ok(answer::page(pages::step::page(&visitor.frame(), &id, &detail)))
}

async fn input(State(app): State<App>, visitor: Visitor, Path(id): Path<String>) -> Result<Response, Problem> {
    value(&app, &visitor, &id, None, "Input", Which::Input).await
}

async fn output(State(app): State<App>, visitor: Visitor, Path(id): Path<String>) -> Result<Response, Problem> {
    value(&app, &visitor, &id, None, "Output", Which::Output).await
}

async fn step_input(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(at): Query<AtPath>,
) -> Result<Response, Problem> {
    value(
        &app,
        &visitor,
        &id,
        Some(&at.path),
        "Input",
        Which::StepInput(at.path.clone()),
    )
    .await
}

async fn step_output(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(at): Query<AtPath>,
) -> Result<Response, Problem> {
    value(
        &app,
        &visitor,
        &id,
        Some(&at.path),
        "Output",
        Which::StepOutput(at.path.clone()),
    )
    .await
}

async fn value(
    app: &App,
    visitor: &Visitor,
    id: &str,
    path: Option<&str>,
    what: &str,
    which: Which,
) -> Result<Response, Problem> {
    let value = app.host.payload(visitor.organization(), id, which).await?;
    let value = value.ok_or_else(|| Problem::not_found("value.not-found", "there is no such value yet"))?;
    Ok(answer::page(pages::step::value_page(
        &visitor.frame(),
        id,
        path,
        what,
        &value,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_becomes_a_search() {
        let form = Form {
            status: "failed".to_owned(),
            since: "2026-11-22T10:30".to_owned(),
            input: "customer.id = 17".to_owned(),
            ..Form::default()
        };
        let found = search(&form).unwrap();
        assert_eq!(found.status, Some(Status::Failed));
        assert_eq!(found.since, Some(1_795_343_400_000));
        assert_eq!(found.input, [("customer.id".to_owned(), "17".to_owned())]);
        assert!(found.workflow.is_none() && found.cursor.is_none());
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for (name, text) in [("since", "soon"), ("until", "2026-13-01T00:00")] {
            let told = moment(name, text).unwrap_err();
            assert!(told.detail.contains(name), "{}", told.detail);
        }
        assert!(field("input", "x").unwrap_err().detail.contains("field=text"));
        assert!(status("lost").is_err());
    }
}
