//! What is done to executions.

use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::Response;
use bowline_host::{Decision, Delivered, Rerun, Resume, Retry, Signal};
use serde_json::Value;

use super::answer::{self, encoded};
use super::form::Sent;
use crate::App;
use crate::guard::{Role, Routes, Rule, Scope};
use crate::problem::Problem;

pub(super) fn routes() -> Routes {
    let act = Rule::of(Role::Operator, Scope::Executions);
    let decide = Rule::of(Role::Operator, Scope::Approvals);
    let delete = Rule::of(Role::Deployer, Scope::Executions);
    Routes::new()
        .route(
            act,
            "cancelExecution",
            Method::POST,
            "/ui/executions/{id}/cancel",
            cancel,
        )
        .route(act, "pauseExecution", Method::POST, "/ui/executions/{id}/pause", pause)
        .route(
            act,
            "unpauseExecution",
            Method::POST,
            "/ui/executions/{id}/unpause",
            unpause,
        )
        .route(
            act,
            "resumeExecution",
            Method::POST,
            "/ui/executions/{id}/resume",
            resume,
        )
        .route(act, "retryExecution", Method::POST, "/ui/executions/{id}/retry", retry)
        .route(act, "rerunExecution", Method::POST, "/ui/executions/{id}/rerun", rerun)
        .route(
            act,
            "signalExecution",
            Method::POST,
            "/ui/executions/{id}/signal",
            signal,
        )
        .route(
            decide,
            "decideApproval",
            Method::POST,
            "/ui/executions/{id}/approve",
            approve,
        )
        .route(
            delete,
            "deleteExecution",
            Method::POST,
            "/ui/executions/{id}/delete",
            delete_,
        )
}

/// The page of an execution, which says what has been done.
pub(super) fn page_of(id: &str, done: &str) -> Result<Response, Problem> {
    answer::redirect(&format!("/ui/executions/{}?done={done}", encoded(id)))
}

fn reason(sent: &Sent, what: &str) -> String {
    sent.some("reason")
        .unwrap_or_else(|| format!("{what} by {} in the inspector", sent.visitor.name()))
}

async fn cancel(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Problem> {
    let reason = reason(&sent, "cancelled");
    let changed = app.host.cancel(sent.visitor.organization(), &id, &reason).await?;
    page_of(&id, if changed { "cancelled" } else { "over" })
}

async fn pause(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Problem> {
    let changed = app.host.pause(sent.visitor.organization(), &id).await?;
    page_of(&id, if changed { "paused" } else { "over" })
}

async fn unpause(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Problem> {
    app.host.unpause(sent.visitor.organization(), &id).await?;
    page_of(&id, "unpaused")
}

async fn resume(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Problem> {
    let resume = Resume {
        on: sent.number("on")?,
        reason: Some(reason(&sent, "resumed")),
    };
    app.host.resume(sent.visitor.organization(), &id, resume).await?;
    page_of(&id, "resumed")
}

async fn retry(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Problem> {
    let retry = Retry {
        from: sent.some("from"),
        reason: Some(reason(&sent, "retried")),
        ..Retry::default()
    };
    let started = app.host.retry(sent.visitor.organization(), &id, retry).await?;
    page_of(&started.id, "retried")
}

async fn rerun(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Problem> {
    let rerun = Rerun {
        input: sent.json("input")?,
        reason: Some(reason(&sent, "run again")),
        ..Rerun::default()
    };
    let started = app.host.rerun(sent.visitor.organization(), &id, rerun).await?;
    page_of(&started.id, "rerun")
}

async fn signal(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Problem> {
    let signal = Signal {
        name: sent.text("name").to_owned(),
        data: sent.json("data")?.unwrap_or_default(),
        id: None,
    };
    let new = app.host.signal(sent.visitor.organization(), &id, signal).await?;
    page_of(&id, if new { "signalled" } else { "signal-known" })
}

async fn approve(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Problem> {
    let approved = match sent.text("decision") {
        "approve" => true,
        "reject" => false,
        _ => {
            return Err(Problem::invalid(
                "the form does not say whether it is approved or rejected",
            ));
        }
    };
    let form = match sent.json("form")? {
        None => serde_json::Map::new(),
        Some(Value::Object(form)) => form,
        Some(_) => return Err(Problem::invalid("the field `form` must be a JSON object")),
    };
    let decision = Decision {
        approved,
        by: Some(sent.some("by").unwrap_or_else(|| sent.visitor.name().to_owned())),
        comment: sent.some("comment"),
        form,
    };
    let path = sent.some("path");
    let delivered = app
        .host
        .approve(sent.visitor.organization(), &id, path.as_deref(), decision)
        .await?;
    let done = match delivered {
        Delivered::Accepted { .. } if approved => "approved",
        Delivered::Accepted { .. } => "rejected",
        other => outcome(&other),
    };
    if sent.text("back") == "/ui/approvals" {
        return answer::redirect(&format!("/ui/approvals?done={done}"));
    }
    page_of(&id, done)
}

/// What became of an answer, as a code.
pub(super) fn outcome(delivered: &Delivered) -> &'static str {
    match delivered {
        Delivered::Accepted { .. } => "delivered",
        Delivered::Duplicate { .. } => "duplicate",
        Delivered::Late { .. } => "late",
        Delivered::Kept { .. } | Delivered::NotAwaited => "kept",
    }
}

async fn delete_(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Problem> {
    app.host.delete(sent.visitor.organization(), &id).await?;
    answer::redirect("/ui/executions?done=deleted")
}
