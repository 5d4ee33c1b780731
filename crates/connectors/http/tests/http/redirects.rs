//! Redirects, within one origin and across two.

use axum::Router;
use axum::extract::{Query, Request};
use axum::routing::any;
use bowline_connector::{ErrorKind, StepError};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::{answer, call, echo, serve};

#[derive(serde::Deserialize)]
struct To {
    status: u16,
    to: String,
}

/// `/go?status=..&to=..` redirects; anything else echoes.
fn router() -> Router {
    let go = |Query(to): Query<To>| async move { answer(to.status, &[("location", to.to.as_str())], "moved") };
    Router::new().route("/go", any(go)).fallback(echo)
}

fn go(base: &str, status: u16, to: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("status", &status.to_string())
        .append_pair("to", to)
        .finish();
    format!("{base}/go?{query}")
}

async fn follow(status: u16, to: &str, mut config: Value) -> Result<Value, StepError> {
    let base = serve(router()).await;
    config["url"] = go(&base, status, to).into();
    call(config).await
}

#[tokio::test]
async fn methods_and_bodies_follow_the_status() {
    for (status, method, then, text) in [
        (301, "POST", "GET", ""),
        (302, "POST", "GET", ""),
        (303, "POST", "GET", ""),
        (303, "DELETE", "GET", ""),
        (307, "POST", "POST", "[1]"),
        (308, "PUT", "PUT", "[1]"),
        (301, "PUT", "PUT", "[1]"),
    ] {
        let sent = follow(status, "/end", json!({ "method": method, "body": [1] }))
            .await
            .unwrap()["body"]
            .clone();
        assert_eq!(
            (&sent["method"], &sent["text"]),
            (&json!(then), &json!(text)),
            "{status} {method}"
        );
        assert_eq!(
            sent["headers"].get("content-type").is_some(),
            !text.is_empty(),
            "{status} {method}"
        );
        assert_eq!(
            sent["headers"]["idempotency-key"], "test/step",
            "the same origin may see the key"
        );
    }
}

#[tokio::test]
async fn a_streamed_file_is_sent_again() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("body.txt"), "whole").unwrap();
    let path = folder.path().join("body.txt");
    let sent = follow(307, "/end", json!({ "method": "PUT", "bodyFile": path }))
        .await
        .unwrap()["body"]
        .clone();
    assert_eq!(sent["text"], "whole");
}

#[tokio::test]
async fn credentials_stay_at_their_origin() {
    let (there, here) = (serve(router()).await, serve(router()).await);
    let key = |location: &str| json!({ "type": "api-key", "credentials": { "keyLocation": location, "keyName": "xk", "keyValue": "hush" } });
    let bearer = json!({ "type": "bearer", "credentials": { "token": "hush" } });
    let headers = json!({
        "Cookie": "session=hush", "X-Auth-Token": "hush", "Proxy-Authorization": "hush",
        "X-Trace": "kept", "Accept": "text/plain", "Host": "hush.example"
    });
    for authentication in [bearer, key("header"), key("query"), key("body")] {
        let config = json!({
            "url": go(&here, 307, &format!("{there}/end?b=2")), "method": "POST", "body": { "a": 1 },
            "headers": headers, "authentication": authentication,
        });
        let output = call(config).await.unwrap();
        let sent = &output["body"];
        assert!(!sent.to_string().contains("hush"), "{authentication}: {sent}");
        assert!(sent["headers"].get("idempotency-key").is_none());
        assert_eq!(
            (&sent["headers"]["x-trace"], &sent["headers"]["accept"]),
            (&json!("kept"), &json!("text/plain"))
        );
        assert_eq!((&sent["text"], &sent["query"]), (&json!("{\"a\":1}"), &json!("b=2")));
        assert_eq!(output["url"], format!("{there}/end?b=2"));
    }
}

#[tokio::test]
async fn credentials_do_not_come_back_after_a_detour() {
    let (there, here) = (serve(router()).await, serve(router()).await);
    let detour = go(&there, 307, &format!("{here}/end"));
    let config = json!({
        "url": go(&here, 307, &detour),
        "authentication": { "type": "api-key", "credentials": { "keyLocation": "query", "keyName": "k", "keyValue": "hush" } },
        "headers": { "Authorization": "hush" },
    });
    let sent = call(config).await.unwrap()["body"].clone();
    assert!(!sent.to_string().contains("hush"), "{sent}");
}

#[tokio::test]
async fn a_query_key_goes_along_within_its_origin() {
    let config = json!({ "authentication":
        { "type": "api-key", "credentials": { "keyLocation": "query", "keyName": "k", "keyValue": "v" } } });
    let sent = follow(302, "/end?a=1", config.clone()).await.unwrap()["body"].clone();
    assert_eq!(sent["query"], "a=1&k=v");
    let sent = follow(302, "/end?k=theirs", config).await.unwrap()["body"].clone();
    assert_eq!(sent["query"], "k=theirs");
}

#[tokio::test]
async fn chains_end() {
    let base = serve(Router::new().fallback(|| async { answer(302, &[("location", "/again")], "") })).await;
    let error = call(json!({ "url": base, "maxRedirects": 3 })).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("http.too-many-redirects", ErrorKind::Permanent)
    );
    assert!(error.message.contains("more than 3 times"), "{error}");
    assert_eq!(
        follow(302, "/end", json!({ "maxRedirects": 1 })).await.unwrap()["status"],
        200
    );
    assert_eq!(
        follow(302, "/end", json!({ "maxRedirects": 0 }))
            .await
            .unwrap_err()
            .code,
        "http.too-many-redirects"
    );
}

#[tokio::test]
async fn a_location_that_is_no_address_is_an_error() {
    for to in ["ftp://a.example/", "http://", "javascript:alert(1)"] {
        assert_eq!(
            follow(302, to, json!({})).await.unwrap_err().code,
            "http.redirect",
            "{to}"
        );
    }
    let base = serve(Router::new().fallback(|| async { answer(302, &[], "") })).await;
    assert_eq!(
        call(json!({ "url": base })).await.unwrap_err().code,
        "http.302",
        "a redirect to nowhere"
    );
}

#[tokio::test]
async fn what_was_done_before_the_redirect_stays_in_mind() {
    let (count, mut counted) = mpsc::unbounded_channel();
    let router = Router::new().fallback(move |request: Request| {
        let count = count.clone();
        async move {
            count.send(request.method().to_string()).unwrap();
            match request.uri().path() {
                "/act" => answer(303, &[("location", "/result")], ""),
                _ => answer(503, &[], ""),
            }
        }
    });
    let base = serve(router).await;
    let error = call(json!({ "url": format!("{base}/act"), "method": "POST" }))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("http.503", ErrorKind::OutcomeUnknown)
    );
    assert_eq!(
        (counted.recv().await.unwrap(), counted.recv().await.unwrap()),
        ("POST".into(), "GET".into())
    );
}
