//! A host in a temporary folder, with connectors that do as they are told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bowline_connector::{Registry, StepContext, StepError, Tested, TriggerType};
use bowline_expression::Masker;
use bowline_host::{Deploy, Ended, Host, HostOptions, Start};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use tempfile::TempDir;

/// The organization of most tests, and one that must never see anything of it.
pub(crate) const US: &str = "acme";
pub(crate) const THEM: &str = "rival";

/// A secret of the environment.
pub(crate) const SECRET: &str = "hunter2-hunter2";

/// How long anything may take before a test says that it does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a `do` step is told.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Do {
    /// The result.
    #[serde(default)]
    answer: Value,
    /// The code of the error to fail with.
    #[serde(default)]
    fail: Option<String>,
    /// Only while the file is not there.
    #[serde(default)]
    unless: Option<String>,
    /// Tells whether a file is within its reach.
    #[serde(default)]
    file: Option<String>,
    /// Tells its idempotency key.
    #[serde(default)]
    key: bool,
}

async fn run(ctx: StepContext, config: Do) -> Result<Value, StepError> {
    if config.key {
        return Ok(ctx.idempotency_key.to_string().into());
    }
    if let Some(file) = config.file {
        return ctx.file("file", file).map(|file| file.to_string_lossy().into());
    }
    let is_mended = config.unless.is_some_and(|file| Path::new(&file).exists());
    match config.fail.filter(|_| !is_mended) {
        // Services echo what they are sent.
        Some(code) => Err(StepError::permanent(code, format!("refused: {}", config.answer))),
        None => Ok(config.answer),
    }
}

/// A connection that can be tested.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Place {
    /// Where it is.
    base_url: String,
    /// What it wants.
    #[serde(default)]
    password: Option<String>,
}

async fn test(ctx: StepContext, name: String) -> Result<Tested, StepError> {
    let place = ctx.connection::<Place>(&name)?;
    if place.base_url.contains("nowhere") {
        return Err(StepError::transient("place.connect", "nobody is there"));
    }
    let password = place.password.clone().unwrap_or_default();
    let error = (password != SECRET).then(|| StepError::permanent("place.refused", "wrong password"));
    Ok(Tested {
        reachable: true,
        authenticated: Some(error.is_none()),
        error,
        message: format!("it was told {password}"),
    })
}

pub(crate) fn registry() -> Arc<Registry> {
    let mut registry = Registry::default();
    registry.add("do", run);
    registry.add_connection("place", |_, config: Place| Ok(config));
    registry.add_connection_test("place", test);
    registry.add_connection("mute", |_, config: Place| Ok(config));
    let came = &[("body", "What was sent.")];
    registry.set_callback_endpoint(TriggerType::of::<Map<String, Value>>("callback").fields(came));
    Arc::new(registry)
}

/// A host, and where it lives.
pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) home: TempDir,
}

pub(crate) fn options(home: &Path) -> HostOptions {
    HostOptions {
        env: BTreeMap::from([
            ("TOKEN".to_owned(), SECRET.to_owned()),
            ("BOWLINE_ORG_ACME__TOKEN".to_owned(), SECRET.to_owned()),
        ]),
        away: Duration::from_millis(100),
        ..HostOptions::new(home.join("data"), registry(), Masker::default())
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let host = Host::open(options(home.path())).await.unwrap();
        Self { host, home }
    }

    /// With a folder of workflows of these files.
    pub(crate) async fn with_folder(files: &[(&str, &str)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("flows")).unwrap();
        for (name, text) in files {
            std::fs::write(home.path().join("flows").join(name), text).unwrap();
        }
        let host = Self::open_folder(home.path()).await;
        Self { host, home }
    }

    async fn open_folder(home: &Path) -> Host {
        let mut options = options(home);
        options.workflows = Some(home.join("flows"));
        Host::open(options).await.unwrap()
    }

    pub(crate) async fn restart_with_folder(self) -> Self {
        self.host.stop(PATIENCE).await;
        drop(self.host);
        let host = Self::open_folder(self.home.path()).await;
        Self { host, ..self }
    }

    pub(crate) async fn restart(self) -> Self {
        self.host.stop(PATIENCE).await;
        drop(self.host);
        let host = Host::open(options(self.home.path())).await.unwrap();
        Self { host, ..self }
    }

    /// Deploys one workflow for [`US`]; its version.
    pub(crate) async fn deploy(&self, name: &str, text: &str) -> u32 {
        let deployed = self.host.deploy(US, files(&[(&format!("{name}.yaml"), text)])).await;
        let deployed = deployed.unwrap_or_else(|error| panic!("{error}"));
        deployed
            .deployments
            .iter()
            .find(|one| one.workflow == name)
            .unwrap()
            .version
    }

    pub(crate) async fn start(&self, workflow: &str, input: Value) -> String {
        let started = self.host.start(US, Start::new(workflow, input)).await;
        started.unwrap_or_else(|error| panic!("{error}")).id
    }

    pub(crate) async fn end(&self, id: &str) -> Ended {
        let ended = self.host.wait(US, id, PATIENCE).await.unwrap();
        ended.unwrap_or_else(|| panic!("{id} does not end"))
    }

    pub(crate) async fn run(&self, workflow: &str, input: Value) -> (String, Ended) {
        let id = self.start(workflow, input).await;
        let ended = self.end(&id).await;
        (id, ended)
    }

    /// Waits until an execution waits for something.
    pub(crate) async fn waits(&self, id: &str) {
        let mut following = self.host.feed().execution(id);
        let waits = async {
            loop {
                let why = self.host.why(US, id).await.unwrap();
                if why.waits_for.iter().any(|blocker| blocker.kind != "step") {
                    return;
                }
                assert!(following.changed().await);
            }
        };
        tokio::time::timeout(PATIENCE, waits).await.unwrap();
    }
}

pub(crate) fn files(files: &[(&str, &str)]) -> Deploy {
    Deploy {
        files: files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect(),
        ..Deploy::default()
    }
}

/// Waits until `is_so`, looking again whenever the receiver changes.
pub(crate) async fn until(mut changes: tokio::sync::watch::Receiver<u64>, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = async {
        while !is_so().await {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, waited)
        .await
        .expect("it does not come about");
}
