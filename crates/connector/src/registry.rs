//! Every connector and connection type that this program knows, by name.
//!
//! One entry per connector: its name, the schema of its configuration (from the type, doc comments
//! included) and the function that runs it. The language's checker, the editor schema, the reference
//! pages and the engine all read from here.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bowline_core::StepError;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::watch::Watching;
use crate::{AnyConnection, StepContext, TriggerType, Watch};

/// The future of one attempt.
pub type StepFuture = Pin<Box<dyn Future<Output = Result<Value, StepError>> + Send>>;

/// The future of a test of a connection.
pub type TestFuture = Pin<Box<dyn Future<Output = Result<Tested, StepError>> + Send>>;

type RunFn = Arc<dyn Fn(StepContext, Value) -> StepFuture + Send + Sync>;
type TestFn = Arc<dyn Fn(StepContext, String) -> TestFuture + Send + Sync>;
type BuildFn = Arc<dyn Fn(&StepContext, Value) -> Result<AnyConnection, StepError> + Send + Sync>;
type SchemaFn = fn(&mut SchemaGenerator) -> Schema;
type CheckFn = fn(&Value) -> Result<(), serde_json::Error>;

/// A registered connector.
#[derive(Clone)]
pub struct ConnectorEntry {
    /// The `type:` that users write, such as `http-request`.
    pub name: &'static str,
    /// JSON Schema of `config:`, generated into the given generator.
    pub config_schema: SchemaFn,
    /// JSON Schema of the step's result.
    pub output_schema: SchemaFn,
    /// Whether a whole configuration deserializes; used when it holds no templates.
    pub check: CheckFn,
    run: RunFn,
    pub(crate) watch: Option<Arc<dyn Watch>>,
}

impl ConnectorEntry {
    /// Runs one attempt with a rendered configuration.
    #[must_use]
    pub fn run(&self, ctx: StepContext, config: Value) -> StepFuture {
        match &self.watch {
            Some(watch) => {
                let watching = Watching::new(watch, self.name, &ctx);
                watching.over((self.run)(ctx, config))
            }
            None => (self.run)(ctx, config),
        }
    }
}

/// A registered connection type.
#[derive(Clone)]
pub struct ConnectionEntry {
    /// The `type:` that users write, such as `http`.
    pub name: &'static str,
    /// JSON Schema of the connection's configuration, without `type`.
    pub config_schema: SchemaFn,
    /// Whether a whole configuration deserializes; used when it holds no templates.
    pub check: CheckFn,
    build: BuildFn,
    test: Option<TestFn>,
}

impl ConnectionEntry {
    /// Whether connections of this type can be tested.
    #[must_use]
    pub fn is_testable(&self) -> bool {
        self.test.is_some()
    }

    /// Tests the connection called `name` of the context: whether the other side answers, and takes the credentials.
    /// None where this type has no test.
    #[must_use]
    pub fn test(&self, ctx: StepContext, name: &str) -> Option<TestFuture> {
        self.test.as_ref().map(|test| test(ctx, name.to_owned()))
    }
}

/// What a test of a connection found.
#[derive(Clone, Debug, PartialEq)]
pub struct Tested {
    /// Whether the other side answered at all.
    pub reachable: bool,
    /// Whether it took the credentials; none where there are none, or that cannot be told.
    pub authenticated: Option<bool>,
    /// Why it cannot be used; none where it can.
    pub error: Option<StepError>,
    /// What was done and found, as one sentence.
    pub message: String,
}

/// All connectors, connection types and kinds of triggers, by name.
#[derive(Clone, Default)]
pub struct Registry {
    pub(crate) connectors: BTreeMap<&'static str, ConnectorEntry>,
    connections: BTreeMap<&'static str, ConnectionEntry>,
    pub(crate) triggers: BTreeMap<&'static str, TriggerType>,
    pub(crate) callback_endpoint: Option<TriggerType>,
    pub(crate) watch: Option<Arc<dyn Watch>>,
}

