//! The audit log of the caller's organization.

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use bowline_access::{AuditFilter, AuditPage};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::App;
use crate::extract::Params;
use crate::guard::{Caller, Role, Rule, Scope, failed};
use crate::problem::Problem;
use crate::route::{Api, Operation};

/// Which lines are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// What this one did: the name of a key, or the subject of a token.
    #[serde(default)]
    who: Option<String>,
    /// Actions that begin with this, such as `createKey`.
    #[serde(default)]
    action: Option<String>,
    /// `next` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// At most so many, 500 at most. Default 100.
    #[serde(default)]
    limit: Option<usize>,
}

pub(super) fn add(api: &mut Api) {
    let list = Operation::new(
        Method::GET,
        "/api/v1/audit",
        "listAudit",
        Rule::of(Role::Admin, Scope::Audit),
        "audit",
        "List who changed what",
    );
    api.add(
        list.description("Newest first. A page may hold fewer than `limit`, even none, although there is more: go on while there is a `next`.")
            .query::<Query>()
            .answers::<AuditPage>(200, "A page")
            .problems(&[400, 422]),
        list_,
    );
}

async fn list_(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<Query>,
) -> Result<Json<AuditPage>, Problem> {
    let filter = AuditFilter {
        cursor: query.cursor,
        who: query.who,
        action: query.action,
        limit: super::limit(query.limit)?,
    };
    let page = app.guard.access.audit(&caller.organization, &filter).await;
    Ok(Json(page.map_err(|error| failed(&error))?))
}
