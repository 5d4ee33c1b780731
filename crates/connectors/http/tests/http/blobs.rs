//! Large bodies: streamed to the blob store, and out of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{any, get, post};
use bowline_blobs::Blobs;
use bowline_connector::{BlobError, BlobRef, BlobStore, ErrorKind, StepContext, StepError};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use crate::support::{answer, call, call_in, context, echo_server, serve};

const LARGE: usize = 300_000;

fn with_blobs(folder: &tempfile::TempDir) -> (StepContext, Blobs) {
    let blobs = Blobs::local(folder.path().join("blobs")).unwrap();
    let ctx = StepContext {
        blobs: Some(Arc::new(blobs.clone())),
        ..context(json!({}))
    };
    (ctx, blobs)
}

async fn content(blobs: &Blobs, blob: &BlobRef) -> Vec<u8> {
    let pieces: Vec<Bytes> = blobs.open(blob).await.unwrap().try_collect().await.unwrap();
    pieces.concat()
}

fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

/// `/<size>?<content type>` answers with so many bytes of text or of noise.
async fn server() -> String {
    let router = Router::new().route(
        "/{size}",
        any(|request: Request| async move {
            let size: usize = request.uri().path()[1..].parse().unwrap();
            let kind = request.uri().query().unwrap_or_default().to_owned();
            let body = if kind.contains("text") || kind == "utf8" {
                "é".repeat(size / 2).into_bytes()
            } else if kind.contains("json") {
                format!("\"{}\"", "x".repeat(size - 2)).into_bytes()
            } else {
                bytes(size)
            };
            let headers = [("content-type", kind.as_str())];
            let declared = kind.contains('/');
            answer(200, if declared { &headers } else { &[] }, body)
        }),
    );
    serve(router).await
}

#[tokio::test]
async fn what_is_large_and_neither_json_nor_text_becomes_a_blob() {
    let folder = tempfile::tempdir().unwrap();
    let (ctx, blobs) = with_blobs(&folder);
    let base = server().await;
    let mut seen = 0;
    for (path, extra, is_blob) in [
        ("/65536?image/png", json!({}), false),
        ("/65537?image/png", json!({}), true),
        ("/300000", json!({}), true),
        ("/300000?utf8", json!({}), false),
        ("/300000?text/plain", json!({}), false),
        ("/300000?application/json", json!({}), false),
        ("/300000?image/png", json!({ "responseType": "binary" }), false),
        ("/300000?image/png", json!({ "maxInline": "1 MB" }), false),
        ("/101?image/png", json!({ "maxInline": 100 }), true),
        ("/10?application/json", json!({ "responseType": "blob" }), true),
        ("/20000000?image/png", json!({}), true),
    ] {
        let mut config = extra.clone();
        config["url"] = format!("{base}{path}").into();
        let output = call_in(&ctx, config).await.unwrap();
        let blob = BlobRef::of(&output["body"]);
        assert_eq!(blob.is_some(), is_blob, "{path} {extra}");
        let Some(blob) = blob else { continue };
        seen += 1;
        assert!(output.get("bodyEncoding").is_none());
        let size: usize = path[1..].split('?').next().unwrap().parse().unwrap();
        assert_eq!(blob.size, size as u64);
        assert_eq!(blob.content_type.as_deref(), path.split_once('?').map(|(_, kind)| kind));
        if !path.contains("json") {
            assert!(content(&blobs, &blob).await == bytes(size), "{path}");
        }
    }
    assert_eq!(seen, 5);

    let output = call_in(&ctx, json!({ "url": format!("{base}/0"), "responseType": "blob" })).await;
    assert_eq!(output.unwrap()["body"], Value::Null, "an empty body is null");
    let output = call_in(
        &ctx,
        json!({ "url": format!("{base}/300000?image/png"), "method": "HEAD", "responseType": "blob" }),
    );
    assert_eq!(output.await.unwrap()["body"], Value::Null);
}

