//! What goes out.

use bowline_connector::StepContext;
use serde_json::{Value, json};

use crate::support::{call, call_in, context, echo_server};

async fn echoed(mut config: Value) -> Value {
    config["url"] = format!("{}{}", echo_server().await, config["url"].as_str().unwrap_or("")).into();
    call(config).await.unwrap()["body"].clone()
}

#[tokio::test]
async fn the_example_of_the_node_notation_works_as_it_stands() {
    let base = echo_server().await;
    let output = call(json!({
        "method": "POST",
        "url": format!("{base}/users"),
        "headers": { "Content-Type": "application/json", "Authorization": "Bearer t0ken" },
        "body": { "name": "Ada", "email": "ada@example.com", "department": "R&D" },
        "timeout": 30000,
        "retries": 3
    }))
    .await
    .unwrap();
    assert_eq!(output["status"], 200);
    assert_eq!(output["url"], format!("{base}/users"));
    let sent = &output["body"];
    assert_eq!(sent["method"], "POST");
    assert_eq!(sent["headers"]["authorization"], "Bearer t0ken");
    assert_eq!(sent["headers"]["content-type"], "application/json");
    assert_eq!(
        sent["text"],
        r#"{"name":"Ada","email":"ada@example.com","department":"R&D"}"#
    );
    let request =
        json!({ "method": "PUT", "endpoint": format!("{base}/x"), "payload": [1], "queryParams": { "a": "1" } });
    let sent = call(request).await.unwrap()["body"].clone();
    assert_eq!((&sent["text"], &sent["query"]), (&json!("[1]"), &json!("a=1")));
}

#[tokio::test]
async fn every_method_goes_out() {
    for method in ["get", "POST", "put", "Patch", "DELETE", "OPTIONS", "TRACE"] {
        let sent = echoed(json!({ "method": method })).await;
        assert_eq!(sent["method"], method.to_uppercase());
    }
    let output = call(json!({ "method": "HEAD", "url": echo_server().await }))
        .await
        .unwrap();
    assert_eq!((&output["status"], &output["body"]), (&json!(200), &Value::Null));
    assert_ne!(
        output["headers"]["content-length"], "0",
        "the length of what GET would answer"
    );
}

#[tokio::test]
async fn queries_are_added_in_every_style() {
    for (style, expected) in [
        ("repeat", "keep=1&a=1&a=b+c&d=true"),
        ("brackets", "keep=1&a%5B%5D=1&a%5B%5D=b+c&d=true"),
        ("indices", "keep=1&a%5B0%5D=1&a%5B1%5D=b+c&d=true"),
        ("comma", "keep=1&a=1%2Cb+c&d=true"),
    ] {
        let query = json!({ "a": [1, "b c"], "d": true, "none": null });
        let sent = echoed(json!({ "url": "/?keep=1#top", "query": query, "queryArrays": style })).await;
        assert_eq!(sent["query"], expected);
    }
}

#[tokio::test]
async fn headers_repeat_and_hold_any_text() {
    let sent =
        echoed(json!({ "headers": { "X-Many": ["a", 2, true], "X-Text": "grüße", "Accept": "text/csv" } })).await;
    assert_eq!(sent["headers"]["x-many"], "a|2|true");
    assert_eq!(sent["headers"]["x-text"], "grüße");
    assert_eq!(sent["headers"]["accept"], "text/csv");
    assert!(sent["headers"]["user-agent"].as_str().unwrap().starts_with("bowline/"));
}

#[tokio::test]
async fn forms_text_and_bytes() {
    let sent = echoed(json!({ "method": "POST", "bodyType": "form", "body": { "a": [1, 2], "b": "x & y" } })).await;
    assert_eq!(sent["headers"]["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(sent["text"], "a=1&a=2&b=x+%26+y");

    let sent =
        echoed(json!({ "method": "POST", "headers": { "content-type": "application/xml" }, "body": "<a/>" })).await;
    assert_eq!(
        (&sent["headers"]["content-type"], &sent["text"]),
        (&json!("application/xml"), &json!("<a/>"))
    );

    let sent = echoed(json!({ "method": "POST", "bodyType": "binary", "body": "/wA=" })).await;
    assert_eq!(
        (&sent["headers"]["content-type"], &sent["base64"]),
        (&json!("application/octet-stream"), &json!("/wA="))
    );
    assert_eq!(sent["headers"]["content-length"], "2");

    let sent = echoed(json!({ "method": "GET" })).await;
    assert!(sent["headers"].get("content-type").is_none() && sent["headers"].get("content-length").is_none());
}

fn beside(folder: &tempfile::TempDir) -> StepContext {
    StepContext {
        base_dir: folder.path().to_path_buf().into(),
        ..context(json!({}))
    }
}

#[tokio::test]
async fn a_file_is_streamed_with_its_length() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("big.txt"), "0123456789".repeat(30_000)).unwrap();
    let config = json!({ "method": "PUT", "url": echo_server().await, "bodyFile": "big.txt" });
    let sent = call_in(&beside(&folder), config).await.unwrap()["body"].clone();
    assert_eq!(sent["headers"]["content-length"], "300000");
    assert!(sent["headers"].get("transfer-encoding").is_none());
    assert_eq!(sent["text"].as_str().unwrap().len(), 300_000);
}

