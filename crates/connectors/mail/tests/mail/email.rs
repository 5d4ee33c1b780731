//! `email-send` against a real mail server.

use crate::server::MailServer;
use crate::world::{World, email as send, email_error as error};
use bowline_connector::{ErrorKind, StepContext};
use mail_parser::{Message, MessageParser, MimeHeaders};
use serde_json::{Value, json};

fn world(server: &MailServer, more: Value) -> World {
    World::new("smtp", server.connection(more))
}

fn parse(bytes: &[u8]) -> Message<'_> {
    MessageParser::default().parse(bytes).expect("a message")
}

#[tokio::test]
async fn a_whole_message_arrives_as_it_was_written() {
    let Some(server) = MailServer::start(&["--security", "starttls", "--auth", "PLAIN"]) else {
        return;
    };
    let world = world(
        &server,
        json!({ "security": "starttls", "username": "shop", "password": "a-password", "heloName": "client.test",
                "tls": { "ca": server.certificate } }),
    );
    std::fs::write(world.folder.path().join("bill.bin"), [0, 13, 10, 46, 13, 10, 255]).expect("written");
    let text = "Grüße\n.\nA line that begins with a dot is above.";
    let result = send(
        &world,
        json!({
            "to": ["Ann <ann@example.com>", "bob@example.com"], "cc": "\"Cid, C.\" <cid@example.com>",
            "bcc": ["hidden@example.com"], "replyTo": "help@example.com", "subject": "Bestellung № 7 — grüße",
            "text": text, "html": "<p>Grüße <img src=\"cid:logo\"></p>",
            "headers": { "X-Order-Id": "7", "List-Unsubscribe": "<https://example.com/stop>" },
            "attachments": [
                { "filename": "übersicht.txt", "content": "one\ntwo\n" },
                { "filename": "a.pdf", "contentType": "application/pdf", "contentBase64": "AAH/" },
                { "path": "bill.bin" },
                { "cid": "logo", "contentType": "image/png", "contentBase64": "iVBORw==" },
            ],
        }),
    )
    .await
    .expect("sent");
    assert_eq!(
        result["accepted"],
        json!([
            "ann@example.com",
            "bob@example.com",
            "cid@example.com",
            "hidden@example.com"
        ])
    );
    assert_eq!(
        (&result["rejected"], &result["response"]),
        (&json!([]), &json!("250 OK: queued as 1"))
    );

    let stored = &server.stored()[0];
    assert_eq!(stored.facts["from"], "shop@example.com");
    assert_eq!(stored.facts["to"], result["accepted"]);
    assert_eq!(
        (&stored.facts["tls"], &stored.facts["login"]),
        (&json!(true), &json!("PLAIN"))
    );
    assert_eq!(stored.facts["hello"], "client.test");
    assert!(!String::from_utf8_lossy(&stored.bytes).contains("hidden"));
    let message = parse(&stored.bytes);
    assert_eq!(
        format!("<{}>", message.message_id().expect("an id")),
        result["messageId"]
    );
    assert_eq!(message.subject(), Some("Bestellung № 7 — grüße"));
    assert_eq!(
        message
            .from()
            .and_then(|from| from.first())
            .and_then(|from| from.name()),
        Some("Shop")
    );
    let cc = message.cc().and_then(|cc| cc.first()).expect("cc");
    assert_eq!((cc.name(), cc.address()), (Some("Cid, C."), Some("cid@example.com")));
    assert_eq!(
        message.reply_to().and_then(|to| to.first()).and_then(|to| to.address()),
        Some("help@example.com")
    );
    assert_eq!(message.header_raw("X-Order-Id").map(str::trim), Some("7"));
    assert_eq!(
        message.header_raw("List-Unsubscribe").map(str::trim),
        Some("<https://example.com/stop>")
    );
    assert_eq!(
        message.body_text(0).expect("text").replace("\r\n", "\n").trim_end(),
        text
    );
    assert_eq!(
        message.body_html(0).expect("html").trim_end(),
        "<p>Grüße <img src=\"cid:logo\"></p>"
    );
    let parts: Vec<_> = message
        .parts
        .iter()
        .map(|part| {
            part.content_type()
                .map(|t| format!("{}/{}", t.ctype(), t.subtype().unwrap_or_default()))
                .unwrap_or_default()
        })
        .collect();
    assert_eq!(
        parts,
        [
            "multipart/mixed",
            "multipart/alternative",
            "text/plain",
            "multipart/related",
            "text/html",
            "image/png",
            "text/plain",
            "application/pdf",
            "application/octet-stream"
        ]
    );
    let picture = &message.parts[5];
    assert_eq!(
        (picture.content_id(), picture.contents()),
        (Some("logo"), &b"\x89PNG"[..])
    );
    let files: Vec<_> = [6, 7, 8]
        .map(|at| {
            (
                message.parts[at].attachment_name(),
                message.parts[at].contents().to_vec(),
            )
        })
        .into();
    assert_eq!(files[0], (Some("übersicht.txt"), b"one\ntwo\n".to_vec()));
    assert_eq!(files[1], (Some("a.pdf"), vec![0, 1, 255]));
    assert_eq!(files[2], (Some("bill.bin"), vec![0, 13, 10, 46, 13, 10, 255]));
}