#[tokio::test]
async fn a_limit_holds_for_blobs_where_it_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let (ctx, blobs) = with_blobs(&folder);
    let sent = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&sent);
    let endless = move || {
        let told = Arc::clone(&told);
        async move {
            let pieces = stream::repeat(Bytes::from(vec![7; 10_000])).map(move |piece| {
                told.fetch_add(piece.len() as u64, Ordering::Relaxed);
                Ok::<_, std::io::Error>(piece)
            });
            Response::builder()
                .header("content-type", "video/mp4")
                .body(Body::from_stream(pieces))
                .unwrap()
        }
    };
    let base = serve(Router::new().route("/endless", get(endless))).await;
    let config = json!({ "url": format!("{base}/endless"), "maxResponseSize": "1 MB" });
    let error = call_in(&ctx, config).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("http.response-too-large", ErrorKind::Permanent)
    );
    assert!(error.message.contains("maxResponseSize (1 MB)"), "{error}");

    let announced = server().await;
    for kind in ["blob", "auto"] {
        let config = json!({
            "url": format!("{announced}/300000?image/png"), "maxResponseSize": 299_999, "responseType": kind,
        });
        let error = call_in(&ctx, config).await.unwrap_err();
        assert_eq!(error.code, "http.response-too-large");
    }
    let ctx = StepContext {
        blobs: Some(Arc::new(blobs.clone().with_limit(1000, "blobs.maxSize"))),
        ..ctx
    };
    let config = json!({ "url": format!("{announced}/300000?image/png") });
    let error = call_in(&ctx, config).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("blob.too-large", ErrorKind::Permanent)
    );
    assert!(error.message.contains("blobs.maxSize is 1000"), "{error}");
    assert_eq!(blobs.list().count().await, 0);
}

#[tokio::test]
async fn an_answer_that_breaks_off_leaves_no_blob() {
    let folder = tempfile::tempdir().unwrap();
    let (ctx, blobs) = with_blobs(&folder);
    let broken = || async {
        let pieces = stream::iter((0..200).map(|at| {
            if at < 150 {
                Ok(Bytes::from(vec![at; 10_000]))
            } else {
                Err(std::io::Error::other("cut"))
            }
        }));
        Response::builder()
            .header("content-type", "video/mp4")
            .body(Body::from_stream(pieces))
            .unwrap()
    };
    let base = serve(Router::new().route("/", any(broken))).await;
    for (method, kind) in [("GET", ErrorKind::Transient), ("POST", ErrorKind::OutcomeUnknown)] {
        let error = call_in(&ctx, json!({ "url": base, "method": method }))
            .await
            .unwrap_err();
        assert_eq!((error.code.as_str(), error.kind), ("http.reset", kind), "{error}");
    }
    assert_eq!(blobs.list().count().await, 0);
}

#[tokio::test]
async fn a_reference_is_sent_as_the_blob_with_its_type() {
    let folder = tempfile::tempdir().unwrap();
    let (ctx, blobs) = with_blobs(&folder);
    let base = echo_server().await;
    let text = "blob ".repeat(LARGE / 5);
    let blob = blobs.put_bytes(text.clone().into(), Some("text/x-blob")).await.unwrap();
    for (extra, content_type) in [
        (json!({}), "text/x-blob"),
        (json!({ "bodyType": "binary" }), "text/x-blob"),
        (json!({ "headers": { "content-type": "text/mine" } }), "text/mine"),
    ] {
        let mut config = extra;
        config["url"] = base.clone().into();
        config["method"] = "POST".into();
        config["body"] = json!(blob);
        let told = call_in(&ctx, config).await.unwrap()["body"].take();
        assert_eq!(told["headers"]["content-type"], content_type);
        assert_eq!(told["headers"]["content-length"], text.len().to_string());
        assert!(told["headers"].get("transfer-encoding").is_none());
        assert!(told["text"] == text);
    }

    let form = json!({
        "url": base, "method": "POST", "body": { "title": "x", "second": blob },
        "multipart": [{ "name": "first", "value": blob, "filename": "a.txt", "contentType": "text/a" }],
    });
    let told = call_in(&ctx, form).await.unwrap()["body"].take();
    let sent = told["text"].as_str().unwrap();
    assert_eq!(sent.matches(&text).count(), 2);
    assert!(sent.contains("filename=\"a.txt\"") && sent.contains("text/a") && sent.contains("text/x-blob"));
    assert!(sent.contains("name=\"title\""));
}

