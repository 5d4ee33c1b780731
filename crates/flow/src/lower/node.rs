//! Nodes: the connector, its configuration, what is around it.

use std::sync::Arc;

use bowline_expression::nearest;
use serde_json::Value;

use crate::codes;
use crate::cursor::Cursor;
use crate::plan::{NodePlan, OnError, StepKind, UnknownOutcome};
use crate::report::plain;
use crate::schema::{Checker, Mode, definition, has_expression, language};
use crate::tree::{Kind, Node};

use super::scope::Origin;
use super::{Lowering, MAX_COPIED};

/// Connectors and triggers of the language that later versions bring.
pub(super) const LATER: &[&str] = &[
    "api-key-auth",
    "aws-lambda-invoke",
    "aws-s3-upload",
    "azure-blob-upload",
    "circuit-breaker",
    "connection-pool",
    "file-reader",
    "file-writer",
    "graphql-request",
    "kafka-consume",
    "kafka-produce",
    "mongodb-query",
    "oauth2-authenticate",
    "rabbitmq-consume",
    "rabbitmq-publish",
    "salesforce-create",
    "sap-rfc-call",
];

impl Lowering<'_> {
    /// The node of a name, with the fields of the reference's `config` over its own, and its `callback` in the
    /// place of its own.
    pub(super) fn reference(&mut self, name: &Cursor, reference: &Cursor) -> Option<StepKind> {
        let definition = self.definition(name)?;
        let mut cursor = match reference.field("config") {
            Some(config) => with_config(&definition, &config),
            None => definition,
        };
        if let Some(callback) = reference.field("callback") {
            cursor = with_field(&cursor, "callback", &callback);
        }
        self.node(&cursor, Mode::Config)
            .map(|node| StepKind::Node(Arc::new(node)))
    }

    /// The definition of a named node.
    fn definition(&mut self, name: &Cursor) -> Option<Cursor> {
        let text = name.text().filter(|text| !has_expression(text))?;
        if let Some(found) = self.named.get(text).cloned() {
            self.copied += found.node.weight;
            if self.copied > MAX_COPIED {
                let message = "references to named nodes make this workflow too large";
                self.report.at(codes::TOO_LARGE, name, message, plain);
                return None;
            }
            return Some(found);
        }
        let known: Vec<String> = self.named.keys().cloned().collect();
        let otherwise = format!("describe it under `nodes:`:  {text}: {{ type: ..., config: ... }}");
        self.unknown_name(
            codes::UNKNOWN_NODE,
            name,
            "node",
            text,
            known.iter().map(String::as_str),
            &otherwise,
        );
        None
    }

    /// A mapping with `type` and `config`.
    pub(super) fn node(&mut self, cursor: &Cursor, mode: Mode) -> Option<NodePlan> {
        let own = self.own_id.take();
        let kind = cursor.field("type")?;
        let connector = kind.text().filter(|text| !has_expression(text))?.to_owned();
        let handling = cursor.field("errorHandling");
        let callback = cursor.field("callback");
        let locals: &[&str] = if callback.is_some() { &["callback"] } else { &[] };
        let config = self.with_locals(locals, |lowering| lowering.config(cursor, &kind, &connector, mode));
        let callback = callback.map(|callback| self.callback(&callback, true));
        let options = self.step_options(cursor, &connector, handling.as_ref());
        let output = self.output(cursor);
        let key = cursor.field("idempotencyKey").map(|key| self.template(&key));
        let of = own.unwrap_or_else(|| connector.clone());
        let compensation = match cursor.field("compensation") {
            Some(_) if self.compensating => None,
            Some(undo) => self.compensation(&undo, &of),
            None => None,
        };
        let unknown_outcome = self.unknown_outcome(cursor, &of);
        let fallback = handling.as_ref().and_then(|handling| handling.field("fallback"));
        let fallback = fallback.map(|fallback| self.fallback(cursor, &connector, &fallback));
        let continues = handling.as_ref().and_then(|handling| handling.text_of("onError")) == Some("continue");
        Some(NodePlan {
            connector,
            config: config?,
            options,
            on_error: if continues { OnError::Continue } else { OnError::Fail },
            fallback: match fallback {
                Some(node) => Some(Arc::new(node?)),
                None => None,
            },
            compensation,
            output: output?,
            idempotency_key: match key {
                Some(key) => Some(key?),
                None => None,
            },
            callback: match callback {
                Some(callback) => Some(Arc::new(callback?)),
                None => None,
            },
            unknown_outcome: unknown_outcome?,
        })
    }

    /// The configuration: checked against the connector's own schema, and compiled.
    fn config(
        &mut self,
        cursor: &Cursor,
        kind: &Cursor,
        connector: &str,
        mode: Mode,
    ) -> Option<bowline_expression::Template> {
        let empty = || Cursor {
            node: Arc::new(Node::new(Kind::Map(Vec::new()), cursor.at())),
            path: cursor.path.key(&Arc::from("config")),
        };
        let written = cursor.field("config").unwrap_or_else(empty);
        let Some(entry) = self.registry.connector(connector) else {
            self.unknown_connector(kind, connector);
            return self.template(&written);
        };
        let schema = self.configs.connector(entry);
        let config = engine_fields_removed(&written, &schema);
        let before = self.report.heard();
        if config.is_map() {
            Checker::new(&schema, mode, &mut self.report).check(&config, &schema);
            self.check_engine_fields(&written, &schema);
            self.check_connection(&config, &schema);
        }
        let template = self.template(&config)?;
        if self.report.heard() == before && mode == Mode::Config {
            self.check_whole(&config, entry.check, &format!("`{connector}`"));
        }
        Some(template)
    }

    /// Lets the type itself look at a configuration without expressions.
    pub(super) fn check_whole(
        &mut self,
        config: &Cursor,
        check: fn(&Value) -> Result<(), serde_json::Error>,
        what: &str,
    ) {
        let value = config.node.to_value();
        if any_expression(&value) || !value.is_object() {
            return;
        }
        if let Err(error) = check(&value) {
            self.report.at(
                codes::CONFIG,
                config,
                format!("{what} cannot take this: {error}"),
                plain,
            );
        }
    }

    /// `retries` and `retryDelay` of a configuration are understood whatever the connector, and `timeout`
    /// where the connector has no field of its own for it. They are the workflow's, and so are fixed.
    fn check_engine_fields(&mut self, config: &Cursor, schema: &Value) {
        let fixed = definition("EngineFields");
        for key in ["retries", "retryDelay", "timeout"] {
            let is_own = key != "timeout" || schema.pointer("/properties/timeout").is_none();
            if let (Some(field), Some(schema)) = (config.field(key).filter(|_| is_own), fixed["properties"].get(key)) {
                Checker::new(language(), Mode::Language, &mut self.report).check(&field, schema);
            }
        }
    }

    /// `connection: name` names a connection.
    fn check_connection(&mut self, config: &Cursor, schema: &Value) {
        if schema.pointer("/properties/connection").is_none() {
            return;
        }
        let Some(cursor) = config.field("connection") else {
            return;
        };
        let Some(name) = cursor.text().filter(|name| !has_expression(name)) else {
            return;
        };
        if !self.connections.contains_key(name) {
            let known: Vec<String> = self.connections.keys().cloned().collect();
            let otherwise = format!("declare it under `connections:`:  {name}: {{ type: ... }}");
            self.unknown_name(
                codes::UNKNOWN_CONNECTION,
                &cursor,
                "connection",
                name,
                known.iter().map(String::as_str),
                &otherwise,
            );
        }
    }

    fn unknown_connector(&mut self, cursor: &Cursor, name: &str) {
        if LATER.contains(&name) {
            let message = format!("`{name}` is not in this version of bowline yet");
            self.report.at(codes::LATER, cursor, message, plain);
            return;
        }
        if self.registry.trigger(name).is_some() {
            let message = format!("`{name}` is a trigger, not a connector");
            self.report.at(codes::UNKNOWN_CONNECTOR, cursor, message, |problem| {
                problem.hint(format!("write it under `triggers:` of the workflow:  - type: {name}"))
            });
            return;
        }
        if super::steps::KEYS[2..].contains(&name) {
            let message = format!("`{name}` is a block, not a connector");
            self.report.at(codes::UNKNOWN_CONNECTOR, cursor, message, |problem| {
                problem.hint(format!("write it as a field of its own:  {name}: ..."))
            });
            return;
        }
        if name == "mock-http-service" {
            self.report.at(
                codes::UNKNOWN_CONNECTOR,
                cursor,
                "`mock-http-service` is for tests only",
                |problem| problem.hint("mock services stand in *.test.yaml"),
            );
            return;
        }
        let known: Vec<&str> = self.registry.connectors().map(|entry| entry.name).collect();
        let near = nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let expected = format!("one of: {}", known.join(", "));
        self.report.at(
            codes::UNKNOWN_CONNECTOR,
            cursor,
            format!("there is no connector called `{name}`"),
            |problem| problem.expected(expected).hint_if(near),
        );
    }

    /// What is called when all attempts have failed.
    fn fallback(&mut self, node: &Cursor, connector: &str, fallback: &Cursor) -> Option<NodePlan> {
        let mark = self.scope.mark();
        self.scope.add(&Arc::from("error"), Origin::Local);
        let found = self.fallback_inside(node, connector, fallback);
        self.scope.leave(mark);
        found
    }

    fn fallback_inside(&mut self, node: &Cursor, connector: &str, fallback: &Cursor) -> Option<NodePlan> {
        let config = fallback.field("config");
        if let Some(name) = fallback.field("node") {
            let definition = self.definition(&name)?;
            let definition = match &config {
                Some(config) => with_config(&definition, config),
                None => definition,
            };
            return self.node(&bare(&definition), Mode::Config);
        }
        let kind = fallback.field("type")?;
        let name = kind.text()?;
        if name != "alternative_service" && name != connector {
            return self
                .node(fallback, Mode::Config)
                .map(|plan| self.with_fallback_settings(plan, fallback));
        }
        // The same connector: the node's own configuration with other values in some places.
        let own = bare(node);
        let merged = match &config {
            Some(config) => with_config(&own, config),
            None => own,
        };
        self.node(&merged, Mode::PartOfConfig)
            .map(|plan| self.with_fallback_settings(plan, fallback))
    }

    fn with_fallback_settings(&mut self, mut plan: NodePlan, fallback: &Cursor) -> NodePlan {
        // What finds out about the node knows nothing of its stand-in.
        if matches!(plan.unknown_outcome, UnknownOutcome::Verify(_)) {
            plan.unknown_outcome = UnknownOutcome::Fail;
        }
        if let Some(timeout) = self.duration(fallback, "timeout") {
            plan.options.timeout = Some(timeout);
        }
        if let Some(retry) = fallback.field("retry") {
            plan.options.retry = self.retry(&retry, plan.options.retry.clone());
        }
        plan
    }
}

