//! Organizations, for those who may act in all of them.

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use bowline_access::OrganizationView;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::App;
use crate::extract::{At, Json as Body};
use crate::guard::{Note, Role, Rule, Scope, failed};
use crate::problem::Problem;
use crate::route::{Api, Operation};

/// An organization to make.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OrganizationWish {
    /// Its name in paths and tokens: 1 to 63 of a-z, 0-9 and `-`.
    name: String,
    /// What it is called. Default: its name.
    #[serde(default)]
    title: String,
}

/// All organizations.
#[derive(Serialize, JsonSchema)]
struct Organizations {
    /// The default one first, then in the order of their names.
    items: Vec<OrganizationView>,
}

pub(super) fn add(api: &mut Api) {
    let rule = Rule::of(Role::Admin, Scope::Organizations);
    let operation = |method, path, id, summary| Operation::new(method, path, id, rule, "organizations", summary);
    let list = operation(
        Method::GET,
        "/api/v1/organizations",
        "listOrganizations",
        "List organizations",
    );
    api.add(list.answers::<Organizations>(200, "All of them"), list_);
    let create = operation(
        Method::POST,
        "/api/v1/organizations",
        "createOrganization",
        "Make an organization",
    );
    api.add(
        create
            .body::<OrganizationWish>(json!({ "name": "acme-north", "title": "Acme North" }))
            .answers::<OrganizationView>(201, "It is made")
            .problems(&[400, 409, 413, 415, 422, 503]),
        create_,
    );
    let disable = operation(
        Method::POST,
        "/api/v1/organizations/{name}/disable",
        "disableOrganization",
        "Refuse the keys and tokens of an organization; its executions go on",
    );
    api.add(
        disable
            .answers::<OrganizationView>(200, "It is disabled")
            .problems(&[404, 422, 503]),
        disable_,
    );
    let enable = operation(
        Method::POST,
        "/api/v1/organizations/{name}/enable",
        "enableOrganization",
        "Accept the keys and tokens of an organization again",
    );
    api.add(
        enable
            .answers::<OrganizationView>(200, "It is enabled")
            .problems(&[404, 422, 503]),
        enable_,
    );
}

async fn list_(State(app): State<App>) -> Result<Json<Organizations>, Problem> {
    let items = app
        .guard
        .access
        .list_organizations()
        .await
        .map_err(|error| failed(&error))?;
    Ok(Json(Organizations { items }))
}

async fn create_(
    State(app): State<App>,
    note: Note,
    Body(wish): Body<OrganizationWish>,
) -> Result<(StatusCode, Json<OrganizationView>), Problem> {
    note.say("organization", wish.name.as_str());
    let made = app
        .guard
        .access
        .create_organization(&wish.name, &wish.title, note.line())
        .await;
    Ok((StatusCode::CREATED, Json(made.map_err(|error| failed(&error))?)))
}

async fn disable_(State(app): State<App>, note: Note, At(name): At<String>) -> Result<Json<OrganizationView>, Problem> {
    let changed = app.guard.access.disable_organization(&name, true, note.line()).await;
    Ok(Json(changed.map_err(|error| failed(&error))?))
}

async fn enable_(State(app): State<App>, note: Note, At(name): At<String>) -> Result<Json<OrganizationView>, Problem> {
    let changed = app.guard.access.disable_organization(&name, false, note.line()).await;
    Ok(Json(changed.map_err(|error| failed(&error))?))
}