#[tokio::test]
async fn a_redirect_gets_the_blob_again() {
    let folder = tempfile::tempdir().unwrap();
    let (ctx, blobs) = with_blobs(&folder);
    let length = |body: Bytes| async move { answer(200, &[("content-type", "text/plain")], body.len().to_string()) };
    let router = Router::new()
        .route("/first", post(|| async { answer(307, &[("location", "/second")], "") }))
        .route("/second", post(length));
    let base = serve(router.layer(axum::extract::DefaultBodyLimit::disable())).await;
    let blob = blobs.put_bytes(bytes(LARGE).into(), None).await.unwrap();
    let config = json!({ "url": format!("{base}/first"), "method": "POST", "body": blob });
    assert_eq!(call_in(&ctx, config).await.unwrap()["body"], LARGE.to_string());
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_anything_is() {
    let folder = tempfile::tempdir().unwrap();
    let (ctx, blobs) = with_blobs(&folder);
    let blob = blobs.put_bytes(bytes(LARGE).into(), None).await.unwrap();
    let nowhere = "http://127.0.0.1:9/";
    let refused = async |extra: Value| -> StepError {
        let mut config = extra;
        config["url"] = nowhere.into();
        config["method"] = "POST".into();
        let error = call_in(&ctx, config).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Permanent, "{error}");
        error
    };
    let error = refused(json!({ "body": { "file": blob } })).await;
    assert!(error.message.contains("inside of it stands a reference"), "{error}");
    let error = refused(json!({ "body": blob, "maxRequestSize": "1 kB" })).await;
    assert_eq!(error.code, "http.request-too-large");
    let error = refused(json!({ "body": blob, "bodyType": "form" })).await;
    assert_eq!(error.code, "config.invalid");
    let error = refused(json!({ "body": blob, "bodyType": "multipart" })).await;
    assert_eq!(error.code, "config.invalid");

    for config in [
        json!({ "url": nowhere, "method": "POST", "body": blob }),
        json!({ "url": nowhere, "responseType": "blob" }),
    ] {
        let error = call(config).await.unwrap_err();
        assert_eq!((error.code.as_str(), error.kind), ("blob.store", ErrorKind::Permanent));
        assert!(error.message.contains("data folder"), "{error}");
    }
}

#[tokio::test]
async fn a_damaged_blob_is_never_a_whole_body() {
    let folder = tempfile::tempdir().unwrap();
    let (ctx, blobs) = with_blobs(&folder);
    let whole = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&whole);
    let take = move |body: Body| {
        let told = Arc::clone(&told);
        async move {
            if axum::body::to_bytes(body, usize::MAX).await.is_ok() {
                told.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let base = serve(Router::new().route("/", post(take))).await;
    let blob = blobs.put_bytes(bytes(LARGE).into(), None).await.unwrap();
    let hex = blob.id.hex();
    let path = folder.path().join("blobs/sha256").join(&hex[..2]).join(&hex[2..]);
    let mut damaged = bytes(LARGE);
    damaged[5] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let config = json!({ "url": base, "method": "POST", "body": blob });
    let error = call_in(&ctx, config.clone()).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("blob.damaged", ErrorKind::Permanent),
        "{error}"
    );
    std::fs::remove_file(&path).unwrap();
    let error = call_in(&ctx, config).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("blob.missing", ErrorKind::Permanent),
        "{error}"
    );
    assert_eq!(whole.load(Ordering::Relaxed), 0, "the service never had a whole body");
    assert!(matches!(blobs.open(&blob).await.err().unwrap(), BlobError::Missing(_)));
}
