//! How an HTTP service matches and answers.

mod support;

use std::time::Instant;

use bowline_testing::BodyEncoding;
use reqwest::Client;
use serde_json::{Value, json};
use support::{SOON, http, url};

#[tokio::test]
async fn the_node_notation_works_as_it_stands() {
    let mocks = http(json!({
        "port": 0,
        "routes": [{
            "path": "/charge",
            "method": "POST",
            "response": {
                "status": 200,
                "body": { "transactionId": "mock-${random.uuid}", "status": "success", "amount": "${request.body.amount}" }
            },
            "delay": 30
        }]
    }))
    .await;
    let client = Client::new();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let begun = Instant::now();
        let response = client
            .post(url(&mocks, "/charge"))
            .json(&json!({ "amount": 12.5 }))
            .send()
            .await
            .unwrap();
        assert!(begun.elapsed().as_millis() >= 30);
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["amount"], json!(12.5));
        assert_eq!(body["status"], "success");
        let id = body["transactionId"]
            .as_str()
            .unwrap()
            .strip_prefix("mock-")
            .unwrap()
            .to_owned();
        assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 4);
        ids.push(id);
    }
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_seed_makes_runs_alike() {
    let config = json!({
        "seed": 42,
        "routes": [{ "path": "/x", "response": { "body": { "id": "${random.uuid}", "n": "${random.number}", "r": "${$random()}" } } }]
    });
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mocks = http(config.clone()).await;
        let mut bodies = Vec::new();
        for _ in 0..2 {
            bodies.push(reqwest::get(url(&mocks, "/x")).await.unwrap().text().await.unwrap());
        }
        assert_ne!(bodies[0], bodies[1]);
        runs.push(bodies);
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn expressions_see_the_whole_request() {
    let mocks = http(json!({
        "routes": [{
            "path": "/users/{id}/:part",
            "response": {
                "status": 201,
                "headers": { "x-echo": "${request.headers.`x-in`}", "set-cookie": ["a=1", "b=2"] },
                "body": {
                    "params": "${request.params}", "query": "${request.query.page}", "method": "${request.method}",
                    "path": "${request.path}", "count": "${request.count}", "calls": "${calls}", "form": "${request.body.To}"
                }
            }
        }]
    }))
    .await;
    let client = Client::new();
    assert_eq!(client.get(url(&mocks, "/other")).send().await.unwrap().status(), 404);
    let request = client
        .put(url(&mocks, "/users/7/name?page=2"))
        .header("X-In", "hello")
        .form(&[("To", "+47 1")]);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["x-echo"], "hello");
    assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    let body: Value = response.json().await.unwrap();
    let expected = json!({
        "params": { "id": "7", "part": "name" }, "query": "2", "method": "PUT", "path": "/users/7/name", "count": 1, "calls": 2, "form": "+47 1"
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn bodies_are_text_json_or_nothing() {
    let mocks = http(json!({
        "routes": [
            { "path": "/text", "response": { "body": "Hi ${request.query.name}" } },
            { "path": "/as-text", "response": { "bodyText": "${ {'a': 1} }", "headers": { "content-type": "application/json" } } },
            { "path": "/null", "response": { "body": null } },
            { "path": "/list", "response": { "body": [1, "${request.count}"] } },
            { "path": "/none", "response": { "status": 204 } },
            { "path": "/default" }
        ]
    }))
    .await;
    for (path, status, content_type, text) in [
        ("/text?name=Ada", 200, Some("text/plain; charset=utf-8"), "Hi Ada"),
        ("/as-text", 200, Some("application/json"), r#"{"a":1}"#),
        ("/null", 200, Some("application/json"), "null"),
        ("/list", 200, Some("application/json"), "[1,1]"),
        ("/none", 204, None, ""),
        ("/default", 200, None, ""),
    ] {
        let response = reqwest::get(url(&mocks, path)).await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(
            response
                .headers()
                .get("content-type")
                .map(|value| value.to_str().unwrap()),
            content_type,
            "{path}"
        );
        assert_eq!(response.text().await.unwrap(), text, "{path}");
    }
}

#[tokio::test]
async fn the_first_route_that_fits_answers() {
    let mocks = http(json!({
        "routes": [
            { "path": "/a", "match": { "query": { "page": 2 } }, "response": { "body": "query" } },
            { "path": "/a", "match": { "headers": { "X-Kind": "b" } }, "response": { "body": "header" } },
            { "path": "/a", "match": { "body": { "user": { "name": "Ada" } } }, "response": { "body": "body" } },
            { "path": "/a", "when": "${ request.body.amount > 100 }", "response": { "body": "when" } },
            { "path": "/a", "times": 1, "response": { "body": "once" } },
            { "path": "/a", "method": "delete", "response": { "body": "method" } },
            { "path": "*", "method": "POST", "response": { "body": "rest" } }
        ]
    }))
    .await;
    let client = Client::new();
    let post = |path: &str| client.post(url(&mocks, path));
    for (request, expected) in [
        (post("/a?page=2"), "query"),
        (post("/a").header("x-kind", "b"), "header"),
        (
            post("/a").json(&json!({ "user": { "name": "Ada", "age": 36 } })),
            "body",
        ),
        (post("/a").json(&json!({ "amount": 101 })), "when"),
        (post("/a").json(&json!({ "amount": 100 })), "once"),
        (post("/a").json(&json!({ "amount": 100 })), "rest"),
        (client.delete(url(&mocks, "/a")), "method"),
        (post("/b/c"), "rest"),
    ] {
        assert_eq!(request.send().await.unwrap().text().await.unwrap(), expected);
    }
    let routes: Vec<_> = mocks.calls("svc").into_iter().filter_map(|call| call.route).collect();
    assert_eq!(routes.last().map(String::as_str), Some("POST *"));
}

#[tokio::test]
async fn answers_come_in_order_and_the_last_repeats() {
    let mocks = http(json!({
        "routes": [{ "path": "/job", "responses": [{ "status": 202 }, { "status": 503 }, { "body": { "done": "${request.count}" } }] }]
    }))
    .await;
    let mut statuses = Vec::new();
    let mut last = String::new();
    for _ in 0..4 {
        let response = reqwest::get(url(&mocks, "/job")).await.unwrap();
        statuses.push(response.status().as_u16());
        last = response.text().await.unwrap();
    }
    assert_eq!(statuses, [202, 503, 200, 200]);
    assert_eq!(last, r#"{"done":4}"#);
}

#[tokio::test]
async fn an_unknown_route_names_the_nearest() {
    let mocks = http(json!({
        "routes": [
            { "path": "/charge", "method": "POST", "match": { "body": { "currency": "EUR" } } },
            { "path": "/refund", "method": "POST", "when": "$error('no idea')" }
        ]
    }))
    .await;
    let client = Client::new();
    for (request, part) in [
        (client.post(url(&mocks, "/chrage")), "the nearest is `POST /charge`"),
        (client.get(url(&mocks, "/charge")), "`POST /charge` has another method"),
        (
            client.post(url(&mocks, "/charge")).json(&json!({ "currency": "USD" })),
            "wants another `match.body.currency`",
        ),
        (client.post(url(&mocks, "/refund")), "cannot evaluate `when`: "),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 404);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"], "no-route");
        let message = body["message"].as_str().unwrap();
        assert!(message.contains(part), "{message}");
        assert_eq!(body["routes"], json!(["POST /charge", "POST /refund"]));
    }
    assert!(
        mocks
            .calls("svc")
            .iter()
            .all(|call| call.route.is_none() && call.status == Some(404) && !call.is_effect())
    );
}

#[tokio::test]
async fn an_expression_that_fails_is_a_500_with_the_reason() {
    let mocks =
        http(json!({ "routes": [{ "path": "/a", "response": { "body": "Hello ${request.body.nmae}" } }] })).await;
    let response = Client::new()
        .post(url(&mocks, "/a"))
        .json(&json!({ "name": "Ada" }))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 500);
    let body: Value = response.json().await.unwrap();
    assert!(body["message"].as_str().unwrap().contains("nmae"), "{body}");
    let call = mocks.calls("svc").remove(0);
    assert!(call.error.is_some() && !call.is_effect());
}

#[tokio::test]
async fn a_repeated_key_is_carried_out_once() {
    let mocks = http(json!({
        "routes": [{
            "path": "/pay", "method": "POST", "idempotent": true,
            "responses": [{ "status": 503 }, { "status": 201, "body": { "id": "${random.uuid}" } }]
        }]
    }))
    .await;
    let client = Client::new();
    let pay = |key: &str, amount: i32| {
        let request = client
            .post(url(&mocks, "/pay"))
            .header("Idempotency-Key", key)
            .json(&json!({ "amount": amount }));
        async move {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        }
    };
    // A call that was turned away was not carried out, so its key is free.
    assert_eq!(pay("k1", 5).await.0, 503);
    let first = pay("k1", 5).await;
    assert_eq!(first.0, 201);
    assert_eq!(pay("k1", 5).await, first);
    assert_ne!(pay("k2", 5).await, first);
    assert_eq!(pay("k1", 6).await.0, 422);
    let calls = mocks.calls("svc");
    let seen: Vec<_> = calls
        .iter()
        .map(|call| (call.idempotency_key.as_deref(), call.repeated, call.is_effect()))
        .collect();
    assert_eq!(
        seen,
        [
            (Some("k1"), false, false),
            (Some("k1"), false, true),
            (Some("k1"), true, false),
            (Some("k2"), false, true),
            (Some("k1"), false, false)
        ]
    );
}

#[tokio::test]
async fn one_key_at_the_same_moment_is_carried_out_once() {
    let mocks = http(json!({
        "routes": [{ "path": "/pay", "idempotent": true, "delay": { "min": 1, "max": "5ms" }, "response": { "body": "${random.uuid}" } }]
    }))
    .await;
    let client = Client::new();
    let calls = (0..32).map(|_| {
        let request = client.post(url(&mocks, "/pay")).header("idempotency-key", "same");
        async move { request.send().await.unwrap().text().await.unwrap() }
    });
    let mut answers = futures_util::future::join_all(calls).await;
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(mocks.calls("svc").iter().filter(|call| call.is_effect()).count(), 1);
}

#[tokio::test]
async fn calls_are_recorded_with_all_they_hold() {
    let mocks = http(json!({ "routes": [{ "path": "/a/:id" }] })).await;
    let client = Client::new();
    let first = client
        .post(url(&mocks, "/a/1?x=y"))
        .header("Authorization", "Bearer t")
        .json(&json!({ "n": 1 }));
    first.send().await.unwrap();
    client
        .post(url(&mocks, "/a/2"))
        .body(vec![0xff, 0xfe])
        .send()
        .await
        .unwrap();
    let calls = mocks.wait_for_calls("svc", 2, SOON).await.unwrap();
    assert_eq!(calls.len(), 2);
    let call = &calls[0];
    assert_eq!(
        (
            call.number,
            call.service.as_str(),
            call.method.as_str(),
            call.path.as_str()
        ),
        (1, "svc", "POST", "/a/1")
    );
    assert_eq!(call.query["x"], "y");
    assert_eq!(call.headers["authorization"], "Bearer t");
    assert_eq!(
        (&call.body, call.body_encoding),
        (&json!({ "n": 1 }), BodyEncoding::Json)
    );
    assert_eq!((call.status, call.route.as_deref()), (Some(200), Some("* /a/:id")));
    assert_eq!(calls[1].body_encoding, BodyEncoding::Base64);
}

#[tokio::test]
async fn a_wait_ends_with_the_call_or_the_deadline() {
    let mocks = http(json!({ "routes": [{ "path": "/a" }] })).await;
    let target = url(&mocks, "/a");
    let (waited, _) = tokio::join!(mocks.wait_for_calls("svc", 1, SOON), reqwest::get(target));
    assert_eq!(waited.unwrap().len(), 1);
    let error = mocks
        .wait_for_calls("svc", 2, std::time::Duration::from_millis(20))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "mock service `svc` had 1 of 2 calls after 20ms");
    let error = mocks.wait_for_calls("scv", 1, SOON).await.unwrap_err();
    assert_eq!(error.to_string(), "no mock service `scv`; there are: svc");
    let posts = mocks
        .wait_for("svc", 1, std::time::Duration::ZERO, |call| call.method == "POST")
        .await;
    assert!(posts.is_err());
}
