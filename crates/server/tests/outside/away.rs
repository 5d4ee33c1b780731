//! A workflow that is out of use without anybody having removed it keeps what it has from outside.

use bowline_host::{Deploy, Standing};
use serde_json::{Value, json};

use crate::world::{Answer, World, logged};

const SECRET: &str = "secret-of-the-one-away";

fn hook(name: &str, path: &str, authentication: &str) -> String {
    format!(
        "
name: {name}
triggers:
  - id: it
    type: webhook-trigger
    config: {{ path: \"{path}\", authentication: {authentication} }}
steps:
  - set: {{ done: true }}
"
    )
}

const SIGNED: &str = "{ type: signature, secret: \"${env.SECRET}\" }";
const OPEN: &str = "{ type: none }";

async fn stands(world: &World, workflow: &str, wanted: Standing) {
    let mut changes = world.host.changes();
    let seen = async {
        while world.host.standing("default", workflow) != wanted {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(crate::world::LONG, seen).await.unwrap();
}

async fn problems(world: &World, endpoint: &str) -> String {
    let list = world.get("/api/v1/webhooks").await;
    let items = list.is(200).body["items"].as_array().unwrap();
    let found = items.iter().find(|one| one["id"] == endpoint);
    found.unwrap_or_else(|| panic!("{endpoint} of {}", list.text))["problems"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_gives_no_address_away() {
    let own = hook("away-own", "/webhooks/away", SIGNED);
    let other = hook("away-other", "/webhooks/other", OPEN);
    let env = [("SECRET", SECRET)];
    let world = World::new(&[("away-own", &own), ("away-other", &other)], &env).await;
    let (unsigned, signed) = (
        |world: &World| Answer::of(world.post("/webhooks/away").json(&json!({ "n": 1 }))),
        |world: &World| Answer::of(world.signed("/webhooks/away", SECRET, "{}")),
    );
    signed(&world).await.is(202);
    // Both the very path and one that it fits are somebody else's.
    world
        .deploy("default", "aa-same", &hook("aa-same", "/webhooks/away", OPEN))
        .await;
    world
        .deploy("default", "aa-any", &hook("aa-any", "/webhooks/{any}", OPEN))
        .await;
    unsigned(&world).await.is_problem(401, "webhook.missing-header");

    world.remove("away-own");
    stands(&world, "away-own", Standing::FileGone).await;
    let world = {
        for answer in [unsigned(&world).await, signed(&world).await] {
            answer.is_problem(503, "webhook.not-configured");
            assert!(answer.headers.contains_key("retry-after"));
        }
        world.restart(&[]).await
    };
    stands(&world, "away-own", Standing::FileGone).await;
    unsigned(&world).await.is_problem(503, "webhook.not-configured");
    assert_eq!(world.executions("default").await.len(), 1);
    let told = problems(&world, "aa-same:it").await;
    assert!(told.contains("bowline workflows remove away-own"), "{told}");
    let told = problems(&world, "away-own:it").await;
    assert!(told.contains("its file is gone"), "{told}");

    // It comes back, and what was sent meanwhile can be played.
    world.write("away-own", &own);
    stands(&world, "away-own", Standing::Used).await;
    signed(&world).await.is(202);
    unsigned(&world).await.is_problem(401, "webhook.missing-header");
    let list = world
        .get("/api/v1/webhooks/away-own:it/deliveries?outcome=refused")
        .await;
    let kept = list.is(200).body["items"].as_array().unwrap();
    let kept: Vec<&Value> = kept.iter().filter(|one| one["reason"] == "not-configured").collect();
    assert_eq!(kept.len(), 3, "{}", list.text);
    let replay = async |one: &Value| {
        let id = one["id"].as_str().unwrap();
        let path = format!("/api/v1/webhooks/away-own:it/deliveries/{id}/replay");
        Answer::of(world.post(&path)).await.status.as_u16()
    };
    let mut replayed = Vec::new();
    for one in kept {
        replayed.push(replay(one).await);
    }
    // The signed one is known already, by its signature: the answer is what came of it.
    replayed.sort_unstable();
    assert_eq!(replayed, [201, 409, 409]);

    // Who removes it frees its address, and that is told.
    world.remove("away-own");
    stands(&world, "away-own", Standing::FileGone).await;
    unsigned(&world).await.is(503);
    let remove = world.client.delete(format!("{}/api/v1/workflows/away-own", world.url));
    Answer::of(remove).await.is(204);
    unsigned(&world).await.is(202);
    let logs = logged();
    let line = logs
        .lines()
        .find(|line| line.contains("leads to another workflow") && line.contains("from=away-own"));
    assert!(line.is_some_and(|line| line.contains("WARN") && line.contains("to=aa-same")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_endpoint_is_not_mistaken_for_a_webhook() {
    let shared = |authentication: &str| {
        format!(
            "
callbacks:
  val:
    authentication: {authentication}
    correlate: \"${{callback.body.r}}\"
"
        )
    };
    let waits = |name: &str| {
        format!(
            "
name: {name}
input: {{ type: object }}
steps:
  - id: answer
    callback: {{ name: val, correlate: \"${{input.r}}\" }}
"
        )
    };
    let world = World::new(&[], &[("SECRET", SECRET)]).await;
    let deploy = async |name: &str, authentication: &str| {
        let files = vec![
            ("bowline.yaml".to_owned(), shared(authentication)),
            (format!("{name}.yaml"), waits(name)),
        ];
        let deploy = Deploy {
            files,
            ..Deploy::default()
        };
        world.host.deploy("default", deploy).await.unwrap();
    };
    let unsigned = || Answer::of(world.post("/callbacks/val").json(&json!({ "r": "x" })));
    deploy("zz", SIGNED).await;
    deploy("aa", OPEN).await;
    unsigned().await.is_problem(401, "webhook.missing-header");
    let twin = hook("callback", "/a", OPEN).replace("id: it", "id: val");
    world.deploy("default", "callback", &twin).await;
    world
        .deploy("default", "any", &hook("any", "/webhooks/any", OPEN))
        .await;
    unsigned().await.is_problem(401, "webhook.missing-header");
    // Each has its own inbox.
    let of_callback = world.get("/api/v1/webhooks/callbacks.val/deliveries").await;
    assert_eq!(of_callback.is(200).body["items"].as_array().unwrap().len(), 2);
    let of_webhook = world.get("/api/v1/webhooks/callback:val/deliveries").await;
    assert_eq!(of_webhook.is(200).body["items"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_callback_endpoint_goes_on_with_the_same_settings() {
    let shared = "
callbacks:
  val:
    authentication: { type: signature, secret: \"${env.SECRET}\" }
    correlate: \"${callback.body.r}\"
";
    let waits = |name: &str| {
        format!(
            "
name: {name}
input: {{ type: object }}
steps:
  - id: answer
    callback: {{ name: val, correlate: \"${{input.r}}\" }}
"
        )
    };
    let (first, second) = (waits("c-first"), waits("c-second"));
    let files = [
        ("bowline", shared),
        ("c-first", first.as_str()),
        ("c-second", second.as_str()),
    ];
    let world = World::new(&files, &[("SECRET", SECRET)]).await;
    let open = vec![
        ("bowline.yaml".to_owned(), shared.replace(SIGNED, OPEN)),
        ("aa.yaml".to_owned(), waits("aa")),
    ];
    let deploy = Deploy {
        files: open,
        ..Deploy::default()
    };
    world.host.deploy("default", deploy).await.unwrap();
    let unsigned = || Answer::of(world.post("/callbacks/val").json(&json!({ "r": "x" })));
    let signed = |r: &str| Answer::of(world.signed("/callbacks/val", SECRET, &format!(r#"{{"r":"{r}"}}"#)));
    signed("1").await.is(202);

    world.remove("c-first");
    stands(&world, "c-first", Standing::FileGone).await;
    signed("2").await.is(202);
    unsigned().await.is_problem(401, "webhook.missing-header");
}
