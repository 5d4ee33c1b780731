//! The inbox as people see it: endpoints, their deliveries, and playing one again.

use bowline_host::{ErrorKind, HostError, Page};
use bowline_store::{EntryRange, key, key_parts, prefix};
use bowline_webhooks::{Delivery, Fate, KeptBody, Reason, Respond, Verified};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::endpoints::{Listed, Target};
use super::recheck::{still_refused, verified};
use super::webhook::{self, Taken, Untaken};
use super::{State, inbox, joined};

/// A webhook, or a named callback endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EndpointView {
    /// Its id: `<workflow>:<trigger>`, or `callbacks.<name>`.
    pub id: String,
    /// `webhook` or `callback`.
    pub kind: &'static str,
    /// The workflow that it starts; absent for a callback endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// The path at which it is called.
    pub path: String,
    /// The methods that it takes.
    pub methods: Vec<String>,
    /// How senders are verified, such as `stripe`; absent where its configuration cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<&'static str>,
    /// When senders are answered: `immediate`, `result` or `step`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub respond: Option<&'static str>,
    /// What people wrote about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What keeps it from being called. Empty where it works.
    pub problems: Vec<EndpointProblem>,
}

/// What keeps an endpoint from being called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EndpointProblem {
    /// Where it is in the configuration, as a JSON pointer; empty for the whole.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
}

impl EndpointProblem {
    /// From a text that may begin with the field, such as `authentication.secret: it is empty` or, where an expression is
    /// what is wrong, `config: /authentication/secret: ...`.
    fn of(text: &str) -> Self {
        let text = text.strip_prefix("config: ").unwrap_or(text);
        let is_field = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || "./".contains(c));
        match text.split_once(": ").filter(|(name, _)| is_field(name)) {
            Some((name, message)) => Self {
                pointer: format!("/{}", name.trim_start_matches('/').replace('.', "/")),
                message: message.to_owned(),
            },
            None => Self {
                pointer: String::new(),
                message: text.to_owned(),
            },
        }
    }
}

/// Which deliveries are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Those that were taken: they started an execution, or were filtered.
    Accepted,
    /// Those that were refused, or that came while the endpoint was not configured.
    Refused,
}

/// A delivery as a list shows it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliverySummary {
    /// Its id.
    pub id: String,
    /// The endpoint's id.
    pub endpoint: String,
    /// When it came.
    pub received_at: String,
    /// `started`, `filtered` or `refused`; `unreadable` where what is kept of it cannot be read, which the log tells.
    pub fate: &'static str,
    /// The execution that it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
    /// Why it was refused, such as `wrong-signature`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The sender's own id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// The method.
    pub method: String,
    /// Bytes of its body.
    pub size: u64,
    /// The address that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The delivery that was played again to make this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<String>,
    /// Of one that was refused: the delivery that was made of it when it was played again and taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replayed_as: Option<String>,
}

/// A delivery, whole. Credentials are masked.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryView {
    /// What a list shows.
    #[serde(flatten)]
    pub summary: DeliverySummary,
    /// The address that was called.
    pub url: String,
    /// The headers, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: KeptBodyView,
    /// How the sender was verified.
    pub authentication: String,
    /// Why it was refused, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What could be done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What of the body does not fit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Value>,
    /// The version of the workflow that it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Whether it can be played again.
    pub can_replay: bool,
}

/// The body of a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum KeptBodyView {
    /// Text.
    Text(String),
    /// Bytes that are no text, in base64.
    Base64(String),
    /// A large one, by reference.
    Blob(Value),
    /// It was not kept.
    Dropped,
}

/// How a delivery is played again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Replay {
    /// Take a refused delivery although it still cannot be verified: on the word of who asks for it. Default false.
    pub unverified: bool,
}

/// What playing a delivery again led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    /// The id of the new delivery.
    pub delivery: String,
    /// `started` or `filtered`.
    pub fate: &'static str,
    /// The execution that it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
}

impl From<inbox::First> for Replayed {
    fn from(first: inbox::First) -> Self {
        Self {
            delivery: first.delivery,
            fate: if first.execution.is_some() {
                "started"
            } else {
                "filtered"
            },
            execution: first.execution,
        }
    }
}

impl State {
    /// Every webhook and callback endpoint of an organization.
    pub fn endpoints(&self, organization: &str) -> Vec<EndpointView> {
        let built = self.0.endpoints.current();
        let own = built.all.iter().filter(|listed| *listed.organization == *organization);
        own.map(view_of).collect()
    }

