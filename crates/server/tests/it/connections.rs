//! Connections: what is too slow, too large or too much.

use std::time::Duration;

use bowline_connector::Millis;
use bowline_server::Config;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::running::{LONG, Running};

async fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let read = stream.read_to_end(&mut text);
    // A connection that is cut is an end too.
    let _ = tokio::time::timeout(LONG, read).await.unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_do_not_come_or_do_not_end_are_cut() {
    let mut config = Config::default();
    config.connections.header_timeout = Millis(Duration::from_millis(100));
    config.connections.header_bytes = 8 * 1024;
    config.connections.headers = 20;
    let server = Running::with(config).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n")
        .await
        .unwrap();
    assert!(!answer(&mut slow).await.contains("200 OK"));
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(answer(&mut silent).await, "");
    for request in [
        format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(20_000)),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(30)),
    ] {
        let mut large = TcpStream::connect(server.address).await.unwrap();
        let _ = large.write_all(request.as_bytes()).await;
        let text = answer(&mut large).await;
        assert!(text.starts_with("HTTP/1.1 431"), "{text}");
    }
    server.get("/health/live").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_is_cut() {
    let mut config = Config::default();
    config.connections.stall_timeout = Millis(Duration::from_millis(100));
    config.events.heartbeat = Millis(Duration::from_millis(1));
    let server = Running::with(config).await;
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    // Answers to all of these are more than the buffers between hold.
    let request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n";
    for _ in 0..400 {
        if stream.write_all(request).await.is_err() {
            break;
        }
    }
    let mut list = server.host.feed().list("default");
    let cut = async {
        loop {
            // Writing fails when the other side has closed.
            if stream.write_all(request).await.is_err() {
                return;
            }
            let _ = tokio::time::timeout(Duration::from_millis(10), list.changed()).await;
        }
    };
    tokio::time::timeout(LONG, cut).await.unwrap();
    server.get("/health/live").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_has_only_so_many_connections() {
    let mut config = Config::default();
    config.connections.per_address = Some(2);
    let server = Running::with(config).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    for stream in [&mut first, &mut second] {
        stream
            .write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut some = [0; 12];
        stream.read_exact(&mut some).await.unwrap();
        assert_eq!(&some, b"HTTP/1.1 200");
    }
    let mut third = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(answer(&mut third).await, "");
    drop((first, second));
    let again = async {
        while server
            .client
            .get(format!("{}/health/live", server.url))
            .send()
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_requests_end() {
    let server = Running::new().await;
    let url = format!("{}/api/v1/executions?wait=30s", server.url);
    let client = server.client.clone();
    let waits = tokio::spawn(async move {
        let request = client.post(url).json(&json!({ "workflow": "patient" }));
        request.send().await.unwrap().status()
    });
    server
        .until("/api/v1/executions?workflow=patient", |body| {
            !body["items"].as_array().unwrap().is_empty()
        })
        .await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let folder = server.stop().await;
    // Who waited is told where to ask; who had nothing to say is let go.
    assert_eq!(waits.await.unwrap(), 202);
    assert_eq!(answer(&mut idle).await, "");
    drop(folder);
}
