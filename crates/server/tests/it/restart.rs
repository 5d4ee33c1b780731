//! A restart that hands the socket on: a client that tries again sees nothing of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bowline_server::Config;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::running::{LONG, Running, folder};

/// How often a request is tried: a connection that was idle when the server stopped may be closed under it.
const TRIES: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_tries_again_sees_no_restart() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let socket = || TcpListener::from_std(listener.try_clone().unwrap()).unwrap();
    let mut server = Running::on(folder(), socket(), Config::default()).await;
    let (client, url) = (server.client.clone(), format!("{}/api/v1/executions", server.url));
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let worker = |number: usize| {
        let (client, url, over, done) = (client.clone(), url.clone(), Arc::clone(&over), Arc::clone(&done));
        tokio::spawn(async move {
            let mut count = 0;
            while !over.load(Ordering::SeqCst) {
                let key = format!("{number}-{count}");
                let body = json!({ "workflow": "hello", "input": { "name": key } });
                let mut last = String::new();
                let mut is_done = false;
                for _ in 0..TRIES {
                    let request = client.post(&url).header("idempotency-key", &key).json(&body);
                    match request.send().await {
                        Ok(answer) if answer.status().is_success() => is_done = true,
                        Ok(answer) => last = format!("{}: {}", answer.status(), answer.text().await.unwrap()),
                        Err(error) => last = format!("{error:?}"),
                    }
                    if is_done {
                        break;
                    }
                }
                assert!(is_done, "{key} failed {TRIES} times: {last}");
                count += 1;
                done.fetch_add(1, Ordering::SeqCst);
            }
            count
        })
    };
    let workers: Vec<_> = (0..8).map(worker).collect();
    for _ in 0..3 {
        let before = done.load(Ordering::SeqCst);
        let busy = async {
            while done.load(Ordering::SeqCst) < before + 50 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LONG, busy).await.unwrap();
        let folder = server.stop().await;
        server = Running::on(folder, socket(), Config::default()).await;
    }
    over.store(true, Ordering::SeqCst);
    let mut started = 0;
    for worker in workers {
        started += worker.await.unwrap();
    }
    // Each of them is there once.
    let mut seen = 0;
    let mut cursor = String::new();
    loop {
        let page = server
            .get(&format!("/api/v1/executions?workflow=hello&limit=500{cursor}"))
            .await;
        seen += page.is(200).body["items"].as_array().unwrap().len();
        match page.body.get("next").and_then(Value::as_str) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, started);
}
