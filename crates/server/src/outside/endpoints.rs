//! Which paths lead where: the webhooks and callback endpoints of everything that is deployed.
//!
//! Made anew when something was deployed, by the first request after it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::Method;
use bowline_flow::plan::{CallbackEndpoint, Trigger};
use bowline_host::Active;
use bowline_webhooks::{CallbackConfig, Endpoint, KIND, Table, check_callback_path, check_path};
use serde_json::Value;
use tokio::sync::watch::Receiver;

/// A webhook of a deployed workflow.
pub(super) struct Webhook {
    /// The workflow it starts.
    pub(super) active: Active,
    pub(super) trigger: Trigger,
    /// `<workflow>:<trigger>`.
    pub(super) id: String,
    /// Its path, without the organization.
    pub(super) path: String,
    /// Ready, or what is wrong: then it takes nothing.
    pub(super) endpoint: Result<Endpoint, Vec<String>>,
}

/// A named callback endpoint.
pub(super) struct Callback {
    /// A workflow that shares it; its settings are those of its organization.
    pub(super) active: Active,
    pub(super) named: CallbackEndpoint,
    /// `callback:<name>`.
    pub(super) id: String,
    pub(super) path: String,
    pub(super) config: Result<CallbackConfig, Vec<String>>,
}

/// What a path leads to.
#[derive(Clone)]
pub(super) enum Target {
    Webhook(Arc<Webhook>),
    Callback(Arc<Callback>),
}

/// What is at a path.
pub(super) enum Found {
    Webhook(Arc<Webhook>, BTreeMap<String, String>),
    Callback(Arc<Callback>, BTreeMap<String, String>),
    OtherMethods(Vec<String>, Target),
    Nothing,
}

/// All endpoints of one moment.
pub(super) struct Built {
    from: Arc<Vec<Active>>,
    table: Table<Target>,
    /// All, with their organization, and what keeps each from being called.
    pub(super) all: Vec<(Arc<str>, Target, Vec<String>)>,
}

impl Built {
    pub(super) fn find(&self, organization: &str, path: &str, method: &Method) -> Found {
        match self.table.find(organization, path, method) {
            bowline_webhooks::Found::Endpoint(Target::Webhook(webhook), params) => {
                Found::Webhook(Arc::clone(webhook), params)
            }
            bowline_webhooks::Found::Endpoint(Target::Callback(callback), params) => {
                Found::Callback(Arc::clone(callback), params)
            }
            bowline_webhooks::Found::Methods(methods, target) => {
                Found::OtherMethods(methods.into_iter().map(ToOwned::to_owned).collect(), target.clone())
            }
            bowline_webhooks::Found::Nothing => Found::Nothing,
        }
    }

    /// The webhook of this id.
    pub(super) fn webhook(&self, organization: &str, id: &str) -> Option<Arc<Webhook>> {
        self.all.iter().find_map(|(owner, target, _)| match target {
            Target::Webhook(webhook) if **owner == *organization && webhook.id == id => Some(Arc::clone(webhook)),
            _ => None,
        })
    }
}

pub(super) struct Endpoints {
    active: Receiver<Arc<Vec<Active>>>,
    built: RwLock<Arc<Built>>,
}

impl Endpoints {
    pub(super) fn new(active: Receiver<Arc<Vec<Active>>>) -> Self {
        let list = Arc::clone(&active.borrow());
        Self {
            built: RwLock::new(Arc::new(build(list))),
            active,
        }
    }

    /// Those of what is deployed now.
    pub(super) fn current(&self) -> Arc<Built> {
        let list = Arc::clone(&self.active.borrow());
        let built = Arc::clone(&self.built.read().unwrap_or_else(PoisonError::into_inner));
        if Arc::ptr_eq(&built.from, &list) {
            return built;
        }
        let mut place = self.built.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have made it meanwhile.
        let list = Arc::clone(&self.active.borrow());
        if !Arc::ptr_eq(&place.from, &list) {
            *place = Arc::new(build(list));
        }
        Arc::clone(&place)
    }
}

