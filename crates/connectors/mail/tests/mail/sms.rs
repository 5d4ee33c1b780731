//! `sms-send` against a server that checks requests as Twilio does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::world::World;
use axum::Router;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bowline_connector::ErrorKind;
use serde_json::{Value, json};

/// What was posted: the form and the idempotency key.
type Posted = Arc<Mutex<Vec<(HashMap<String, String>, String)>>>;

async fn messages(
    Path(account): Path<String>,
    State(posted): State<Posted>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    // base64 of `AC123:a-token` and of `SK9:a-secret`
    let known = ["Basic QUMxMjM6YS10b2tlbg==", "Basic U0s5OmEtc2VjcmV0"];
    if account != "AC123" || !known.contains(&header("authorization").as_str()) {
        let body = json!({ "code": 20003, "message": "Authenticate", "status": 401 });
        return (StatusCode::UNAUTHORIZED, body.to_string()).into_response();
    }
    posted
        .lock()
        .expect("unlocked")
        .push((form.clone(), header("idempotency-key")));
    match form["To"].as_str() {
        "+15005550001" => {
            let body = json!({ "code": 21211, "message": "Invalid 'To' Phone Number: +1500555XXXX", "status": 400,
                "more_info": "https://www.twilio.com/docs/errors/21211" });
            (StatusCode::BAD_REQUEST, body.to_string()).into_response()
        }
        "+15005550002" => {
            let body = json!({ "code": 20429, "message": "Too Many Requests" });
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3")], body.to_string()).into_response()
        }
        "+15005550003" => (StatusCode::INTERNAL_SERVER_ERROR, "<html>").into_response(),
        "+15005550004" => (StatusCode::CREATED, "not JSON").into_response(),
        "+15005550005" => std::future::pending().await,
        "+15005550006" => {
            let body = json!({ "sid": "SM2", "status": "failed", "to": form["To"], "error_code": 30007, "error_message": "filtered" });
            (StatusCode::CREATED, body.to_string()).into_response()
        }
        to => {
            let body = json!({ "sid": "SM1", "status": "queued", "to": to, "from": form.get("From"),
                "num_segments": "2", "error_code": null, "price": null });
            (StatusCode::CREATED, body.to_string()).into_response()
        }
    }
}

/// A server on a free port, and what was posted to it.
async fn serve() -> (String, Posted) {
    let posted = Posted::default();
    let app = Router::new()
        .route("/2010-04-01/Accounts/{account}/Messages.json", post(messages))
        .with_state(Arc::clone(&posted));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, posted)
}

fn account(url: &str) -> Value {
    json!({ "baseUrl": url, "accountSid": "AC123", "authToken": "a-token", "from": "+15005550006" })
}

#[tokio::test]
async fn a_message_is_posted_as_the_service_wants_it() {
    let (url, posted) = serve().await;
    let world = World::new("twilio", account(&url));
    let message =
        json!({ "to": "+4915112345678", "body": "Grüße & mehr", "statusCallback": "https://example.com/status" });
    let result = world.run("sms-send", message).await.expect("sent");
    let expected =
        json!({ "sid": "SM1", "status": "queued", "to": "+4915112345678", "from": "+15005550006", "segments": 2 });
    assert_eq!(result, expected);
    let (form, key) = posted.lock().expect("unlocked")[0].clone();
    assert_eq!(key, "test/step");
    let form = json!(form);
    assert_eq!(
        form,
        json!({ "To": "+4915112345678", "Body": "Grüße & mehr", "From": "+15005550006", "StatusCallback": "https://example.com/status" })
    );
}

#[tokio::test]
async fn the_sender_may_be_a_service_and_the_login_a_key() {
    let (url, posted) = serve().await;
    let connection = json!({ "baseUrl": format!("{url}/"), "accountSid": "AC123", "apiKey": "SK9", "apiSecret": "a-secret",
        "messagingServiceSid": "MG7" });
    let world = World::new("twilio", connection);
    let result = world
        .run("sms-send", json!({ "to": "+4915112345678", "body": "x" }))
        .await
        .expect("sent");
    assert_eq!(result["from"], Value::Null);
    world
        .run(
            "sms-send",
            json!({ "to": "+4915112345678", "body": "x", "from": "SHOP" }),
        )
        .await
        .expect("sent");
    let posted = posted.lock().expect("unlocked");
    assert_eq!(
        json!(posted[0].0),
        json!({ "To": "+4915112345678", "Body": "x", "MessagingServiceSid": "MG7" })
    );
    assert_eq!(
        json!(posted[1].0),
        json!({ "To": "+4915112345678", "Body": "x", "From": "SHOP" })
    );
}

