//! How a host begins and ends.

use std::sync::Arc;
use std::time::Duration;

use bowline_blobs::Blobs;
use bowline_core::{BlobStore, TokenKey};
use bowline_engine::{Engine, EngineError, Programs, RecoveryReport};
use bowline_flow::Settings;
use bowline_store::{DEFAULT_ORGANIZATION, Store};
use bowline_store_sqlite::SqliteStore;
use tokio::sync::{Mutex, watch};

use crate::deploy::{self, Deployments, TriggerProblems};
use crate::feed::Feed;
use crate::host::{Inner, Observers};
use crate::organizations::Organizations;
use crate::programs::{FlowPrograms, IN_RUST};
use crate::{BLOBS, DATABASE, Host, HostError, HostOptions, retention};

/// So long an opening waits for what was unfinished to be taken up.
const MOMENT: Duration = Duration::from_millis(500);
const NOT_ALL: &str = "not all unfinished executions could be taken up; those that are missing go on at the next start";

impl Host {
    /// Opens the data folder, begins to take up what is unfinished in it (what there are no places for in memory goes on later,
    /// and nobody waits for it), deploys the folder of workflows and watches it. Must be
    /// called on the runtime on which everything is to run.
    ///
    /// # Errors
    /// Where the data folder cannot be used or another process has it. A workflow with problems is no error: the
    /// list of workflows tells them.
    pub async fn open(options: HostOptions) -> Result<Self, HostError> {
        let data = options.data.clone();
        let (store, blobs, table) = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&data).map_err(|error| {
                HostError::internal(
                    "data.unusable",
                    &format!("the data folder {} cannot be made: {error}", data.display()),
                )
            })?;
            let store = SqliteStore::open(data.join(DATABASE), bowline_store_sqlite::Options::default())?;
            let blobs = Blobs::local(data.join(BLOBS)).map_err(|error| HostError::internal("blob.failed", &error))?;
            let table = deploy::load(&store)?;
            Ok::<_, HostError>((store, blobs, table))
        })
        .await
        .map_err(|error| HostError::task(&error))??;
        let blobs: Arc<dyn BlobStore> = Arc::new(blobs);
        let settings = Settings {
            env: options.env,
            credentials: options.credentials,
            public_url: options.public_url,
            ..Settings::default()
        };
        let tokens = TokenKey::new(store.token_key()?);
        let organizations = Arc::new(Organizations::new(
            Arc::clone(&options.registry),
            options.masker.clone(),
            settings,
            (Arc::clone(&blobs), tokens.clone()),
            &options.data,
        ));
        let programs = Arc::new(FlowPrograms::new(Arc::clone(&organizations)));
        let feed = Feed::default();
        let mut engine = options.engine;
        let mut observers = options.observers;
        observers.push(Arc::new(feed.clone()));
        engine.observer = Some(Arc::new(Observers(observers)));
        engine.blobs = Some(Arc::clone(&blobs));
        // Those of deployed workflows change with their versions, and are applied here.
        let mut rules = retention::rules(&store, None, &options.registry)?;
        rules.retain(|rule| {
            let is_deployed = |known: &(Arc<str>, Arc<str>)| {
                rule.organization.as_deref() == Some(&*known.0) && rule.workflow.as_deref() == Some(&*known.1)
            };
            !table.keys().any(is_deployed)
        });
        engine.retention.extend(rules);
        let retention_interval = engine.retention_interval;
        let clock = engine.clock.clone();
        let engine = Engine::open(
            Arc::new(store.clone()),
            programs as Arc<dyn Programs>,
            tokio::runtime::Handle::current(),
            engine,
        )?;
        let host = Self(Arc::new(Inner {
            engine,
            store: Arc::new(store),
            blobs,
            registry: options.registry,
            organizations,
            clock,
            tokens,
            feed,
            trace: options.trace,
            deployments: Deployments::default(),
            trigger_problems: TriggerProblems::default(),
            deploying: Mutex::default(),
            stopped: watch::Sender::default(),
        }));
        // Whoever has deployed may start something at any time.
        if table
            .keys()
            .any(|(organization, _)| **organization != *DEFAULT_ORGANIZATION)
        {
            host.0.engine.share_out();
        }
        host.0.adopt(table)?;
        host.take_up().await?;
        deploy::retain(&host.0, retention_interval);
        if let Some(folder) = options.workflows {
            deploy::watch(&host, folder, options.away).await?;
        }
        Ok(host)
    }

    /// Takes up what earlier processes left unfinished. What takes longer than a moment goes on beside everything else: a server
    /// must answer also where there is much to read.
    async fn take_up(&self) -> Result<(), HostError> {
        let host = self.clone();
        let mut taking_up = tokio::spawn(async move {
            let report = host.0.engine.recover().await;
            if let Ok(report) = &report {
                tell(report);
            }
            report.map(drop)
        });
        if let Ok(ended) = tokio::time::timeout(MOMENT, &mut taking_up).await {
            return Ok(ended.map_err(|error| HostError::task(&error))??);
        }
        tracing::info!("unfinished executions are being taken up, while new ones may begin");
        tokio::spawn(async move {
            match taking_up.await {
                // What is left is found at the next start.
                Ok(Ok(()) | Err(EngineError::Stopped(_))) => {}
                Ok(Err(error)) => tracing::error!(%error, "{NOT_ALL}"),
                Err(error) => tracing::error!(%error, "{NOT_ALL}"),
            }
        });
        Ok(())
    }

    /// Stops gently: no new attempts begin, calls under way get `grace` to end and be recorded. What is unfinished goes
    /// on at the next start. Readers of the feed are told that nothing more comes.
    pub async fn stop(&self, grace: Duration) {
        // Nobody may be listening.
        let _ = self.0.stopped.send_replace(true);
        self.0.deployments.close();
        self.0.engine.stop(grace).await;
        self.0.feed.close();
    }
}

/// Says what was found unfinished.
fn tell(report: &RecoveryReport) {
    if report.resumed > 0 {
        tracing::info!(count = report.resumed, "unfinished executions go on");
    }
    if report.waiting > 0 {
        tracing::info!(
            count = report.waiting,
            "unfinished executions go on as places in memory come free"
        );
    }
    for stuck in &report.stuck {
        if stuck.error.contains(IN_RUST) {
            tracing::info!(id = stuck.id, workflow = stuck.workflow, "left to its Rust program");
        } else {
            tracing::warn!(id = stuck.id, workflow = stuck.workflow, error = %stuck.error, "an execution cannot go on");
        }
    }
}
