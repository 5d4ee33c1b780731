//! Pages about what comes from outside, and the audit log.

use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::response::Response;
use bowline_access::{AuditFilter, Outcome};
use bowline_core::{Payload, StepError};
use bowline_host::{Answer, CallbackAddress, Waiting};
use bowline_inspector::pages::{self, audit};
use serde::Deserialize;
use serde_json::Value;

use super::act::outcome;
use super::answer;
use super::form::Sent;
use super::visitor::Visitor;
use crate::App;
use crate::api::callbacks::refuse_approvals;
use crate::guard::{self, Role, Routes, Rule, Scope};
use crate::problem::Problem;

/// Lines of a page.
const PAGE: usize = 100;

pub(super) fn routes() -> Routes {
    let look = Rule::of(Role::Viewer, Scope::Callbacks);
    let act = Rule::of(Role::Operator, Scope::Callbacks);
    let asked = Rule::of(Role::Viewer, Scope::Approvals);
    let log = Rule::of(Role::Admin, Scope::Audit);
    Routes::new()
        .route(look, "inspector.callbacks", Method::GET, "/ui/callbacks", callbacks)
        .route(act, "deliverCallback", Method::POST, "/ui/callbacks/answer", deliver)
        .route(
            act,
            "deliverKept",
            Method::POST,
            "/ui/callbacks/kept/{id}/deliver",
            deliver_kept,
        )
        .route(act, "dropKept", Method::POST, "/ui/callbacks/kept/{id}/drop", drop_kept)
        .route(asked, "inspector.approvals", Method::GET, "/ui/approvals", approvals)
        .route(log, "inspector.audit", Method::GET, "/ui/audit", changes)
}

/// Where a list begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct From {
    cursor: Option<String>,
    /// Of the list of kept answers.
    kept: Option<i64>,
}

fn waiting(from: &From) -> Waiting {
    Waiting {
        cursor: from.cursor.clone(),
        limit: PAGE,
        ..Waiting::default()
    }
}

async fn callbacks(State(app): State<App>, visitor: Visitor, Query(from): Query<From>) -> Result<Response, Problem> {
    let open = app.host.callbacks(visitor.organization(), &waiting(&from)).await?;
    let kept = app.host.kept(visitor.organization(), from.kept, PAGE).await?;
    Ok(answer::page(pages::callbacks::page(&visitor.frame(), &open, &kept)))
}

fn back(done: &str) -> Result<Response, Problem> {
    answer::redirect(&format!("/ui/callbacks?done={done}"))
}

async fn deliver(State(app): State<App>, sent: Sent) -> Result<Response, Problem> {
    let body = sent.json("body")?.unwrap_or_default();
    let address = CallbackAddress::Path {
        execution: sent.text("execution").to_owned(),
        path: sent.text("path").to_owned(),
    };
    let answer = answer_of(body, sent.text("outcome") == "failed")?;
    refuse_approvals(&app, sent.visitor.caller(), &address).await?;
    let delivered = app
        .host
        .deliver_checked(sent.visitor.organization(), &address, answer)
        .await?;
    back(outcome(&delivered))
}

/// What a form brings: a value, or an error with its `code` and `message`, as the other side would send it.
fn answer_of(body: Value, is_failure: bool) -> Result<Answer, Problem> {
    if !is_failure {
        return Ok(Answer::Succeeded {
            output: Payload::of(&body).map_err(|error| Problem::internal(&error))?,
            event: None,
        });
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = text("code").unwrap_or_else(|| "callback.failed".to_owned());
    let message = text("message").unwrap_or_else(|| "the other side reports that it failed".to_owned());
    Ok(Answer::Failed(StepError::permanent(code, message).with_data(body)))
}

async fn deliver_kept(State(app): State<App>, Path(id): Path<i64>, sent: Sent) -> Result<Response, Problem> {
    let to = match (sent.some("to"), sent.some("path")) {
        (Some(execution), Some(path)) => Some(CallbackAddress::Path { execution, path }),
        (None, None) => None,
        _ => return Err(Problem::invalid("name both the execution and the step, or neither")),
    };
    let leads_to = to.clone().unwrap_or(CallbackAddress::Kept(id));
    refuse_approvals(&app, sent.visitor.caller(), &leads_to).await?;
    let delivered = app
        .host
        .deliver_kept(sent.visitor.organization(), id, to.as_ref())
        .await?;
    back(outcome(&delivered))
}

async fn drop_kept(State(app): State<App>, Path(id): Path<i64>, sent: Sent) -> Result<Response, Problem> {
    app.host.drop_kept(sent.visitor.organization(), id).await?;
    back("dropped")
}

async fn approvals(State(app): State<App>, visitor: Visitor, Query(from): Query<From>) -> Result<Response, Problem> {
    let open = app.host.approvals(visitor.organization(), &waiting(&from)).await?;
    let mut frame = visitor.frame();
    frame.approvals = open.items.len();
    Ok(answer::page(pages::approvals::page(&frame, &open)))
}

async fn changes(State(app): State<App>, visitor: Visitor, Query(from): Query<From>) -> Result<Response, Problem> {
    let filter = AuditFilter {
        cursor: from.cursor,
        limit: PAGE,
        ..AuditFilter::default()
    };
    let found = app.guard.access.audit(visitor.organization(), &filter).await;
    let found = found.map_err(|error| guard::failed(&error))?;
    let changes: Vec<_> = found
        .items
        .into_iter()
        .map(|line| audit::Change {
            at: line.at,
            who: line.who,
            from: line.from.unwrap_or_default(),
            action: line.action,
            target: line.target,
            detail: if line.detail.is_null() {
                String::new()
            } else {
                line.detail.to_string()
            },
            done: line.outcome == Outcome::Done,
        })
        .collect();
    Ok(answer::page(audit::page(
        &visitor.frame(),
        &changes,
        found.next.as_deref(),
    )))
}
