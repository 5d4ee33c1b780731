//! What is done to executions.

use axum::extract::{Path, State};
use axum::http::Method;
use axum::response::Response;
use bowline_host::{Approval, Decision, Delivered, HostError, Rerun, Resume, Retry, Signal, Started, Waiting};
use bowline_inspector::Notice;
use bowline_inspector::pages::approvals;

use super::answer::{self, encoded};
use super::form::Sent;
use crate::App;
use crate::guard::{Note, Role, Routes, Rule, Scope};
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

async fn retry(State(app): State<App>, Path(id): Path<String>, note: Note, sent: Sent) -> Result<Response, Problem> {
    let new = sent.id(&format!("retry/{id}"));
    note.say_made("execution", new.as_str());
    let retry = Retry {
        id: Some(new.clone()),
        with: vec![note.write()?],
        from: sent.some("from"),
        reason: Some(reason(&sent, "retried")),
        ..Retry::default()
    };
    let started = app.host.retry(sent.visitor.organization(), &id, retry).await;
    page_of(&begun(new, started)?, "retried")
}

async fn rerun(State(app): State<App>, Path(id): Path<String>, note: Note, sent: Sent) -> Result<Response, Problem> {
    let new = sent.id(&format!("rerun/{id}"));
    note.say_made("execution", new.as_str());
    let rerun = Rerun {
        id: Some(new.clone()),
        with: vec![note.write()?],
        input: sent.json("input")?,
        reason: Some(reason(&sent, "run again")),
        ..Rerun::default()
    };
    let started = app.host.rerun(sent.visitor.organization(), &id, rerun).await;
    page_of(&begun(new, started)?, "rerun")
}

/// The id of a new execution; or of the one that the same form has made before.
pub(super) fn begun(new: String, started: Result<Started, HostError>) -> Result<String, Problem> {
    match started {
        Err(error) if error.code == "execution.exists" => Ok(new),
        started => Ok(started?.id),
    }
}

async fn signal(State(app): State<App>, Path(id): Path<String>, sent: Sent) -> Result<Response, Problem> {
    let signal = Signal {
        name: sent.text("name").to_owned(),
        data: sent.json("data")?.unwrap_or_default(),
        id: Some(sent.id(&format!("signal/{id}"))),
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
    let path = sent.some("path");
    let asked = asked(&app, &sent, &id, path.as_deref()).await?;
    let schema = asked.as_ref().and_then(|asked| asked.form.as_ref());
    let form = match schema.filter(|_| sent.text("how") == "fields") {
        Some(schema) => match sent.fields(schema) {
            Ok(form) => form,
            Err(problem) => return wrong(&sent, asked.as_ref(), problem),
        },
        None => serde_json::Map::new(),
    };
    let decision = Decision {
        approved,
        by: Some(sent.some("by").unwrap_or_else(|| sent.visitor.name().to_owned())),
        comment: sent.some("comment"),
        form,
    };
    let organization = sent.visitor.organization();
    let delivered = match app.host.approve(organization, &id, path.as_deref(), decision).await {
        Err(error) if error.code == "approval.form" => return wrong(&sent, asked.as_ref(), error.into()),
        delivered => delivered?,
    };
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

/// The form once more, with what is wrong with it and what was written.
fn wrong(sent: &Sent, asked: Option<&Approval>, problem: Problem) -> Result<Response, Problem> {
    let Some(asked) = asked else { return Err(problem) };
    let mut frame = sent.visitor.frame();
    frame.notice = Some(Notice::Bad {
        message: "The answer was not taken: it does not fit the form.".to_owned(),
        hint: None,
        problems: problem.problems.iter().map(answer::line).collect(),
    });
    let page = approvals::again(&frame, asked, sent.text("back"), sent.all());
    Ok(answer::with_status(problem.status, page))
}

/// The approval that is answered. One that is not open any more is told by whoever takes the answer.
async fn asked(app: &App, sent: &Sent, id: &str, path: Option<&str>) -> Result<Option<Approval>, Problem> {
    let mut waiting = Waiting {
        execution: Some(id.to_owned()),
        ..Waiting::default()
    };
    loop {
        let open = app.host.approvals(sent.visitor.organization(), &waiting).await?;
        let found = open
            .items
            .into_iter()
            .find(|one| path.is_none_or(|path| path == one.path));
        waiting.cursor = open.next;
        if found.is_some() || waiting.cursor.is_none() {
            return Ok(found);
        }
    }
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
