//! Starting executions, looking at them, and acting on them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::running::{Answer, Running};

const EXECUTIONS: &str = "/api/v1/executions";

fn hello(name: &str) -> Value {
    json!({ "workflow": "hello", "input": { "name": name } })
}

async fn with_key(server: &Running, path: &str, key: &str, body: &Value) -> Answer {
    let request = server.request(Method::POST, path).header("idempotency-key", key);
    Answer::of(request.json(body)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_is_acknowledged_when_it_is_durable_and_once_for_each_key() {
    let server = Running::new().await;
    let started = server.post(EXECUTIONS, &hello("ada")).await;
    let id = started.is(201).body["id"].as_str().unwrap().to_owned();
    assert_eq!(started.header("location"), format!("{EXECUTIONS}/{id}"));
    assert_eq!(started.body["statusUrl"], format!("{EXECUTIONS}/{id}"));
    assert!(server.host.store().execution(&id).unwrap().is_some());

    let first = with_key(&server, EXECUTIONS, "order-1", &hello("ada")).await;
    assert_eq!(first.is(201).body["created"], true);
    let again = with_key(&server, EXECUTIONS, "order-1", &hello("ada")).await;
    assert_eq!(again.is(200).body["created"], false);
    assert_eq!(first.body["id"], again.body["id"]);
    with_key(&server, EXECUTIONS, "order-1", &hello("eve"))
        .await
        .is_problem(409, "start-key.taken");
    with_key(&server, EXECUTIONS, " ", &hello("ada"))
        .await
        .is_problem(400, "request.invalid");
    let mut body = hello("ada");
    body["id"] = id.into();
    server.post(EXECUTIONS, &body).await.is_problem(409, "execution.exists");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_gets_the_result_or_where_to_ask() {
    let server = Running::new().await;
    let ended = server.post("/api/v1/executions?wait=30s", &hello("ada")).await;
    assert_eq!(ended.is(200).body["output"], json!({ "text": "hello ada" }));
    assert_eq!(ended.body["status"], "succeeded");
    assert_eq!(ended.header("bowline-execution"), ended.body["id"].as_str().unwrap());

    let waiting = server
        .post("/api/v1/executions?wait=50ms", &json!({ "workflow": "patient" }))
        .await;
    assert_eq!(
        waiting.is(202).header("location"),
        waiting.body["statusUrl"].as_str().unwrap()
    );

    let failed = json!({ "workflow": "fails", "input": { "code": "order.too-large" } });
    let failed = server.post("/api/v1/executions?wait=30s", &failed).await;
    assert_eq!(failed.is(200).body["status"], "failed");
    assert_eq!(failed.body["error"]["code"], "order.too-large");

    server
        .post("/api/v1/executions?wait=soon", &hello("ada"))
        .await
        .is_problem(400, "request.invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_respond_step_answers_who_waits() {
    let server = Running::new().await;
    let said = server
        .post("/api/v1/executions?wait=30s", &json!({ "workflow": "responds" }))
        .await;
    assert_eq!(said.is(201).body, json!({ "ok": true }));
    assert_eq!(said.header("x-order"), "7");
    let id = said.header("bowline-execution");
    let execution = server.get(&format!("{EXECUTIONS}/{id}")).await;
    assert_ne!(execution.is(200).body["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_start_is_refused_with_what_is_wrong() {
    let server = Running::new().await;
    for (body, status, code) in [
        (json!({ "workflow": "nothing" }), 404, "workflow.not-found"),
        (
            json!({ "workflow": "hello", "version": 7 }),
            404,
            "workflow.version-not-found",
        ),
        (json!({ "workflow": "hello", "input": {} }), 422, "input.invalid"),
        (json!({ "workflow": "hello", "inputs": {} }), 400, "request.invalid"),
        (json!({ "input": {} }), 400, "request.invalid"),
        (json!([]), 400, "request.invalid"),
        (json!({ "workflow": "hello", "version": -1 }), 400, "request.invalid"),
    ] {
        server.post(EXECUTIONS, &body).await.is_problem(status, code);
    }
    let send = |text: &'static str, media: &'static str| {
        let request = server.request(Method::POST, EXECUTIONS).body(text);
        Answer::of(request.header("content-type", media))
    };
    send("{\"workflow\": ", "application/json")
        .await
        .is_problem(400, "request.invalid");
    send("{\"workflow\": \"hello\"} {}", "application/json").await.is(400);
    send("", "application/json").await.is_problem(400, "request.invalid");
    send("workflow=hello", "application/x-www-form-urlencoded")
        .await
        .is_problem(415, "request.media-type");
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_are_found_by_what_is_known_of_them() {
    let server = Running::new().await;
    for name in ["ada", "eve", "ada"] {
        server.run("hello", json!({ "name": name })).await;
    }
    server.run("fails", json!({ "code": "order.lost" })).await;
    let count = async |query: &str| {
        let page = server.get(&format!("{EXECUTIONS}?{query}")).await;
        page.is(200).body["items"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 4);
    assert_eq!(count("workflow=hello").await, 3);
    assert_eq!(count("status=failed").await, 1);
    assert_eq!(count("error=order.lost").await, 1);
    assert_eq!(count("error=order.found").await, 0);
    assert_eq!(count("input[name]=ada").await, 2);
    assert_eq!(count("output%5Btext%5D=hello+eve").await, 1);
    assert_eq!(count("since=1h").await, 4);
    assert_eq!(count("until=1h").await, 0);
    assert_eq!(count("unfinished=true").await, 0);

    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let after = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = server.get(&format!("{EXECUTIONS}?limit=3{after}")).await;
        let items = page.is(200).body["items"].as_array().unwrap().clone();
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        cursor = page.body["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 4);
    for query in [
        "stauts=failed",
        "status=gone",
        "limit=0x",
        "cursor=nonsense",
        "since=yesterday",
    ] {
        let refused = server.get(&format!("{EXECUTIONS}?{query}")).await;
        assert!(
            [400, 422].contains(&refused.status.as_u16()),
            "{query}: {}",
            refused.text
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_is_described_with_its_steps_and_history() {
    let server = Running::new().await;
    let id = server.start("patient", json!({ "secret": 1 })).await;
    let one = format!("{EXECUTIONS}/{id}");
    let body = server
        .until(&one, |body| !body["why"]["waitsFor"].as_array().unwrap().is_empty())
        .await;
    assert_eq!(body["workflow"], "patient");
    assert_eq!(body["steps"][0]["path"], "word");
    assert_eq!(body["steps"][0]["state"], "waiting");
    let why = server.get(&format!("{one}/why")).await;
    assert!(
        why.is(200).body["line"].as_str().unwrap().contains("word"),
        "{}",
        why.text
    );
    let step = server.get(&format!("{one}/steps/word")).await;
    assert_eq!(step.is(200).body["path"], "word");
    server
        .get(&format!("{one}/steps/nothing"))
        .await
        .is_problem(404, "step.not-found");
    let value = server.get(&format!("{one}/values?of=input")).await;
    assert_eq!(value.is(200).body, json!({ "secret": 1 }));
    server
        .get(&format!("{one}/values?of=output"))
        .await
        .is_problem(404, "value.not-found");
    server.get(&format!("{one}/values?of=middle")).await.is(400);
    let history = server.get(&format!("{one}/history")).await;
    let kinds: Vec<&str> = history.is(200).body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds[0], "started", "{kinds:?}");
    let state = server.get(&format!("{one}/query")).await;
    assert_eq!(state.is(200).body["steps"], json!({}), "{}", state.text);
    let state = server.get(&format!("{one}/query?expression=1%2B1")).await;
    assert_eq!(state.is(200).body, json!(2));
    let state = server.get(&format!("{one}/query?expression=((")).await;
    state.is_problem(422, "query.invalid");
    for path in [
        "",
        "/history",
        "/why",
        "/steps/word",
        "/events",
        "/values?of=input",
        "/query",
    ] {
        server
            .get(&format!("{EXECUTIONS}/none{path}"))
            .await
            .is_problem(404, "execution.not-found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn executions_are_steered() {
    let server = Running::new().await;
    let id = server.start("patient", json!({})).await;
    let one = format!("{EXECUTIONS}/{id}");
    let none = json!({});
    let is_changed = async |action: &str, body: &Value| {
        let answer = server.post(&format!("{one}/{action}"), body).await;
        answer.is(200).body["changed"].as_bool().unwrap()
    };
    assert!(is_changed("pause", &none).await);
    assert!(is_changed("unpause", &none).await);
    let signal = json!({ "name": "other", "data": 1 });
    let send = async || with_key(&server, &format!("{one}/signals"), "s-1", &signal).await.body["changed"].clone();
    assert_eq!((send().await, send().await), (json!(true), json!(false)));
    server.delete(&one).await.is(409);
    assert!(is_changed("cancel", &json!({ "reason": "ordered twice" })).await);
    server.until(&one, |body| body["status"] == "cancelled").await;
    assert!(!is_changed("cancel", &none).await);
    server
        .post(&format!("{one}/signals"), &signal)
        .await
        .is_problem(410, "execution.ended");
    server.delete(&one).await.is(204);
    server.get(&one).await.is_problem(404, "execution.not-found");
    for action in ["cancel", "pause", "unpause", "resume", "retry", "rerun"] {
        server
            .post(&format!("{EXECUTIONS}/none/{action}"), &none)
            .await
            .is_problem(404, "execution.not-found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_execution_is_done_again_once_for_each_key() {
    let server = Running::new().await;
    let id = server.run("hello", json!({ "name": "ada" })).await;
    let path = format!("{EXECUTIONS}/{id}/rerun");
    let body = json!({ "input": { "name": "eve" } });
    let first = with_key(&server, &path, "again-1", &body).await;
    let new = first.is(201).body["id"].as_str().unwrap().to_owned();
    assert_ne!(new, id);
    let again = with_key(&server, &path, "again-1", &body).await;
    assert_eq!(again.is(200).body, json!({ "id": new, "created": false }));
    let body = server
        .until(&format!("{EXECUTIONS}/{new}"), |body| body["status"] == "succeeded")
        .await;
    assert_eq!(body["output"]["text"], "hello eve");
    assert_eq!(body["origin"], id);
    server
        .post(&path, &json!({ "input": {} }))
        .await
        .is_problem(422, "input.invalid");

    let failed = server.run("fails", json!({ "code": "order.lost" })).await;
    let retried = server.post(&format!("{EXECUTIONS}/{failed}/retry"), &json!({})).await;
    retried.is(201);
    server
        .post(&format!("{EXECUTIONS}/{failed}/resume"), &json!({ "reason": "again" }))
        .await
        .is(204);
}

impl Running {
    async fn delete(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::DELETE, path)).await
    }
}

/// Problems have one shape, and none of the words of the libraries that read requests.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told_with_its_place_and_in_plain_words() {
    let server = Running::new().await;
    for (body, pointer) in [
        (json!({ "workflow": "hello", "input": { "name": 7 } }), "/input/name"),
        (json!({ "workflow": "hello", "version": "x" }), "/version"),
        (json!({ "workflw": "hello" }), "/workflw"),
        (json!({}), ""),
    ] {
        let refused = server.post("/api/v1/executions", &body).await;
        let problem = &refused.body["problems"][0];
        assert_eq!(problem["pointer"], pointer, "{}", refused.text);
        assert!(!problem["message"].as_str().unwrap().is_empty(), "{}", refused.text);
    }
    for path in [
        "/api/v1/executions?stauts=failed",
        "/api/v1/executions?limit=x",
        "/api/v1/approvals?limit=x",
        "/api/v1/approvals?x=1",
        "/api/v1/workflows/hello?version=x",
        "/api/v1/executions/x/values?of=all",
        "/api/v1/executions/x/history?limit=0",
    ] {
        let refused = server.get(path).await;
        let detail = refused.is_problem(400, "request.invalid").body["detail"]
            .as_str()
            .unwrap()
            .to_owned();
        for word in ["eserialize", "digit found", "`?`", "URL"] {
            assert!(!detail.contains(word), "{path}: {detail}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pausing_twice_changes_something_once() {
    let server = Running::new().await;
    let id = server.start("patient", json!({})).await;
    let pause = async |what: &str| {
        let path = format!("/api/v1/executions/{id}/{what}");
        server.post(&path, &json!({})).await.is(200).body["changed"].clone()
    };
    assert_eq!(
        (pause("pause").await, pause("pause").await),
        (json!(true), json!(false))
    );
    assert_eq!(
        (pause("unpause").await, pause("unpause").await),
        (json!(true), json!(false))
    );
}

/// An id that is chosen is taken, also where an execution is made of another one.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_is_chosen_for_what_is_run_again() {
    let server = Running::new().await;
    let id = server.run("hello", json!({ "name": "ada" })).await;
    let path = format!("/api/v1/executions/{id}/rerun");
    assert_eq!(
        server.post(&path, &json!({ "id": "mine" })).await.is(201).body["id"],
        "mine"
    );
    server
        .post(&path, &json!({ "id": "mine" }))
        .await
        .is_problem(409, "execution.exists");
    server.post(&path, &json!({ "id": "a/b" })).await.is(422);
    let both = server.request(Method::POST, &path).header("idempotency-key", "k");
    Answer::of(both.json(&json!({ "id": "other" }))).await.is(400);
}
