//! Making a schedule and changing one: what is written is checked, its next times are shown, and then it is kept.

use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use bowline_connector::Millis;
use bowline_host::HostError;
use bowline_inspector::pages::schedule::{self, Checked, Draft};
use bowline_triggers::schedule::{OneOrMany, ScheduleSpec, ScheduleView, Schedules};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::answer::{self, encoded};
use super::form::Sent;
use super::schedules::word;
use super::visitor::Visitor;
use crate::App;
use crate::guard::{Note, Role, Routes, Rule, Scope};
use crate::problem::Problem;

/// So many of the next times are shown.
const NEXT: usize = 10;

/// Fields of the configuration that are one text.
const TEXTS: [&str; 9] = [
    "every", "phase", "timezone", "start", "end", "overlap", "catchUp", "jitter", "keep",
];

/// Those that are several, one a line.
const LINES: [&str; 3] = ["cron", "at", "exclude"];

pub(super) fn routes() -> Routes {
    let write = Rule::of(Role::Deployer, Scope::Schedules);
    Routes::new()
        .route(write, "inspector.schedule-form", Method::GET, "/ui/new-schedule", new)
        .route(
            write,
            "inspector.schedule-form",
            Method::GET,
            "/ui/schedules/{name}/change",
            change,
        )
        .route(write, "putSchedule", Method::POST, "/ui/schedules", put)
}

async fn new(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    let draft = Draft {
        timezone: "UTC".to_owned(),
        overlap: "skip".to_owned(),
        catch_up: "1h".to_owned(),
        ..Draft::default()
    };
    shown(&app, &visitor, &draft, &Checked::Not).await
}

async fn change(State(app): State<App>, visitor: Visitor, Path(name): Path<String>) -> Result<Response, Problem> {
    let view = app.triggers.schedules().get(visitor.organization(), &name).await?;
    if let Some(trigger) = view.trigger.as_ref().filter(|_| !view.gone) {
        let why = format!(
            "`{name}` is the trigger `{trigger}` of the workflow `{}`",
            view.workflow
        );
        let problem = Problem::new(StatusCode::CONFLICT, "schedule.is-trigger", why);
        return Err(problem.hint("change it in the workflow, and deploy that"));
    }
    shown(&app, &visitor, &draft_of(view), &Checked::Not).await
}

