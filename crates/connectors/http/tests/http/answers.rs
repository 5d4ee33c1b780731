//! What comes back.

use axum::Router;
use axum::routing::{any, get};
use bowline_connector::ErrorKind;
use serde_json::{Value, json};

use crate::support::{answer, call, serve};

async fn server() -> String {
    let json = [("content-type", "application/json")];
    let router = Router::new()
        .route(
            "/json",
            get(move || async move { answer(200, &json, r#"{"a":[1,2.5,"ü"]}"#) }),
        )
        .route(
            "/not-json",
            get(move || async move { answer(200, &json, "<html>sorry</html>") }),
        )
        .route(
            "/latin",
            get(|| async {
                answer(
                    200,
                    &[("content-type", "text/plain; charset=iso-8859-1")],
                    &b"caf\xe9"[..],
                )
            }),
        )
        .route(
            "/bytes",
            get(|| async { answer(200, &[("content-type", "image/png")], &b"\x89PNG"[..]) }),
        )
        .route("/empty", get(move || async move { answer(204, &json, "") }))
        .route(
            "/cookies",
            get(|| async {
                answer(
                    200,
                    &[
                        ("set-cookie", "a=1"),
                        ("set-cookie", "b=2, c"),
                        ("vary", "a"),
                        ("vary", "b"),
                    ],
                    "",
                )
            }),
        )
        .route(
            "/thousand",
            get(|| async { answer(200, &[("content-type", "text/plain")], "x".repeat(1000)) }),
        )
        .route(
            "/moved",
            get(|| async { answer(302, &[("location", "/json")], "over there") }),
        )
        .route(
            "/gone",
            get(|| async {
                answer(
                    410,
                    &[("content-type", "application/json"), ("x-why", "old")],
                    r#"{"message":"it left"}"#,
                )
            }),
        )
        .route("/teapot", any(|| async { answer(418, &[], "short and stout") }))
        .route(
            "/broken-image",
            get(|| async { answer(500, &[("content-type", "image/png")], &b"\xff"[..]) }),
        );
    serve(router).await
}

async fn ask(path: &str, extra: Value) -> Result<Value, bowline_connector::StepError> {
    let mut config = extra;
    config["url"] = format!("{}{path}", server().await).into();
    call(config).await
}

#[tokio::test]
async fn bodies_by_type() {
    for (path, extra, body, encoding) in [
        ("/json", json!({}), json!({ "a": [1, 2.5, "ü"] }), Value::Null),
        (
            "/json",
            json!({ "responseType": "text" }),
            json!(r#"{"a":[1,2.5,"ü"]}"#),
            Value::Null,
        ),
        ("/json", json!({ "responseType": "none" }), Value::Null, Value::Null),
        ("/latin", json!({}), json!("café"), Value::Null),
        (
            "/latin",
            json!({ "responseType": "binary" }),
            json!("Y2Fm6Q=="),
            json!("base64"),
        ),
        ("/bytes", json!({}), json!("iVBORw=="), json!("base64")),
        ("/empty", json!({}), Value::Null, Value::Null),
        ("/empty", json!({ "responseType": "json" }), Value::Null, Value::Null),
    ] {
        let output = ask(path, extra.clone()).await.unwrap();
        assert_eq!(output["body"], body, "{path} {extra}");
        assert_eq!(
            output.get("bodyEncoding").cloned().unwrap_or_default(),
            encoding,
            "{path} {extra}"
        );
    }
}

#[tokio::test]
async fn json_that_is_none_is_an_error_that_keeps_the_text() {
    let error = ask("/not-json", json!({})).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("http.invalid-json", ErrorKind::Permanent)
    );
    let data = error.data.unwrap();
    assert_eq!(
        (&data["status"], &data["body"]),
        (&json!(200), &json!("<html>sorry</html>"))
    );
}

#[tokio::test]
async fn headers_are_joined_except_cookies() {
    let output = ask("/cookies", json!({})).await.unwrap();
    assert_eq!(output["headers"]["set-cookie"], json!(["a=1", "b=2, c"]));
    assert_eq!(output["headers"]["vary"], "a, b");
}

#[tokio::test]
async fn an_answer_over_the_limit_is_an_error_and_one_at_the_limit_is_whole() {
    let output = ask("/thousand", json!({ "maxResponseSize": 1000 })).await.unwrap();
    assert_eq!(output["body"].as_str().unwrap().len(), 1000);
    let error = ask("/thousand", json!({ "maxResponseSize": 999 })).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("http.response-too-large", ErrorKind::Permanent)
    );
    assert!(error.message.contains("maxResponseSize (999 bytes)"), "{error}");
}

#[tokio::test]
async fn an_error_answer_carries_everything() {
    let error = ask("/gone", json!({})).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.kind), ("http.410", ErrorKind::Permanent));
    assert!(error.message.ends_with("/gone answered 410 Gone: it left"), "{error}");
    let data = error.data.unwrap();
    assert_eq!(
        (&data["status"], &data["body"]),
        (&json!(410), &json!({ "message": "it left" }))
    );
    assert_eq!(data["headers"]["x-why"], "old");

    let error = ask("/broken-image", json!({})).await.unwrap_err();
    let data = error.data.unwrap();
    assert_eq!(
        (&data["body"], &data["bodyEncoding"]),
        (&json!("/w=="), &json!("base64"))
    );

    let error = ask("/gone", json!({ "maxResponseSize": 3 })).await.unwrap_err();
    assert_eq!(error.code, "http.410", "the status is not hidden by the limit");
    assert!(
        error.data.unwrap()["bodyUnread"]
            .as_str()
            .unwrap()
            .contains("maxResponseSize")
    );
}

