//! The inspector: routes around the pages of `bowline-inspector`. Every page works as plain HTML; what changes something
//! is a form that is answered with a redirect.

mod act;
mod answer;
mod deploy;
mod enter;
mod executions;
mod form;
mod live;
mod organizations;
mod outside;
mod plans;
mod said;
mod schedule;
mod schedules;
mod visitor;
mod webhooks;
mod workflows;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use bowline_host::Host;

use self::plans::Plans;
use crate::config::Config;
use crate::guard::{Role, Routes, Rule, Scope};
use crate::problem::Problem;
use crate::{App, ServeError};

/// What this part keeps.
pub struct State {
    plans: Plans,
}

impl State {
    /// The state of a server that starts.
    pub fn new(_config: &Config, _host: &Host) -> Result<Self, ServeError> {
        Ok(Self {
            plans: Plans::default(),
        })
    }
}

/// Its routes.
pub fn routes() -> Routes {
    Routes::new()
        .route(Rule::Public, "inspector.open", Method::GET, "/", to_executions)
        .route(Rule::Public, "inspector.open", Method::GET, "/ui", to_executions)
        .route(Rule::Public, "inspector.asset", Method::GET, "/ui/assets/{name}", asset)
        .merge(enter::routes())
        .merge(executions::routes())
        .merge(act::routes())
        .merge(workflows::routes())
        .merge(deploy::routes())
        .merge(organizations::routes())
        .merge(outside::routes())
        .merge(webhooks::routes())
        .merge(schedules::routes())
        .merge(schedule::routes())
        .merge(live_routes())
}

fn live_routes() -> Routes {
    let executions = Rule::of(Role::Viewer, Scope::Executions);
    let workflows = Rule::of(Role::Viewer, Scope::Workflows);
    Routes::new()
        .route(
            executions,
            "inspector.follow",
            Method::GET,
            "/ui/live/executions",
            live::executions,
        )
        .route(
            executions,
            "inspector.follow",
            Method::GET,
            "/ui/live/executions/{id}",
            live::execution,
        )
        .route(
            workflows,
            "inspector.follow",
            Method::GET,
            "/ui/live/workflows",
            live::workflows,
        )
}

/// Around everything: what goes wrong below `/ui` is a page, too.
pub fn layer(router: Router<App>) -> Router<App> {
    router.layer(from_fn(answer::dress))
}

async fn to_executions() -> Result<Response, Problem> {
    answer::redirect("/ui/executions")
}

async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    let Some(asset) = bowline_inspector::asset(&name) else {
        return Err(Problem::not_found(
            "asset.not-found",
            format!("there is no file `{name}`"),
        ));
    };
    // Pages name it together with its version, so what is kept is never old.
    let headers = [
        (CONTENT_TYPE, asset.media),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((StatusCode::OK, headers, asset.content).into_response())
}
