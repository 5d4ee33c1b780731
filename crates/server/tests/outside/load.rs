//! When there is too much: what is refused says when to come again, and comes through then.

use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::world::{Answer, LONG, World};

fn hook(steps: &str) -> String {
    format!(
        "
name: hook
triggers:
  - {{ type: webhook-trigger, config: {{ path: /webhooks/it, authentication: {{ type: none }} }} }}
steps:
{steps}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pool_is_told_with_when_to_come_again() {
    let world = World::set_up(|_, options| options.engine.max_in_flight = 1).await;
    // So near a time that its execution stays in memory, and has its place.
    world
        .deploy("default", "hook", &hook("  - { id: nap, wait: 8s }"))
        .await;
    let send = || Answer::of(world.post("/webhooks/it").json(&json!({})));
    let first = send().await;
    first.is(202);
    let refused = send().await;
    refused.is(503);
    let seconds: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(
        world.executions("default").await.len(),
        1,
        "nothing was taken of the other"
    );
    let cancel = format!("/api/v1/executions/{}/cancel", first.execution());
    Answer::of(world.post(&cancel).json(&json!({}))).await;
    world.host.wait("default", first.execution(), LONG).await.unwrap();
    send().await.is(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_nobody_has_verified_have_a_budget() {
    let world = World::set_up(|config, _| config.connections.body_bytes = 100_000).await;
    world.deploy("default", "hook", &hook("  - set: { done: true }")).await;
    // One that is half sent has its share for as long as it stays.
    let address = world.address;
    let mut half = TcpStream::connect(address).await.unwrap();
    let head = format!("POST /webhooks/it HTTP/1.1\r\nHost: {address}\r\nContent-Length: 200000\r\n\r\n");
    half.write_all(head.as_bytes()).await.unwrap();
    half.write_all(&vec![b'x'; 110_000]).await.unwrap();
    let send = |bytes: usize| Answer::of(world.post("/webhooks/it").body(vec![b'x'; bytes]));
    let until = async |status: u16| {
        let sending = async {
            loop {
                let answer = send(60_000).await;
                if answer.status == status {
                    return answer;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LONG, sending).await.unwrap()
    };
    let refused = until(503).await;
    refused.is_problem(503, "request.no-room");
    assert!(refused.headers.contains_key("retry-after"));
    send(1_000).await.is(202);
    drop(half);
    until(202).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_have_no_path_that_a_sender_has_chosen() {
    let world = World::set_up(|_, _| {}).await;
    world.deploy("default", "hook", &hook("  - set: { done: true }")).await;
    Answer::of(world.post("/webhooks/it").json(&json!({}))).await.is(202);
    Answer::of(world.post("/callbacks/bw_made-up").json(&json!({})))
        .await
        .is(404);
    world.get("/webhooks/it").await.is(405);
    world.get("/made/up/17").await.is(404);
    let figures = world.get("/metrics").await;
    let count = |labels: &str| {
        let line = format!("bowline_http_requests_total{{{labels}}} ");
        let found = figures.text.lines().find_map(|text| text.strip_prefix(&line));
        found.map(ToOwned::to_owned)
    };
    for labels in [
        r#"method="POST",route="/webhooks/{path}",status="202""#,
        r#"method="GET",route="/webhooks/{path}",status="405""#,
        r#"method="POST",route="/callbacks/{token}",status="404""#,
        r#"method="GET",route="unmatched",status="404""#,
    ] {
        assert_eq!(count(labels).as_deref(), Some("1"), "{labels}: {}", figures.text);
    }
    for chosen in ["/webhooks/it", "made-up", "/made/up"] {
        assert!(!figures.text.contains(chosen), "{chosen}: {}", figures.text);
    }
}