fn build(from: Arc<Vec<Active>>) -> Built {
    let mut table = Table::default();
    let mut all = Vec::new();
    let mut channels = BTreeMap::new();
    for active in from.iter() {
        for trigger in active.plan.triggers.iter().filter(|trigger| trigger.kind == KIND) {
            let webhook = Arc::new(webhook(active, trigger));
            let methods = match &webhook.endpoint {
                Ok(endpoint) => endpoint.config.method.0.clone(),
                Err(_) => vec![Method::POST],
            };
            let target = Target::Webhook(Arc::clone(&webhook));
            let mut problems = webhook.endpoint.as_ref().err().cloned().unwrap_or_default();
            if !webhook.path.is_empty() {
                problems.extend(table.add(&active.organization, &webhook.path, &methods, &target).err());
            }
            all.push((Arc::clone(&active.organization), target, problems));
        }
        for (name, named) in &active.plan.callbacks {
            // Workflows of a folder share them.
            match channels.entry((Arc::clone(&active.organization), name.clone())) {
                Entry::Vacant(free) => drop(free.insert(all.len())),
                Entry::Occupied(first) => {
                    if let Some((_, Target::Callback(first), problems)) = all.get_mut(*first.get())
                        && settings(&first.named) != settings(named)
                    {
                        problems.push(format!(
                            "the workflows {} and {} declare callbacks.{name} with different settings; those of {} count. \
                             Deploy both with the same ones",
                            first.active.workflow, active.workflow, first.active.workflow
                        ));
                    }
                    continue;
                }
            }
            let callback = Arc::new(callback(active, name, named));
            let methods = match &callback.config {
                Ok(config) => config.methods(),
                Err(_) => vec![Method::POST, Method::PUT],
            };
            let target = Target::Callback(Arc::clone(&callback));
            let mut problems = callback.config.as_ref().err().cloned().unwrap_or_default();
            problems.extend(table.add(&active.organization, &callback.path, &methods, &target).err());
            all.push((Arc::clone(&active.organization), target, problems));
        }
    }
    for (organization, target, problems) in &all {
        let id = match target {
            Target::Webhook(webhook) => &webhook.id,
            Target::Callback(callback) => &callback.id,
        };
        for problem in problems {
            tracing::warn!(%organization, endpoint = %id, %problem, "an endpoint cannot be used as it is");
        }
    }
    Built { from, table, all }
}

fn webhook(active: &Active, trigger: &Trigger) -> Webhook {
    let config = active
        .plan
        .trigger_config(trigger, &active.settings)
        .map_err(|error| vec![error.message]);
    let endpoint = config.and_then(|config| Endpoint::new(&config));
    let path = match &endpoint {
        Ok(endpoint) => endpoint.config.path.clone(),
        Err(_) => written_path(&trigger.config.source())
            .filter(|path| check_path(path).is_ok())
            .unwrap_or_default(),
    };
    Webhook {
        id: format!("{}:{}", active.workflow, trigger.id),
        active: active.clone(),
        trigger: trigger.clone(),
        path,
        endpoint,
    }
}

/// What makes two declarations of a callback endpoint the same.
fn settings(named: &CallbackEndpoint) -> Vec<(&'static str, Value)> {
    let mut all = vec![
        ("config", named.config.source()),
        ("correlate", named.correlate.source()),
    ];
    if let Some(success) = &named.success {
        all.push(("success", success.source()));
    }
    if let Some(failure) = &named.failure {
        all.push(("error", failure.error.source()));
        if let Some(message) = &failure.message {
            all.push(("message", message.source()));
        }
    }
    all
}

fn callback(active: &Active, name: &str, named: &CallbackEndpoint) -> Callback {
    let config = active
        .plan
        .endpoint_config(named, &active.settings)
        .map_err(|error| vec![error.message])
        .and_then(|config| {
            let config: CallbackConfig = serde_json::from_value(config).map_err(|error| vec![error.to_string()])?;
            config.check(name)?;
            Ok(config)
        });
    let path = match &config {
        Ok(config) => config.path(name),
        Err(_) => written_path(&named.config.source())
            .filter(|path| check_callback_path(path).is_ok())
            .unwrap_or_else(|| format!("/callbacks/{name}")),
    };
    Callback {
        active: active.clone(),
        named: named.clone(),
        id: format!("callback:{name}"),
        path,
        config,
    }
}

/// The path of an endpoint whose configuration cannot be had, such as one whose secret is not set: who calls it is told
/// that it takes nothing, and tries again later, and not that nothing is there.
fn written_path(source: &Value) -> Option<String> {
    let path = source.get("path")?.as_str()?;
    (path.starts_with('/') && !path.contains("${")).then(|| path.to_owned())
}
