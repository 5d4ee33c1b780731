//! Steps that run as the engine would run them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bowline_connector::{Connections, Declared, Pools, Registry, StepContext, StepError};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder, a registry with the mail family, and one connection, `it`.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) registry: Arc<Registry>,
    pub(crate) ctx: StepContext,
}

impl World {
    /// A world whose connection is of type `kind` with this configuration.
    pub(crate) fn new(kind: &str, connection: Value) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let mut registry = Registry::default();
        bowline_connector_mail::register(&mut registry);
        let registry = Arc::new(registry);
        let declared = Declared {
            kind: kind.into(),
            config: connection,
        };
        let connections = Connections::new(
            BTreeMap::from([("it".into(), declared)]),
            Pools::new(Arc::clone(&registry)),
        );
        let base_dir = Arc::new(folder.path().to_path_buf());
        let ctx = StepContext {
            connections,
            base_dir,
            ..StepContext::for_tests()
        };
        Self { folder, registry, ctx }
    }

    /// Runs a step of type `step`; its connection is `it`.
    pub(crate) async fn run(&self, step: &str, mut config: Value) -> Result<Value, StepError> {
        config["connection"] = json!("it");
        self.registry
            .connector(step)
            .expect("registered")
            .run(self.ctx.clone(), config)
            .await
    }
}

/// Sends a small message with `config` over its fields.
pub(crate) async fn email(world: &World, config: Value) -> Result<Value, StepError> {
    let mut message =
        json!({ "from": "Shop <shop@example.com>", "to": "ann@example.com", "subject": "Hello", "text": "Hello." });
    for (name, value) in config.as_object().expect("an object") {
        message[name] = value.clone();
    }
    world.run("email-send", message).await
}

/// The same for one that must fail.
pub(crate) async fn email_error(world: &World, config: Value) -> StepError {
    email(world, config.clone()).await.expect_err(&config.to_string())
}
