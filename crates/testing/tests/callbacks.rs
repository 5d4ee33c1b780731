//! Services that call back.

mod support;

use bowline_testing::{Call, MockServices};
use serde_json::{Value, json};
use support::{SOON, http, url};

fn is_callback(call: &Call) -> bool {
    call.method == "CALLBACK"
}

/// A service that takes orders and calls back at `/called` of itself, as `callback` says.
#[expect(clippy::unwrap_used, reason = "wrong routes fail the test")]
async fn service(route: Value, called: Value) -> MockServices {
    let mut order = json!({
        "path": "/orders",
        "method": "POST",
        "response": { "status": 202, "body": { "reference": "R-${request.body.id}" } },
    });
    for (name, value) in route.as_object().unwrap() {
        order[name] = value.clone();
    }
    if route.get("responses").is_some() {
        order.as_object_mut().unwrap().remove("response");
    }
    let mut called = called;
    called["path"] = json!("/called/*");
    http(json!({ "routes": [order, called] })).await
}

#[expect(clippy::unwrap_used, reason = "a service that does not answer fails the test")]
async fn order(mocks: &MockServices, key: Option<&str>) -> (u16, Value) {
    let body = json!({ "id": 7, "callbackUrl": url(mocks, "/called") });
    let mut request = reqwest::Client::new().post(url(mocks, "/orders")).json(&body);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_callback_knows_the_request_and_the_answer() {
    let callback = json!({
        "after": "20ms",
        "url": "${request.body.callbackUrl}/a",
        "headers": { "x-reference": "${response.body.reference}" },
        "body": { "reference": "${response.body.reference}", "status": "${response.status}" },
    });
    let mocks = service(json!({ "callback": callback, "idempotent": true }), json!({})).await;
    let (status, body) = order(&mocks, Some("k")).await;
    assert_eq!((status, &body), (202, &json!({ "reference": "R-7" })));
    // Asked for again it is the same order, which is told once.
    assert_eq!(order(&mocks, Some("k")).await, (status, body));
    let sent = mocks.wait_for("svc", 1, SOON, is_callback).await.unwrap();
    assert_eq!(sent[0].status, Some(200));
    assert_eq!(sent[0].path, url(&mocks, "/called/a"));
    assert!(!sent[0].is_effect());
    let came = mocks
        .wait_for("svc", 1, SOON, |call| call.path == "/called/a")
        .await
        .unwrap();
    assert_eq!(came[0].body, json!({ "reference": "R-7", "status": 202 }));
    assert_eq!((&*came[0].method, &*came[0].headers["x-reference"]), ("POST", "R-7"));
    assert_eq!(mocks.calls("svc").iter().filter(|call| is_callback(call)).count(), 1);
}

#[tokio::test]
async fn a_callback_can_come_before_the_answer_and_several_times() {
    let early = json!({ "url": "${request.body.callbackUrl}/early", "times": 2 });
    let other = json!({ "url": "${request.body.callbackUrl}/other", "method": "put", "body": "text" });
    // The answer waits until all of them have arrived.
    let mocks = service(json!({ "callbacks": [early, other], "delay": "1h" }), json!({})).await;
    let asking = order(&mocks, None);
    tokio::pin!(asking);
    tokio::select! {
        answer = &mut asking => panic!("it was answered: {answer:?}"),
        sent = mocks.wait_for("svc", 3, SOON, is_callback) => { sent.unwrap(); }
    }
    let count = |path: &str| mocks.calls("svc").iter().filter(|call| call.path == path).count();
    assert_eq!((count("/called/early"), count("/called/other")), (2, 1));
    let text = mocks
        .calls("svc")
        .into_iter()
        .find(|call| call.path == "/called/other")
        .unwrap();
    assert_eq!((&*text.method, text.body), ("PUT", json!("text")));
}

#[tokio::test]
async fn what_is_refused_has_no_callback_and_a_busy_receiver_is_asked_again() {
    let callback = json!({ "url": "${request.body.callbackUrl}/a" });
    let busy = json!({ "fault": { "status": 503, "count": 1 } });
    let route =
        json!({ "callback": callback, "responses": [{ "status": 422 , "body": {} }, { "status": 200, "body": {} }] });
    let mocks = service(route, busy).await;
    assert_eq!(order(&mocks, None).await.0, 422);
    assert_eq!(order(&mocks, None).await.0, 200);
    let sent = mocks.wait_for("svc", 1, SOON, is_callback).await.unwrap();
    assert_eq!(sent[0].status, Some(200), "it is recorded when it has arrived");
    let came: Vec<_> = mocks
        .calls("svc")
        .into_iter()
        .filter(|call| call.path == "/called/a")
        .collect();
    assert_eq!(
        came.iter().map(|call| call.status).collect::<Vec<_>>(),
        [Some(503), Some(200)]
    );
}

#[tokio::test]
async fn a_wrong_callback_is_told_before_anything_listens() {
    let config = json!({ "routes": [{
        "path": "/a",
        "callback": { "url": "${input.url}", "method": "no method", "times": 0, "afer": 1 },
        "callbacks": [{ "body": 1 }],
    }, { "path": "/b", "callback": { "url": "${input.url}", "method": "no method" } }] });
    let definition = json!([{ "id": "svc", "type": "mock-http-service", "config": config }]);
    let error = MockServices::check(&definition, ".".as_ref()).unwrap_err().to_string();
    for part in [
        "routes[0].callback.times",
        "routes[0].callback.afer: unknown field\n",
        "did you mean `after`?",
        "routes[0].callbacks[0]: `url` is missing",
        "routes[1].callback.url: reads `input`\n  expected one of: request, random, calls, response",
        "routes[1].callback.method: `NO METHOD` is not a method",
    ] {
        assert!(error.contains(part), "no {part:?} in\n{error}");
    }
    // An address that is none is only known when it is made.
    let mocks = service(json!({ "callback": { "url": "nowhere" } }), json!({})).await;
    order(&mocks, None).await;
    let sent = mocks.wait_for("svc", 1, SOON, is_callback).await.unwrap();
    assert!(
        sent[0].error.as_deref().unwrap().contains("\"nowhere\" is not a URL"),
        "{:?}",
        sent[0]
    );
}
