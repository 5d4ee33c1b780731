//! Approvals: what people are asked, and what they decide.

use axum::Json;
use axum::extract::State;
use axum::http::Method;
use bowline_host::{Approval, Decision, Delivered, Page, Waiting};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::App;
use crate::extract::{At, Json as Body, Params};
use crate::guard::{Caller, Role, Rule, Scope};
use crate::problem::Problem;
use crate::route::{Api, Operation};

/// Which of them are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// Those of this execution.
    #[serde(default)]
    execution: Option<String>,
    /// `next` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// At most so many, 500 at most. Default 100.
    #[serde(default)]
    limit: Option<usize>,
}

/// What a person decided, as the form asks for it.
#[derive(Debug, Deserialize, JsonSchema)]
struct Decided {
    /// Yes or no.
    approved: bool,
    /// Who says so.
    #[serde(default)]
    by: Option<String>,
    /// What they want to add.
    #[serde(default)]
    comment: Option<String>,
    /// The fields of the approval's form. Without a form there are none.
    #[serde(flatten)]
    form: Map<String, Value>,
}

pub(super) fn add(api: &mut Api) {
    let list = Operation::new(
        Method::GET,
        "/api/v1/approvals",
        "listApprovals",
        Rule::of(Role::Viewer, Scope::Approvals),
        "approvals",
        "List what people are asked to decide",
    );
    api.add(
        list.query::<Query>()
            .answers::<Page<Approval>>(200, "A page")
            .problems(&[400]),
        list_,
    );
    let decide = Operation::new(
        Method::POST,
        "/api/v1/approvals/{execution}/{*path}",
        "decideApproval",
        Rule::of(Role::Operator, Scope::Approvals),
        "approvals",
        "Decide",
    );
    api.add(
        decide
            .description(
                "The body is what the approval's `form` describes: the fields of the form stand beside `approved`, `by` and \
                 `comment`. The same decision again is a duplicate, and changes nothing. Without `by` it is the caller's \
                 name.",
            )
            .body::<Decided>(json!({ "approved": true, "comment": "looks right" }))
            .answers::<Delivered>(200, "It is recorded, or was before")
            .problems(&[400, 404, 409, 410, 415, 422, 503]),
        decide_,
    );
}

async fn list_(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<Query>,
) -> Result<Json<Page<Approval>>, Problem> {
    let waiting = Waiting {
        execution: query.execution,
        cursor: query.cursor,
        limit: super::limit(query.limit)?,
        tokens: false,
    };
    Ok(Json(app.host.approvals(&caller.organization, &waiting).await?))
}

async fn decide_(
    State(app): State<App>,
    caller: Caller,
    At((execution, path)): At<(String, String)>,
    Body(decided): Body<Decided>,
) -> Result<Json<Delivered>, Problem> {
    let decision = Decision {
        approved: decided.approved,
        by: decided.by.or_else(|| Some(caller.name.clone())),
        comment: decided.comment,
        form: decided.form,
    };
    let delivered = app
        .host
        .approve(&caller.organization, &execution, Some(&path), decision)
        .await?;
    super::callbacks::in_time(&delivered)?;
    Ok(Json(delivered))
}
