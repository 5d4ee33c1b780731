//! A server for a test.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use bowline_connector::Registry;
use bowline_host::{Host, HostOptions};
use bowline_server::Config;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::support::Served;
pub(crate) use crate::support::{Answer, LONG};

/// Says hello; takes a name.
const HELLO: &str = "
name: hello
input: { type: object, required: [name], properties: { name: { type: string } } }
steps:
  - set: { text: \"hello ${input.name}\" }
output: { text: \"${text}\" }
";

/// Waits for a signal; its result is what that carries.
const SIGNAL: &str = "
name: patient
steps:
  - id: word
    waitFor: { signal: word }
output: \"${word.data}\"
";

/// Asks a person.
const APPROVAL: &str = "
name: asks
steps:
  - id: boss
    approve: { who: [boss@example.com], what: \"May ${input.name}?\" }
output: \"${boss}\"
";

/// Waits for the other side.
const CALLBACK: &str = "
name: calls
steps:
  - id: answer
    callback: { name: answers, correlate: \"${input.reference}\" }
output: \"${answer}\"
";

/// Fails.
const FAILING: &str = "
name: fails
steps:
  - fail: { error: \"${input.code}\", message: as it was told }
";

/// Gives way to `respond`.
const RESPONDING: &str = "
name: responds
steps:
  - respond: { status: 201, headers: { X-Order: \"7\" }, body: { ok: true } }
  - id: word
    waitFor: { signal: word }
";

/// A server with these workflows, until it is dropped or stopped.
pub(crate) struct Running {
    served: Served,
    pub(crate) folder: Arc<TempDir>,
}

impl Deref for Running {
    type Target = Served;

    fn deref(&self) -> &Served {
        &self.served
    }
}

/// A folder with workflows and room for data.
pub(crate) fn folder() -> Arc<TempDir> {
    let folder = tempfile::tempdir().unwrap();
    let workflows = folder.path().join("workflows");
    std::fs::create_dir(&workflows).unwrap();
    for (name, text) in [
        ("hello", HELLO),
        ("patient", SIGNAL),
        ("asks", APPROVAL),
        ("calls", CALLBACK),
        ("fails", FAILING),
        ("responds", RESPONDING),
    ] {
        std::fs::write(workflows.join(format!("{name}.yaml")), text.trim_start()).unwrap();
    }
    Arc::new(folder)
}

/// The host on such a folder.
pub(crate) async fn host(folder: &Path) -> Host {
    Host::open(options(folder)).await.unwrap()
}

fn options(folder: &Path) -> HostOptions {
    let mut options = HostOptions::new(
        folder.join("data"),
        Arc::new(Registry::default()),
        bowline_expression::Masker::default(),
    );
    options.workflows = Some(folder.join("workflows"));
    options
}

impl Running {
    /// A server with the defaults.
    pub(crate) async fn new() -> Self {
        Self::with(Config::default()).await
    }

    /// A server with this configuration.
    pub(crate) async fn with(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(folder(), listener, config).await
    }

    /// A server on this folder and socket.
    pub(crate) async fn on(folder: Arc<TempDir>, listener: TcpListener, config: Config) -> Self {
        let served = Served::on(listener, config, options(folder.path())).await;
        Self { served, folder }
    }

    /// Stops it, and returns when it has.
    pub(crate) async fn stop(mut self) -> Arc<TempDir> {
        self.served.end().await;
        self.folder
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request(Method::POST, path).json(body)).await
    }

    /// Starts an execution and gives its id.
    pub(crate) async fn start(&self, workflow: &str, input: Value) -> String {
        let started = self
            .post("/api/v1/executions", &json!({ "workflow": workflow, "input": input }))
            .await;
        started.is(201);
        started.body["id"].as_str().unwrap().to_owned()
    }

    /// Starts an execution and gives its id when it has ended.
    pub(crate) async fn run(&self, workflow: &str, input: Value) -> String {
        let body = json!({ "workflow": workflow, "input": input });
        let ended = self.post("/api/v1/executions?wait=30s", &body).await;
        ended.is(200);
        ended.body["id"].as_str().unwrap().to_owned()
    }

    /// Asks until the answer is as it should be.
    pub(crate) async fn until(&self, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let mut list = self.host.feed().list("default");
        let ask = async {
            loop {
                let answer = self.get(path).await;
                if fits(&answer.body) {
                    return answer.body;
                }
                list.changed().await;
            }
        };
        tokio::time::timeout(LONG, ask).await.unwrap()
    }
}
