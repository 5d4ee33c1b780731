//! A callback that is sent again answers nobody else, although somebody else waits for the same reference.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::world::{Answer, World};

const CALLS: &str = "
name: calls
input: { type: object }
steps:
  - id: answer
    callback: { name: partner, correlate: \"${input.reference}\", timeout: 1h }
output: \"${answer.n}\"
";

const SHARED: &str = "
callbacks:
  partner:
    authentication: { type: signature, secret: \"${env.PARTNER}\" }
    correlate: \"${callback.body.reference}\"
";

const SECRET: &str = "partner-secret-3";

async fn world() -> World {
    World::new(&[("bowline", SHARED), ("calls", CALLS)], &[("PARTNER", SECRET)]).await
}

/// Starts an execution that waits for the reference of all of them; when it does.
async fn start(world: &World) -> String {
    let body = json!({ "workflow": "calls", "input": { "reference": "same" } });
    let answer = Answer::of(world.post("/api/v1/executions").json(&body)).await;
    let id = answer.is(201).body["id"].as_str().unwrap().to_owned();
    crate::callbacks::token(world, &id).await;
    id
}

async fn send(world: &World, id: &str, n: u32) -> Value {
    let body = format!(r#"{{"reference":"same","n":{n}}}"#);
    let request = world.signed("/callbacks/partner", SECRET, &body);
    let answer = Answer::of(request.header("Idempotency-Key", id)).await;
    assert!(answer.status.is_success(), "{}", answer.text);
    answer.body["outcome"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_again_answers_nobody_else() {
    let world = world().await;
    let (first, second) = (start(&world).await, start(&world).await);
    assert_eq!(send(&world, "m-1", 1).await, "accepted");
    assert_eq!(world.output("default", &first).await, 1);
    assert_eq!(send(&world, "m-1", 1).await, "duplicate");
    let world = world.restart(&[("PARTNER", SECRET)]).await;
    assert_eq!(send(&world, "m-1", 1).await, "duplicate");

    // Several at once are one.
    let outcomes = join_all((0..8).map(|_| send(&world, "m-2", 2))).await;
    assert!(outcomes.iter().any(|outcome| outcome == "accepted"), "{outcomes:?}");
    assert_eq!(world.output("default", &second).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_deliveries_at_once_each_answer_one() {
    let world = world().await;
    let mut waiting = Vec::new();
    for _ in 0..6 {
        waiting.push(start(&world).await);
    }
    let ids: Vec<String> = (0..6).map(|number| format!("d-{number}")).collect();
    let outcomes = join_all((0..6).map(|number| send(&world, &ids[number as usize], number))).await;
    assert!(outcomes.iter().all(|outcome| outcome == "accepted"), "{outcomes:?}");
    let mut outputs = Vec::new();
    for id in &waiting {
        outputs.push(world.output("default", id).await.as_u64().unwrap());
    }
    outputs.sort_unstable();
    assert_eq!(outputs, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_is_kept_once() {
    let world = world().await;
    assert_eq!(send(&world, "k-1", 7).await, "kept");
    assert_eq!(send(&world, "k-1", 7).await, "duplicate");
    let body = json!({ "workflow": "calls", "input": { "reference": "same" } });
    let first = Answer::of(world.post("/api/v1/executions").json(&body)).await;
    let first = first.is(201).body["id"].as_str().unwrap().to_owned();
    assert_eq!(world.output("default", &first).await, 7);
    let second = start(&world).await;
    assert_eq!(send(&world, "k-1", 7).await, "duplicate");
    assert_eq!(send(&world, "k-2", 8).await, "accepted");
    assert_eq!(world.output("default", &second).await, 8);
}
