//! Connections of deployed workflows.

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use bowline_host::{ConnectionReport, ConnectionView};
use schemars::JsonSchema;
use serde::Serialize;

use crate::App;
use crate::extract::At;
use crate::guard::{Caller, Role, Rule, Scope};
use crate::problem::Problem;
use crate::route::{Api, Operation};

/// All connections.
#[derive(Debug, Serialize, JsonSchema)]
struct Connections {
    /// By workflow and name.
    items: Vec<ConnectionView>,
}

pub(super) fn add(api: &mut Api) {
    let list = Operation::new(
        Method::GET,
        "/api/v1/connections",
        "listConnections",
        Rule::of(Role::Viewer, Scope::Connections),
        "connections",
        "List the connections of deployed workflows",
    );
    api.add(list.answers::<Connections>(200, "All of them"), list_);
    let test = Operation::new(
        Method::POST,
        "/api/v1/connections/{workflow}/{name}/test",
        "testConnection",
        Rule::of(Role::Operator, Scope::Connections),
        "connections",
        "Try a connection: is the other side there, does it take the credentials",
    );
    api.add(
        test.description("What is tried changes nothing at the other side.")
            .answers::<ConnectionReport>(200, "What was found, good or bad")
            .problems(&[404, 409, 422]),
        test_,
    );
}

async fn list_(State(app): State<App>, caller: Caller) -> Result<Json<Connections>, Problem> {
    let items = app.host.connections(&caller.organization).await?;
    Ok(Json(Connections { items }))
}

async fn test_(
    State(app): State<App>,
    caller: Caller,
    At((workflow, name)): At<(String, String)>,
) -> Result<Json<ConnectionReport>, Problem> {
    let report = app.host.test_connection(&caller.organization, &workflow, &name).await?;
    Ok(Json(report))
}
