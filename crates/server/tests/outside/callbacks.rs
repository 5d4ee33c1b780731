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

    let id = start(&world, "V-31").await;
    let path = format!("/callbacks/{}?status=failed", token(&world, &id).await);
    for nothing in [
        json!({}),
        json!({ "message": "down" }),
        json!({ "error": { "why": "down" } }),
    ] {
        let refused = Answer::of(world.post(&path).json(&nothing)).await;
        refused.is_problem(422, "callback.no-code");
    }
    let body = json!({ "error": "svc.down", "message": "down" });
    Answer::of(world.post(&path).json(&body)).await.is(200);
    let ended = world.host.wait("default", &id, LONG).await.unwrap().unwrap();
    let error = ended.error.unwrap();
    assert_eq!((&*error.code, &*error.message), ("svc.down", "down"));
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
        .get("/api/v1/webhooks/callbacks.valuation/deliveries?outcome=refused")
        .await;
    assert_eq!(list.is(200).body["items"].as_array().unwrap().len(), 3, "{}", list.text);
    Answer::of(world.signed("/o/acme/callbacks/valuation", SECRET, &body))
        .await
        .is(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_of_a_workflow_catches_a_token() {
    let paths = [("A", "/{a}/{b}"), ("B", "/{*all}"), ("C", "/callbacks/{token}")];
    let env: Vec<_> = paths.into_iter().chain([("VALUATION", SECRET)]).collect();
    let world = World::new(&[("bowline", SHARED), ("calls", CALLS)], &env).await;
    for (name, path) in paths {
        // A path that stands in the file is refused with it; one that comes from elsewhere takes nothing.
        let catcher = format!(
            "
name: catcher
triggers:
  - {{ type: webhook-trigger, config: {{ path: \"${{env.{name}}}\", authentication: {{ type: none }} }} }}
steps:
  - set: {{ done: true }}
"
        );
        world.deploy("default", "catcher", &catcher).await;
        let id = start(&world, path).await;
        let path = format!("/callbacks/{}", token(&world, &id).await);
        let told = Answer::of(world.post(&path).json(&json!({ "value": 7 }))).await;
        assert_eq!(told.is(200).body["outcome"], "accepted");
        assert_eq!(world.output("default", &id).await["value"], 7);
        let elsewhere = Answer::of(world.post("/some/where").body("{}")).await;
        elsewhere.is_problem(404, "path.not-found");
        let list = world.get("/api/v1/webhooks").await;
        let catcher = list.is(200).body["items"].as_array().unwrap().iter();
        let catcher = catcher.into_iter().find(|one| one["workflow"] == "catcher").unwrap();
        assert_eq!(catcher["problems"][0]["pointer"], "/path", "{catcher}");
    }
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
    let problems = || {
        let all = world.app.outside.endpoints("acme").into_iter();
        let mut found = all.filter(|one| one.id == "callbacks.valuation");
        found.next().unwrap().problems
    };
    let told = |problems: &[bowline_server::outside::EndpointProblem]| {
        let mut all = problems.iter();
        all.any(|problem| problem.message.contains("one and two") && problem.message.contains("those of one"))
    };
    deploy("two", SHARED.to_owned()).await.unwrap();
    deploy("one", SHARED.to_owned()).await.unwrap();
    assert!(!told(&problems()), "{:?}", problems());
    let other = SHARED.replace("${env.VALUATION}", "${env.OTHER}");
    deploy("two", other).await.unwrap();
    // Whose settings count is who had it first, and not who comes first by name or time.
    let all = problems();
    let contradiction = |one: &&bowline_server::outside::EndpointProblem| one.message.contains("different settings");
    let contradiction = all.iter().find(contradiction).unwrap();
    assert!(contradiction.message.contains("those of two"), "{all:?}");
    // The one that does not count is told so, and the other one is not.
    let of = |name: &'static str| async {
        let workflow = world.host.workflow("acme", name, None).await.unwrap();
        workflow.summary.trigger_problems
    };
    let (one, two) = (of("one").await, of("two").await);
    assert!(
        one.iter().any(|problem| problem.message.contains("different settings")),
        "{one:?}"
    );
    assert!(
        !two.iter().any(|problem| problem.message.contains("different settings")),
        "{two:?}"
    );
    // When it is gone, the other one's count.
    world.host.withdraw("acme", "two", None).await.unwrap();
    assert!(!problems().iter().any(|one| one.message.contains("different settings")));
    deploy("two", SHARED.replace("${env.VALUATION}", "${env.OTHER}"))
        .await
        .unwrap();
    assert!(told(&problems()), "{:?}", problems());
}
