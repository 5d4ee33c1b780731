//! Going to another organization, for those who may act in all of them.

use axum::extract::State;
use axum::http::Method;
use axum::response::Response;
use bowline_inspector::pages::organizations::{self, Organization};

use super::answer;
use super::form::Sent;
use super::visitor::Visitor;
use crate::App;
use crate::guard::{self, Role, Routes, Rule, Scope, session};
use crate::problem::Problem;

pub(super) fn routes() -> Routes {
    let all = Rule::of(Role::Admin, Scope::Organizations);
    Routes::new()
        .route(all, "inspector.organizations", Method::GET, "/ui/organizations", list)
        .route(all, "enterOrganization", Method::POST, "/ui/organizations", go)
}

async fn list(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    let found = app.guard.access.list_organizations().await;
    let found = found.map_err(|error| guard::failed(&error))?;
    let organizations: Vec<_> = found
        .into_iter()
        .map(|one| Organization {
            name: one.name,
            title: one.title,
            created: one.created_at,
            is_disabled: one.disabled_at.is_some(),
        })
        .collect();
    Ok(answer::page(organizations::page(&visitor.frame(), &organizations)))
}

async fn go(State(app): State<App>, sent: Sent) -> Result<Response, Problem> {
    let caller = sent.visitor.caller();
    let there = app.guard.access.acting_in((**caller).clone(), sent.text("to")).await;
    let there = there.map_err(|denied| guard::refused(&denied))?;
    let is_home = there.organization == there.home;
    let cookie = session::go(&app, (!is_home).then_some(there.organization.as_str()))?;
    answer::redirect_with("/ui/executions", cookie)
}
