//! What may not be seen is not seen: not in errors, not in logs.

use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{call_in, context, echo_server, free_port};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn logs_at_the_finest_level_hold_no_credentials() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let base = echo_server().await;
    let ctx = context(json!({ "c": {
        "baseUrl": base, "headers": { "X-Other-Key": "hush-header" },
        "tls": { "insecureSkipVerify": true },
        "authentication": { "type": "basic", "credentials": { "username": "u", "password": "hush-password" } },
    } }));
    call_in(&ctx, json!({ "connection": "c", "query": { "token": "hush-query" } }))
        .await
        .unwrap();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        text.contains("http request") && text.contains("insecureSkipVerify"),
        "{text}"
    );
    assert!(!text.contains("hush"), "{text}");
}

#[tokio::test]
async fn derived_forms_are_known_to_the_masker() {
    let base = echo_server().await;
    let ctx = context(json!({}));
    let long = "correct horse battery staple";
    let config = json!({ "url": base, "authentication":
        { "type": "basic", "credentials": { "username": "someone", "password": long } } });
    let sent = call_in(&ctx, config).await.unwrap()["body"]["headers"]["authorization"]
        .as_str()
        .unwrap()
        .to_owned();
    let encoded = sent.strip_prefix("Basic ").unwrap();
    assert!(
        !ctx.masker.scrub_text(&sent).contains(encoded),
        "the base64 of user and password is masked"
    );

    let config = json!({ "url": base, "authentication":
        { "type": "api-key", "credentials": { "keyName": "X-Api-Key", "keyValue": long, "encoding": "base64" } } });
    let sent = call_in(&ctx, config).await.unwrap()["body"]["headers"]["x-api-key"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        !ctx.masker.scrub_text(&sent).contains(&sent),
        "the base64 of the key is masked"
    );
}

#[tokio::test]
async fn a_secret_in_any_header_stays_at_its_origin() {
    let there = echo_server().await;
    let router = axum::Router::new().fallback(move || {
        let there = there.clone();
        async move { crate::support::answer(302, &[("location", there.as_str())], "") }
    });
    let here = crate::support::serve(router).await;
    let ctx = context(json!({}));
    ctx.masker.add("a long and secret value");
    let config = json!({ "url": here, "headers": { "X-Plain-Name": "a long and secret value", "X-Trace": "kept" } });
    let sent = call_in(&ctx, config).await.unwrap()["body"]["headers"].clone();
    assert!(
        sent.get("x-plain-name").is_none() && sent["x-trace"] == "kept",
        "{sent}"
    );
}

#[tokio::test]
async fn errors_name_no_user_information() {
    let url = format!("http://user:hush@127.0.0.1:{}/x?k=hush#hush", free_port());
    let error = call_in(&context(json!({})), json!({ "url": url })).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
}
