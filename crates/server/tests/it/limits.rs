//! Requests that are too large, too slow, or too many.

use std::time::Duration;

use bowline_access::Role;
use bowline_connector::Millis;
use bowline_server::Config;
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::authorization::key;
use crate::running::{Answer, LONG, Running};

async fn said(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A connection that is cut is an end too.
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut text)).await.unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_large_are_refused() {
    let mut config = Config::default();
    config.limits.api_body = 1_000;
    config.limits.webhook_body = 2_000;
    let server = Running::with(config).await;
    let input = |size: usize| json!({ "workflow": "hello", "input": { "name": "x".repeat(size) } });
    server.post("/api/v1/executions", &input(800)).await.is(201);
    server
        .post("/api/v1/executions", &input(1_000))
        .await
        .is_problem(413, "request.too-large");
    // One that does not say how large it is.
    let request = "POST /api/v1/executions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                   Transfer-Encoding: chunked\r\n\r\n";
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    for _ in 0..20 {
        // The other side may have closed it already.
        let _ = stream
            .write_all(format!("64\r\n{}\r\n", "x".repeat(100)).as_bytes())
            .await;
    }
    let text = said(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
    assert!(text.contains("request.too-large"), "{text}");
    // One that says so, before it is sent.
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = "POST /webhooks/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2001\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let text = said(&mut stream).await;
    assert!(text.starts_with("HTTP/1.1 413"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_too_slow_are_given_up() {
    let mut config = Config::default();
    config.limits.body_timeout = Millis(Duration::from_millis(100));
    let server = Running::with(config).await;
    let mut streams = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = "POST /api/v1/executions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                       Content-Length: 1000\r\n\r\n{";
        stream.write_all(request.as_bytes()).await.unwrap();
        streams.push(stream);
    }
    for stream in &mut streams {
        let text = said(stream).await;
        assert!(
            text.starts_with("HTTP/1.1 408") && text.contains("request.too-slow"),
            "{text}"
        );
    }
    server.start("patient", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_asks_too_often_is_told_to_wait() {
    let mut config = Config::default();
    config.limits.caller_rate = 1;
    config.limits.caller_burst = 5;
    let server = Running::with(config).await;
    let (one, other) = (
        key(&server, "default", Role::Viewer, None).await,
        key(&server, "default", Role::Operator, None).await,
    );
    let ask = async |text: &str| {
        let request = server.request(Method::GET, "/api/v1/executions");
        Answer::of(request.header("authorization", format!("Bearer {text}"))).await
    };
    let mut refused = None;
    for _ in 0..20 {
        let answer = ask(&one.text).await;
        if answer.status == 429 {
            refused = Some(answer);
        }
    }
    let refused = refused.unwrap();
    refused.is_problem(429, "rate.caller");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    ask(&other.text).await.is(200);
    // What everybody may ask is not counted of callers.
    server.get("/health/live").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_asks_too_often_or_guesses_is_told_to_wait() {
    let mut config = Config::default();
    config.limits.failure_rate = 1;
    config.limits.failure_burst = 3;
    let server = Running::with(config).await;
    let good = key(&server, "default", Role::Viewer, None).await;
    let ask = async |text: &str| {
        let request = server.request(Method::GET, "/api/v1/executions");
        Answer::of(request.header("authorization", format!("Bearer {text}"))).await
    };
    ask(&good.text).await.is(200);
    let wrong = format!("bwk_{}_{}", "0".repeat(16), "0".repeat(64));
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(ask(&wrong).await.status.as_u16());
    }
    assert!(
        statuses.starts_with(&[401, 401, 401]) && statuses.contains(&429),
        "{statuses:?}"
    );
    // Others behind the same address are not shut out by it.
    ask(&good.text).await.is(200);
    let login = async |text: &str| {
        let request = server.request(Method::POST, "/ui/login");
        Answer::of(request.form(&[("key", text)])).await.status.as_u16()
    };
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(login(&wrong).await);
    }
    assert!(statuses.contains(&429) && !statuses.contains(&200), "{statuses:?}");

    let mut config = Config::default();
    config.limits.address_rate = 1;
    config.limits.address_burst = 3;
    let server = Running::with(config).await;
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(server.get("/webhooks/x").await.status.as_u16());
    }
    assert!(
        statuses.starts_with(&[404, 404, 404]) && statuses.contains(&429),
        "{statuses:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_there_are_places_wait_and_slow_ones_make_room() {
    let mut config = Config::default();
    config.connections.max = 20;
    config.connections.header_timeout = Millis(Duration::from_millis(300));
    let server = Running::with(config).await;
    // As many as the system lets a test have; each sends a bit of a request and no more.
    let mut slow = Vec::new();
    for _ in 0..400 {
        let Ok(mut stream) = TcpStream::connect(server.address).await else {
            break;
        };
        let _ = stream.write_all(b"GET /health/live HTTP/1.1\r\nHo").await;
        slow.push(stream);
    }
    assert!(slow.len() > 100, "{}", slow.len());
    // They are cut, twenty at a time, and whoever comes after them is answered.
    server.get("/health/live").await.is(200);
    let cut = said(&mut slow[0]).await;
    assert!(!cut.contains("200 OK"), "{cut}");
}
