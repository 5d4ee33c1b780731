//! The mail service, spoken to by a real client and by hand.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get fails it")]

use std::path::Path;
use std::time::Duration;

use bowline_testing::MockServices;
use lettre::message::{Attachment, MultiPart, SinglePart, header::ContentType};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

/// Long enough for a busy machine; nothing waits so long unless it fails.
const SOON: Duration = Duration::from_secs(20);

async fn smtp(config: Value) -> MockServices {
    let definition = json!([{ "id": "mail", "type": "mock-smtp-service", "config": config }]);
    MockServices::start(&definition, Path::new(".")).await.unwrap()
}

fn client(mocks: &MockServices) -> AsyncSmtpTransport<Tokio1Executor> {
    let port = mocks.address("mail").unwrap().port();
    AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(port)
        .build()
}

fn message(to: &str) -> Message {
    Message::builder()
        .from("Shop <shop@example.com>".parse().unwrap())
        .to(to.parse().unwrap())
        .subject("Grüße")
        .header(ContentType::TEXT_PLAIN)
        .body("Hallo Jürgen\n.dot\n".to_owned())
        .unwrap()
}

struct Hand(BufStream<TcpStream>);

impl Hand {
    async fn new(mocks: &MockServices) -> Self {
        let mut hand = Self(BufStream::new(
            TcpStream::connect(mocks.address("mail").unwrap()).await.unwrap(),
        ));
        assert!(hand.hear().await.starts_with("220"));
        hand
    }

    async fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line
    }

    async fn say(&mut self, line: &str) -> String {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
        self.hear().await
    }
}

#[tokio::test]
async fn a_message_is_kept_as_people_see_it() {
    let mocks = smtp(json!({})).await;
    client(&mocks).send(message("Jo <jo@example.com>")).await.unwrap();
    let calls = mocks.wait_for_calls("mail", 1, SOON).await.unwrap();
    let call = &calls[0];
    assert_eq!(
        (call.method.as_str(), call.path.as_str(), call.status),
        ("SEND", "jo@example.com", Some(250))
    );
    assert!(call.is_effect());
    assert_eq!(call.body["from"], "shop@example.com");
    assert_eq!(call.body["to"], json!(["jo@example.com"]));
    assert_eq!(call.body["subject"], "Grüße");
    assert_eq!(
        call.body["text"].as_str().unwrap().replace('\r', "").trim_end(),
        "Hallo Jürgen\n.dot"
    );
    assert_eq!(call.body["html"], Value::Null);
    assert!(call.headers["from"].contains("shop@example.com"));
}

#[tokio::test]
async fn parts_and_credentials_are_told() {
    let mocks = smtp(json!({})).await;
    let parts = MultiPart::mixed()
        .multipart(MultiPart::alternative_plain_html(
            "plain".to_owned(),
            "<b>rich</b>".to_owned(),
        ))
        .singlepart(Attachment::new("a.txt".into()).body("12345".to_owned(), ContentType::TEXT_PLAIN));
    let message = Message::builder()
        .from("a@example.com".parse().unwrap())
        .to("b@example.com".parse().unwrap())
        .subject("s")
        .multipart(parts)
        .unwrap();
    let port = mocks.address("mail").unwrap().port();
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        let client = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
            .port(port)
            .credentials(Credentials::new("ada".into(), "secret".into()))
            .authentication(vec![mechanism])
            .build();
        client.send(message.clone()).await.unwrap();
    }
    for call in mocks.wait_for_calls("mail", 2, SOON).await.unwrap() {
        assert_eq!(call.query["user"], "ada");
        assert_eq!(call.body["text"].as_str().map(str::trim), Some("plain"));
        assert_eq!(call.body["html"].as_str().map(str::trim), Some("<b>rich</b>"));
        assert_eq!(call.body["attachments"], json!([{ "name": "a.txt", "size": 5 }]));
    }
    // An html part alone.
    let html = Message::builder()
        .from("a@example.com".parse().unwrap())
        .to("b@example.com".parse().unwrap())
        .singlepart(SinglePart::html("<i>x</i>".to_owned()))
        .unwrap();
    client(&mocks).send(html).await.unwrap();
    assert_eq!(
        mocks.calls("mail")[2].body["html"].as_str().map(str::trim),
        Some("<i>x</i>")
    );
}

