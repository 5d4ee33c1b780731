//! A host with triggers for a test.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline_connector::Registry;
use bowline_engine::Clock;
use bowline_expression::Masker;
use bowline_host::{Deploy, ExecutionSummary, Host, HostOptions, Search, Signal, Status};
use bowline_triggers::Triggers;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) triggers: Triggers,
}

impl World {
    /// Opens what is in a folder.
    pub(crate) async fn open(folder: &Path) -> Self {
        let mut registry = Registry::default();
        bowline_triggers::register(&mut registry);
        let options = HostOptions::new(folder.join("data"), Arc::new(registry), Masker::default());
        let host = Host::open(options).await.unwrap();
        let triggers = Triggers::start(&host, Clock::System, Vec::new());
        Self { host, triggers }
    }

    pub(crate) async fn close(self) {
        self.triggers.stop().await;
        self.host.stop(Duration::from_secs(5)).await;
    }

    pub(crate) async fn deploy(&self, organization: &str, text: &str) {
        let files = vec![("flow.yaml".to_owned(), text.to_owned())];
        let deploy = Deploy {
            files,
            ..Deploy::default()
        };
        self.host
            .deploy(organization, deploy)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// All executions, the first one first.
    pub(crate) async fn executions(&self, organization: &str) -> Vec<ExecutionSummary> {
        let page = self.host.search(organization, &Search::default()).await.unwrap();
        let mut items = page.items;
        items.reverse();
        items
    }

    pub(crate) async fn statuses(&self) -> Vec<Status> {
        self.executions("default")
            .await
            .into_iter()
            .map(|execution| execution.status)
            .collect()
    }

    /// Lets an execution of a workflow end that waits for the signal `go`.
    pub(crate) async fn go(&self, id: &str) {
        let signal = Signal {
            name: "go".into(),
            data: serde_json::Value::Null,
            id: None,
        };
        self.host.signal("default", id, signal).await.unwrap();
    }
}

/// Waits until something is so.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < LONG, "{what} does not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