#[tokio::test]
async fn success_is_what_the_step_says() {
    for (path, extra, status) in [
        ("/teapot", json!({ "successCodes": [200, 418] }), 418),
        ("/teapot", json!({ "successCodes": "4xx" }), 418),
        ("/teapot", json!({ "successCodes": ["400-499"] }), 418),
        ("/moved", json!({ "followRedirects": false }), 302),
        ("/moved", json!({}), 200),
    ] {
        assert_eq!(
            ask(path, extra.clone()).await.unwrap()["status"],
            status,
            "{path} {extra}"
        );
    }
    let error = ask("/json", json!({ "successCodes": [201] })).await.unwrap_err();
    assert_eq!(error.code, "http.200");
    let error = ask("/moved", json!({ "followRedirects": false, "successCodes": [200] }))
        .await
        .unwrap_err();
    assert_eq!(error.code, "http.302");
}

#[tokio::test]
async fn retry_after_in_both_forms() {
    let router = Router::new()
        .route("/seconds", get(|| async { answer(503, &[("retry-after", "7")], "") }))
        .route(
            "/date",
            get(|| async {
                let when = std::time::SystemTime::now() + std::time::Duration::from_hours(1);
                answer(429, &[("retry-after", &httpdate::fmt_http_date(when))], "")
            }),
        )
        .route(
            "/year",
            get(|| async { answer(429, &[("retry-after", "31536000")], "") }),
        )
        .route("/none", get(|| async { answer(503, &[], "") }));
    let base = serve(router).await;
    let kind = async |path: &str| call(json!({ "url": format!("{base}{path}") })).await.unwrap_err().kind;
    assert_eq!(kind("/seconds").await, ErrorKind::After(7_000));
    assert_eq!(kind("/year").await, ErrorKind::After(31_536_000_000), "not capped");
    assert_eq!(kind("/none").await, ErrorKind::Transient);
    let ErrorKind::After(wait) = kind("/date").await else {
        panic!("no wait")
    };
    assert!((3_500_000..=3_600_000).contains(&wait), "{wait}");
}

#[tokio::test]
async fn a_broken_gateway_leaves_the_outcome_open() {
    let router = Router::new().fallback(any(|| async { answer(502, &[], "") }));
    let base = serve(router).await;
    let kind = async |method: &str| call(json!({ "url": base, "method": method })).await.unwrap_err().kind;
    assert_eq!(kind("GET").await, ErrorKind::Transient);
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(kind(method).await, ErrorKind::OutcomeUnknown, "{method}");
    }
}