#[tokio::test]
async fn refusals_and_lost_answers_say_what_may_be_done() {
    let (url, posted) = serve().await;
    let world = World::new("twilio", account(&url));
    let mut impatient = account(&url);
    impatient["timeout"] = json!(300);
    let impatient = World::new("twilio", impatient);
    for (to, code, kind) in [
        ("+15005550001", "sms.21211", ErrorKind::Permanent),
        ("+15005550002", "sms.20429", ErrorKind::After(3000)),
        ("+15005550003", "sms.http-500", ErrorKind::OutcomeUnknown),
        ("+15005550004", "sms.unknown", ErrorKind::OutcomeUnknown),
        ("+15005550005", "sms.unknown", ErrorKind::OutcomeUnknown),
        ("+15005550006", "sms.30007", ErrorKind::Permanent),
    ] {
        // The fifth never answers.
        let world = if to.ends_with('5') { &impatient } else { &world };
        let error = world
            .run("sms-send", json!({ "to": to, "body": "a text" }))
            .await
            .expect_err(to);
        assert_eq!((error.code.as_str(), error.kind), (code, kind), "{to}: {error}");
        let told = format!("{error} {error:?}");
        assert!(
            !told.contains("a-token") && !told.contains("a text") && !told.contains("AC123"),
            "{told}"
        );
    }
    assert_eq!(posted.lock().expect("unlocked").len(), 6);

    let mut wrong = account(&url);
    wrong["authToken"] = json!("another");
    let error = World::new("twilio", wrong)
        .run("sms-send", json!({ "to": "+4915112345678", "body": "x" }))
        .await;
    assert_eq!(error.expect_err("refused").code, "sms.20003");
    let gone = World::new("twilio", account("http://127.0.0.1:1"));
    let error = gone
        .run("sms-send", json!({ "to": "+4915112345678", "body": "x" }))
        .await
        .expect_err("gone");
    assert_eq!((error.code.as_str(), error.kind), ("sms.connect", ErrorKind::Transient));
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anything_is_sent() {
    let (url, posted) = serve().await;
    let world = World::new("twilio", account(&url));
    for message in [
        json!({ "to": "0151 12345678", "body": "x" }),
        json!({ "to": "+4915112345678", "body": "" }),
        json!({ "to": "+4915112345678", "body": "x", "from": " " }),
        json!({ "to": "+4915112345678", "body": "x", "statusCallback": "ftp://example.com" }),
        json!({ "to": "+4915112345678", "text": "x" }),
    ] {
        let error = world.run("sms-send", message.clone()).await.expect_err("refused");
        assert_eq!(
            (error.code.as_str(), error.kind),
            ("config.invalid", ErrorKind::Permanent),
            "{message}"
        );
    }
    for connection in [
        json!({ "accountSid": "AC123" }),
        json!({ "accountSid": "../x", "authToken": "t" }),
        json!({ "accountSid": "AC123", "authToken": "t", "apiKey": "k", "apiSecret": "s" }),
        json!({ "accountSid": "AC123", "authToken": "t", "from": "a", "messagingServiceSid": "b" }),
        json!({ "accountSid": "AC123", "authToken": "t", "baseUrl": "ftp://example.com" }),
        json!({ "accountSid": "AC123", "authToken": "t", "baseUrl": "https://user:pw@example.com" }),
        json!({ "accountSid": "AC123", "authToken": "t" }),
    ] {
        let world = World::new("twilio", connection.clone());
        let error = world
            .run("sms-send", json!({ "to": "+4915112345678", "body": "x" }))
            .await
            .expect_err("refused");
        assert_eq!(error.code, "config.invalid", "{connection}: {error}");
    }
    assert!(posted.lock().expect("unlocked").is_empty());
}
