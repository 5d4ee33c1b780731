//! What one workflow declares: a webhook, or a callback endpoint. Its configuration is read here, as far as it can be.

use std::sync::Arc;

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bowline_flow::plan::{CallbackEndpoint, Location, Trigger};
use bowline_host::{Active, Standing};
use bowline_webhooks::{CallbackConfig, Carrier, Endpoint, Methods, check_callback_path, check_path};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::claims::{Claims, Owner};

/// A webhook of a deployed workflow.
pub(in crate::outside) struct Webhook {
    /// The workflow it starts.
    pub(in crate::outside) active: Active,
    pub(in crate::outside) trigger: Trigger,
    /// `<workflow>:<trigger>`.
    pub(in crate::outside) id: String,
    /// Its path, without the organization; empty where nobody can say it.
    pub(in crate::outside) path: String,
    pub(in crate::outside) methods: Vec<Method>,
    /// Ready, or what is wrong: then it takes nothing.
    pub(in crate::outside) endpoint: Result<Endpoint, Vec<String>>,
}

/// A named callback endpoint.
pub(in crate::outside) struct Callback {
    /// The workflow whose settings count, of those that share it.
    pub(in crate::outside) active: Active,
    pub(in crate::outside) named: CallbackEndpoint,
    /// `callbacks.<name>`; no webhook has such an id, as theirs have a colon.
    pub(in crate::outside) id: String,
    pub(in crate::outside) path: String,
    pub(in crate::outside) methods: Vec<Method>,
    pub(in crate::outside) config: Result<CallbackConfig, Vec<String>>,
}

/// An endpoint of a workflow that does not run at the moment: its file is gone, or its version cannot be read. It takes
/// nothing, and nobody else has its paths, until the workflow is back or somebody removes it.
pub(in crate::outside) struct Away {
    pub(in crate::outside) organization: Arc<str>,
    pub(super) owner: Owner,
    pub(in crate::outside) path: String,
    pub(in crate::outside) methods: Vec<Method>,
    standing: Standing,
}

impl Away {
    pub(super) fn new(organization: &str, path: &str, owner: &Owner, standing: Standing) -> Self {
        Self {
            organization: organization.into(),
            owner: owner.clone(),
            path: path.to_owned(),
            methods: Vec::new(),
            standing,
        }
    }

    pub(in crate::outside) fn id(&self) -> &str {
        &self.owner.endpoint
    }

    pub(in crate::outside) fn workflow(&self) -> &str {
        &self.owner.workflow
    }

    /// Whether it is a callback endpoint.
    pub(in crate::outside) fn is_callback(&self) -> bool {
        self.owner.settings.is_some()
    }

    pub(in crate::outside) fn carrier(&self) -> &Carrier {
        &self.owner.carrier
    }

    /// Why it takes nothing, and how that is mended.
    pub(super) fn why(&self) -> String {
        let workflow = self.workflow();
        let (why, mend) = match self.standing {
            Standing::FileGone => ("its file is gone", "put the file back"),
            Standing::Broken => ("its current version cannot run", "mend it and deploy it again"),
            Standing::Used | Standing::Gone => return format!("the workflow {workflow} is being deployed"),
        };
        format!(
            "the workflow {workflow} is out of use ({why}) and keeps its paths: {mend}, or free them with \
             `bowline workflows remove {workflow}`"
        )
    }
}

/// What a path leads to.
#[derive(Clone)]
pub(in crate::outside) enum Target {
    Webhook(Arc<Webhook>),
    Callback(Arc<Callback>),
    Away(Arc<Away>),
}

impl Target {
    pub(in crate::outside) fn id(&self) -> &str {
        match self {
            Self::Webhook(webhook) => &webhook.id,
            Self::Callback(callback) => &callback.id,
            Self::Away(away) => away.id(),
        }
    }

    pub(super) fn organization(&self) -> &Arc<str> {
        match self {
            Self::Webhook(webhook) => &webhook.active.organization,
            Self::Callback(callback) => &callback.active.organization,
            Self::Away(away) => &away.organization,
        }
    }

    pub(super) fn workflow(&self) -> &str {
        match self {
            Self::Webhook(webhook) => &webhook.active.workflow,
            Self::Callback(callback) => &callback.active.workflow,
            Self::Away(away) => away.workflow(),
        }
    }

    pub(super) fn path(&self) -> &str {
        match self {
            Self::Webhook(webhook) => &webhook.path,
            Self::Callback(callback) => &callback.path,
            Self::Away(away) => &away.path,
        }
    }

    pub(super) fn methods(&self) -> &[Method] {
        match self {
            Self::Webhook(webhook) => &webhook.methods,
            Self::Callback(callback) => &callback.methods,
            Self::Away(away) => &away.methods,
        }
    }

    /// Who has its paths.
    pub(super) fn owner(&self) -> Owner {
        match self {
            Self::Webhook(webhook) => Owner {
                endpoint: webhook.id.clone(),
                workflow: webhook.active.workflow.to_string(),
                settings: None,
                carrier: webhook.carrier(),
            },
            Self::Callback(callback) => Owner {
                endpoint: callback.id.clone(),
                workflow: callback.active.workflow.to_string(),
                settings: Some(settings_hash(&callback.named)),
                carrier: callback.carrier(),
            },
            Self::Away(away) => away.owner.clone(),
        }
    }
}