#[tokio::test]
async fn every_attempt_has_one_message_id() {
    let Some(server) = MailServer::start(&[]) else { return };
    let mut world = world(&server, json!({ "security": "none" }));
    let first = send(&world, json!({})).await.expect("sent");
    world.ctx.attempt = 2;
    let again = send(&world, json!({ "text": "the same step" })).await.expect("sent");
    world.ctx = StepContext {
        idempotency_key: "test/other".into(),
        ..world.ctx
    };
    let other = send(&world, json!({})).await.expect("sent");
    let stored = server.stored();
    let ids: Vec<_> = stored
        .iter()
        .map(|stored| {
            parse(&stored.bytes)
                .message_id()
                .map(|id| format!("<{id}>"))
                .expect("an id")
        })
        .collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
    assert_eq!(
        [&first["messageId"], &again["messageId"], &other["messageId"]],
        [&ids[0], &ids[1], &ids[2]]
    );
    assert!(ids[0].ends_with("@example.com>"));
    assert_eq!(
        stored[0].facts["peer"], stored[2].facts["peer"],
        "all in one conversation"
    );
}

#[tokio::test]
async fn what_the_server_refuses_is_told_by_its_code() {
    let Some(server) = MailServer::start(&[]) else { return };
    let world = world(&server, json!({ "security": "none" }));
    for (to, code, kind) in [
        (json!("rcpt-550@example.com"), "smtp.550", ErrorKind::Permanent),
        (json!("rcpt-450@example.com"), "smtp.450", ErrorKind::Transient),
        (json!("rcpt-421@example.com"), "smtp.421", ErrorKind::Transient),
        (
            json!(["rcpt-450@example.com", "rcpt-550@example.com"]),
            "smtp.550",
            ErrorKind::Permanent,
        ),
        (
            json!(["ann@example.com", "rcpt-450@example.com"]),
            "smtp.450",
            ErrorKind::Transient,
        ),
        (json!("data-554@example.com"), "smtp.554", ErrorKind::Permanent),
        (json!("data-451@example.com"), "smtp.451", ErrorKind::Transient),
    ] {
        let error = error(&world, json!({ "to": to })).await;
        assert_eq!((error.code.as_str(), error.kind), (code, kind), "{to}: {error}");
    }
    assert!(server.stored().is_empty(), "nobody got anything");
    let told = error(&world, json!({ "to": ["ann@example.com", "rcpt-550@example.com"] })).await;
    let data = told.data.expect("data");
    assert_eq!(
        data["rejected"],
        json!([{ "address": "rcpt-550@example.com", "status": 550, "message": "5.1.1 no such user" }])
    );
    assert_eq!(data["wouldAccept"], json!(["ann@example.com"]));

    let to = json!({ "to": ["ann@example.com", "rcpt-550@example.com"], "partial": "send" });
    let result = send(&world, to).await.expect("sent to one");
    assert_eq!(result["accepted"], json!(["ann@example.com"]));
    assert_eq!(result["rejected"][0]["status"], 550);
    assert_eq!(server.stored()[0].facts["to"], json!(["ann@example.com"]));
    let none = error(&world, json!({ "to": "rcpt-550@example.com", "partial": "send" })).await;
    assert_eq!(none.code, "smtp.550");
}

#[tokio::test]
async fn a_lost_answer_is_an_unknown_outcome() {
    let Some(server) = MailServer::start(&[]) else { return };
    let world = world(&server, json!({ "security": "none", "dataTimeout": 1000 }));
    for (count, to) in ["hangup@example.com", "silent@example.com"].into_iter().enumerate() {
        let error = error(&world, json!({ "to": to })).await;
        assert_eq!(
            (error.code.as_str(), error.kind),
            ("smtp.unknown", ErrorKind::OutcomeUnknown),
            "{to}"
        );
        assert_eq!(server.stored().len(), count + 1, "it was in fact taken");
    }
    send(&world, json!({}))
        .await
        .expect("a conversation that broke is not used again");
}

#[tokio::test]
async fn a_conversation_that_the_server_ended_is_replaced() {
    let Some(server) = MailServer::start(&[]) else { return };
    let world = world(&server, json!({ "security": "none" }));
    for _ in 0..3 {
        send(&world, json!({ "to": "last@example.com" })).await.expect("sent");
    }
    assert_eq!(server.stored().len(), 3);
}

