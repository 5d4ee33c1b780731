//! `bowline executions show`: where one execution stands.

use std::collections::HashMap;
use std::sync::Arc;

use bowline_core::{Outcome, Payload, Wait};
use bowline_store::{ExecutionRow, Status, Store};
use serde_json::{Map, Value, json};

use crate::args::OneArgs;
use crate::exit::{Exit, Result};
use crate::terminal::model::{Op, State, View, What};
use crate::terminal::palette::To;
use crate::terminal::shape::Shape;
use crate::terminal::tree::{self, Look};
use crate::terminal::{self, json, text, time};
use crate::wiring::blobs::Loader;
use crate::wiring::{answers, programs, registry, store};

pub(super) fn run(args: &OneArgs) -> Result {
    let store = store::existing(&args.data.folder)?;
    let row = store::find(&store, &args.id)?;
    let mut view = View::new(&row.id, &row.workflow, row.started_at);
    let loader = Loader::new(&args.data.folder)?;
    store::events(&store, &row, Some(&loader), |at, event| {
        view.apply(at, event);
        Ok(())
    })?;
    if args.json {
        terminal::print_json(&page_json(&row, &view))?;
        return Ok(Exit::Success);
    }
    // Without its definition the steps are told without their blocks.
    let definition = store.definition(&row.definition)?;
    let plan = definition.and_then(|definition| programs::read(&definition, &registry()).ok());
    view.shape = plan.map(|(_, plan)| Arc::new(Shape::new(plan)));
    let next = match &view.outcome {
        Some(Outcome::Failed(error) | Outcome::Cancelled(error)) => {
            Some(answers::after_failure(&store, &args.data.folder, &row, &error.code)?)
        }
        _ => None,
    };
    page(&row, &view, next.as_deref())?;
    Ok(Exit::Success)
}

/// `next` is the command that makes it go on.
fn page(row: &ExecutionRow, view: &View, next: Option<&str>) -> Result<()> {
    let to = To::Stdout;
    let now = time::now();
    let field = |name: &str, value: &str| terminal::print(&format!("{} {value}", to.dim(format!("{name:<10}"))));
    field("execution", &row.id)?;
    let version: String = row.definition.chars().take(12).collect();
    field(
        "workflow",
        &format!("{} (version {version})", text::one_line(&row.workflow)),
    )?;
    if let Some(parent) = &row.parent {
        field("parent", parent)?;
    }
    if let Some(origin) = &row.origin {
        field("made from", origin)?;
    }
    field("status", &status(row, view, now))?;
    field("started", &time::exact(row.started_at))?;
    if let Some(at) = row.finished_at {
        field("finished", &time::exact(at))?;
    }
    if let Some(input) = &view.input {
        field("input", &pretty(input))?;
    }
    let look = Look {
        now,
        frame: 0,
        to,
        live: false,
    };
    let lines = tree::steps(view, &HashMap::new(), look);
    if !lines.is_empty() {
        terminal::print("")?;
        for line in lines {
            terminal::print(&line.text)?;
        }
        terminal::print("")?;
    }
    for wait in tree::waits(view, now) {
        field("waits for", &wait)?;
    }
    if let Some(reason) = view.cancel.as_ref().filter(|_| view.outcome.is_none()) {
        field("cancelling", &text::one_line(reason))?;
    }
    match &view.outcome {
        Some(Outcome::Succeeded(output)) => field("output", &pretty(output))?,
        Some(Outcome::Failed(_) | Outcome::Cancelled(_)) => {
            field("error", &to.bad(tree::error_line(view).unwrap_or_default()).to_string())?;
            if let Some(next) = next {
                let word = if next.contains(" retry ") { "retry" } else { "resume" };
                field(word, next)?;
            }
        }
        None => {}
    }
    Ok(())
}

fn status(row: &ExecutionRow, view: &View, now: i64) -> String {
    let to = To::Stdout;
    let took = time::duration(row.finished_at.unwrap_or(now) - row.started_at);
    match &view.outcome {
        Some(Outcome::Succeeded(_)) => format!("{} in {took}", to.good("succeeded")),
        Some(Outcome::Failed(_)) => format!("{} after {took}", to.bad("failed")),
        Some(Outcome::Cancelled(_)) => format!("{} after {took}", to.warn("cancelled")),
        None if row.status == Status::Paused => format!("{} for {took}", to.warn("paused")),
        None if row.status == Status::Waiting => format!("{} for {took}", to.busy("waiting")),
        None => format!("{} for {took}", to.busy("unfinished")),
    }
}

fn pretty(payload: &Payload) -> String {
    payload
        .parse::<Value>()
        .map_or_else(|_| payload.text().to_owned(), |value| format!("{value:#}"))
}

fn page_json(row: &ExecutionRow, view: &View) -> Value {
    let mut page = match json::row(row) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let input = view.input.as_ref().and_then(|input| input.parse::<Value>().ok());
    page.insert("input".into(), input.unwrap_or_default());
    let mut ops: Vec<_> = view.ops.iter().collect();
    ops.sort_by_key(|(_, op)| op.order);
    page.insert(
        "steps".into(),
        ops.into_iter().map(|(path, op)| op_json(path, op)).collect(),
    );
    if let Some(outcome) = &view.outcome {
        page.extend(json::outcome(outcome));
    }
    Value::Object(page)
}

fn op_json(path: &str, op: &Op) -> Value {
    let state = match op.state {
        State::Running => "running",
        State::Waiting => "waiting",
        State::Done => "succeeded",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
    };
    let mut step = json!({
        "path": path,
        "status": state,
        "startedAt": time::rfc3339(op.asked_at),
        "endedAt": op.ended_at.map(time::rfc3339),
    });
    match &op.what {
        What::Step { kind, compensates } => {
            step["connector"] = json!(kind);
            step["attempts"] = json!(op.attempt);
            if let Some(undone) = compensates {
                step["compensates"] = json!(undone);
            }
        }
        What::Timer => step["timer"] = json!(true),
        What::Wait { wait, until, beat } => {
            let approval = match wait {
                Wait::Callback { approval, .. } => {
                    approval.as_ref().and_then(|approval| approval.parse::<Value>().ok())
                }
                Wait::Signal { .. } | Wait::Event { .. } => None,
            };
            step["waitsFor"] = json!({
                "kind": wait.kind(),
                "name": wait.name(),
                "key": wait.key(),
                "approval": approval,
                "until": until.map(time::rfc3339),
                "heartbeatBy": beat.map(time::rfc3339),
            });
        }
        What::Emit { event } => step["emitted"] = json!(event),
        What::Child { id, workflow, detached } => {
            step["child"] = json!({ "executionId": id, "workflow": workflow, "detached": detached });
        }
    }
    if op.kept {
        step["kept"] = json!(true);
    }
    if let Some(due) = op.due {
        step["due"] = json!(time::rfc3339(due));
    }
    if let Some(error) = &op.error {
        step["error"] = json::error(error);
    }
    step
}
