//! Refused deliveries of endpoints that know their senders by a credential, which is not kept.

use serde_json::{Value, json};

use crate::world::{Answer, World};

const TOKEN: &str = "hush-token-9917";

fn hook(kind: &str, credentials: &str, when: &str) -> String {
    format!(
        "
name: {kind}
triggers:
  - id: it
    type: webhook-trigger
    {when}
    config:
      path: /webhooks/{kind}
      authentication: {{ type: {kind}, credentials: {credentials} }}
steps:
  - set: {{ done: true }}
output: \"${{input.n}}\"
"
    )
}

async fn refused(world: &World, kind: &str) -> Vec<Value> {
    let list = world
        .get(&format!("/api/v1/webhooks/{kind}:it/deliveries?outcome=refused"))
        .await;
    assert!(!list.text.contains(TOKEN), "{}", list.text);
    let mut items = list.is(200).body["items"].as_array().unwrap().clone();
    items.reverse();
    items
}

fn one(kind: &str, delivery: &Value) -> String {
    let id = delivery["id"].as_str().unwrap();
    format!("/api/v1/webhooks/{kind}:it/deliveries/{id}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_the_secret_was_there_is_verified_by_it() {
    let kinds = [
        ("bearer", "{ token: \"${env.TOKEN}\" }"),
        ("basic", "{ username: ann, password: \"${env.TOKEN}\" }"),
        ("api-key", "{ keyName: X-Own, keyValue: \"${env.TOKEN}\" }"),
    ];
    let texts: Vec<(&str, String)> = kinds
        .iter()
        .map(|(kind, credentials)| (*kind, hook(kind, credentials, "")))
        .collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
    let world = World::new(&texts, &[]).await;
    for (kind, _) in kinds {
        for (n, secret) in [TOKEN, "other", ""].into_iter().enumerate() {
            let request = world.post(&format!("/webhooks/{kind}")).json(&json!({ "n": n }));
            let request = match kind {
                _ if secret.is_empty() => request,
                "bearer" => request.bearer_auth(secret),
                "basic" => request.basic_auth("ann", Some(secret)),
                _ => request.header("X-Own", secret),
            };
            Answer::of(request).await.is_problem(503, "webhook.not-configured");
        }
    }
    let world = world.restart(&[("TOKEN", TOKEN)]).await;
    for (kind, _) in kinds {
        let kept = refused(&world, kind).await;
        assert_eq!(kept.len(), 3);
        for wrong in &kept[1..] {
            let replay = Answer::of(world.post(&format!("{}/replay", one(kind, wrong)))).await;
            replay.is_problem(409, "delivery.refused");
            assert!(replay.text.contains("unverified"), "{}", replay.text);
        }
        let right = one(kind, &kept[0]);
        let played = Answer::of(world.post(&format!("{right}/replay"))).await;
        assert_eq!(world.output("default", played.is(201).execution()).await, 0, "{kind}");

        // It is refused no more, and is still found.
        assert_eq!(refused(&world, kind).await.len(), 2);
        let now = world.get(&right).await;
        let now = &now.is(200).body;
        assert_eq!(
            (&now["id"], &now["replayedAs"]),
            (&kept[0]["id"], &played.body["delivery"])
        );
        assert_eq!(now["fate"], "started");
        let again = Answer::of(world.post(&format!("{right}/replay"))).await;
        assert_eq!(again.is(201).body, played.body, "it is played once");
        let made = format!(
            "/api/v1/webhooks/{kind}:it/deliveries/{}",
            played.body["delivery"].as_str().unwrap()
        );
        assert_eq!(world.get(&made).await.body["replayOf"], kept[0]["id"]);
    }
    assert_eq!(world.executions("default").await.len(), kinds.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_verified_when_it_came_is_not_asked_again() {
    let broken = "when: \"${trigger.body.n > 'a'}\"";
    let text = |when: &str| hook("bearer", "{ token: \"${env.TOKEN}\" }", when);
    let world = World::new(&[("bearer", &text(broken))], &[("TOKEN", TOKEN)]).await;
    let sent = |world: &World| {
        let request = world.post("/webhooks/bearer").bearer_auth(TOKEN);
        Answer::of(request.header("Idempotency-Key", "k-1").json(&json!({ "n": 4 })))
    };
    assert_ne!(sent(&world).await.status, 202);
    world.write("bearer", &text(""));
    // The token is another one meanwhile.
    let world = world.restart(&[("TOKEN", "new-token")]).await;
    let kept = refused(&world, "bearer").await;
    let replay = format!("{}/replay", one("bearer", &kept[0]));
    let (first, second) = tokio::join!(Answer::of(world.post(&replay)), Answer::of(world.post(&replay)));
    assert_eq!(first.is(201).body, second.is(201).body);
    assert_eq!(world.output("default", first.execution()).await, 4);
    assert_eq!(world.executions("default").await.len(), 1);
    // The sender's own retry is a second one of it.
    let request = world.post("/webhooks/bearer").bearer_auth("new-token");
    let retried = Answer::of(request.header("Idempotency-Key", "k-1").json(&json!({ "n": 4 }))).await;
    assert_eq!(retried.is(202).execution(), first.execution());
}