#[tokio::test]
async fn without_the_tls_that_was_asked_for_nothing_is_sent() {
    let Some(plain) = MailServer::start(&["--auth", "PLAIN"]) else {
        return;
    };
    let login = json!({ "username": "shop", "password": "a-password" });
    let with = |more: Value| {
        let mut settings = login.clone();
        settings
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        settings
    };
    let error_of = error(&world(&plain, with(json!({ "security": "starttls" }))), json!({})).await;
    assert_eq!(
        (error_of.code.as_str(), error_of.kind),
        ("smtp.no-starttls", ErrorKind::Permanent)
    );
    assert!(plain.stored().is_empty());

    for security in ["starttls", "tls"] {
        let Some(server) = MailServer::start(&["--security", security, "--auth", "PLAIN"]) else {
            return;
        };
        let trusting = with(json!({ "security": security, "tls": { "ca": server.certificate } }));
        send(&world(&server, trusting), json!({})).await.expect(security);
        let careless = with(json!({ "security": security, "tls": { "insecureSkipVerify": true } }));
        send(&world(&server, careless), json!({})).await.expect(security);
        let other = with(json!({ "security": security, "tls": { "ca": plain.certificate } }));
        let refused = error(&world(&server, other), json!({})).await;
        assert_eq!(
            (refused.code.as_str(), refused.kind),
            ("smtp.tls", ErrorKind::Permanent),
            "{refused}"
        );
        assert_eq!(server.stored().len(), 2);
        assert!(server.stored().iter().all(|stored| stored.facts["tls"] == true));
    }
}

#[tokio::test]
async fn every_way_to_log_in_works_and_a_wrong_one_is_told() {
    let Some(server) = MailServer::start(&["--auth", "LOGIN,XOAUTH2"]) else {
        return;
    };
    let settings = |mechanism: Value, password: &str| json!({ "security": "none", "username": "shop", "password": password, "mechanism": mechanism });
    for (mechanism, password, login) in [
        (json!(null), "a-password", "LOGIN"),
        (json!("login"), "a-password", "LOGIN"),
        (json!("xoauth2"), "a-token", "xoauth2"),
    ] {
        send(&world(&server, settings(mechanism.clone(), password)), json!({}))
            .await
            .expect("sent");
        assert_eq!(
            server.stored().last().map(|stored| stored.facts["login"].clone()),
            Some(json!(login)),
            "{mechanism}"
        );
    }
    for (mechanism, password, code) in [
        (json!("login"), "wrong-password", "smtp.535"),
        (json!("plain"), "a-password", "smtp.no-login"),
    ] {
        let refused = error(&world(&server, settings(mechanism, password)), json!({})).await;
        assert_eq!(
            (refused.code.as_str(), refused.kind),
            (code, ErrorKind::Permanent),
            "{refused}"
        );
        assert!(!format!("{refused} {refused:?}").contains(password));
    }
    let refused = error(&world(&server, json!({ "security": "none" })), json!({})).await;
    assert_eq!(
        (refused.code.as_str(), refused.kind),
        ("smtp.530", ErrorKind::Permanent),
        "{refused}"
    );
}

#[tokio::test]
async fn a_blob_is_attached_whole_or_refused_before_it_is_read() {
    let Some(server) = MailServer::start(&[]) else { return };
    let mut world = world(&server, json!({ "security": "none" }));
    let blobs = bowline_blobs::Blobs::local(world.folder.path().join("blobs")).expect("a folder");
    let bytes: Vec<u8> = (0..100_000_u32).map(|at| (at % 251) as u8).collect();
    let blob = blobs
        .put_bytes(bytes.clone().into(), Some("image/png"))
        .await
        .expect("put");
    world.ctx.blobs = Some(std::sync::Arc::new(blobs));
    let attachments = json!([{ "filename": "a.png", "blob": blob }]);
    send(&world, json!({ "attachments": attachments })).await.expect("sent");
    let stored = server.stored();
    let message = parse(&stored[0].bytes);
    let attached = message.attachment(0).expect("an attachment");
    assert_eq!(attached.attachment_name(), Some("a.png"));
    assert!(attached.contents() == bytes);

    let error = send(&world, json!({ "attachments": attachments, "maxSize": 99_999 })).await;
    assert_eq!(error.expect_err("too large").code, "email.too-large");
    let error = send(&world, json!({ "attachments": [{ "blob": "sha256:ab" }] })).await;
    let error = error.expect_err("no reference");
    assert!(
        error.message.contains("attachments[0]: `blob` is not a reference"),
        "{error}"
    );
}
