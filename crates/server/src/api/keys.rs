//! API keys of the caller's organization.

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use bowline_access::{KeyView, MadeKey, NewKey};
use bowline_connector::Millis;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::App;
use crate::extract::{At, Json as Body, MaybeJson};
use crate::guard::{Caller, Note, Role, Rule, Scope, failed};
use crate::problem::Problem;
use crate::route::{Api, Operation};

/// How long the secret before is accepted after a rotation, where nothing else is asked for.
const OVERLAP: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);

/// A key to make.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyWish {
    /// What it is for.
    name: String,
    /// How much it may do.
    role: Role,
    /// What it may work with. Default: all that the caller may, but `organizations`.
    #[serde(default)]
    scopes: Option<Vec<Scope>>,
    /// After how long it expires, such as `90d`. Default: never. One of this and `expiresAt`.
    #[serde(default)]
    expires_in: Option<Millis>,
    /// When it expires (RFC 3339).
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    expires_at: Option<Timestamp>,
}

/// How a key is rotated.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// How long the secret before is accepted too. Default: a day. `0s` ends it at once.
    #[serde(default)]
    overlap: Option<Millis>,
}

/// All keys.
#[derive(Serialize, JsonSchema)]
struct Keys {
    /// In the order of their ids.
    items: Vec<KeyView>,
}

pub(super) fn add(api: &mut Api) {
    let rule = Rule::of(Role::Admin, Scope::Keys);
    let operation = |method, path, id, summary| Operation::new(method, path, id, rule, "keys", summary);
    let list = operation(Method::GET, "/api/v1/keys", "listKeys", "List API keys");
    api.add(
        list.answers::<Keys>(200, "All of them, also expired and revoked ones"),
        list_,
    );
    let create = operation(Method::POST, "/api/v1/keys", "createKey", "Make an API key");
    api.add(
        create
            .description("The answer has the key's text, which cannot be shown again. No key may do more than the one that made it.")
            .body::<KeyWish>(json!({ "name": "deployment pipeline", "role": "deployer", "expiresIn": "90d" }))
            .answers::<MadeKey>(201, "It is made")
            .problems(&[400, 413, 415, 422, 503]),
        create_,
    );
    let one = operation(Method::GET, "/api/v1/keys/{id}", "getKey", "One API key");
    api.add(one.answers::<KeyView>(200, "The key").problems(&[404]), get);
    let rotate = operation(
        Method::POST,
        "/api/v1/keys/{id}/rotate",
        "rotateKey",
        "Give a key another secret",
    );
    api.add(
        rotate
            .description(
                "Both secrets are accepted for the time of `overlap`, so that nobody is shut out meanwhile. A key that may \
                 do more than the caller is refused with 403.",
            )
            .optional_body::<Rotation>(json!({ "overlap": "1d" }))
            .answers::<MadeKey>(200, "The key with its new text")
            .problems(&[400, 404, 409, 413, 415, 503]),
        rotate_,
    );
    let revoke = operation(
        Method::DELETE,
        "/api/v1/keys/{id}",
        "revokeKey",
        "Revoke a key, for good",
    );
    api.add(
        revoke.answers::<KeyView>(200, "It is revoked").problems(&[404, 503]),
        revoke_,
    );
}

async fn list_(State(app): State<App>, caller: Caller) -> Result<Json<Keys>, Problem> {
    let items = app
        .guard
        .access
        .list_keys(&caller.organization)
        .await
        .map_err(|error| failed(&error))?;
    Ok(Json(Keys { items }))
}

async fn create_(
    State(app): State<App>,
    caller: Caller,
    note: Note,
    Body(wish): Body<KeyWish>,
) -> Result<(StatusCode, Json<MadeKey>), Problem> {
    let expires_at = match (wish.expires_in, wish.expires_at) {
        (Some(_), Some(_)) => return Err(Problem::invalid("write one of `expiresIn` and `expiresAt`")),
        (Some(after), None) => {
            let after = i64::try_from(after.duration().as_millis()).unwrap_or(i64::MAX);
            Some(Timestamp::now().as_millisecond().saturating_add(after))
        }
        (None, at) => at.map(Timestamp::as_millisecond),
    };
    note.say("name", wish.name.as_str());
    note.say("role", wish.role.name());
    let scopes = match wish.scopes {
        None => Scope::usual()
            .into_iter()
            .filter(|scope| caller.scopes.contains(scope))
            .collect(),
        Some(scopes) => scopes,
    };
    caller
        .may_hold(wish.role, &scopes)
        .map_err(|denied| crate::guard::refused(&denied))?;
    let new = NewKey {
        organization: caller.organization.clone(),
        name: wish.name,
        role: wish.role,
        scopes: Some(scopes),
        expires_at,
    };
    let made = app
        .guard
        .access
        .create_key(new, note.line())
        .await
        .map_err(|error| failed(&error))?;
    Ok((StatusCode::CREATED, Json(made)))
}

async fn get(State(app): State<App>, caller: Caller, At(id): At<String>) -> Result<Json<KeyView>, Problem> {
    let found = app
        .guard
        .access
        .key(&caller.organization, &id)
        .await
        .map_err(|error| failed(&error))?;
    Ok(Json(found))
}

/// Refuses to change a key that may do more than the caller: whoever rotates one has it, and whoever could revoke those of
/// their superiors could shut them out. What a key may do never changes, so it is not looked at again.
async fn may_change(app: &App, caller: &Caller, id: &str) -> Result<(), Problem> {
    let found = app
        .guard
        .access
        .key(&caller.organization, id)
        .await
        .map_err(|error| failed(&error))?;
    caller
        .may_hold(found.role, &found.scopes)
        .map_err(|denied| crate::guard::refused(&denied))
}

async fn rotate_(
    State(app): State<App>,
    caller: Caller,
    note: Note,
    At(id): At<String>,
    MaybeJson(rotation): MaybeJson<Rotation>,
) -> Result<Json<MadeKey>, Problem> {
    may_change(&app, &caller, &id).await?;
    let overlap = rotation.unwrap_or_default().overlap.map_or(OVERLAP, Millis::duration);
    let overlap = i64::try_from(overlap.as_millis()).unwrap_or(i64::MAX);
    let rotated = app
        .guard
        .access
        .rotate_key(&caller.organization, &id, overlap, note.line())
        .await;
    Ok(Json(rotated.map_err(|error| failed(&error))?))
}

async fn revoke_(
    State(app): State<App>,
    caller: Caller,
    note: Note,
    At(id): At<String>,
) -> Result<Json<KeyView>, Problem> {
    may_change(&app, &caller, &id).await?;
    let revoked = app
        .guard
        .access
        .revoke_key(&caller.organization, &id, note.line())
        .await;
    Ok(Json(revoked.map_err(|error| failed(&error))?))
}
