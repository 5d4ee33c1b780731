//! Callbacks by token and by reference: accepted, twice, early, late, failed, too large, of another organization.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Answer, LONG, World};

const CALLS: &str = "
name: calls
input: { type: object }
steps:
  - id: answer
    callback: { name: valuation, correlate: \"${input.reference}\", timeout: 1h }
output: \"${answer}\"
";

const SHARED: &str = "
callbacks:
  valuation:
    authentication: { type: signature, secret: \"${env.VALUATION}\" }
    correlate: \"${callback.body.valuationReference}\"
    success: \"${$not($exists(callback.body.error))}\"
    failure: { error: valuation.refused, message: \"${callback.body.error}\" }
";

const SECRET: &str = "valuation-secret-3";

async fn world() -> World {
    World::new(&[("bowline", SHARED), ("calls", CALLS)], &[("VALUATION", SECRET)]).await
}

async fn start(world: &World, reference: &str) -> String {
    let body = json!({ "workflow": "calls", "input": { "reference": reference } });
    let answer = Answer::of(world.post("/api/v1/executions").json(&body)).await;
    answer.is(201).body["id"].as_str().unwrap().to_owned()
}

/// The token of an execution's open callback, when it waits for it.
pub(crate) async fn token(world: &World, id: &str) -> String {
    let waits = async {
        let mut list = world.host.feed().list("default");
        loop {
            let open = world
                .get(&format!("/api/v1/callbacks?execution={id}&tokens=true"))
                .await;
            if let Some(token) = open.is(200).body["items"][0]["token"].as_str() {
                return token.to_owned();
            }
            list.changed().await;
        }
    };
    tokio::time::timeout(LONG, waits).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_answers_once() {
    let world = world().await;
    let id = start(&world, "V-1").await;
    let path = format!("/callbacks/{}", token(&world, &id).await);
    for method in [Method::DELETE, Method::PATCH] {
        let request = world.client.request(method, format!("{}{path}", world.url));
        Answer::of(request).await.is_problem(405, "request.method");
    }
    let send = || Answer::of(world.post(&path).json(&json!({ "propertyValue": 12 })));
    assert_eq!(send().await.is(200).body, json!({ "outcome": "accepted" }));
    assert_eq!(world.output("default", &id).await, json!({ "propertyValue": 12 }));
    assert_eq!(send().await.is(200).body, json!({ "outcome": "duplicate" }));
    let put = world.client.put(format!("{}{path}", world.url)).json(&json!(1));
    assert_eq!(Answer::of(put).await.is(200).body["outcome"], "duplicate");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tokens_and_late_and_large_answers_are_told() {
    let world = world().await;
    let id = start(&world, "V-2").await;
    let token = token(&world, &id).await;
    let mut forged = token.clone();
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    forged.push(last);
    for bad in [forged.as_str(), "bw_", "made-up", "%00"] {
        let answer = Answer::of(world.post(&format!("/callbacks/{bad}")).json(&json!(1))).await;
        answer.is_problem(404, "callback.bad-token");
        assert!(!answer.text.contains(&id), "{}", answer.text);
    }
    Answer::of(world.post("/callbacks/a/b").json(&json!(1)))
        .await
        .is_problem(404, "path.not-found");
    let path = format!("/callbacks/{token}");
    let large = Answer::of(world.post(&path).body(vec![b' '; (10 << 20) + 1])).await;
    large.is(413);
    let broken = world.post(&path).header("Content-Type", "application/json").body("{");
    Answer::of(broken).await.is_problem(400, "webhook.invalid-body");
    Answer::of(world.post(&format!("{path}?status=perhaps")).json(&json!(1)))
        .await
        .is_problem(400, "request.invalid");
    let heartbeat = Answer::of(world.post(&format!("{path}?status=heartbeat"))).await;
    heartbeat.is(200);
    Answer::of(world.post(&format!("/api/v1/executions/{id}/cancel")).json(&json!({}))).await;
    world.host.wait("default", &id, LONG).await.unwrap();
    let late = Answer::of(world.post(&path).json(&json!(1))).await;
    late.is_problem(410, "callback.late");
    assert!(!late.text.contains(&id), "{}", late.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_reported() {
    let world = world().await;
    let id = start(&world, "V-3").await;
    let path = format!("/callbacks/{}?status=failed", token(&world, &id).await);
    let body = json!({ "error": { "code": "valuation.no-house", "message": "there is none" } });
    let answer = Answer::of(world.post(&path).json(&body)).await;
    answer.is(200);
    let ended = world.host.wait("default", &id, LONG).await.unwrap().unwrap();
    let error = ended.error.unwrap();
    assert_eq!((&*error.code, &*error.message), ("valuation.no-house", "there is none"));
    assert_eq!(error.data.unwrap()["callback"], body);
}

fn named(world: &World, body: &Value) -> reqwest::RequestBuilder {
    world.signed("/callbacks/valuation", SECRET, &body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_endpoint_finds_who_waits_by_the_reference() {
    let world = world().await;
    let id = start(&world, "V-4").await;
    token(&world, &id).await;
    let body = json!({ "valuationReference": "V-4", "propertyValue": 350_000 });
    assert_eq!(
        Answer::of(named(&world, &body)).await.is(200).body,
        json!({ "outcome": "accepted" })
    );
    assert_eq!(world.output("default", &id).await, body);
    assert_eq!(
        Answer::of(named(&world, &body)).await.is(200).body["outcome"],
        "duplicate"
    );

    // One that comes before anybody waits is kept, and found.
    let early = json!({ "valuationReference": "V-5", "propertyValue": 1 });
    assert_eq!(Answer::of(named(&world, &early)).await.is(202).body["outcome"], "kept");
    let id = start(&world, "V-5").await;
    assert_eq!(world.output("default", &id).await, early);

    let id = start(&world, "V-6").await;
    token(&world, &id).await;
    let failed = json!({ "valuationReference": "V-6", "error": "no such house" });
    Answer::of(named(&world, &failed)).await.is(200);
    let error = world
        .host
        .wait("default", &id, LONG)
        .await
        .unwrap()
        .unwrap()
        .error
        .unwrap();
    assert_eq!((&*error.code, &*error.message), ("valuation.refused", "no such house"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_endpoint_refuses_what_is_not_proven() {
    let world = world().await;
    let body = json!({ "valuationReference": "V-7" }).to_string();
    let request = world
        .post("/callbacks/valuation")
        .header("Content-Type", "application/json");
    let unsigned = Answer::of(request.body(body.clone())).await;
    unsigned.is_problem(401, "webhook.missing-header");
    Answer::of(world.signed("/callbacks/valuation", "other", &body))
        .await
        .is_problem(401, "webhook.wrong-signature");
    let nobody = Answer::of(world.signed("/callbacks/valuation", SECRET, r#"{"other":1}"#)).await;
    nobody.is_problem(422, "webhook.unselectable");
    let kept = world.get("/api/v1/callbacks/kept").await;
    assert_eq!(kept.is(200).body["items"], json!([]), "nothing of it was taken");
    let list = world
        .get("/api/v1/webhooks/callback:valuation/deliveries?refused=true")
        .await;
    assert_eq!(list.is(200).body["items"].as_array().unwrap().len(), 3, "{}", list.text);
    Answer::of(world.signed("/o/acme/callbacks/valuation", SECRET, &body))
        .await
        .is(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_of_a_workflow_catches_a_token() {
    let world = world().await;
    let catcher = |path: &str| {
        format!(
            "
name: catcher
triggers:
  - {{ type: webhook-trigger, config: {{ path: \"{path}\", authentication: {{ type: none }} }} }}
steps:
  - set: {{ done: true }}
"
        )
    };
    for path in ["/{a}/{b}", "/{*all}", "/callbacks/{token}"] {
        // What is deployed all the same takes nothing.
        world.deploy("default", "catcher", &catcher(path)).await;
        let id = start(&world, path).await;
        let path = format!("/callbacks/{}", token(&world, &id).await);
        let told = Answer::of(world.post(&path).json(&json!({ "value": 7 }))).await;
        assert_eq!(told.is(200).body["outcome"], "accepted");
        assert_eq!(world.output("default", &id).await["value"], 7);
        let elsewhere = Answer::of(world.post("/some/where").body("{}")).await;
        elsewhere.is_problem(404, "path.not-found");
    }
    let list = world.get("/api/v1/webhooks").await;
    assert!(
        list.is(200).text.contains("takes") || list.text.contains("the server's own"),
        "{}",
        list.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_settings_of_one_endpoint_are_told() {
    let world = world().await;
    let file = |name: &str, text: &str| (format!("{name}.yaml"), text.trim_start().to_owned());
    let deploy = |name: &'static str, shared: String| {
        let files = vec![file("bowline", &shared), file(name, &CALLS.replace("calls", name))];
        let deploy = bowline_host::Deploy {
            files,
            ..bowline_host::Deploy::default()
        };
        world.host.deploy("acme", deploy)
    };
    let problems = || async {
        let all = world.app.outside.endpoints("acme");
        all.iter()
            .find(|one| one.id == "callback:valuation")
            .unwrap()
            .problems
            .clone()
    };
    deploy("one", SHARED.to_owned()).await.unwrap();
    deploy("two", SHARED.to_owned()).await.unwrap();
    assert!(
        !problems()
            .await
            .iter()
            .any(|problem| problem.contains("different settings"))
    );
    deploy("two", SHARED.replace("${env.VALUATION}", "${env.OTHER}"))
        .await
        .unwrap();
    let told = problems().await;
    assert!(told.iter().any(|problem| problem.contains("one and two")), "{told:?}");
}
