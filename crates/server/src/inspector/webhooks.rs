//! Pages about webhooks, and playing their deliveries again.

use axum::extract::{Path, Query, State};
use axum::http::Method;
use axum::response::Response;
use bowline_inspector::pages::webhooks::{self, Asked, Delivery, Endpoint, Whole};
use serde::Deserialize;
use serde_json::Value;

use super::act::page_of;
use super::answer::{self, encoded};
use super::form::Sent;
use super::visitor::Visitor;
use crate::App;
use crate::guard::{Role, Routes, Rule, Scope};
use crate::outside::{DeliverySummary, EndpointProblem, EndpointView, KeptBodyView, Outcome, Replay};
use crate::problem::Problem;

/// Deliveries of a page.
const PAGE: usize = 50;

/// So many of each endpoint are read for the page of all of them, at least; with few endpoints more.
const FEW: usize = 5;

pub(super) fn routes() -> Routes {
    let look = Rule::of(Role::Viewer, Scope::Webhooks);
    let act = Rule::of(Role::Operator, Scope::Webhooks);
    let whole = "/ui/webhooks/{endpoint}/{id}";
    let replay_ = "/ui/webhooks/{endpoint}/{id}/replay";
    Routes::new()
        .route(look, "inspector.webhooks", Method::GET, "/ui/webhooks", list)
        .route(look, "inspector.delivery", Method::GET, whole, one)
        .route(act, "replayDelivery", Method::POST, replay_, replay)
}

/// What is listed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Form {
    endpoint: String,
    state: String,
    cursor: Option<String>,
}

async fn list(State(app): State<App>, visitor: Visitor, Query(form): Query<Form>) -> Result<Response, Problem> {
    let organization = visitor.organization();
    let endpoints = app.outside.endpoints(organization);
    let outcome = match form.state.as_str() {
        "accepted" => Some(Outcome::Accepted),
        "refused" => Some(Outcome::Refused),
        _ => None,
    };
    let inbox = &app.outside;
    let (found, next) = if form.endpoint.is_empty() {
        let mut found = Vec::new();
        let of_each = (2 * PAGE / endpoints.len().max(1)).clamp(FEW, PAGE);
        for endpoint in &endpoints {
            let page = inbox
                .deliveries(organization, &endpoint.id, outcome, None, of_each)
                .await?;
            found.extend(page.items);
        }
        // Ids begin with their time.
        found.sort_by(|one, other| other.id.cmp(&one.id));
        found.truncate(PAGE);
        (found, None)
    } else {
        let cursor = form.cursor.as_deref();
        let page = inbox
            .deliveries(organization, &form.endpoint, outcome, cursor, PAGE)
            .await?;
        (page.items, page.next)
    };
    let asked = Asked {
        endpoint: form.endpoint,
        state: form.state,
    };
    let endpoints: Vec<_> = endpoints.into_iter().map(endpoint).collect();
    let found: Vec<_> = found.into_iter().map(delivery).collect();
    Ok(answer::page(webhooks::list(
        &visitor.frame(),
        &endpoints,
        &asked,
        &found,
        next.as_deref(),
    )))
}

fn endpoint(view: EndpointView) -> Endpoint {
    Endpoint {
        name: view.id,
        path: view.path,
        methods: view.methods,
        authentication: view
            .authentication
            .filter(|name| *name != "none")
            .unwrap_or_default()
            .to_owned(),
        workflow: view.workflow.unwrap_or_default(),
        problems: view.problems.into_iter().map(problem).collect(),
    }
}

fn problem(problem: EndpointProblem) -> String {
    let field = problem.pointer.trim_start_matches('/').replace('/', ".");
    match field.as_str() {
        "" => problem.message,
        field => format!("{field}: {}", problem.message),
    }
}

fn delivery(summary: DeliverySummary) -> Delivery {
    Delivery {
        id: summary.id,
        endpoint: summary.endpoint,
        at: summary.received_at,
        state: summary.fate.to_owned(),
        reason: summary.reason.unwrap_or_default().to_owned(),
        source: summary.source_id.unwrap_or_default(),
        execution: summary.execution,
        bytes: summary.size,
    }
}

async fn one(
    State(app): State<App>,
    visitor: Visitor,
    Path((endpoint, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let view = app.outside.delivery(visitor.organization(), &endpoint, &id).await?;
    let request = format!("{} {}", view.summary.method, view.url);
    let mut delivery = delivery(view.summary);
    if let Some(message) = view.message {
        delivery.reason = message;
    }
    let whole = Whole {
        delivery,
        request,
        headers: view.headers,
        body: match view.body {
            KeptBodyView::Text(text) => Some(text),
            KeptBodyView::Base64(_) | KeptBodyView::Blob(_) | KeptBodyView::Dropped => None,
        },
        authentication: view.authentication,
        hint: view.hint.unwrap_or_default(),
        problems: view.problems.iter().map(line).collect(),
        can_replay: view.can_replay,
    };
    Ok(answer::page(webhooks::page(&visitor.frame(), &whole)))
}

/// What of a body does not fit, and where.
fn line(problem: &Value) -> String {
    let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("pointer") {
        "" => text("message").to_owned(),
        pointer => format!("{pointer}: {}", text("message")),
    }
}

async fn replay(
    State(app): State<App>,
    Path((endpoint, id)): Path<(String, String)>,
    sent: Sent,
) -> Result<Response, Problem> {
    let replay = Replay {
        unverified: sent.text("unverified") == "yes",
    };
    let key = sent.id(&format!("replay/{endpoint}/{id}"));
    let replayed = app
        .outside
        .replay(sent.visitor.organization(), &endpoint, &id, replay, Some(key))
        .await?;
    match replayed.execution {
        Some(execution) => page_of(&execution, "replayed"),
        None => answer::redirect(&format!(
            "/ui/webhooks/{}/{}?done=replayed",
            encoded(&endpoint),
            encoded(&replayed.delivery)
        )),
    }
}
