//! Testing a connection: what a HEAD request to its `baseUrl` tells.

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::any;
use bowline_connector::{StepError, Tested};
use serde_json::{Value, json};

use crate::support::{context, free_port, registry, serve};

async fn test(connection: Value) -> Result<Tested, StepError> {
    let ctx = context(json!({ "it": connection }));
    let registry = registry();
    let entry = registry.connection("http").unwrap();
    assert!(entry.is_testable());
    entry.test(ctx, "it").unwrap().await
}

/// A service that wants a token, and has nothing at its root.
async fn picky(request: Request) -> StatusCode {
    assert_eq!(request.method(), "HEAD");
    match request
        .headers()
        .get("authorization")
        .map(|value| value.to_str().unwrap())
    {
        Some("Bearer right-token") if request.uri().path() == "/v1" => StatusCode::OK,
        Some("Bearer right-token") => StatusCode::NOT_FOUND,
        _ => StatusCode::UNAUTHORIZED,
    }
}

#[tokio::test]
async fn a_test_tells_who_answers_and_whether_the_credentials_are_taken() {
    let base = serve(Router::new().fallback(any(picky))).await;
    let with = |path: &str, token: &str| {
        json!({
            "baseUrl": format!("{base}{path}"),
            "authentication": { "type": "bearer", "credentials": { "token": token } },
        })
    };
    let right = test(with("/v1", "right-token")).await.unwrap();
    assert_eq!(
        (right.reachable, right.authenticated, right.error),
        (true, Some(true), None)
    );
    let root = test(with("/", "right-token")).await.unwrap();
    assert_eq!(
        (root.reachable, root.authenticated, root.error),
        (true, None, None),
        "says nothing"
    );
    let wrong = test(with("/v1", "wrong-token")).await.unwrap();
    assert_eq!((wrong.reachable, wrong.authenticated), (true, Some(false)));
    assert_eq!(wrong.error.unwrap().code, "http.401");
    assert!(!wrong.message.contains("wrong-token"), "{}", wrong.message);
    let none = test(json!({ "baseUrl": base })).await.unwrap();
    assert!(none.message.contains("has none"), "{}", none.message);

    let gone = test(json!({ "baseUrl": format!("http://127.0.0.1:{}", free_port()) }))
        .await
        .unwrap_err();
    assert_eq!(gone.code, "http.connect");
    let nowhere = test(json!({})).await.unwrap_err();
    assert_eq!(nowhere.code, "connection.untestable");
}
