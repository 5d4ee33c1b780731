//! Which version runs, and whether it is well.

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use schemars::JsonSchema;
use serde::Serialize;

use crate::App;
use crate::guard::Rule;
use crate::problem::Problem;
use crate::route::{Api, Operation};

/// The version of the server.
#[derive(Serialize, JsonSchema)]
struct Version {
    /// The version of the program.
    version: &'static str,
    /// The version of the API: the `v1` in its paths.
    api: u32,
}

/// How the server is.
#[derive(Serialize, JsonSchema)]
struct Health {
    /// `ok`.
    status: &'static str,
}

pub(super) fn add(api: &mut Api) {
    for (path, id) in [("/version", "getVersion"), ("/api/v1/version", "getApiVersion")] {
        let operation = Operation::new(Method::GET, path, id, Rule::Public, "server", "Which version runs");
        api.add(operation.answers::<Version>(200, "The version"), version);
    }
    let live = Operation::new(
        Method::GET,
        "/health/live",
        "getLiveness",
        Rule::Public,
        "server",
        "Whether the process answers",
    );
    api.add(live.answers::<Health>(200, "It does"), live_);
    let ready = Operation::new(
        Method::GET,
        "/health/ready",
        "getReadiness",
        Rule::Public,
        "server",
        "Whether the server takes work",
    );
    api.add(ready.answers::<Health>(200, "It does").problems(&[503]), ready_);
}

async fn version() -> Json<Version> {
    Json(Version {
        version: env!("CARGO_PKG_VERSION"),
        api: 1,
    })
}

async fn live_() -> Json<Health> {
    Json(Health { status: "ok" })
}

async fn ready_(State(app): State<App>) -> Result<Json<Health>, Problem> {
    if app.stop.is_stopping() {
        return Err(Problem::stopping());
    }
    Ok(Json(Health { status: "ok" }))
}
