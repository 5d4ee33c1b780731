//! `examples/mortgage-valuation` on a real server: a service that answers a reference at once and the value later, and
//! everything that can go wrong with that.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bowline_connector::Registry;
use bowline_expression::Masker;
use bowline_host::{Approval, DEFAULT_ORGANIZATION, Decision, Ended, Host, HostOptions, Status, Waiting};
use bowline_server::{Config, Server, Stop, accept};
use bowline_testing::{Call, MockServices};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// Long enough for a busy machine; nothing waits so long unless it fails.
const SOON: Duration = Duration::from_secs(60);

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/mortgage-valuation")
}

fn registry() -> Arc<Registry> {
    let mut registry = Registry::default();
    bowline_connector_http::register(&mut registry);
    bowline_webhooks::register(&mut registry);
    bowline_triggers::register(&mut registry);
    Arc::new(registry)
}

/// A server on the example, and its valuation service.
struct World {
    host: Host,
    mocks: MockServices,
    url: String,
    stop: Stop,
    running: JoinHandle<()>,
    _folder: TempDir,
}

impl World {
    /// With the mocks of this file. `timeout` takes the place of the two minutes that the service has.
    async fn new(mocks: &str, timeout: Option<&str>) -> Self {
        let mocks = MockServices::start_file(example().join(mocks)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let workflows = folder.path().join("workflows");
        std::fs::create_dir(&workflows).unwrap();
        for entry in std::fs::read_dir(example()).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let text = timeout.map_or(text.clone(), |timeout| text.replace("timeout: 2m", timeout));
            std::fs::write(workflows.join(path.file_name().unwrap()), text).unwrap();
        }
        let config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            ..Config::default()
        };
        let listener = accept::listener(&config).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut options = HostOptions::new(folder.path().join("data"), registry(), Masker::default());
        options.workflows = Some(workflows);
        options.env = mocks.env();
        options.public_url = Some(url.clone());
        let host = Host::open(options).await.unwrap();
        let workflows = host.workflows(DEFAULT_ORGANIZATION).await.unwrap();
        let is_sound = workflows.len() == 1 && workflows[0].problems.is_empty();
        assert!(is_sound, "{workflows:?}");
        let stop = Stop::new();
        let server = Server::new(config, host.clone(), listener, stop.clone()).unwrap();
        let running = tokio::spawn(server.run());
        Self {
            host,
            mocks,
            url,
            stop,
            running,
            _folder: folder,
        }
    }

    /// Sends the application as the web site does: the execution's id.
    async fn apply(&self) -> String {
        let input = std::fs::read_to_string(example().join("input.json")).unwrap();
        let answer = reqwest::Client::new()
            .post(format!("{}/webhooks/loan-applications", self.url))
            .bearer_auth("mock-applications-token")
            .header("content-type", "application/json")
            .body(input)
            .send()
            .await
            .unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(status, 202, "{body}");
        body["execution"].as_str().unwrap().to_owned()
    }

    async fn ended(&self, id: &str) -> Ended {
        let ended = self.host.wait(DEFAULT_ORGANIZATION, id, SOON).await.unwrap();
        ended.unwrap_or_else(|| panic!("it does not end"))
    }

    /// Waits until somebody is asked.
    async fn asked(&self, id: &str) -> Approval {
        let mut news = self.host.feed().execution(id);
        loop {
            let page = self
                .host
                .approvals(DEFAULT_ORGANIZATION, &Waiting::default())
                .await
                .unwrap();
            if let Some(found) = page.items.into_iter().find(|approval| approval.execution == id) {
                return found;
            }
            let more = tokio::time::timeout(SOON, news.changed()).await;
            assert!(more.unwrap_or(false), "nobody is asked");
        }
    }

    /// Values it by hand.
    async fn value_by_hand(&self, id: &str) {
        let decision = Decision {
            approved: true,
            by: Some("ann".to_owned()),
            comment: None,
            form: [("propertyValue".to_owned(), json!(400_000))].into_iter().collect(),
        };
        self.host
            .approve(DEFAULT_ORGANIZATION, id, None, decision)
            .await
            .unwrap();
    }

    /// The statuses that the service got for its callbacks.
    async fn called_back(&self, wanted: usize) -> Vec<Option<u16>> {
        let is_callback = |call: &Call| call.method == "CALLBACK";
        let calls = self
            .mocks
            .wait_for("valuation", wanted, SOON, is_callback)
            .await
            .unwrap();
        calls.iter().map(|call| call.status).collect()
    }

    async fn kept(&self) -> usize {
        self.host
            .kept(DEFAULT_ORGANIZATION, None, 10)
            .await
            .unwrap()
            .items
            .len()
    }

    async fn stop(self) {
        self.stop.stop();
        self.running.await.unwrap();
        self.host.stop(Duration::from_secs(5)).await;
    }
}