#[tokio::test]
async fn multipart_forms_carry_fields_and_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("note.txt"), "from a file").unwrap();
    let config = json!({
        "method": "POST", "url": echo_server().await,
        "headers": { "Content-Type": "multipart/form-data" },
        "body": { "plain": "value" },
        "multipart": [
            { "name": "meta", "value": { "a": 1 } },
            { "name": "doc", "file": "note.txt", "contentType": "text/plain" },
            { "name": "raw", "base64": "aGkh", "filename": "raw.bin" },
        ],
    });
    let sent = call_in(&beside(&folder), config).await.unwrap()["body"].clone();
    let content_type = sent["headers"]["content-type"].as_str().unwrap();
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    let text = sent["text"].as_str().unwrap();
    assert_eq!(sent["headers"]["content-length"], text.len().to_string());
    let parts: Vec<_> = text.split(&format!("--{boundary}")).map(str::trim).collect();
    assert_eq!(
        parts[1..],
        [
            "Content-Disposition: form-data; name=\"plain\"\r\n\r\nvalue",
            "Content-Disposition: form-data; name=\"meta\"\r\nContent-Type: application/json\r\n\r\n{\"a\":1}",
            "Content-Disposition: form-data; name=\"doc\"; filename=\"note.txt\"\r\nContent-Type: text/plain\r\n\r\nfrom a file",
            "Content-Disposition: form-data; name=\"raw\"; filename=\"raw.bin\"\r\nContent-Type: application/octet-stream\r\n\r\nhi!",
            "--",
        ]
    );
}

#[tokio::test]
async fn the_idempotency_key_goes_with_unsafe_methods() {
    for (config, name, expected) in [
        (json!({ "method": "POST" }), "idempotency-key", json!("test/step")),
        (json!({ "method": "DELETE" }), "idempotency-key", json!("test/step")),
        (json!({ "method": "GET" }), "idempotency-key", Value::Null),
        (
            json!({ "method": "POST", "idempotencyHeader": false }),
            "idempotency-key",
            Value::Null,
        ),
        (
            json!({ "method": "POST", "idempotencyHeader": "X-Request-Id" }),
            "x-request-id",
            json!("test/step"),
        ),
        (
            json!({ "method": "POST", "headers": { "idempotency-KEY": "mine" } }),
            "idempotency-key",
            json!("mine"),
        ),
        (
            json!({ "method": "POST", "headers": { "Idempotency-Key": null } }),
            "idempotency-key",
            Value::Null,
        ),
    ] {
        assert_eq!(
            echoed(config.clone()).await["headers"]
                .get(name)
                .cloned()
                .unwrap_or_default(),
            expected,
            "{config}"
        );
    }
}

#[tokio::test]
async fn every_authentication_goes_where_it_belongs() {
    let key = |location: &str| {
        json!({ "type": "api-key-auth", "config":
            { "keyLocation": location, "keyName": "X-API-Key", "keyValue": "k", "encoding": "base64" } })
    };
    let basic = json!({ "type": "basic", "credentials": { "username": "user", "password": "pass" } });
    let sent = echoed(json!({ "authentication": basic })).await;
    assert_eq!(sent["headers"]["authorization"], "Basic dXNlcjpwYXNz");
    let sent = echoed(json!({ "authentication": key("header") })).await;
    assert_eq!(sent["headers"]["x-api-key"], "aw==");
    let sent = echoed(json!({ "authentication": key("body"), "method": "POST", "body": { "a": 1 } })).await;
    assert_eq!(sent["text"], r#"{"a":1,"X-API-Key":"aw=="}"#);

    let base = echo_server().await;
    let output = call(json!({ "url": format!("{base}/?a=1"), "authentication": key("query") }))
        .await
        .unwrap();
    assert_eq!(output["body"]["query"], "a=1&X-API-Key=aw%3D%3D");
    assert_eq!(
        output["url"],
        format!("{base}/?a=1"),
        "the journal gets the URL without the key"
    );

    let url = format!("{}/", base.replace("http://", "http://user:pa%20ss@"));
    let output = call(json!({ "url": url })).await.unwrap();
    assert_eq!(output["body"]["headers"]["authorization"], "Basic dXNlcjpwYSBzcw==");
    assert_eq!(output["url"], format!("{base}/"));
}

#[tokio::test]
async fn what_cannot_be_sent_names_its_field() {
    for (config, field) in [
        (json!({ "headers": { "X-A": "a\r\nX-B: hush" } }), "headers.X-A"),
        (json!({ "headers": { "Content-Length": 5 } }), "headers.Content-Length"),
        (json!({ "query": { "a": { "b": "hush" } } }), "query.a"),
        (json!({ "method": "TRACE", "body": { "a": "hush" } }), "body"),
        (json!({ "charset": "klingon" }), "charset"),
        (json!({ "method": "FETCH" }), "method"),
        (json!({ "successCodes": "all" }), "status code"),
        (json!({ "metod": "GET" }), "metod"),
        (json!({ "url": "/relative" }), "url"),
        (json!({ "timeout": 0 }), "timeout"),
        (json!({ "readTimeout": "0s" }), "readTimeout"),
        (json!({ "connectTimeout": 0 }), "connectTimeout"),
    ] {
        let mut config = config;
        if config.get("url").is_none() {
            config["url"] = "http://127.0.0.1:9/".into();
        }
        let error = call(config.clone()).await.unwrap_err();
        assert_eq!(error.code, "config.invalid", "{config}");
        let text = error.to_string();
        assert!(text.contains(field) && !text.contains("hush"), "{config}: {text}");
    }
}

#[tokio::test]
async fn a_request_over_its_limit_is_not_sent() {
    let url = format!("http://127.0.0.1:{}/", crate::support::free_port());
    let error = call(json!({ "method": "POST", "url": url, "body": "x".repeat(11), "maxRequestSize": 10 }))
        .await
        .unwrap_err();
    assert_eq!(error.code, "http.request-too-large");
}
