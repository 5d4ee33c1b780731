//! Callbacks: who waits, answers, and answers that nobody waits for.

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bowline_core::{Payload, StepError};
use bowline_host::{Addressed, Answer, CallbackAddress, Delivered, KeptCallback, OpenCallback, Page, Waiting};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::App;
use crate::extract::{At, Json as Body, MaybeJson, Params};
use crate::guard::{Caller, Role, Rule, Scope, refused};
use crate::problem::Problem;
use crate::route::{Api, Operation};

/// Which of them are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// Those of this execution.
    #[serde(default)]
    execution: Option<String>,
    /// With the tokens that lead to them; for operators and above. Those of approvals need the scope approvals.
    #[serde(default)]
    tokens: bool,
    /// `next` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// At most so many, 500 at most. Default 100.
    #[serde(default)]
    limit: Option<usize>,
}

/// Which kept answers are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct KeptQuery {
    /// `next` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// At most so many, 500 at most. Default 100.
    #[serde(default)]
    limit: Option<usize>,
}

/// An answer, and who waits for it: `token`, or `name` and `reference`, or `execution` and `path`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Delivery {
    /// The token that the workflow handed out.
    #[serde(default)]
    token: Option<String>,
    /// The channel: the `callback.name` of the step.
    #[serde(default)]
    name: Option<String>,
    /// The other side's reference.
    #[serde(default)]
    reference: Option<String>,
    /// The execution's id.
    #[serde(default)]
    execution: Option<String>,
    /// The step's path.
    #[serde(default)]
    path: Option<String>,
    /// What is answered: the step's result.
    #[serde(default)]
    body: Option<Value>,
    /// Why the other side failed, in place of `body`: the step fails with this.
    #[serde(default)]
    error: Option<DeliveredError>,
    /// A sign of life, in place of `body`: the other side is still at work.
    #[serde(default)]
    heartbeat: bool,
}

/// Why the other side failed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DeliveredError {
    /// A stable name, such as `valuation.impossible`.
    code: String,
    /// One sentence.
    #[serde(default)]
    message: String,
    /// More, for the workflow.
    #[serde(default)]
    data: Option<Value>,
}

/// To whom a kept answer is delivered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct To {
    /// The execution's id.
    execution: String,
    /// The path of the step that waits.
    path: String,
}

pub(super) fn add(api: &mut Api) {
    let see = Rule::of(Role::Viewer, Scope::Callbacks);
    let act = Rule::of(Role::Operator, Scope::Callbacks);
    let operation = |method, path, id, rule, summary| Operation::new(method, path, id, rule, "callbacks", summary);

    let list = operation(
        Method::GET,
        "/api/v1/callbacks",
        "listCallbacks",
        see,
        "List the callbacks that executions wait for",
    );
    api.add(
        list.query::<Query>()
            .answers::<Page<OpenCallback>>(200, "A page")
            .problems(&[400]),
        list_,
    );
    let deliver = operation(
        Method::POST,
        "/api/v1/callbacks",
        "deliverCallback",
        act,
        "Answer what an execution waits for",
    );
    api.add(
        deliver
            .description(
                "What nobody waits for yet is kept, and delivered to the first wait that it fits. An approval, and a step \
                 that nothing waits for yet, is answered with the scope approvals only.",
            )
            .body::<Delivery>(json!({ "name": "valuation", "reference": "V-17", "body": { "value": 350_000 } }))
            .answers::<Delivered>(200, "The execution has recorded it, or had before")
            .answers::<Delivered>(202, "It is kept")
            .problems(&[400, 404, 409, 410, 413, 415, 422, 503]),
        deliver_,
    );
    let kept = operation(
        Method::GET,
        "/api/v1/callbacks/kept",
        "listKeptCallbacks",
        see,
        "List answers that nobody waits for",
    );
    api.add(
        kept.query::<KeptQuery>()
            .answers::<Page<KeptCallback>>(200, "A page")
            .problems(&[400]),
        kept_,
    );
    let deliver_kept = operation(
        Method::POST,
        "/api/v1/callbacks/kept/{id}/deliver",
        "deliverKeptCallback",
        act,
        "Deliver a kept answer, to whoever waits for it or to an execution",
    );
    api.add(
        deliver_kept
            .optional_body::<To>(json!({ "execution": "0192f3c4-0000-7000-8000-000000000000", "path": "valuation" }))
            .answers::<Delivered>(200, "The execution has recorded it")
            .answers::<Delivered>(202, "It is still kept")
            .problems(&[400, 404, 409, 410, 415, 422, 503]),
        deliver_kept_,
    );
    let drop = operation(
        Method::DELETE,
        "/api/v1/callbacks/kept/{id}",
        "dropKeptCallback",
        act,
        "Forget a kept answer",
    );
    api.add(drop.answers_with(204, "It is gone", "").problems(&[400, 404]), drop_);
}

async fn list_(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<Query>,
) -> Result<Json<Page<OpenCallback>>, Problem> {
    if query.tokens && caller.role < Role::Operator {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "access.role",
            "tokens are for operators and above: who has one can answer",
        ));
    }
    let waiting = Waiting {
        execution: query.execution,
        cursor: query.cursor,
        limit: super::limit(query.limit)?,
        tokens: query.tokens,
    };
    let mut page = app.host.callbacks(&caller.organization, &waiting).await?;
    if may_decide(&caller).is_err() {
        for wait in page.items.iter_mut().filter(|wait| wait.approval) {
            wait.token = None;
        }
    }
    Ok(Json(page))
}