/// A node with `config` over its own.
fn with_config(node: &Cursor, config: &Cursor) -> Cursor {
    let merged = match node.node.get("config") {
        Some(own) => own.value.merged_with(&config.node),
        None => (*config.node).clone(),
    };
    with_field(node, "config", &config.with(merged))
}

/// A node with a field in the place of its own.
fn with_field(node: &Cursor, key: &str, value: &Cursor) -> Cursor {
    let entry = crate::tree::Entry {
        key: Arc::from(key),
        key_at: value.at(),
        value: Arc::clone(&value.node),
    };
    let mut entries = node.node.without(key).entries().to_vec();
    entries.push(entry);
    node.with(Node::new(Kind::Map(entries), node.at()))
}

/// A node without what a fallback does not have of its own.
fn bare(node: &Cursor) -> Cursor {
    let fallback_only = ["compensation", "output"]
        .iter()
        .fold((*node.node).clone(), |node, key| node.without(key));
    let Some(handling) = fallback_only
        .get("errorHandling")
        .map(|entry| entry.value.without("fallback").without("onError"))
    else {
        return node.with(fallback_only);
    };
    let mut entries = fallback_only.without("errorHandling").entries().to_vec();
    entries.push(crate::tree::Entry {
        key: Arc::from("errorHandling"),
        key_at: handling.at,
        value: Arc::new(handling),
    });
    node.with(Node::new(Kind::Map(entries), node.at()))
}

/// Without `retries` and `retryDelay`, and without `timeout` where the connector has none of its own.
fn engine_fields_removed(config: &Cursor, schema: &Value) -> Cursor {
    if !config.is_map() {
        return config.clone();
    }
    let mut node = (*config.node).clone();
    for key in ["retries", "retryDelay"] {
        if node.get(key).is_some() {
            node = node.without(key);
        }
    }
    if node.get("timeout").is_some() && schema.pointer("/properties/timeout").is_none() {
        node = node.without("timeout");
    }
    config.with(node)
}

pub(super) fn any_expression(value: &Value) -> bool {
    match value {
        Value::String(text) => has_expression(text),
        Value::Array(items) => items.iter().any(any_expression),
        Value::Object(fields) => fields.values().any(any_expression),
        _ => false,
    }
}
