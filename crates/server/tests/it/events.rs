//! Streams of events.

use std::time::Duration;

use bowline_connector::Millis;
use bowline_server::Config;
use futures_util::StreamExt;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::running::{LONG, Running};

/// What came of one stream.
struct Stream {
    response: Response,
    text: String,
}

/// An event of a stream.
#[derive(Debug, Default, PartialEq)]
struct Event {
    name: String,
    id: Option<u64>,
    data: String,
    retry: Option<u64>,
    comment: bool,
}

impl Stream {
    async fn open(server: &Running, path: &str, last: Option<u64>) -> Self {
        let mut request = server.request(Method::GET, path);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
        }
    }

    /// The next event; none at the end of the stream.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                return Some(parse(&std::mem::replace(&mut self.text, rest)));
            }
            let piece = tokio::time::timeout(LONG, self.response.chunk())
                .await
                .unwrap()
                .unwrap()?;
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The kinds of events up to one of this kind, and the last id.
    async fn until(&mut self, kind: &str) -> (Vec<String>, Option<u64>) {
        let (mut kinds, mut id) = (Vec::new(), None);
        while let Some(event) = self.next().await {
            id = event.id.or(id);
            if event.name != "history" {
                continue;
            }
            let data: Value = serde_json::from_str(&event.data).unwrap();
            kinds.push(data["kind"].as_str().unwrap().to_owned());
            if kinds.last().is_some_and(|last| last == kind) {
                break;
            }
        }
        (kinds, id)
    }
}

fn parse(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "event" => event.name = value,
            "id" => event.id = value.parse().ok(),
            "data" => event.data = value,
            "retry" => event.retry = value.parse().ok(),
            "" => event.comment = true,
            other => assert_eq!(other, ""),
        }
    }
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_is_followed_live_to_its_end() {
    let server = Running::new().await;
    let id = server.start("patient", json!({})).await;
    let path = format!("/api/v1/executions/{id}/events");
    let mut stream = Stream::open(&server, &path, None).await;
    assert_eq!(stream.next().await.unwrap().retry, Some(1000));
    let (kinds, _) = stream.until("waitRegistered").await;
    assert_eq!(kinds[0], "started");
    let signal = json!({ "name": "word", "data": "now" });
    server
        .post(&format!("/api/v1/executions/{id}/signals"), &signal)
        .await
        .is(200);
    let (kinds, last) = stream.until("finished").await;
    assert!(kinds.iter().any(|kind| kind == "signalReceived"), "{kinds:?}");
    assert_eq!(stream.next().await, None);
    let last = last.unwrap();
    let request = server
        .request(Method::GET, &path)
        .header("last-event-id", last.to_string());
    assert_eq!(request.send().await.unwrap().status(), 204);
    let request = server.request(Method::GET, &path).header("last-event-id", "9999");
    assert_eq!(request.send().await.unwrap().status(), 204);
    let request = server.request(Method::GET, &path).header("last-event-id", "x");
    assert_eq!(request.send().await.unwrap().status(), 400);
    let none = server.get("/api/v1/executions/none/events").await;
    none.is_problem(404, "execution.not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_comes_back_goes_on_where_it_was_also_after_a_restart() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let socket = || TcpListener::from_std(listener.try_clone().unwrap()).unwrap();
    let first = Running::on(crate::running::folder(), socket(), Config::default()).await;
    let id = first.start("patient", json!({})).await;
    let path = format!("/api/v1/executions/{id}/events");
    let mut stream = Stream::open(&first, &path, None).await;
    let (before, _) = stream.until("waitRegistered").await;
    // The end of the server ends the stream, and what is the last of its commit has a number.
    let folder = first.stop().await;
    let mut last = None;
    while let Some(event) = stream.next().await {
        last = event.id.or(last);
    }
    let second = Running::on(folder, socket(), Config::default()).await;
    let mut whole = Stream::open(&second, &path, None).await;
    let (again, number) = whole.until("waitRegistered").await;
    assert_eq!(again, before);
    let mut stream = Stream::open(&second, &path, number.or(last)).await;
    let signal = json!({ "name": "word", "data": "now" });
    second
        .post(&format!("/api/v1/executions/{id}/signals"), &signal)
        .await
        .is(200);
    let (kinds, _) = stream.until("finished").await;
    assert!(!kinds.iter().any(|kind| kind == "started"), "{kinds:?}");
    assert!(kinds.iter().any(|kind| kind == "signalReceived"), "{kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_ticks_when_something_changes() {
    let server = Running::new().await;
    let mut stream = Stream::open(&server, "/api/v1/executions/events", None).await;
    assert!(stream.next().await.unwrap().retry.is_some());
    server.run("hello", json!({ "name": "ada" })).await;
    assert_eq!(stream.next().await.unwrap().name, "changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_stream_has_a_heartbeat_and_there_are_only_so_many() {
    let mut config = Config::default();
    config.events.heartbeat = Millis(Duration::from_millis(20));
    config.events.max = 2;
    let server = Running::with(config).await;
    let path = "/api/v1/executions/events";
    let mut first = Stream::open(&server, path, None).await;
    let second = Stream::open(&server, path, None).await;
    let third = server.get(path).await;
    third.is_problem(503, "events.too-many");
    assert!(!third.header("retry-after").is_empty());
    first.next().await.unwrap();
    assert!(first.next().await.unwrap().comment);
    assert_eq!(server.app.streams.count(), 2);
    drop(second);
    // The heartbeat finds that nobody is there.
    let gone = async {
        while server.app.streams.count() > 1 {
            first.next().await.unwrap();
        }
    };
    tokio::time::timeout(LONG, gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_do_not_read_hold_nobody_up() {
    let server = Running::new().await;
    let id = server.start("patient", json!({})).await;
    let path = format!("/api/v1/executions/{id}/events");
    let open = |_| Stream::open(&server, &path, None);
    let mut idle: Vec<Stream> = futures_util::stream::iter(0..200).then(open).collect().await;
    assert_eq!(server.app.streams.count(), 200);
    let run = server.run("hello", json!({ "name": "ada" }));
    tokio::time::timeout(LONG, run).await.unwrap();
    let signal = json!({ "name": "word", "data": "now" });
    server
        .post(&format!("/api/v1/executions/{id}/signals"), &signal)
        .await
        .is(200);
    let (kinds, _) = idle[199].until("finished").await;
    assert!(kinds.contains(&"finished".to_owned()));
}
