//! A server with workflows of a test's own, and everything that it logs.

use std::collections::BTreeMap;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, LazyLock, Mutex};

use bowline_connector::Registry;
use bowline_expression::Masker;
use bowline_host::{Deploy, ExecutionSummary, HostOptions, Search};
use bowline_server::Config;
use hmac::{Hmac, Mac};
use reqwest::RequestBuilder;
use serde_json::Value;
use sha2::Sha256;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::Served;
pub(crate) use crate::support::{Answer, LONG};

/// Everything that this process logs, at the finest level.
static LOGS: LazyLock<Logs> = LazyLock::new(|| {
    let logs = Logs::default();
    let writer = logs.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    logs
});

#[derive(Clone, Default)]
struct Logs(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// All that was logged so far.
pub(crate) fn logged() -> String {
    String::from_utf8_lossy(&LOGS.0.lock().unwrap()).into_owned()
}

/// A server for workflows of a test's own.
pub(crate) struct World {
    served: Served,
    folder: Arc<TempDir>,
    env: BTreeMap<String, String>,
}

impl Deref for World {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.served
    }
}

impl World {
    /// A server for these workflows, by name, with these variables.
    pub(crate) async fn new(workflows: &[(&str, &str)], env: &[(&str, &str)]) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path().join("workflows")).unwrap();
        for (name, text) in workflows {
            let path = folder.path().join("workflows").join(format!("{name}.yaml"));
            std::fs::write(path, text.trim_start()).unwrap();
        }
        let env = env
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Self::open(folder, env, |_, _| {}).await
    }

    /// A server without workflows, set up in its own way.
    pub(crate) async fn set_up(change: impl FnOnce(&mut Config, &mut HostOptions)) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.path().join("workflows")).unwrap();
        Self::open(folder, BTreeMap::new(), change).await
    }

    async fn open(
        folder: Arc<TempDir>,
        env: BTreeMap<String, String>,
        change: impl FnOnce(&mut Config, &mut HostOptions),
    ) -> Self {
        LazyLock::force(&LOGS);
        let mut registry = Registry::default();
        bowline_webhooks::register(&mut registry);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut options = HostOptions::new(folder.path().join("data"), Arc::new(registry), Masker::default());
        options.workflows = Some(folder.path().join("workflows"));
        options.env = env.clone();
        options.public_url = Some(format!("http://{}", listener.local_addr().unwrap()));
        let mut config = Config::default();
        change(&mut config, &mut options);
        let served = Served::on(listener, config, options).await;
        Self { served, folder, env }
    }

    /// Puts a file into the folder of workflows.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join("workflows").join(format!("{name}.yaml"));
        std::fs::write(path, text.trim_start()).unwrap();
    }

    /// Takes a file out of the folder of workflows.
    pub(crate) fn remove(&self, name: &str) {
        let path = self.folder.path().join("workflows").join(format!("{name}.yaml"));
        std::fs::remove_file(path).unwrap();
    }

    /// The same data folder under another server, perhaps with another variable; an empty one is not there at all.
    pub(crate) async fn restart(mut self, change: &[(&str, &str)]) -> Self {
        self.served.end().await;
        let mut env = self.env.clone();
        for (name, value) in change {
            env.insert((*name).to_owned(), (*value).to_owned());
        }
        env.retain(|_, value| !value.is_empty());
        let folder = Arc::clone(&self.folder);
        drop(self);
        Self::open(folder, env, |_, _| {}).await
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    /// A request with the default signature under a secret.
    pub(crate) fn signed(&self, path: &str, secret: &str, body: &str) -> RequestBuilder {
        self.post(path)
            .header("Content-Type", "application/json")
            .header("X-Webhook-Signature", hmac(secret, body.as_bytes()))
            .body(body.to_owned())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(format!("{}{path}", self.url))).await
    }

    /// Deploys a workflow for an organization.
    pub(crate) async fn deploy(&self, organization: &str, name: &str, text: &str) {
        let files = vec![(format!("{name}.yaml"), text.trim_start().to_owned())];
        let deploy = Deploy {
            files,
            ..Deploy::default()
        };
        self.host.deploy(organization, deploy).await.unwrap();
    }

    /// All executions of an organization, newest first.
    pub(crate) async fn executions(&self, organization: &str) -> Vec<ExecutionSummary> {
        let search = Search {
            limit: 500,
            ..Search::default()
        };
        self.host.search(organization, &search).await.unwrap().items
    }

    /// The output of an execution, when it has ended.
    pub(crate) async fn output(&self, organization: &str, id: &str) -> Value {
        let ended = self.host.wait(organization, id, LONG).await.unwrap();
        let ended = ended.unwrap_or_else(|| panic!("{id} has not ended"));
        ended.output.unwrap_or_else(|| panic!("{id} failed: {:?}", ended.error))
    }
}

/// HMAC-SHA-256 in hexadecimal digits.
pub(crate) fn hmac(secret: &str, text: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text);
    mac.finalize()
        .into_bytes()
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Seconds since 1970, with an offset.
pub(crate) fn now(offset: i64) -> i64 {
    jiff::Timestamp::now().as_second() + offset
}

impl Answer {
    pub(crate) fn execution(&self) -> &str {
        self.body["execution"]
            .as_str()
            .unwrap_or_else(|| panic!("{}", self.text))
    }
}
