//! `bowline serve` under `kill -9` while webhooks come in, by a sender that sends again what was not acknowledged.
//!
//! Fifty kills; `BOWLINE_KILLS` takes another number. In the end every delivery has been acknowledged, and has
//! exactly one execution: the one that its sender was told.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Deliveries in a second.
const RATE: u64 = 200;

/// Deliveries under way at once: a sender that goes on as if nothing were wrong keeps a server down that comes back.
const UNDER_WAY: usize = 100;

/// Longer than a delivery takes to get through, whatever happens.
const LONG: Duration = Duration::from_secs(60);

const WORKFLOW: &str = "
name: orders
triggers:
  - id: hook
    type: webhook-trigger
    config: { path: /webhooks/orders, authentication: { type: bearer, credentials: { token: \"${env.TOKEN}\" } } }
steps:
  - set: { doubled: \"${input.n * 2}\" }
output: \"${doubled}\"
";

/// Starts the server, and returns when it listens.
fn serve(folder: &Path, address: &str) -> Child {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_bowline"))
        .args(["serve", "workflows", "--listen", address, "--data", "data"])
        .current_dir(folder)
        .env("TOKEN", "a-token-for-tests")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.contains("listening"), "{line}\n{}", told(folder));
    server
}

fn told(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// Sends one delivery until it is acknowledged; the execution that it started.
async fn deliver(client: Client, url: String, n: u64) -> String {
    let deadline = Instant::now() + LONG;
    let mut pause = tokio::time::interval(Duration::from_millis(50));
    loop {
        pause.tick().await;
        assert!(Instant::now() < deadline, "delivery {n} does not get through");
        let sent = client
            .post(&url)
            .bearer_auth("a-token-for-tests")
            .header("Idempotency-Key", format!("order-{n}"))
            .json(&serde_json::json!({ "n": n }))
            .send()
            .await;
        let Ok(answer) = sent else { continue };
        let status = answer.status();
        if status == 202 {
            // An acknowledgement counts from its first byte on, but which execution it is stands in its body.
            if let Ok(body) = answer.json::<Value>().await {
                return body["execution"].as_str().unwrap().to_owned();
            }
        } else if status != 503 {
            panic!("delivery {n}: {status}: {}", answer.text().await.unwrap_or_default());
        }
    }
}

/// The ids of all executions.
async fn executions(client: &Client, origin: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let url = format!("{origin}/api/v1/executions?workflow=orders&limit=500{cursor}");
        let page: Value = client.get(url).send().await.unwrap().json().await.unwrap();
        for item in page["items"].as_array().unwrap_or_else(|| panic!("{page}")) {
            assert!(all.insert(item["id"].as_str().unwrap().to_owned()), "listed twice");
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_started_exactly_once() {
    let kills: u64 = std::env::var("BOWLINE_KILLS").map_or(50, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("workflows")).unwrap();
    std::fs::write(folder.path().join("workflows/orders.yaml"), WORKFLOW.trim_start()).unwrap();
    let address = {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().to_string()
    };
    let origin = format!("http://{address}");
    let client = Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let mut server = serve(folder.path(), &address);

    let stop = Arc::new(AtomicBool::new(false));
    let acknowledged: Arc<Mutex<BTreeMap<u64, String>>> = Arc::default();
    let (count, mut counted) = watch::channel(0_u64);
    let sending = {
        let (client, url, stop) = (client.clone(), format!("{origin}/webhooks/orders"), Arc::clone(&stop));
        let acknowledged = Arc::clone(&acknowledged);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / RATE));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let places = Arc::new(Semaphore::new(UNDER_WAY));
            let mut under_way = JoinSet::new();
            let mut n = 0;
            while !stop.load(Ordering::SeqCst) {
                ticks.tick().await;
                let place = Arc::clone(&places).acquire_owned().await.unwrap();
                n += 1;
                let (client, url, acknowledged) = (client.clone(), url.clone(), Arc::clone(&acknowledged));
                let count = count.clone();
                under_way.spawn(async move {
                    let execution = deliver(client, url, n).await;
                    acknowledged.lock().unwrap().insert(n, execution);
                    count.send_modify(|count| *count += 1);
                    drop(place);
                });
            }
            while let Some(done) = under_way.join_next().await {
                done.unwrap();
            }
            n
        })
    };

    let mut moment = 0x2545_F491_4F6C_DD1D_u64;
    for kill in 0..kills {
        // At a random moment after some more were acknowledged, so that kills fall into the midst of commits.
        moment ^= moment << 13;
        moment ^= moment >> 7;
        moment ^= moment << 17;
        let so_far = *counted.borrow_and_update();
        let wanted = so_far + 20 + moment % 200;
        let came = tokio::time::timeout(LONG, counted.wait_for(|count| *count >= wanted)).await;
        assert!(
            came.is_ok(),
            "kill {kill}: nothing comes through\n{}",
            told(folder.path())
        );
        server.kill().unwrap();
        server.wait().unwrap();
        server = serve(folder.path(), &address);
    }
    stop.store(true, Ordering::SeqCst);
    let sent = sending.await.unwrap();
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert_eq!(acknowledged.len() as u64, sent);
    let told_ids: BTreeSet<String> = acknowledged.values().cloned().collect();
    assert_eq!(told_ids.len() as u64, sent, "two deliveries were told one execution");
    let started = executions(&client, &origin).await;
    let lost: Vec<_> = told_ids.difference(&started).collect();
    let more: Vec<_> = started.difference(&told_ids).collect();
    assert!(
        lost.is_empty() && more.is_empty(),
        "lost: {lost:?}; started and not told: {more:?}"
    );
    server.kill().unwrap();
    server.wait().unwrap();
}
