//! Many who follow an execution and do not read: others are answered, and memory is bounded.
//!
//! `BOWLINE_STREAMS=10000` opens as many as the server is made for; by default fewer.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::process::{LONG, Process};

const PATIENT: &str = "name: patient\nsteps:\n  - id: word\n    waitFor: { signal: word }\n";
const HELLO: &str = "name: hello\nsteps:\n  - set: { text: hello }\noutput: \"${text}\"\n";

/// What the server may take, in bytes.
const MEMORY: u64 = 300 * 1024 * 1024;

async fn open(server: &Process, id: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    // Little is held between: a slow reader is a slow reader.
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let host = server.address;
    let request = format!("GET /api/v1/executions/{id}/events HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

async fn answered(server: &Process, client: &reqwest::Client) -> Duration {
    let began = Instant::now();
    let body = json!({ "workflow": "hello" });
    let request = client.post(server.url("/api/v1/executions?wait=30s")).json(&body);
    let ended: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(ended["status"], "succeeded", "{ended}");
    began.elapsed()
}

async fn start(server: &Process, client: &reqwest::Client) -> String {
    let request = client
        .post(server.url("/api/v1/executions"))
        .json(&json!({ "workflow": "patient" }));
    let started: Value = request.send().await.unwrap().json().await.unwrap();
    started["id"].as_str().unwrap().to_owned()
}

fn write(folder: &Path) {
    std::fs::write(folder.join("patient.yaml"), PATIENT).unwrap();
    std::fs::write(folder.join("hello.yaml"), HELLO).unwrap();
    // They are cut only when they stall, which is another test's matter.
    std::fs::write(
        folder.join("bowline.yaml"),
        "server: { connections: { stallTimeout: 1h } }\n",
    )
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_follow_and_do_not_read_hold_nobody_up() {
    let wanted = std::env::var("BOWLINE_STREAMS").ok().and_then(|text| text.parse().ok());
    let wanted: usize = wanted.unwrap_or(1000);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let server = Process::start(folder.path(), &[]);
    let client = reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap();
    let id = start(&server, &client).await;
    let (memory, alone) = (server.memory(), answered(&server, &client).await);
    let mut streams = Vec::with_capacity(wanted);
    for _ in 0..wanted {
        streams.push(open(&server, &id).await);
    }
    let idle = server.memory();
    // All of them have news at once, again and again, and take none of it.
    for number in 0..20 {
        let signal = json!({ "name": "other", "data": format!("{number}{}", "x".repeat(2000)) });
        let path = server.url(&format!("/api/v1/executions/{id}/signals"));
        let sent = client.post(path).json(&signal).send().await.unwrap();
        assert_eq!(sent.status(), 200, "{}", sent.text().await.unwrap());
    }
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        slowest = slowest.max(answered(&server, &client).await);
    }
    let full = server.memory();
    let mb = |bytes: u64| bytes / 1024 / 1024;
    println!(
        "{wanted} streams: {} MB before, {} MB idle, {} MB with readers that do not read; a start with its result took \
         {alone:?} before and at most {slowest:?} then",
        mb(memory),
        mb(idle),
        mb(full),
    );
    assert!(full < MEMORY, "{} MB", mb(full));
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    drop(streams);
    answered(&server, &client).await;
    assert!(server.stop().success());
}
