//! A mock is used in load tests, so it must not be what limits them.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{http, url};

/// Slow machines and debug builds are allowed for; a lock held over an `await`, or a delay that blocks
/// others, is not: it would give some hundred requests a second here.
const AT_LEAST_PER_SECOND: f64 = 1000.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_connections_do_not_wait_for_each_other() {
    let mocks = http(json!({
        "routes": [
            { "path": "/slow", "delay": "20s" },
            { "path": "/charge", "method": "POST", "response": { "body": { "id": "${random.uuid}", "amount": "${request.body.amount}" } } }
        ]
    }))
    .await;
    let client = reqwest::Client::builder().pool_max_idle_per_host(64).build().unwrap();
    let slow = tokio::spawn(client.get(url(&mocks, "/slow")).send());
    mocks.wait_for_calls("svc", 1, support::SOON).await.unwrap();
    let begun = Instant::now();
    let workers = (0..64).map(|_| {
        let (client, url) = (client.clone(), url(&mocks, "/charge"));
        tokio::spawn(async move {
            for amount in 0..50 {
                let response = client
                    .post(&url)
                    .json(&json!({ "amount": amount }))
                    .send()
                    .await
                    .unwrap();
                assert_eq!(response.status(), 200);
                response.bytes().await.unwrap();
            }
        })
    });
    for worker in futures_util::future::join_all(workers).await {
        worker.unwrap();
    }
    let taken = begun.elapsed();
    let per_second = 3200.0 / taken.as_secs_f64();
    println!("{per_second:.0} requests/s");
    assert_eq!(mocks.calls("svc").len(), 3201);
    assert!(per_second > AT_LEAST_PER_SECOND, "{per_second:.0} requests/s");
    // Stopping ends the delay.
    mocks.stop().await;
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(10), slow)
            .await
            .unwrap()
            .unwrap()
            .unwrap()
            .status(),
        200
    );
}