    /// Deliveries of an endpoint, newest first: all, or those with one outcome.
    ///
    /// # Errors
    /// `endpoint.not-found` where there is no such endpoint and nothing is kept of one; `inbox.cursor` for a cursor that
    /// is none; where the store cannot be read.
    pub async fn deliveries(
        &self,
        organization: &str,
        endpoint: &str,
        outcome: Option<Outcome>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<DeliverySummary>, HostError> {
        let limit = if limit == 0 { 50 } else { limit.min(500) };
        if cursor.is_some_and(|cursor| cursor.len() != 36) {
            return Err(HostError::invalid(
                "inbox.cursor",
                "the cursor is not `next` of the page before",
            ));
        }
        let spaces: &'static [&'static str] = match outcome {
            None => &[inbox::TAKEN, inbox::REFUSED],
            Some(Outcome::Accepted) => &[inbox::TAKEN],
            Some(Outcome::Refused) => &[inbox::REFUSED],
        };
        let range = EntryRange {
            prefix: prefix(&[organization, endpoint]),
            after: cursor.map(|cursor| key(&[organization, endpoint, cursor])),
            reverse: true,
            limit: limit + 1,
            ..EntryRange::default()
        };
        let mut found = inbox::read(&self.0.host, move |store| {
            let mut all = Vec::new();
            for space in spaces {
                let space = (*space).into();
                all.extend(store.entries(&EntryRange { space, ..range.clone() })?);
            }
            Ok(all)
        })
        .await?;
        if found.is_empty() && cursor.is_none() && !self.is_known(organization, endpoint).await? {
            return Err(HostError::not_found(
                "endpoint.not-found",
                format!("there is no endpoint {endpoint}"),
            )
            .hint("a webhook is called <workflow>:<trigger>, and a callback endpoint callbacks.<name>; the list of webhooks has all"));
        }
        // Ids begin with their time, so the keys of both have the order in which they came.
        found.sort_unstable_by(|one, other| other.0.cmp(&one.0));
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found
            .last()
            .filter(|_| more)
            .and_then(|(key, _)| key_parts(key).nth(2).map(ToOwned::to_owned));
        let items = found
            .iter()
            .map(|(key, value)| match serde_json::from_slice::<Delivery>(value) {
                Ok(delivery) => summary_of(endpoint, &delivery),
                Err(error) => unreadable(endpoint, key, &error),
            })
            .collect();
        Ok(Page { items, next })
    }

