//! A server for a test.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bowline_connector::Registry;
use bowline_host::{Host, HostOptions};
use bowline_server::{App, Config, Server, Stop};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

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

/// A server that runs until it is dropped or stopped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) url: String,
    pub(crate) client: reqwest::Client,
    pub(crate) app: App,
    pub(crate) stop: Stop,
    pub(crate) host: Host,
    serves: JoinHandle<()>,
    pub(crate) folder: Arc<TempDir>,
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
    let mut options = HostOptions::new(
        folder.join("data"),
        Arc::new(Registry::default()),
        bowline_expression::Masker::default(),
    );
    options.workflows = Some(folder.join("workflows"));
    Host::open(options).await.unwrap()
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
        let host = host(folder.path()).await;
        let stop = Stop::new();
        let server = Server::new(config, host.clone(), listener, stop.clone()).unwrap();
        let address = server.address();
        let app = server.app().clone();
        Self {
            address,
            url: format!("http://{address}"),
            client: reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap(),
            app,
            stop,
            host,
            serves: tokio::spawn(server.run()),
            folder,
        }
    }

    /// Stops it, and returns when it has.
    pub(crate) async fn stop(mut self) -> Arc<TempDir> {
        self.stop.stop();
        tokio::time::timeout(LONG, &mut self.serves).await.unwrap().unwrap();
        self.host.stop(Duration::from_secs(5)).await;
        Arc::clone(&self.folder)
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

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        Self::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        Self {
            status,
            headers,
            text,
            body,
        }
    }

    /// It has this status.
    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// It is a problem of this status and code, and says something about it.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, code: &str) -> &Self {
        self.is(status);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["code"], code, "{}", self.text);
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["type"], format!("/docs#{code}"));
        assert!(!self.body["detail"].as_str().unwrap().is_empty());
        self
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}
