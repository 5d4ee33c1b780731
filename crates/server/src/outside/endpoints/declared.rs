//! What one workflow declares: a webhook, or a callback endpoint. Its configuration is read here, as far as it can be.

use std::sync::Arc;

use axum::http::Method;
use bowline_flow::plan::{CallbackEndpoint, Location, Trigger};
use bowline_host::Active;
use bowline_webhooks::{CallbackConfig, Endpoint, Hidden, Methods, check_callback_path, check_path};
use serde_json::Value;

use super::claims::Claims;

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
    /// `callback:<name>`.
    pub(in crate::outside) id: String,
    pub(in crate::outside) path: String,
    pub(in crate::outside) methods: Vec<Method>,
    pub(in crate::outside) config: Result<CallbackConfig, Vec<String>>,
}

/// What a path leads to.
#[derive(Clone)]
pub(in crate::outside) enum Target {
    Webhook(Arc<Webhook>),
    Callback(Arc<Callback>),
}

impl Target {
    pub(in crate::outside) fn id(&self) -> &str {
        match self {
            Self::Webhook(webhook) => &webhook.id,
            Self::Callback(callback) => &callback.id,
        }
    }

    pub(super) fn active(&self) -> &Active {
        match self {
            Self::Webhook(webhook) => &webhook.active,
            Self::Callback(callback) => &callback.active,
        }
    }

    pub(super) fn path(&self) -> &str {
        match self {
            Self::Webhook(webhook) => &webhook.path,
            Self::Callback(callback) => &callback.path,
        }
    }

    pub(super) fn methods(&self) -> &[Method] {
        match self {
            Self::Webhook(webhook) => &webhook.methods,
            Self::Callback(callback) => &callback.methods,
        }
    }
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
    let id = format!("callback:{name}");
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

/// What must not be kept of a request to an endpoint whose configuration cannot be had.
pub(in crate::outside) fn hidden(source: &Value) -> Hidden<'_> {
    let authentication = &source["authentication"];
    if authentication["type"] != "api-key" {
        let is_known = authentication["type"].as_str().is_some_and(|kind| !kind.contains("${"));
        return if is_known { Hidden::Nothing } else { Hidden::All };
    }
    let credentials = &authentication["credentials"];
    let name = credentials["keyName"].as_str().filter(|name| !name.contains("${"));
    match (name, credentials["keyLocation"].as_str()) {
        (Some(name), None | Some("header")) => Hidden::Header(name),
        (Some(name), Some("query")) => Hidden::Parameter(name),
        _ => Hidden::All,
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

    #[test]
    fn credentials_are_hidden_without_the_configuration() {
        let key = |credentials: Value| json!({ "authentication": { "type": "api-key", "credentials": credentials } });
        let in_header = key(json!({ "keyName": "X-Own" }));
        assert_eq!(hidden(&in_header), Hidden::Header("X-Own"));
        let in_query = key(json!({ "keyName": "k", "keyLocation": "query" }));
        assert_eq!(hidden(&in_query), Hidden::Parameter("k"));
        assert_eq!(hidden(&key(json!({ "keyName": "${env.N}" }))), Hidden::All);
        assert_eq!(
            hidden(&json!({ "authentication": { "type": "${env.T}" } })),
            Hidden::All
        );
        assert_eq!(hidden(&json!("${env.ALL}")), Hidden::All);
        let signed = json!({ "authentication": { "type": "signature" } });
        assert_eq!(hidden(&signed), Hidden::Nothing);
    }
}
