//! A restart that hands the socket on, and a stop.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{LONG, Process};

const HELLO: &str = "name: hello\nsteps:\n  - wait: 1ms\noutput: \"${input}\"\n";

/// How often a request is tried: a connection that was idle when the server stopped may be closed under it.
const TRIES: usize = 3;

const RESTARTS: usize = 3;

async fn worker(url: String, number: usize, over: Arc<AtomicBool>, done: Arc<AtomicUsize>) -> usize {
    let client = reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap();
    let mut count = 0;
    while !over.load(Ordering::SeqCst) {
        let key = format!("{number}-{count}");
        let body = json!({ "workflow": "hello", "input": key });
        let mut failures = Vec::new();
        loop {
            let request = client.post(&url).header("idempotency-key", &key).json(&body);
            match request.send().await {
                Ok(answer) if answer.status().is_success() => break,
                Ok(answer) => failures.push(answer.status().to_string()),
                Err(error) => failures.push(format!("{error:?}")),
            }
            assert!(failures.len() < TRIES, "{key}: {failures:?}");
        }
        count += 1;
        done.fetch_add(1, Ordering::SeqCst);
    }
    count
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_tries_again_sees_no_restart() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hello.yaml"), HELLO).unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut server = Process::with_socket(folder.path(), &socket);
    assert_eq!(server.address, socket.local_addr().unwrap());
    let url = server.url("/api/v1/executions");
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let workers: Vec<_> = (0..8)
        .map(|number| tokio::spawn(worker(url.clone(), number, Arc::clone(&over), Arc::clone(&done))))
        .collect();
    for _ in 0..RESTARTS {
        let before = done.load(Ordering::SeqCst);
        let busy = async {
            while done.load(Ordering::SeqCst) < before + 100 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LONG, busy).await.unwrap();
        let path = folder.path().to_owned();
        let socket = socket.try_clone().unwrap();
        let restarted = tokio::task::spawn_blocking(move || {
            let status = server.stop();
            assert!(status.success(), "{status}");
            Process::with_socket(&path, &socket)
        });
        server = restarted.await.unwrap();
    }
    over.store(true, Ordering::SeqCst);
    let mut started = 0;
    for worker in workers {
        started += worker.await.unwrap();
    }
    // Each of them is there once.
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let (mut seen, mut cursor) = (0, String::new());
    loop {
        let page = client.get(format!("{url}?limit=500{cursor}")).send().await.unwrap();
        let page: Value = page.json().await.unwrap();
        seen += page["items"].as_array().unwrap().len();
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, started);
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start(folder.path(), &[]);
    let second = crate::process::program(folder.path(), &["serve", "--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(4), "{second:?}");
    let taken = first.address.to_string();
    let third = crate::process::program(folder.path(), &["serve", "--data", "other", "--listen", &taken])
        .output()
        .unwrap();
    let told = String::from_utf8(third.stderr).unwrap();
    assert!(!third.status.success() && told.contains(&taken), "{told}");
    assert!(first.stop().success());
}