/// Who answers an approval decides it.
fn may_decide(caller: &Caller) -> Result<(), Problem> {
    caller
        .may(Role::Operator, Scope::Approvals)
        .map_err(|denied| refused(&denied))
}

/// Refuses to decide approvals with the scope of callbacks alone, or to leave an answer at a step that may turn out to be
/// one.
pub(crate) async fn refuse_approvals(app: &App, caller: &Caller, address: &CallbackAddress) -> Result<(), Problem> {
    if may_decide(caller).is_ok() {
        return Ok(());
    }
    match app.host.addressed(&caller.organization, address).await? {
        Addressed::Approval => may_decide(caller),
        Addressed::Nobody if matches!(address, CallbackAddress::Path { .. }) => may_decide(caller),
        Addressed::Callback | Addressed::Nobody => Ok(()),
    }
}

/// The status that an outcome has, for who may see what became of it.
pub(super) fn in_time(delivered: &Delivered) -> Result<StatusCode, Problem> {
    match delivered {
        Delivered::Accepted { .. } | Delivered::Duplicate { .. } => Ok(StatusCode::OK),
        Delivered::Kept { .. } => Ok(StatusCode::ACCEPTED),
        Delivered::Late { execution, status } => Err(Problem::new(
            StatusCode::GONE,
            "callback.late",
            format!(
                "execution {execution} no longer waits for this: it is {}",
                status.name()
            ),
        )),
        Delivered::NotAwaited => Err(Problem::not_found(
            "callback.not-awaited",
            "nobody waits for this, and signs of life are not kept",
        )),
    }
}

fn outcome(delivered: Delivered) -> Result<Response, Problem> {
    let status = in_time(&delivered)?;
    Ok((status, Json(delivered)).into_response())
}

async fn deliver_(State(app): State<App>, caller: Caller, Body(body): Body<Delivery>) -> Result<Response, Problem> {
    let (address, answer) = body.read(&caller.organization)?;
    refuse_approvals(&app, &caller, &address).await?;
    outcome(app.host.deliver_checked(&caller.organization, &address, answer).await?)
}

impl DeliveredError {
    fn read(self) -> Result<StepError, Problem> {
        if self.code.trim().is_empty() {
            return Err(Problem::invalid("`error.code` is empty").hint("give a code such as valuation.refused"));
        }
        let error = StepError::permanent(self.code, self.message);
        Ok(match self.data {
            Some(data) => error.with_data(data),
            None => error,
        })
    }
}

impl Delivery {
    fn read(self, organization: &str) -> Result<(CallbackAddress, Answer), Problem> {
        let address = match (self.token, self.name, self.reference, self.execution, self.path) {
            (Some(token), None, None, None, None) => CallbackAddress::Token(token),
            (None, name, Some(key), None, None) => CallbackAddress::Key {
                organization: organization.to_owned(),
                name: name.unwrap_or_default(),
                key,
            },
            (None, None, None, Some(execution), Some(path)) => CallbackAddress::Path { execution, path },
            _ => {
                return Err(Problem::invalid("it is not clear who waits for this answer").hint(
                    "give `token`; or `reference` and, where the step has one, `name`; or `execution` and `path`",
                ));
            }
        };
        let answer = match (self.body, self.error, self.heartbeat) {
            (body, None, false) => Answer::Succeeded {
                output: Payload::of(&body.unwrap_or_default()).map_err(|error| Problem::internal(&error))?,
                event: None,
            },
            (None, Some(error), false) => Answer::Failed(error.read()?),
            (None, None, true) => Answer::Heartbeat,
            _ => return Err(Problem::invalid("give one of `body`, `error` and `heartbeat`")),
        };
        Ok((address, answer))
    }
}

async fn kept_(
    State(app): State<App>,
    caller: Caller,
    Params(query): Params<KeptQuery>,
) -> Result<Json<Page<KeptCallback>>, Problem> {
    let after = query.cursor.map(|cursor| cursor.parse::<i64>()).transpose();
    let after = after.map_err(|_| Problem::invalid("`cursor` must be `next` of the page before"))?;
    let limit = super::limit(query.limit)?;
    let page = app.host.kept(&caller.organization, after, limit).await?;
    Ok(Json(page))
}

async fn deliver_kept_(
    State(app): State<App>,
    caller: Caller,
    At(id): At<i64>,
    MaybeJson(to): MaybeJson<To>,
) -> Result<Response, Problem> {
    let address = to.map(|to| CallbackAddress::Path {
        execution: to.execution,
        path: to.path,
    });
    let leads_to = address.clone().unwrap_or(CallbackAddress::Kept(id));
    refuse_approvals(&app, &caller, &leads_to).await?;
    let delivered = app
        .host
        .deliver_kept(&caller.organization, id, address.as_ref())
        .await?;
    outcome(delivered)
}

async fn drop_(State(app): State<App>, caller: Caller, At(id): At<i64>) -> Result<StatusCode, Problem> {
    app.host.drop_kept(&caller.organization, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
