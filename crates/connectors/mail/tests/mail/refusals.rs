//! What `email-send` refuses before a server has been asked, and servers that are not there.

use bowline_connector::ErrorKind;
use serde_json::json;

use crate::world::{World, email_error as error};

#[tokio::test]
async fn a_server_that_is_not_there_may_come_back() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let silent = World::new(
        "smtp",
        json!({ "host": "127.0.0.1", "port": port, "security": "none", "timeout": 100 }),
    );
    let waited = error(&silent, json!({})).await;
    assert_eq!(
        (waited.code.as_str(), waited.kind),
        ("smtp.connect", ErrorKind::Transient)
    );
    assert!(waited.matches("ETIMEDOUT"));
    // Nothing listens on port 1.
    let gone = World::new("smtp", json!({ "host": "127.0.0.1", "port": 1, "security": "none" }));
    let refused = error(&gone, json!({})).await;
    assert_eq!(
        (refused.code.as_str(), refused.kind),
        ("smtp.connect", ErrorKind::Transient)
    );
    assert!(refused.matches("ECONNREFUSED"), "{refused:?}");
}

#[tokio::test]
async fn what_may_not_be_attached_is_refused_before_anything_is_sent() {
    // Nothing listens on port 1: an error about the attachment shows that nobody was called.
    let world = World::new(
        "smtp",
        json!({ "host": "127.0.0.1", "port": 1, "security": "none", "attachmentFolders": ["../"] }),
    );
    let inside = World::new("smtp", json!({ "host": "127.0.0.1", "port": 1, "security": "none" }));
    for folder in [&world, &inside] {
        std::fs::write(folder.folder.path().join("five"), "12345").expect("written");
    }
    std::os::unix::fs::symlink("/etc/hostname", inside.folder.path().join("link")).expect("linked");
    for (attachments, max_size, code) in [
        (json!([{ "path": "five" }]), 5, "smtp.connect"),
        (json!([{ "path": "five" }]), 4, "email.too-large"),
        (
            json!([{ "content": "123" }, { "contentBase64": "AAAA" }]),
            5,
            "email.too-large",
        ),
        (json!([{ "path": "six" }]), 9, "email.attachment"),
        (json!([{ "path": "/etc/hostname" }]), 9999, "email.attachment"),
        (json!([{ "path": "link" }]), 9999, "email.attachment"),
        (json!([{ "path": "five", "content": "x" }]), 9, "config.invalid"),
        (json!([{ "filename": "x" }]), 9, "config.invalid"),
        (json!([{ "contentBase64": "?" }]), 9, "config.invalid"),
        (
            json!([{ "content": "x", "contentType": "nonsense" }]),
            9,
            "config.invalid",
        ),
        (json!([{ "content": "x", "cid": "logo" }]), 9, "config.invalid"),
        (
            json!([{ "content": "x", "filename": "a\r\nX-Evil: 1" }]),
            9,
            "email.header-injection",
        ),
    ] {
        let error = error(&inside, json!({ "attachments": attachments, "maxSize": max_size })).await;
        assert_eq!(error.code, code, "{attachments}: {error}");
    }
    let elsewhere = json!({ "attachments": [{ "path": inside.folder.path().join("five") }] });
    assert_eq!(
        error(&world, elsewhere).await.code,
        "smtp.connect",
        "a folder of the connection is allowed"
    );
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    for connection in [
        json!({ "host": "" }),
        json!({ "host": "a b" }),
        json!({ "host": "localhost", "username": "x" }),
        json!({ "host": "mail.example.com", "security": "none", "username": "x", "password": "y" }),
        json!({ "host": "localhost", "tls": { "ca": "no/such/file.pem" } }),
        json!({ "host": "localhost", "tls": { "ca": "-----BEGIN NONSENSE-----" } }),
        json!({ "host": "localhost", "heloName": "a\r\nb" }),
        json!({ "host": "localhost", "pool": { "max": 0 } }),
        json!({ "host": "localhost", "security": "ssl" }),
    ] {
        let error = error(&World::new("smtp", connection.clone()), json!({})).await;
        assert_eq!(
            (error.code.as_str(), error.kind),
            ("config.invalid", ErrorKind::Permanent),
            "{connection}: {error}"
        );
    }
}