async fn shown(app: &App, visitor: &Visitor, draft: &Draft, checked: &Checked) -> Result<Response, Problem> {
    let all = app.host.workflows(visitor.organization()).await?;
    let startable = all
        .into_iter()
        .filter(|one| one.version.is_some() && one.withdrawn_at.is_none());
    let names: Vec<_> = startable.map(|one| one.name).collect();
    let status = match checked {
        Checked::Wrong { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::OK,
    };
    let page = schedule::page(&visitor.frame(), draft, &names, checked);
    Ok(answer::with_status(status, page))
}

async fn put(State(app): State<App>, note: Note, sent: Sent) -> Result<Response, Problem> {
    let draft = draft(&sent);
    if sent.text("action") != "keep" {
        note.only_looks();
    }
    let checked = match spec(&sent) {
        Err(wrong) => wrong,
        Ok(spec) if sent.text("action") == "keep" => match keep(&app, &sent, &draft, spec).await {
            Ok(is_new) => {
                let done = if is_new { "made" } else { "changed" };
                return answer::redirect(&format!("/ui/schedules/{}?done={done}", encoded(&draft.name)));
            }
            Err(error) if error.kind == bowline_host::ErrorKind::Invalid => Checked::Wrong {
                message: "The schedule cannot be used.".to_owned(),
                problems: error.problems.into_iter().map(|problem| problem.message).collect(),
            },
            Err(error) => return Err(error.into()),
        },
        Ok(spec) => {
            let now = app.triggers.schedules().now();
            // A rare expression takes a while to walk.
            let look = tokio::task::spawn_blocking(move || look(&spec, now));
            look.await.map_err(|error| Problem::internal(&error))?
        }
    };
    shown(&app, &sent.visitor, &draft, &checked).await
}

async fn keep(app: &App, sent: &Sent, draft: &Draft, spec: ScheduleSpec) -> Result<bool, HostError> {
    let (all, organization) = (app.triggers.schedules(), sent.visitor.organization());
    // Who makes one does not mean to change one that is there.
    let known = all.get(organization, &draft.name).await;
    if !draft.is_change && known.is_ok_and(|known| !known.gone) {
        let why = format!(
            "there is a schedule named `{}` already; choose another name",
            draft.name
        );
        let error = HostError::invalid("schedule.invalid", why.clone());
        return Err(error.with(vec![bowline_host::Problem {
            message: why,
            ..bowline_host::Problem::default()
        }]));
    }
    all.put(organization, &draft.name, spec).await
}

fn look(spec: &ScheduleSpec, now: i64) -> Checked {
    match Schedules::check(&spec.config, now, NEXT) {
        Err(problems) => Checked::Wrong {
            message: "The schedule cannot be used.".to_owned(),
            problems,
        },
        Ok((words, next)) => Checked::Good { words, next },
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

/// What the form says.
fn spec(sent: &Sent) -> Result<ScheduleSpec, Checked> {
    let wrong = |problem: String| Checked::Wrong {
        message: "The form has a field that cannot be read.".to_owned(),
        problems: vec![problem],
    };
    let mut config = Map::new();
    for name in TEXTS {
        if let Some(text) = sent.some(name) {
            config.insert(name.to_owned(), text.into());
        }
    }
    for name in LINES {
        let lines = lines(sent.text(name));
        if !lines.is_empty() {
            config.insert(name.to_owned(), lines.into());
        }
    }
    if let Some(limit) = sent.some("limit") {
        let limit = limit.parse::<u64>().ok().filter(|limit| *limit > 0);
        let limit = limit.ok_or_else(|| wrong("“Starts at most” must be a number from 1 on, or empty".to_owned()))?;
        config.insert("limit".to_owned(), limit.into());
    }
    if sent.text("pauseOnFailure") == "true" {
        config.insert("pauseOnFailure".to_owned(), true.into());
    }
    let mut spec = json!({ "workflow": sent.text("workflow"), "config": config });
    if let Some(input) = sent.json("input").map_err(|problem| wrong(problem.detail.clone()))? {
        spec["input"] = input;
    }
    if let Some(description) = sent.some("description") {
        spec["description"] = description.into();
    }
    ScheduleSpec::deserialize(spec).map_err(|error| wrong(error.to_string()))
}

/// What was written, to be shown again.
fn draft(sent: &Sent) -> Draft {
    let text = |name: &str| sent.text(name).to_owned();
    Draft {
        is_change: sent.text("change") == "yes",
        name: text("name"),
        workflow: text("workflow"),
        cron: text("cron"),
        every: text("every"),
        phase: text("phase"),
        at: text("at"),
        timezone: text("timezone"),
        exclude: text("exclude"),
        start: text("start"),
        end: text("end"),
        limit: text("limit"),
        overlap: text("overlap"),
        catch_up: text("catchUp"),
        jitter: text("jitter"),
        keep: text("keep"),
        pause_on_failure: sent.text("pauseOnFailure") == "true",
        input: text("input"),
        description: text("description"),
    }
}

/// A schedule as somebody would have written it.
fn draft_of(view: ScheduleView) -> Draft {
    let config = view.config;
    let many = |all: Option<&OneOrMany>| all.map_or_else(String::new, |all| all.all().join("\n"));
    let some = |duration: Option<Millis>| duration.map(written).unwrap_or_default();
    Draft {
        is_change: true,
        name: view.name,
        workflow: view.workflow,
        cron: many(config.cron.as_ref()),
        every: some(config.every),
        phase: some(config.phase),
        at: many(config.at.as_ref()),
        timezone: config.timezone,
        exclude: config.exclude.join("\n"),
        start: config.start.unwrap_or_default(),
        end: config.end.unwrap_or_default(),
        limit: config.limit.map(|limit| limit.to_string()).unwrap_or_default(),
        overlap: word(&config.overlap),
        catch_up: written(config.catch_up),
        jitter: Some(config.jitter)
            .filter(|jitter| !jitter.duration().is_zero())
            .map(written)
            .unwrap_or_default(),
        keep: written(config.keep),
        pause_on_failure: config.pause_on_failure,
        input: view
            .input
            .map(|input: Value| serde_json::to_string_pretty(&input).unwrap_or_default())
            .unwrap_or_default(),
        description: view.description.unwrap_or_default(),
    }
}

/// A duration in the largest unit that it has a whole number of.
fn written(duration: Millis) -> String {
    let millis = duration.duration().as_millis();
    for (unit, length) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
        if millis >= length && millis.is_multiple_of(length) {
            return format!("{}{unit}", millis / length);
        }
    }
    format!("{millis}ms")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_written_as_they_are_read() {
        for text in ["1h", "90m", "2d", "30s", "1500ms"] {
            assert_eq!(written(Millis::parse(text).unwrap()), text);
        }
        assert_eq!(
            Millis::parse(&written(Millis::parse("0").unwrap()))
                .unwrap()
                .duration()
                .as_millis(),
            0
        );
    }
}