impl Registry {
    /// Adds the connector `name`. A later one of the same name replaces it, so tests can put in their own.
    pub fn add<C, O, Fut>(&mut self, name: &'static str, run: fn(StepContext, C) -> Fut)
    where
        C: DeserializeOwned + JsonSchema + Send + 'static,
        O: Serialize + JsonSchema + 'static,
        Fut: Future<Output = Result<O, StepError>> + Send + 'static,
    {
        let run: RunFn = Arc::new(move |ctx, config| match parse::<C>(name, config) {
            Ok(config) => {
                let attempt = run(ctx, config);
                Box::pin(async move {
                    serde_json::to_value(attempt.await?).map_err(|error| {
                        StepError::permanent("output.invalid", format!("the result of {name} is not JSON"))
                            .caused_by(&error)
                    })
                })
            }
            Err(error) => Box::pin(std::future::ready(Err(error))),
        });
        let entry = ConnectorEntry {
            name,
            config_schema: |generator| C::json_schema(generator),
            output_schema: |generator| O::json_schema(generator),
            check: |value| C::deserialize(value).map(drop),
            run,
            watch: self.watch.clone(),
        };
        self.connectors.insert(name, entry);
    }

    /// Adds the connection type `name`, built from its configuration on first use.
    pub fn add_connection<C, T>(&mut self, name: &'static str, build: fn(&StepContext, C) -> Result<T, StepError>)
    where
        C: DeserializeOwned + JsonSchema + 'static,
        T: Send + Sync + 'static,
    {
        let entry = ConnectionEntry {
            name,
            config_schema: |generator| C::json_schema(generator),
            check: |value| C::deserialize(value).map(drop),
            build: Arc::new(move |ctx, config| {
                let made = build(ctx, parse::<C>(name, config)?)?;
                Ok(Arc::new(made) as AnyConnection)
            }),
            test: None,
        };
        self.connections.insert(name, entry);
    }

    /// Says how connections of the type `kind` are tested: `test` is given a context and the connection's name in it. It
    /// must change nothing on the other side. An error means that it could not be reached.
    pub fn add_connection_test<Fut>(&mut self, kind: &str, test: fn(StepContext, String) -> Fut)
    where
        Fut: Future<Output = Result<Tested, StepError>> + Send + 'static,
    {
        if let Some(entry) = self.connections.get_mut(kind) {
            entry.test = Some(Arc::new(move |ctx, name| Box::pin(test(ctx, name))));
        }
    }

    /// The connector called `name`.
    pub fn connector(&self, name: &str) -> Option<&ConnectorEntry> {
        self.connectors.get(name)
    }

    /// All connectors, by name.
    pub fn connectors(&self) -> impl Iterator<Item = &ConnectorEntry> {
        self.connectors.values()
    }

    /// The connection type called `name`.
    pub fn connection(&self, name: &str) -> Option<&ConnectionEntry> {
        self.connections.get(name)
    }

    /// All connection types, by name.
    pub fn connections(&self) -> impl Iterator<Item = &ConnectionEntry> {
        self.connections.values()
    }

    pub(crate) fn build_connection(
        &self,
        kind: &str,
        config: Value,
        ctx: &StepContext,
    ) -> Result<AnyConnection, StepError> {
        let entry = self
            .connections
            .get(kind)
            .ok_or_else(|| StepError::permanent("connection.type", format!("no connection type `{kind}`")))?;
        (entry.build)(ctx, config)
    }
}

/// A rendered configuration that does not fit its type is a permanent error of the step. Serde's message
/// may quote a value, so it is told as the path's type only where the value could be a secret: the flow
/// scrubs the message before it is recorded.
fn parse<C: DeserializeOwned>(name: &str, config: Value) -> Result<C, StepError> {
    serde_json::from_value(config).map_err(|error| {
        StepError::permanent("config.invalid", format!("the config of {name} is wrong")).caused_by(&error)
    })
}
