//! The host: one data folder, its engine, and what is deployed in it, for all organizations.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bowline_connector::Registry;
use bowline_core::{BlobStore, TokenKey};
use bowline_engine::{Clock, Committed, Engine, Observer, Options};
use bowline_expression::Masker;
use bowline_store::{ExecutionRow, SharedStore, Store, StoreError};
use serde_json::Value;
use tokio::sync::{Mutex, watch};

use crate::HostError;
use crate::deploy::{Active, Deployments, TriggerProblems};
use crate::feed::Feed;
use crate::organizations::Organizations;

/// The name of the database in a data folder.
pub const DATABASE: &str = "bowline.db";

/// The folder of blobs in a data folder.
pub const BLOBS: &str = "blobs";

/// How long whoever asks for something waits where as many executions are in memory as may be. They can ask again; one
/// that waited for longer would hold a connection and its body all the time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// For how long a file may be away from the folder of workflows.
pub const AWAY: Duration = Duration::from_secs(5);

/// How a host is set up.
#[derive(Clone)]
pub struct HostOptions {
    /// The data folder: database and blobs. It is made where there is none.
    pub data: PathBuf,
    /// The folder of workflows, deployed for the organization `default` and watched. None: only what the API deploys.
    pub workflows: Option<PathBuf>,
    /// For how long a file may be away from that folder before its workflow is taken out of use, so that a checkout or a
    /// copy that replaces files takes nothing away. Default: [`AWAY`].
    pub away: Duration,
    /// Connectors, connection types and kinds of triggers.
    pub registry: Arc<Registry>,
    /// Knows the secrets of this process; share it with whatever writes logs.
    pub masker: Masker,
    /// What `env.NAME` reads; of other organizations than `default` only what is [given](crate::organizations) to them.
    pub env: BTreeMap<String, String>,
    /// What `credentials...` reads; an object or null. As `env`, with `organizations.<name>` for others than `default`.
    pub credentials: Value,
    /// Where callbacks arrive, such as `https://flows.example`. None: `BOWLINE_PUBLIC_URL` in `env`, else
    /// `http://127.0.0.1:8080`.
    pub public_url: Option<String>,
    /// The engine's own settings: clock, bounds, intervals. `blobs`, `observer` and `retention` are the host's to set;
    /// rules that stand here are kept beside those of the workflows.
    pub engine: Options,
    /// Who else is told of every commit, such as metrics. Must be quick.
    pub observers: Vec<Arc<dyn Observer>>,
    /// The `traceparent` of an execution whose starter belongs to no trace, if it is to begin one. None: it never does.
    pub trace: Option<Arc<dyn Fn() -> Option<String> + Send + Sync>>,
}

impl HostOptions {
    /// A host on this data folder, without a folder of workflows.
    pub fn new(data: impl Into<PathBuf>, registry: Arc<Registry>, masker: Masker) -> Self {
        Self {
            data: data.into(),
            workflows: None,
            away: AWAY,
            registry,
            masker,
            env: BTreeMap::new(),
            credentials: Value::Null,
            public_url: None,
            engine: Options {
                outside_patience: Some(PATIENCE),
                ..Options::default()
            },
            observers: Vec::new(),
            trace: None,
        }
    }
}

/// Runs executions of one data folder and answers for them. Cheap to clone.
///
/// Every operation names an organization. What belongs to another one is refused exactly as what does not exist.
#[derive(Clone)]
pub struct Host(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) store: SharedStore,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) organizations: Arc<Organizations>,
    pub(crate) clock: Clock,
    pub(crate) tokens: TokenKey,
    pub(crate) feed: Feed,
    pub(crate) trace: Option<Arc<dyn Fn() -> Option<String> + Send + Sync>>,
    pub(crate) deployments: Deployments,
    pub(crate) trigger_problems: TriggerProblems,
    /// Held while something is deployed, so that versions are numbered without gaps.
    pub(crate) deploying: Mutex<()>,
    /// Set when the host stops: what it does beside answering ends.
    pub(crate) stopped: watch::Sender<bool>,
}

/// Several observers as one.
pub(crate) struct Observers(pub(crate) Vec<Arc<dyn Observer>>);

impl Observer for Observers {
    fn committed(&self, committed: Committed<'_>) {
        for observer in &self.0 {
            observer.committed(Committed { ..committed });
        }
    }

    fn attempt(&self, id: &str, path: &str, attempt: u32) {
        for observer in &self.0 {
            observer.attempt(id, path, attempt);
        }
    }
}

impl Host {
    /// The store, for those who keep entries of their own in it.
    #[must_use]
    pub fn store(&self) -> &SharedStore {
        &self.0.store
    }

    /// The engine, for those who record entries of their own with it.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// Where content goes that is too large for a journal or an entry.
    #[must_use]
    pub fn blobs(&self) -> &Arc<dyn BlobStore> {
        &self.0.blobs
    }

    /// Where content goes that an organization's workflows are to read: what is put here they can open, and what others
    /// put they cannot.
    #[must_use]
    pub fn blobs_of(&self, organization: &str) -> Arc<dyn BlobStore> {
        self.0.organizations.blobs(organization)
    }

    /// Connectors, connection types and kinds of triggers.
    #[must_use]
    pub fn registry(&self) -> &Arc<Registry> {
        &self.0.registry
    }

    /// Knows the secrets of this organization, and of no other: what it masks tells nobody anything about theirs.
    #[must_use]
    pub fn masker(&self, organization: &str) -> Masker {
        self.0.organizations.of(organization).masker
    }

    /// Tells readers of news.
    #[must_use]
    pub fn feed(&self) -> &Feed {
        &self.0.feed
    }

    /// What triggers and webhooks run on: the current version of every workflow of one organization, or of all. Changes
    /// when something is deployed. Read it with `borrow`, and wait with `changed`.
    #[must_use]
    pub fn active(&self, organization: Option<&str>) -> watch::Receiver<Arc<Vec<Active>>> {
        self.0.deployments.active(organization)
    }

    /// Changes whenever a deployment, or the problems of one, does: what [`Host::workflows`] says may be different.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.deployments.changes()
    }

    /// Reads from the store on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, HostError> {
        let store = Arc::clone(&self.0.store);
        let done = tokio::task::spawn_blocking(move || read(store.as_ref())).await;
        Ok(done.map_err(|error| HostError::task(&error))??)
    }

    /// The row of an execution, if it is of this organization.
    pub(crate) async fn row(&self, organization: &str, id: &str) -> Result<ExecutionRow, HostError> {
        let wanted = id.to_owned();
        let row = self.read(move |store| store.execution(&wanted)).await?;
        row.filter(|row| *row.organization == *organization)
            .ok_or_else(|| HostError::no_execution(id))
    }
}
