//! What goes wrong when it should: seen by a real client, and on the bare connection.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test needs and does not get fails it"
)]

mod support;

use std::error::Error as _;
use std::io;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use support::{SOON, http, url};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What the client reads of one plain request, and how it ends.
async fn raw(mocks: &bowline_testing::MockServices) -> (Vec<u8>, io::Result<()>) {
    let mut stream = TcpStream::connect(mocks.address("svc").unwrap()).await.unwrap();
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut bytes = Vec::new();
    let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut bytes))
        .await
        .expect("the mock closes");
    (bytes, ended.map(drop))
}

fn with(fault: Value) -> Value {
    json!({ "routes": [{ "path": "/a", "response": { "body": { "long": "0123456789" } }, "fault": fault }] })
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let mocks = http(with(json!("reset"))).await;
    let (bytes, ended) = raw(&mocks).await;
    assert_eq!(bytes, b"");
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let error = reqwest::get(url(&mocks, "/a")).await.unwrap_err();
    let mut cause = error.source();
    let mut reset = false;
    while let Some(inner) = cause {
        reset |= inner
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionReset);
        cause = inner.source();
    }
    assert!(reset, "{error:?}");
    let call = mocks.calls("svc").remove(0);
    assert_eq!(
        (call.fault.as_deref(), call.status, call.is_effect()),
        (Some("reset"), None, true)
    );
}

#[tokio::test]
async fn empty_closes_without_a_byte() {
    let mocks = http(with(json!("empty"))).await;
    let (bytes, ended) = raw(&mocks).await;
    assert_eq!(bytes, b"");
    ended.unwrap();
    assert!(reqwest::get(url(&mocks, "/a")).await.is_err());
}

#[tokio::test]
async fn garbage_is_no_http_and_malformed_starts_well() {
    let mocks = http(with(json!("garbage"))).await;
    let (bytes, _) = raw(&mocks).await;
    assert!(!bytes.is_empty() && !bytes.starts_with(b"HTTP"));
    assert!(reqwest::get(url(&mocks, "/a")).await.is_err());

    let mocks = http(with(json!("malformed"))).await;
    let (bytes, _) = raw(&mocks).await;
    assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n"));
    let read = match reqwest::get(url(&mocks, "/a")).await {
        Ok(response) => response.bytes().await.map(drop),
        Err(error) => Err(error),
    };
    assert!(read.is_err());
}

#[tokio::test]
async fn a_drop_cuts_the_answer_in_the_middle() {
    let mocks = http(with(json!("drop"))).await;
    let response = reqwest::get(url(&mocks, "/a")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.content_length(), Some(21));
    assert!(response.bytes().await.is_err());
}

#[tokio::test]
async fn a_hang_never_answers_and_does_not_stop_the_others() {
    let mocks = http(json!({ "routes": [{ "path": "/a", "fault": "hang" }, { "path": "/b" }] })).await;
    let client = Client::builder().timeout(Duration::from_millis(150)).build().unwrap();
    assert!(client.get(url(&mocks, "/a")).send().await.unwrap_err().is_timeout());
    let hanging = tokio::spawn(reqwest::get(url(&mocks, "/a")));
    mocks.wait_for_calls("svc", 2, SOON).await.unwrap();
    assert_eq!(reqwest::get(url(&mocks, "/b")).await.unwrap().status(), 200);
    // Stopping cuts the call that still hangs.
    mocks.stop().await;
    assert!(hanging.await.unwrap().is_err());
}

#[tokio::test]
async fn a_status_turns_the_call_away() {
    let mocks = http(json!({
        "routes": [{
            "path": "/pay", "idempotent": true, "response": { "status": 201 },
            "faults": [{ "status": 503, "retryAfter": "1500ms", "count": 1 }, { "status": 429, "body": "slow down", "after": 1, "count": 1 }]
        }]
    }))
    .await;
    let client = Client::new();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let response = client
            .post(url(&mocks, "/pay"))
            .header("idempotency-key", "k")
            .send()
            .await
            .unwrap();
        let retry_after = response
            .headers()
            .get("retry-after")
            .map(|value| value.to_str().unwrap().to_owned());
        seen.push((response.status().as_u16(), retry_after, response.text().await.unwrap()));
    }
    assert_eq!((seen[0].0, seen[0].1.as_deref()), (503, Some("2")));
    assert_eq!(seen[1], (429, None, "slow down".to_owned()));
    assert_eq!(seen[2], (201, None, String::new()));
    let effects: Vec<_> = mocks
        .calls("svc")
        .iter()
        .map(bowline_testing::Call::is_effect)
        .collect();
    assert_eq!(effects, [false, false, true]);
}

#[tokio::test]
async fn a_lost_answer_is_given_again_for_its_key() {
    let mocks = http(json!({
        "faults": [{ "type": "reset", "count": 1 }],
        "routes": [{ "path": "/pay", "idempotent": true, "response": { "body": "${random.uuid}" } }]
    }))
    .await;
    let client = Client::new();
    let pay = || client.post(url(&mocks, "/pay")).header("idempotency-key", "k").send();
    assert!(pay().await.is_err());
    assert_eq!(pay().await.unwrap().status(), 200);
    let calls = mocks.calls("svc");
    let seen: Vec<_> = calls
        .iter()
        .map(|call| (call.fault.as_deref(), call.repeated, call.is_effect()))
        .collect();
    assert_eq!(seen, [(Some("reset"), false, true), (None, true, false)]);
}

#[tokio::test]
async fn a_service_fault_counts_calls_to_all_routes() {
    let mocks =
        http(json!({ "faults": [{ "status": 500, "every": 3 }], "routes": [{ "path": "/a" }, { "path": "/b" }] }))
            .await;
    let mut statuses = Vec::new();
    for path in ["/a", "/b", "/a", "/nowhere", "/b", "/a"] {
        statuses.push(reqwest::get(url(&mocks, path)).await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [200, 200, 500, 404, 200, 500]);
}