impl Webhook {
    /// Where its requests carry what proves their sender.
    pub(in crate::outside) fn carrier(&self) -> Carrier {
        match &self.endpoint {
            Ok(endpoint) => endpoint.config.authentication.carrier(),
            Err(_) => Carrier::of_source(&self.trigger.config.source()),
        }
    }
}

impl Callback {
    /// Where its requests carry what proves their sender.
    pub(in crate::outside) fn carrier(&self) -> Carrier {
        match &self.config {
            Ok(config) => config.authentication.carrier(),
            Err(_) => Carrier::of_source(&self.named.config.source()),
        }
    }
}

/// What ids of callback endpoints begin with.
const CALLBACKS: &str = "callbacks.";

/// The id of the callback endpoint of this name.
pub(super) fn callback_id(name: &str) -> String {
    format!("{CALLBACKS}{name}")
}

/// The name of the callback endpoint of this id.
pub(super) fn callback_name(id: &str) -> Option<&str> {
    id.strip_prefix(CALLBACKS).filter(|name| !name.contains(':'))
}

pub(super) fn webhook(active: &Active, trigger: &Trigger, claims: &Claims) -> Webhook {
    let id = format!("{}:{}", active.workflow, trigger.id);
    let config = active
        .plan
        .trigger_config(trigger, &active.settings)
        .map_err(|error| vec![without_place(&error.message, &trigger.location)]);
    let endpoint = config.and_then(|config| Endpoint::new(&config));
    let (path, methods) = if let Ok(endpoint) = &endpoint {
        (endpoint.config.path.clone(), endpoint.config.method.0.clone())
    } else {
        let source = trigger.config.source();
        let written = Written::of(&source, |path| check_path(path).is_ok());
        written.or(claims.of(&active.organization, &id), None, &[Method::POST])
    };
    Webhook {
        id,
        active: active.clone(),
        trigger: trigger.clone(),
        path,
        methods,
        endpoint,
    }
}

/// What an expression says, without the place, which is shown beside it.
fn without_place(message: &str, at: &Location) -> String {
    let place = format!("{at}: ");
    message.strip_prefix(&place).unwrap_or(message).to_owned()
}

pub(super) fn callback(active: &Active, name: &str, named: &CallbackEndpoint, claims: &Claims) -> Callback {
    let id = callback_id(name);
    let config = active
        .plan
        .endpoint_config(named, &active.settings)
        .map_err(|error| vec![without_place(&error.message, &named.location)])
        .and_then(|config| {
            let config: CallbackConfig = serde_json::from_value(config).map_err(|error| vec![error.to_string()])?;
            config.check(name)?;
            Ok(config)
        });
    let (path, methods) = if let Ok(config) = &config {
        (config.path(name), config.methods())
    } else {
        let source = named.config.source();
        let default = source.get("path").is_none().then(|| format!("/callbacks/{name}"));
        let written = Written::of(&source, |path| check_callback_path(path).is_ok());
        let claimed = claims.of(&active.organization, &id);
        written.or(claimed, default, &[Method::POST, Method::PUT])
    };
    Callback {
        active: active.clone(),
        named: named.clone(),
        id,
        path,
        methods,
        config,
    }
}

/// What stands in a configuration that cannot be had as a whole, such as one whose secret is not set: who calls it is
/// told that it takes nothing, and tries again later, and nobody else gets its path meanwhile.
struct Written {
    path: Option<String>,
    methods: Option<Vec<Method>>,
}

impl Written {
    fn of(source: &Value, fits: impl Fn(&str) -> bool) -> Self {
        let path = source.get("path").and_then(Value::as_str);
        Self {
            path: path
                .filter(|path| !path.contains("${") && fits(path))
                .map(ToOwned::to_owned),
            methods: source
                .get("method")
                .and_then(|methods| serde_json::from_value::<Methods>(methods.clone()).ok())
                .map(|methods| methods.0),
        }
    }

    /// What does not stand there is what it had before.
    fn or(self, claimed: Vec<(Method, String)>, path: Option<String>, methods: &[Method]) -> (String, Vec<Method>) {
        let had = claimed.first().map(|(_, path)| path.clone());
        let path = self.path.or(path).or(had).unwrap_or_default();
        let had: Vec<_> = claimed.into_iter().map(|(method, _)| method).collect();
        let methods = self
            .methods
            .unwrap_or_else(|| if had.is_empty() { methods.to_vec() } else { had });
        (path, methods)
    }
}

/// What makes two declarations of a callback endpoint the same.
pub(super) fn settings(named: &CallbackEndpoint) -> Vec<(&'static str, Value)> {
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

/// A hash of [`settings`].
pub(super) fn settings_hash(named: &CallbackEndpoint) -> String {
    let all: Value = settings(named)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    URL_SAFE_NO_PAD.encode(Sha256::digest(all.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_or_was_had_is_known_without_the_configuration() {
        let any = |_: &str| true;
        let had = vec![(Method::PUT, "/was".to_owned())];
        let written = |source: Value, had: &Vec<(Method, String)>| {
            Written::of(&source, any).or(had.clone(), None, &[Method::POST])
        };
        let plain = json!({ "path": "/webhooks/x", "method": ["POST", "put"], "secret": "${env.X}" });
        assert_eq!(
            written(plain, &had),
            ("/webhooks/x".to_owned(), vec![Method::POST, Method::PUT])
        );
        let templates = json!({ "path": "${env.P}", "method": "${env.M}" });
        assert_eq!(written(templates.clone(), &had), ("/was".to_owned(), vec![Method::PUT]));
        assert_eq!(written(templates, &Vec::new()), (String::new(), vec![Method::POST]));
    }
}