    /// Whether there is an endpoint of this id, or anything is kept of one.
    async fn is_known(&self, organization: &str, endpoint: &str) -> Result<bool, HostError> {
        if self.0.endpoints.current().has(organization, endpoint) {
            return Ok(true);
        }
        let prefix = prefix(&[organization, endpoint]);
        inbox::read(&self.0.host, move |store| {
            for space in [inbox::TAKEN, inbox::REFUSED] {
                let range = EntryRange {
                    space: space.into(),
                    prefix: prefix.clone(),
                    limit: 1,
                    ..EntryRange::default()
                };
                if !store.entries(&range)?.is_empty() {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    /// One delivery.
    ///
    /// # Errors
    /// `delivery.not-found`.
    pub async fn delivery(&self, organization: &str, endpoint: &str, id: &str) -> Result<DeliveryView, HostError> {
        if let Some(made) = inbox::played(&self.0.host, organization, endpoint, id).await? {
            // What was refused is what has been taken since: it is kept once.
            let delivery = self.find(organization, endpoint, &made.delivery).await?;
            let mut view = whole(endpoint, delivery, false);
            id.clone_into(&mut view.summary.id);
            view.summary.replay_of = None;
            view.summary.replayed_as = Some(made.delivery);
            return Ok(view);
        }
        let delivery = self.find(organization, endpoint, id).await?;
        let is_webhook = self.0.endpoints.current().webhook(organization, endpoint).is_some();
        Ok(whole(endpoint, delivery, is_webhook))
    }

    /// Plays a delivery again, on the workflow as it is now: one that was taken starts another execution, one that was
    /// refused is verified again, as of the moment when it came. With a `key` it is done once, however often it is asked
    /// for with that key.
    ///
    /// # Errors
    /// `delivery.not-found`; `delivery.no-body` where its body was not kept; `delivery.refused` where it still is not
    /// taken.
    pub async fn replay(
        &self,
        organization: &str,
        endpoint: &str,
        id: &str,
        replay: Replay,
        key: Option<String>,
    ) -> Result<Replayed, HostError> {
        let inner = &*self.0;
        if let Some(key) = &key
            && let Some(first) = inbox::replayed(&inner.host, organization, endpoint, key).await?
        {
            return Ok(first.into());
        }
        if let Some(first) = inbox::played(&inner.host, organization, endpoint, id).await? {
            return Ok(first.into());
        }
        let old = self.find(organization, endpoint, id).await?;
        let webhook = inner
            .endpoints
            .current()
            .webhook(organization, endpoint)
            .ok_or_else(|| {
                HostError::not_found("endpoint.not-found", format!("there is no webhook {endpoint} any more"))
            })?;
        let raw = inbox::body_of(&inner.host, &old.body).await?.ok_or_else(|| {
            HostError::new(
                ErrorKind::Refused,
                "delivery.no-body",
                "the body of this delivery was too large to be kept when it was refused",
            )
        })?;
        let ready = webhook.endpoint.as_ref().map_err(|problems| {
            HostError::new(
                ErrorKind::Refused,
                "endpoint.not-configured",
                format!("the webhook {endpoint} cannot be used: {}", problems.join("; ")),
            )
        })?;
        let verified = match &old.fate {
            Fate::Refused { .. } => match verified(inner, ready, &old, &raw) {
                Ok(verified) => verified,
                Err(refusal) if replay.unverified && refusal.reason != Reason::BodyTooLarge => Verified::default(),
                Err(refusal) => return Err(still_refused(&refusal)),
            },
            _ => Verified {
                id: old.source_id.clone(),
                ..Verified::default()
            },
        };
        let was_refused = matches!(old.fate, Fate::Refused { .. });
        let mut delivery = Delivery {
            id: uuid::Uuid::now_v7().to_string(),
            // One that was refused is taken for the first time now, and its sender's id counts.
            replay_of: (!was_refused).then(|| old.id.clone()),
            refused_as: was_refused.then(|| old.id.clone()),
            replay_key: key,
            // What was not verified when it came is so now, or somebody's word is taken for it.
            credential: None,
            authentication: ready.config.authentication.name().to_owned(),
            ..old.clone()
        };
        let taken = webhook::start(inner, &webhook, ready, &mut delivery, &raw, verified, None).await;
        let replayed = match taken {
            Ok(Taken::Started {
                delivery, execution, ..
            }) => Replayed {
                delivery,
                fate: "started",
                execution: Some(execution),
            },
            Ok(Taken::Filtered { .. } | Taken::Challenge(_)) => Replayed {
                delivery: delivery.id,
                fate: "filtered",
                execution: None,
            },
            Err(Untaken::Refused(refusal)) => return Err(still_refused(&refusal)),
            Err(Untaken::Failed(error)) => return Err(error),
        };
        inner.count(organization, endpoint, "replayed");
        Ok(replayed)
    }

    async fn find(&self, organization: &str, endpoint: &str, id: &str) -> Result<Delivery, HostError> {
        let found = inbox::delivery(&self.0.host, organization, endpoint, id).await?;
        found.ok_or_else(|| {
            HostError::not_found("delivery.not-found", format!("there is no delivery {id} of {endpoint}"))
        })
    }
}

fn view_of(listed: &Listed) -> EndpointView {
    let organization = &*listed.organization;
    let names = |methods: &[axum::http::Method]| methods.iter().map(ToString::to_string).collect();
    let problems = listed
        .all_problems()
        .map(|problem| EndpointProblem::of(problem))
        .collect();
    match &listed.target {
        Target::Webhook(webhook) => {
            let config = webhook.endpoint.as_ref().ok().map(|endpoint| &endpoint.config);
            EndpointView {
                id: webhook.id.clone(),
                kind: "webhook",
                workflow: Some(webhook.active.workflow.to_string()),
                path: joined(organization, &webhook.path),
                methods: names(&webhook.methods),
                authentication: config.map(|config| config.authentication.name()),
                respond: config.map(|config| match config.respond {
                    Respond::Immediate => "immediate",
                    Respond::Result => "result",
                    Respond::Step => "step",
                }),
                description: webhook.trigger.description.clone(),
                problems,
            }
        }
        Target::Callback(callback) => EndpointView {
            id: callback.id.clone(),
            kind: "callback",
            workflow: None,
            path: joined(organization, &callback.path),
            methods: names(&callback.methods),
            authentication: callback.config.as_ref().ok().map(|config| config.authentication.name()),
            respond: None,
            description: None,
            problems,
        },
        Target::Away(away) => EndpointView {
            id: away.id().to_owned(),
            kind: if away.is_callback() { "callback" } else { "webhook" },
            workflow: (!away.is_callback()).then(|| away.workflow().to_owned()),
            path: joined(organization, &away.path),
            methods: names(&away.methods),
            authentication: None,
            respond: None,
            description: None,
            problems,
        },
    }
}

/// The row of a delivery that cannot be read: the others are to be seen all the same.
fn unreadable(endpoint: &str, key: &str, error: &serde_json::Error) -> DeliverySummary {
    let id = key_parts(key).nth(2).unwrap_or_default();
    tracing::error!(%endpoint, delivery = id, %error, "a delivery in the inbox cannot be read");
    DeliverySummary {
        id: id.to_owned(),
        endpoint: endpoint.to_owned(),
        received_at: inbox::made_at(id).map(bowline_host::time::rfc3339).unwrap_or_default(),
        fate: "unreadable",
        execution: None,
        reason: None,
        source_id: None,
        method: String::new(),
        size: 0,
        from: None,
        replay_of: None,
        replayed_as: None,
    }
}

fn summary_of(endpoint: &str, delivery: &Delivery) -> DeliverySummary {
    DeliverySummary {
        id: delivery.id.clone(),
        endpoint: endpoint.to_owned(),
        received_at: bowline_host::time::rfc3339(delivery.at),
        fate: delivery.fate.name(),
        execution: match &delivery.fate {
            Fate::Started { execution, .. } => Some(execution.clone()),
            _ => None,
        },
        reason: match &delivery.fate {
            Fate::Refused { refusal } => Some(refusal.reason.name()),
            _ => None,
        },
        source_id: delivery.source_id.clone(),
        method: delivery.method.clone(),
        size: delivery.size,
        from: delivery.from.clone(),
        replay_of: delivery.replay_of.clone().or_else(|| delivery.refused_as.clone()),
        replayed_as: None,
    }
}

fn whole(endpoint: &str, delivery: Delivery, is_webhook: bool) -> DeliveryView {
    let can_replay = is_webhook && delivery.body != KeptBody::Dropped;
    let (message, hint, problems) = match &delivery.fate {
        Fate::Refused { refusal } => (
            Some(match &refusal.detail {
                Some(detail) => format!("{}: {detail}", refusal.message),
                None => refusal.message.clone(),
            }),
            refusal.hint.clone(),
            refusal
                .misfits
                .iter()
                .map(|misfit| json!({ "pointer": misfit.pointer, "message": misfit.message }))
                .collect(),
        ),
        _ => (None, None, Vec::new()),
    };
    DeliveryView {
        version: match &delivery.fate {
            Fate::Started { version, .. } => *version,
            _ => None,
        },
        summary: summary_of(endpoint, &delivery),
        url: delivery.url,
        headers: delivery.headers,
        body: match delivery.body {
            KeptBody::Text(text) => KeptBodyView::Text(text),
            KeptBody::Base64(text) => KeptBodyView::Base64(text),
            KeptBody::Blob(blob) => KeptBodyView::Blob(json!(blob)),
            KeptBody::Dropped => KeptBodyView::Dropped,
        },
        authentication: delivery.authentication,
        message,
        hint,
        problems,
        can_replay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_have_the_place_that_their_text_begins_with() {
        let of = |text: &str| {
            let EndpointProblem { pointer, message } = EndpointProblem::of(text);
            (pointer, message)
        };
        let told = |pointer: &str, message: &str| (pointer.to_owned(), message.to_owned());
        assert_eq!(
            of("authentication.secret: it is empty"),
            told("/authentication/secret", "it is empty")
        );
        assert_eq!(
            of("config: /url: `env.X` does not exist"),
            told("/url", "`env.X` does not exist")
        );
        assert_eq!(of("config: it is text"), told("", "it is text"));
        assert_eq!(
            of("the workflows a and b: other"),
            told("", "the workflows a and b: other")
        );
    }
}
