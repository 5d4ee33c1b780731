//! Connections: what they give to a step, and what a step changes.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{answer, call, call_in, context, echo_server, free_port, raw, say, serve};

#[tokio::test]
async fn a_connection_gives_base_headers_and_authentication() {
    let base = echo_server().await;
    // The interface of the node notation, with its pool names.
    let ctx = context(json!({ "shop": {
        "baseUrl": format!("{base}/v1/"),
        "authentication": { "type": "bearer", "credentials": { "token": "t0k" } },
        "headers": { "X-Tenant": 7, "Accept": "application/json" },
        "timeout": 30000,
        "retryPolicy": { "maxAttempts": 3 },
        "pool": { "min": 2, "max": 20, "acquireTimeoutMillis": 30000, "idleTimeoutMillis": 600_000,
                  "reapIntervalMillis": 1000, "createRetryIntervalMillis": 200 },
    } }));
    let sent = call_in(
        &ctx,
        json!({ "connection": "shop", "url": "/orders", "query": { "a": 1 } }),
    )
    .await
    .unwrap();
    let sent = &sent["body"];
    assert_eq!((&sent["path"], &sent["query"]), (&json!("/v1/orders"), &json!("a=1")));
    assert_eq!(sent["headers"]["authorization"], "Bearer t0k");
    assert_eq!(sent["headers"]["x-tenant"], "7");

    let step = json!({
        "connection": "shop", "url": format!("{base}/elsewhere"),
        "headers": { "x-tenant": null, "accept": "text/csv" },
        "authentication": { "type": "none" },
    });
    let sent = call_in(&ctx, step).await.unwrap()["body"].clone();
    assert_eq!(sent["path"], "/elsewhere");
    assert!(sent["headers"].get("x-tenant").is_none() && sent["headers"].get("authorization").is_none());
    assert_eq!(sent["headers"]["accept"], "text/csv");

    let step = json!({ "connection": "shop", "headers": { "Authorization": "Bearer mine" } });
    assert_eq!(
        call_in(&ctx, step).await.unwrap()["body"]["headers"]["authorization"],
        "Bearer mine"
    );
}

#[tokio::test]
async fn credentials_of_a_connection_go_to_its_origin_only() {
    let (base, other) = (echo_server().await, echo_server().await);
    let ctx = context(json!({ "shop": {
        "baseUrl": base, "authentication": { "type": "bearer", "credentials": { "token": "t0k" } },
    } }));
    let error = call_in(
        &ctx,
        json!({ "connection": "shop", "url": format!("{other}/?token=hush") }),
    )
    .await
    .unwrap_err();
    assert_eq!(error.code, "config.invalid");
    assert!(
        error.message.starts_with("url: ") && !error.to_string().contains("hush"),
        "{error}"
    );
}

#[tokio::test]
async fn wrong_connections_are_told_when_they_are_used() {
    for (config, field) in [
        (json!({ "baseUrl": "shop.example" }), "baseUrl"),
        (json!({ "baseUrl": "ftp://shop.example" }), "baseUrl"),
        (json!({ "baseUrl": "http://a", "pool": { "max": 0 } }), "pool.max"),
        (json!({ "baseUrl": "http://a", "tls": { "ca": "none.pem" } }), "tls.ca"),
        (
            json!({ "baseUrl": "http://a", "tls": { "ca": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----" } }),
            "certificate",
        ),
        (json!({ "baseUrl": "http://a", "proxy": "gopher://b" }), "proxy.url"),
        (json!({ "baseUrl": "http://a", "headers": { "a b": 1 } }), "headers"),
        (json!({ "baseURL": "http://a" }), "baseURL"),
    ] {
        let error = call_in(&context(json!({ "c": config })), json!({ "connection": "c" }))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(field), "{config}: {error}");
        assert!(!error.kind.is_retryable());
    }
}

/// A server that answers any number of requests per socket and counts sockets.
async fn counting() -> (String, Arc<Semaphore>) {
    let sockets = Arc::new(Semaphore::new(0));
    let counted = Arc::clone(&sockets);
    let url = raw(move |mut stream| {
        counted.add_permits(1);
        async move {
            loop {
                let mut end = [0];
                say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                if stream.peek(&mut end).await.unwrap_or(0) == 0 {
                    return;
                }
            }
        }
    })
    .await;
    (url, sockets)
}

#[tokio::test]
async fn sockets_are_used_again_with_and_without_a_connection() {
    let (url, sockets) = counting().await;
    for _ in 0..5 {
        assert_eq!(call(json!({ "url": url })).await.unwrap()["body"], "ok");
    }
    assert_eq!(sockets.available_permits(), 1, "five calls without a connection");

    let (url, sockets) = counting().await;
    let ctx = context(json!({ "c": { "baseUrl": url } }));
    for _ in 0..5 {
        assert_eq!(call_in(&ctx, json!({ "connection": "c" })).await.unwrap()["body"], "ok");
    }
    assert_eq!(sockets.available_permits(), 1, "five calls over a connection");
}

#[tokio::test]
async fn calls_wait_for_their_turn() {
    let gate = Arc::new(Semaphore::new(0));
    let entered = Arc::new(Semaphore::new(0));
    let router = {
        let (gate, entered) = (Arc::clone(&gate), Arc::clone(&entered));
        Router::new().route(
            "/",
            get(move || {
                let (gate, entered) = (Arc::clone(&gate), Arc::clone(&entered));
                async move {
                    entered.add_permits(1);
                    gate.acquire().await.unwrap().forget();
                    answer(200, &[], "done")
                }
            }),
        )
    };
    let base = serve(router).await;
    let ctx = context(json!({ "c": { "baseUrl": base, "pool": { "max": 1, "acquireTimeoutMillis": 50 } } }));
    let first = tokio::spawn({
        let ctx = ctx.clone();
        async move { call_in(&ctx, json!({ "connection": "c" })).await }
    });
    entered.acquire().await.unwrap().forget();
    let error = call_in(&ctx, json!({ "connection": "c" })).await.unwrap_err();
    assert_eq!(error.code, "http.pool-timeout");
    assert!(error.kind.is_retryable());
    gate.add_permits(1);
    assert_eq!(first.await.unwrap().unwrap()["body"], "done");
    gate.add_permits(1);
    assert_eq!(
        call_in(&ctx, json!({ "connection": "c" })).await.unwrap()["body"],
        "done"
    );
}

#[tokio::test]
async fn a_step_overrides_limits_of_its_connection() {
    let url = raw(|mut stream| async move {
        say(&mut stream, b"").await;
        std::future::pending::<()>().await;
    })
    .await;
    let ctx = context(json!({
        "slow": { "baseUrl": url, "timeout": "1h" },
        "fast": { "baseUrl": url, "timeout": 20 },
        "proxied": { "baseUrl": echo_server().await, "proxy": format!("http://127.0.0.1:{}", free_port()) },
    }));
    let message = async |config: Value| call_in(&ctx, config).await.unwrap_err().message;
    assert!(
        message(json!({ "connection": "slow", "timeout": 30 }))
            .await
            .contains("(30ms)")
    );
    assert!(message(json!({ "connection": "fast" })).await.contains("(20ms)"));
    assert!(
        message(json!({ "connection": "proxied" }))
            .await
            .contains("was refused")
    );
    assert_eq!(
        call_in(&ctx, json!({ "connection": "proxied", "proxy": "none" }))
            .await
            .unwrap()["status"],
        200
    );
}