/// What the execution gives where the service has valued it.
fn by_service(ended: &Ended) {
    assert_eq!(ended.status, Status::Succeeded, "{:?}", ended.error);
    let output = ended.output.clone().unwrap();
    assert_eq!(output["valuation"]["value"], 425_000);
    assert_eq!(output["valuation"]["by"], "service");
    assert!(output["valuation"]["reference"].as_str().unwrap().starts_with("VAL-"));
    assert_eq!(
        (&output["loanToValue"], &output["accepted"]),
        (&json!(0.8), &json!(true))
    );
}

fn by_hand(ended: &Ended) {
    assert_eq!(ended.status, Status::Succeeded, "{:?}", ended.error);
    let output = ended.output.clone().unwrap();
    let valuation = json!({ "reference": null, "value": 400_000, "by": "ann" });
    assert_eq!((&output["valuation"], &output["accepted"]), (&valuation, &json!(true)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_service_calls_back_after_six_seconds() {
    let world = World::new("mocks.yaml", None).await;
    let began = std::time::Instant::now();
    let id = world.apply().await;
    // The web site sends it again, and gets the same execution.
    assert_eq!(world.apply().await, id);
    let ended = world.ended(&id).await;
    assert!(began.elapsed() >= Duration::from_secs(6));
    by_service(&ended);
    assert_eq!(world.called_back(1).await, [Some(200)]);
    assert_eq!(
        world
            .mocks
            .calls("valuation")
            .iter()
            .filter(|call| call.is_effect())
            .count(),
        1
    );
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_never_calls_back_is_given_up() {
    let world = World::new("mocks.never.yaml", Some("timeout: 1s")).await;
    let id = world.apply().await;
    let asked = world.asked(&id).await;
    assert!(asked.what.unwrap().starts_with("Please value 999, PO1 1CE ("));
    world.value_by_hand(&id).await;
    by_hand(&world.ended(&id).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_reports_a_failure_is_told_by_its_reason() {
    let world = World::new("mocks.refused.yaml", None).await;
    let id = world.apply().await;
    let asked = world.asked(&id).await;
    assert!(
        asked
            .what
            .unwrap()
            .contains("the service could not value it: nobody opened the door")
    );
    assert_eq!(world.called_back(1).await, [Some(200)]);
    world.value_by_hand(&id).await;
    by_hand(&world.ended(&id).await);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_that_nobody_knows_is_kept_and_misleads_nobody() {
    let world = World::new("mocks.unknown-reference.yaml", Some("timeout: 3s")).await;
    let id = world.apply().await;
    assert_eq!(world.called_back(1).await, [Some(202)]);
    assert_eq!(world.kept().await, 1);
    world.asked(&id).await;
    world.value_by_hand(&id).await;
    by_hand(&world.ended(&id).await);
    assert_eq!(world.kept().await, 1, "it can still be looked at");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_before_the_answer_is_kept_until_the_reference_is_known() {
    let world = World::new("mocks.early.yaml", None).await;
    let id = world.apply().await;
    assert_eq!(world.called_back(1).await, [Some(202)]);
    by_service(&world.ended(&id).await);
    // It is forgotten in a commit after the one that took it.
    let forgotten = async {
        while world.kept().await > 0 {
            tokio::task::yield_now().await;
        }
    };
    assert!(tokio::time::timeout(SOON, forgotten).await.is_ok(), "it was delivered");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_callback_changes_nothing() {
    let world = World::new("mocks.twice.yaml", None).await;
    let id = world.apply().await;
    assert_eq!(world.called_back(2).await, [Some(200), Some(200)]);
    by_service(&world.ended(&id).await);
    assert_eq!(world.kept().await, 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_of_somebody_else_is_refused() {
    let world = World::new("mocks.never.yaml", Some("timeout: 1s")).await;
    let id = world.apply().await;
    let call = |token: &'static str| {
        let call = reqwest::Client::new().post(format!("{}/callbacks/valuation", world.url));
        let body = json!({ "valuationReference": "VAL-1", "propertyValue": 1 });
        call.bearer_auth(token).json(&body).send()
    };
    assert_eq!(call("guessed").await.unwrap().status(), 401);
    assert_eq!(world.kept().await, 0);
    assert_eq!(call("mock-valuation-token").await.unwrap().status(), 202);
    world.asked(&id).await;
    world.stop().await;
}
