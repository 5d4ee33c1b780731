//! Webhooks: endpoints, what came to them, and playing it again.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bowline_host::Page;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use crate::App;
use crate::extract::{At, MaybeJson, Params};
use crate::guard::{Caller, Role, Rule, Scope};
use crate::idempotency;
use crate::outside::{DeliverySummary, DeliveryView, EndpointView, Outcome, Replay, Replayed};
use crate::problem::Problem;
use crate::route::{Api, Operation};

/// Which deliveries are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Query {
    /// Only those that were accepted, or only those that were refused. Default: both, in the order in which they came.
    #[serde(default)]
    outcome: Option<Outcome>,
    /// `next` of the page before.
    #[serde(default)]
    cursor: Option<String>,
    /// At most so many, 500 at most. Default 50.
    #[serde(default)]
    limit: Option<usize>,
}

pub(super) fn add(api: &mut Api) {
    let see = Rule::of(Role::Viewer, Scope::Webhooks);
    let act = Rule::of(Role::Operator, Scope::Webhooks);
    let operation = |method, path, id, rule, summary| Operation::new(method, path, id, rule, "webhooks", summary);
    api.add(
        operation(
            Method::GET,
            "/api/v1/webhooks",
            "listWebhooks",
            see,
            "List webhooks and callback endpoints",
        )
        .answers::<Page<EndpointView>>(200, "All of them"),
        list_,
    );
    api.add(
        operation(
            Method::GET,
            "/api/v1/webhooks/{endpoint}/deliveries",
            "listDeliveries",
            see,
            "List what came to a webhook, newest first",
        )
        .description(
            "Accepted and refused ones, and those that came while the endpoint was not configured. Refused ones are kept for \
             7 days, 100 of each endpoint; their bodies up to 64 KiB.",
        )
        .query::<Query>()
        .answers::<Page<DeliverySummary>>(200, "A page")
        .problems(&[400, 404, 422]),
        deliveries_,
    );
    api.add(
        operation(
            Method::GET,
            "/api/v1/webhooks/{endpoint}/deliveries/{id}",
            "getDelivery",
            see,
            "Get one delivery, whole",
        )
        .answers::<DeliveryView>(200, "The delivery")
        .problems(&[404]),
        delivery_,
    );
    api.add(
        operation(
            Method::POST,
            "/api/v1/webhooks/{endpoint}/deliveries/{id}/replay",
            "replayDelivery",
            act,
            "Play a delivery again",
        )
        .description(
            "One that was taken starts another execution of the workflow as it is now. One that was refused is verified \
             again, as of the moment when it came: by its signature, or by what is kept of its credential, unless it had been \
             verified then. When it is taken it leaves the list of the refused; its id goes on to lead to it (`replayedAs`), \
             and playing it once more is answered with what it led to.",
        )
        .header(
            idempotency::HEADER,
            "With the same key the delivery is played again once, and what that led to is the answer.",
        )
        .optional_body::<Replay>(json!({ "unverified": false }))
        .answers::<Replayed>(201, "What it led to")
        .problems(&[400, 403, 404, 409, 415, 422, 503]),
        replay_,
    );
}

async fn list_(State(app): State<App>, caller: Caller) -> Json<Page<EndpointView>> {
    let items = app.outside.endpoints(&caller.organization);
    Json(Page { items, next: None })
}

async fn deliveries_(
    State(app): State<App>,
    caller: Caller,
    At(endpoint): At<String>,
    Params(query): Params<Query>,
) -> Result<Json<Page<DeliverySummary>>, Problem> {
    let limit = super::limit(query.limit)?;
    let cursor = query.cursor.as_deref();
    let page = app
        .outside
        .deliveries(&caller.organization, &endpoint, query.outcome, cursor, limit)
        .await?;
    Ok(Json(page))
}

async fn delivery_(
    State(app): State<App>,
    caller: Caller,
    At((endpoint, id)): At<(String, String)>,
) -> Result<Json<DeliveryView>, Problem> {
    Ok(Json(app.outside.delivery(&caller.organization, &endpoint, &id).await?))
}

async fn replay_(
    State(app): State<App>,
    caller: Caller,
    At((endpoint, id)): At<(String, String)>,
    headers: HeaderMap,
    MaybeJson(replay): MaybeJson<Replay>,
) -> Result<Response, Problem> {
    let replay = replay.unwrap_or_default();
    let what = format!("replay/{endpoint}/{id}");
    let key = idempotency::key(&headers)?.map(|key| idempotency::id(&caller.organization, &what, key));
    let replayed = app
        .outside
        .replay(&caller.organization, &endpoint, &id, replay, key)
        .await?;
    Ok((StatusCode::CREATED, Json(replayed)).into_response())
}
