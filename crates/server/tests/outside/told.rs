//! Who deploys, and who has a page open, is told what keeps an endpoint from working.

use serde_json::json;

use crate::world::{Answer, World};

fn hook(name: &str) -> String {
    let trigger = "{ type: webhook-trigger, config: { path: /webhooks/twin, authentication: { type: none } } }";
    format!("name: {name}\ntriggers:\n  - {trigger}\nsteps:\n  - set: {{ a: 1 }}\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_webhook_from_working_is_told_at_once() {
    let world = World::new(&[("first", &hook("first"))], &[]).await;
    let files = json!({ "files": [{ "name": "second.yaml", "text": hook("second") }] });
    Answer::of(world.post("/api/v1/workflows").json(&files)).await.is(201);
    let second = world.get("/api/v1/workflows/second").await;
    let told = second.is(200).body["triggerProblems"].to_string();
    assert!(told.contains("of the workflow first"), "{told}");

    // A page hears of what is wrong with a workflow, though no other version of it runs.
    let page = world.client.get(format!("{}/ui/live/workflows", world.url)).send();
    let mut page = page.await.unwrap();
    assert_eq!(page.status(), 200);
    let problem = bowline_host::Problem::plain("the directory is gone");
    world
        .host
        .note_trigger_problems("default", "first", "trigger:test", vec![problem]);
    let mut heard = String::new();
    while !heard.contains("changed") {
        let chunk = tokio::time::timeout(std::time::Duration::from_secs(20), page.chunk()).await;
        heard.push_str(&String::from_utf8_lossy(&chunk.unwrap().unwrap().unwrap()));
    }
}
