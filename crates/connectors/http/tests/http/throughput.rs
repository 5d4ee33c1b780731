//! What this crate adds to a bare client. Measured on demand: `cargo test -- --ignored throughput`.

use std::time::{Duration, Instant};

use bowline_connector::{Registry, StepContext};
use serde_json::{Value, json};

use crate::support::{context, echo_server, registry};

/// Calls of one round, and how many are under way at a time.
const CALLS: u64 = 512;
const AT_A_TIME: u64 = 16;
const ROUNDS: usize = 24;

fn body(number: u64) -> Value {
    json!({ "number": number, "name": "Ada", "items": [1, 2, 3] })
}

async fn bare(client: reqwest::Client, url: String, number: u64) {
    let call = client
        .post(url)
        .timeout(Duration::from_secs(30))
        .header("Idempotency-Key", "test/step");
    let response = call.json(&body(number)).send().await.unwrap();
    let _: Value = response.json().await.unwrap();
}

async fn ours(registry: Registry, ctx: StepContext, url: String, number: u64) {
    let config = json!({ "method": "POST", "url": url, "body": body(number) });
    registry
        .connector("http-request")
        .unwrap()
        .run(ctx, config)
        .await
        .unwrap();
}

async fn round<F, Fut>(call: F) -> Duration
where
    F: Fn(u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let begin = Instant::now();
    let lanes = (0..AT_A_TIME).map(|lane| {
        let call = call.clone();
        tokio::spawn(async move {
            for number in 0..CALLS / AT_A_TIME {
                call(lane * CALLS + number).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }
    begin.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement; run it alone, optimised, on a quiet machine"]
async fn throughput_is_near_that_of_the_bare_client() {
    let url = echo_server().await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .user_agent("bowline/0.1.0")
        .build()
        .unwrap();
    let (ctx, registry) = (context(json!({})), registry());
    // Rounds take turns, so that other work on the machine hits both; the median leaves outliers out.
    let (mut bare_rounds, mut our_rounds) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (client, bare_url) = (client.clone(), url.clone());
        bare_rounds.push(round(move |number| bare(client.clone(), bare_url.clone(), number)).await);
        let (registry, ctx, our_url) = (registry.clone(), ctx.clone(), url.clone());
        our_rounds.push(round(move |number| ours(registry.clone(), ctx.clone(), our_url.clone(), number)).await);
    }
    bare_rounds.sort_unstable();
    our_rounds.sort_unstable();
    let (bare, ours) = (bare_rounds[ROUNDS / 2], our_rounds[ROUNDS / 2]);
    let share = bare.as_secs_f64() / ours.as_secs_f64();
    eprintln!(
        "{CALLS} calls: bare {bare:?}, http-request {ours:?}, {:.0} %",
        share * 100.0
    );
    assert!(cfg!(debug_assertions) || share >= 0.9, "{share}");
}
