//! A folder with a database file, and steps that run against it as the engine would run them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline_connector::{Connections, Declared, Pools, Registry, StepContext, StepError};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A temporary folder, a registry with the SQL family, and one connection `db`.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) registry: Arc<Registry>,
    pub(crate) ctx: StepContext,
}

impl World {
    /// A world whose connection is the file `test.db` with the default settings.
    pub(crate) fn new() -> Self {
        Self::with(json!({ "database": "test.db" }))
    }

    /// A world whose connection has this configuration.
    pub(crate) fn with(connection: Value) -> Self {
        Self::within(TempDir::new().expect("a temporary folder"), connection)
    }

    /// The same within a folder that is there already.
    pub(crate) fn within(folder: TempDir, connection: Value) -> Self {
        let mut registry = Registry::default();
        bowline_connector_sql::register(&mut registry);
        let registry = Arc::new(registry);
        let declared = Declared {
            kind: "sqlite".into(),
            config: connection,
        };
        let connections = Connections::new(
            BTreeMap::from([("db".into(), declared)]),
            Pools::new(Arc::clone(&registry)),
        );
        let ctx = StepContext {
            connections,
            base_dir: Arc::new(folder.path().to_path_buf()),
            ..StepContext::for_tests()
        };
        Self { folder, registry, ctx }
    }

    /// The path of the database file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("test.db")
    }

    /// A connection of the test's own, which waits for nothing.
    pub(crate) fn other_process(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(self.file()).expect("open");
        connection.busy_timeout(Duration::ZERO).expect("set");
        connection
    }

    /// Runs a step with this configuration; the connection is `db` unless it says otherwise.
    pub(crate) async fn run(&self, config: Value) -> Result<Value, StepError> {
        self.run_in(self.ctx.clone(), config).await
    }

    /// Runs a step in another context.
    pub(crate) async fn run_in(&self, ctx: StepContext, mut config: Value) -> Result<Value, StepError> {
        let fields = config.as_object_mut().expect("an object");
        fields.entry("connection").or_insert_with(|| json!("db"));
        self.registry
            .connector("sql-query")
            .expect("registered")
            .run(ctx, config)
            .await
    }

    /// Runs one statement that must succeed.
    pub(crate) async fn query(&self, query: &str, parameters: Value) -> Value {
        self.run(json!({ "query": query, "parameters": parameters }))
            .await
            .expect(query)
    }

    /// Runs one statement that must fail.
    pub(crate) async fn error(&self, config: Value) -> StepError {
        self.run(config.clone()).await.expect_err(&config.to_string())
    }
}

/// Asks until `condition` holds; fails the test after ten seconds.
pub(crate) async fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