#[tokio::test]
async fn refusals_are_answered_and_kept() {
    let mocks = smtp(json!({ "rejects": [
        { "to": "*@blocked.example", "message": "we know you" },
        { "to": "busy@example.com", "code": 450 }
    ] }))
    .await;
    let error = client(&mocks).send(message("a@Blocked.example")).await.unwrap_err();
    assert!(error.is_permanent(), "{error}");
    let error = client(&mocks).send(message("busy@example.com")).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    client(&mocks).send(message("a@example.com")).await.unwrap();
    let calls = mocks.calls("mail");
    let seen: Vec<_> = calls
        .iter()
        .map(|call| (call.method.as_str(), call.status, call.is_effect()))
        .collect();
    assert_eq!(
        seen,
        [
            ("RCPT", Some(550), false),
            ("RCPT", Some(450), false),
            ("SEND", Some(250), true)
        ]
    );
}

#[tokio::test]
async fn faults_strike_after_the_message_was_received() {
    let faults = json!([
        { "status": 451, "body": "later", "count": 1 },
        { "type": "reset", "after": 1, "count": 1 },
        { "type": "empty", "after": 2, "count": 1 },
        { "type": "garbage", "after": 3, "count": 1 },
        { "type": "drop", "after": 4, "count": 1 }
    ]);
    let mocks = smtp(json!({ "faults": faults })).await;
    for _ in 0..5 {
        assert!(client(&mocks).send(message("a@example.com")).await.is_err());
    }
    client(&mocks).send(message("a@example.com")).await.unwrap();
    let calls = mocks.calls("mail");
    let seen: Vec<_> = calls.iter().map(|call| (call.fault.as_deref(), call.status)).collect();
    let lost = |fault| (Some(fault), None);
    assert_eq!(
        seen,
        [
            (Some("status"), Some(451)),
            lost("reset"),
            lost("empty"),
            lost("garbage"),
            lost("drop"),
            (None, Some(250))
        ]
    );
}

#[tokio::test]
async fn a_hanging_message_ends_with_the_mocks() {
    let mocks = smtp(json!({ "fault": "hang" })).await;
    let sending = client(&mocks);
    let sending = tokio::spawn(async move { sending.send(message("a@example.com")).await });
    mocks.wait_for_calls("mail", 1, SOON).await.unwrap();
    mocks.stop().await;
    assert!(sending.await.unwrap().is_err());
}

#[tokio::test]
async fn the_order_of_commands_is_held() {
    let mocks = smtp(json!({})).await;
    let mut hand = Hand::new(&mocks).await;
    for (line, code) in [
        ("HELO me", "250"),
        ("RCPT TO:<a@b.c>", "503"),
        ("DATA", "503"),
        ("MAIL FROM:nobody", "501"),
        ("mail from:<> SIZE=10", "250"),
        ("MAIL FROM:<x@y.z>", "503"),
        ("RCPT TO:<>", "501"),
        ("DATA", "503"),
        ("RSET", "250"),
        ("NOOP", "250"),
        ("VRFY a", "252"),
        ("WHAT", "502"),
        ("AUTH CRAM-MD5", "504"),
        ("AUTH PLAIN !!!", "501"),
        ("AUTH LOGIN", "334"),
        ("YWRh", "334"),
        ("c2VjcmV0", "235"),
        ("MAIL FROM:<x@y.z>", "250"),
        ("rcpt to:<a@b.c>", "250"),
        ("RCPT TO:<d@e.f>", "250"),
        ("DATA", "354"),
        ("Subject: hi\r\n\r\n..two dots\r\n.", "250"),
        ("QUIT", "221"),
    ] {
        let heard = hand.say(line).await;
        assert!(heard.starts_with(code), "{line}: {heard}");
    }
    let mut rest = Vec::new();
    hand.0.read_to_end(&mut rest).await.unwrap();
    let call = mocks.calls("mail").remove(0);
    assert_eq!(call.path, "a@b.c,d@e.f");
    assert_eq!(call.body["raw"], "Subject: hi\r\n\r\n.two dots\r\n");
}

#[tokio::test]
async fn an_endless_line_ends_the_conversation() {
    let mocks = smtp(json!({})).await;
    let mut hand = Hand::new(&mocks).await;
    let line = "x".repeat(200_000);
    // The mock may close before all of it is written.
    let _written = hand.0.write_all(line.as_bytes()).await;
    let _flushed = hand.0.flush().await;
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(SOON, hand.0.read_to_end(&mut rest))
        .await
        .expect("the mock closes");
    assert!(ended.is_err() || rest.is_empty());
}
