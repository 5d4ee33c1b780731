//! Whose a path is: who had it first, whether that one can be used or not.

use serde_json::{Value, json};

use crate::world::{Answer, World};

const SECRET: &str = "secret-of-the-first";

fn hook(name: &str, authentication: &str) -> String {
    format!(
        "
name: {name}
triggers:
  - {{ type: webhook-trigger, config: {{ path: /webhooks/it, method: [POST, PUT], authentication: {authentication} }} }}
steps:
  - set: {{ done: true }}
"
    )
}

const SIGNED: &str = "{ type: signature, secret: \"${env.HM_SECRET}\" }";
const OPEN: &str = "{ type: none }";

fn unsigned(world: &World) -> impl Future<Output = Answer> {
    Answer::of(world.post("/webhooks/it").json(&json!({ "n": 1 })))
}

fn signed(world: &World) -> impl Future<Output = Answer> {
    Answer::of(world.signed("/webhooks/it", SECRET, "{}"))
}

async fn endpoint(world: &World, id: &str) -> Value {
    let list = world.get("/api/v1/webhooks").await;
    let items = list.is(200).body["items"].as_array().unwrap().clone();
    items.into_iter().find(|one| one["id"] == id).unwrap()
}

async fn trigger_problems(world: &World, workflow: &str) -> String {
    let workflow = world.get(&format!("/api/v1/workflows/{workflow}")).await;
    workflow.is(200).body["triggerProblems"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_secret_gives_no_path_away() {
    let env = [("HM_SECRET", SECRET), ("NOBODYS_BUSINESS", "x")];
    let world = World::new(&[("hm", &hook("hm", SIGNED))], &env).await;
    signed(&world).await.is(202);

    // Another workflow takes the same address, from anybody, and comes before it by name; and the secret is forgotten.
    world.write("aa", &hook("aa", OPEN));
    let world = world.restart(&[("HM_SECRET", "")]).await;
    for answer in [unsigned(&world).await, signed(&world).await] {
        answer.is_problem(503, "webhook.not-configured");
        assert!(answer.headers.contains_key("retry-after"));
    }
    let put = world.client.put(format!("{}/webhooks/it", world.url)).body("{}");
    Answer::of(put).await.is_problem(503, "webhook.not-configured");
    let all = world.executions("default").await;
    assert_eq!(all.len(), 1, "nothing was started: {all:?}");

    // Both are told, and nobody is told what else there is in the environment.
    let (aa, hm) = (
        endpoint(&world, "aa:webhook-trigger").await,
        endpoint(&world, "hm:webhook-trigger").await,
    );
    let had_first = "POST /webhooks/it is the endpoint hm:webhook-trigger of the workflow hm, which had it first";
    assert!(
        aa["problems"][0]["message"].as_str().unwrap().contains(had_first),
        "{aa}"
    );
    assert_eq!(aa["problems"][0]["pointer"], "/path");
    assert!(
        hm["problems"][0]["message"].as_str().unwrap().contains("env.HM_SECRET"),
        "{hm}"
    );
    assert!(trigger_problems(&world, "aa").await.contains(had_first));
    let told = trigger_problems(&world, "hm").await;
    assert!(told.contains("env.HM_SECRET"), "{told}");
    assert!(!format!("{told} {hm}").contains("NOBODYS_BUSINESS"), "{told} {hm}");
    let triggers = world.get("/api/v1/triggers").await;
    let of_aa = triggers.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["workflow"] == "aa");
    let of_aa = of_aa.unwrap_or_else(|| panic!("no webhook among {}", triggers.body));
    assert!(of_aa["problem"].as_str().unwrap().contains(had_first), "{of_aa}");

    let world = world.restart(&[("HM_SECRET", SECRET)]).await;
    signed(&world).await.is(202);
    unsigned(&world).await.is_problem(401, "webhook.missing-header");
    assert_eq!(trigger_problems(&world, "hm").await, "[]");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_deployed_first_has_a_path_until_it_is_gone() {
    let world = World::new(&[], &[("AT", "/webhooks/at")]).await;
    world.deploy("default", "hm", &hook("hm", SIGNED)).await;
    world.deploy("default", "aa", &hook("aa", OPEN)).await;
    unsigned(&world).await.is_problem(503, "webhook.not-configured");
    // Nor does another id of the trigger give it away.
    let renamed = hook("hm", SIGNED).replace("{ type: webhook-trigger", "{ id: other, type: webhook-trigger");
    world.deploy("default", "hm", &renamed).await;
    unsigned(&world).await.is_problem(503, "webhook.not-configured");
    // Deployed again, it is still not the first.
    world
        .deploy("default", "aa", &hook("aa", OPEN).replace("true", "false"))
        .await;
    unsigned(&world).await.is_problem(503, "webhook.not-configured");
    world.host.withdraw("default", "hm", None).await.unwrap();
    unsigned(&world).await.is(202);
    world.deploy("default", "hm", &hook("hm", SIGNED)).await;
    unsigned(&world).await.is(202);

    // A path that nobody can say is the one that it was.
    let at = hook("at", OPEN).replace("/webhooks/it", "\"${env.AT}\"");
    world.deploy("default", "at", &at).await;
    Answer::of(world.post("/webhooks/at").json(&json!({}))).await.is(202);
    let world = world.restart(&[("AT", "")]).await;
    let fixed = hook("fixed", OPEN).replace("/webhooks/it", "/webhooks/at");
    world.deploy("default", "fixed", &fixed).await;
    let answer = Answer::of(world.post("/webhooks/at").json(&json!({}))).await;
    answer.is_problem(503, "webhook.not-configured");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_endpoint_keeps_its_path_too() {
    let shared = "
callbacks:
  valuation:
    path: /webhooks/it
    authentication: { type: signature, secret: \"${env.HM_SECRET}\" }
    correlate: \"${callback.body.reference}\"
";
    let calls = "
name: calls
input: { type: object }
steps:
  - id: answer
    callback: { name: valuation, correlate: \"${input.r}\" }
";
    let world = World::new(&[("bowline", shared), ("calls", calls)], &[]).await;
    world.deploy("default", "aa", &hook("aa", OPEN)).await;
    unsigned(&world).await.is_problem(503, "webhook.not-configured");
    assert!(trigger_problems(&world, "aa").await.contains("callbacks.valuation"));
    // What came meanwhile is kept, and can be seen.
    let list = world.get("/api/v1/webhooks/callbacks.valuation/deliveries").await;
    assert_eq!(
        list.is(200).body["items"][0]["reason"],
        "not-configured",
        "{}",
        list.text
    );
}
