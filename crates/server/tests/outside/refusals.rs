//! What is refused, with which status, and that neither secrets nor bodies get into a log.

use reqwest::RequestBuilder;
use serde_json::Value;

use crate::world::{Answer, World, hmac, logged, now};

/// Stands in every body, so that it is found wherever a body gets to.
const MARK: &str = "b0dy-mark-7731";
const SECRET: &str = "hush-s3cret-5582-aaaa";
const OLD: &str = "hush-old-5582-bbbb";
const GONE: &str = "hush-gone-5582-cccc";
/// `hush-s3cret-5582-aaaa` in base64.
const WHSEC: &str = "whsec_aHVzaC1zM2NyZXQtNTU4Mi1hYWFh";

fn workflow(scheme: &str, secret: &str, more: &str) -> String {
    format!(
        "
name: {scheme}
triggers:
  - type: webhook-trigger
    config:
      path: /webhooks/{scheme}
      maxBodyBytes: 2000
      authentication:
        type: signature
        scheme: {scheme}
        secret: {secret}
{more}
steps:
  - set: {{ done: true }}
output: 1
"
    )
}

/// The headers of a signed request.
fn sign(scheme: &str, secret: &str, body: &str, at: i64, id: &str) -> Vec<(&'static str, String)> {
    let hex = |text: String| hmac(secret, text.as_bytes());
    match scheme {
        "stripe" => vec![("Stripe-Signature", format!("t={at},v1={}", hex(format!("{at}.{body}"))))],
        "github" => vec![
            ("X-Hub-Signature-256", format!("sha256={}", hex(body.to_owned()))),
            ("X-GitHub-Delivery", id.to_owned()),
        ],
        "slack" => vec![
            ("X-Slack-Signature", format!("v0={}", hex(format!("v0:{at}:{body}")))),
            ("X-Slack-Request-Timestamp", at.to_string()),
        ],
        "shopify" => vec![
            ("X-Shopify-Hmac-Sha256", base64(&hex(body.to_owned()))),
            ("X-Shopify-Webhook-Id", id.to_owned()),
        ],
        "standard-webhooks" => vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.to_string()),
            (
                "webhook-signature",
                format!("v1,{}", base64(&hex(format!("{id}.{at}.{body}")))),
            ),
        ],
        _ => vec![
            ("X-Webhook-Signature", hex(format!("{at}.{body}"))),
            ("X-Time", at.to_string()),
            ("Idempotency-Key", id.to_owned()),
        ],
    }
}

fn base64(hex: &str) -> String {
    use base64::Engine;
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn body(id: &str) -> String {
    format!(r#"{{"id":"{id}","event_id":"{id}","mark":"{MARK}"}}"#)
}

fn with(mut request: RequestBuilder, headers: Vec<(&'static str, String)>) -> RequestBuilder {
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn every_scheme_refuses_with_the_right_status_and_tells_no_log() {
    let schemes = ["stripe", "github", "slack", "shopify", "standard-webhooks", "hmac"];
    let secret_of = |scheme: &str| {
        let (one, two) = if scheme == "standard-webhooks" {
            ("${env.WHSEC}", "${env.WHSEC_OLD}")
        } else {
            ("${env.SECRET}", "${env.OLD}")
        };
        let gone = if scheme == "standard-webhooks" {
            "${env.WHSEC_GONE}"
        } else {
            "${env.GONE}"
        };
        format!("[\"{one}\", \"{two}\", {{ value: \"{gone}\", notAfter: \"2020-01-01T00:00:00Z\" }}]")
    };
    let texts: Vec<(&str, String)> = schemes
        .iter()
        .map(|scheme| {
            let more = if *scheme == "hmac" {
                "        timestampHeader: X-Time"
            } else {
                ""
            };
            (*scheme, workflow(scheme, &secret_of(scheme), more))
        })
        .collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let encoded = |text: &str| {
        use base64::Engine;
        format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(text))
    };
    assert_eq!(encoded(SECRET), WHSEC);
    let env = [
        ("SECRET", SECRET),
        ("OLD", OLD),
        ("GONE", GONE),
        ("WHSEC", WHSEC),
        ("WHSEC_OLD", &encoded(OLD)),
        ("WHSEC_GONE", &encoded(GONE)),
    ];
    let world = World::new(&texts, &env).await;
    for scheme in schemes {
        let path = format!("/webhooks/{scheme}");
        let send = async |headers: Vec<(&'static str, String)>, body: String| {
            let request = world.post(&path).header("Content-Type", "application/json").body(body);
            Answer::of(with(request, headers)).await
        };
        let is_timed = !matches!(scheme, "github" | "shopify");
        let before = world.executions("default").await.len();

        let text = body("e-1");
        let good = send(sign(scheme, SECRET, &text, now(0), "e-1"), text.clone()).await;
        assert_eq!(good.status, 202, "{scheme}: {}", good.text);
        // A replayed request is the first one, and starts nothing.
        let replayed = send(sign(scheme, SECRET, &text, now(1), "e-1"), text.clone()).await;
        assert_eq!(replayed.is(202).execution(), good.execution(), "{scheme}: replayed");
        assert_eq!(replayed.body["duplicate"], true, "{scheme}: replayed");
        // A secret that is being replaced still counts.
        let text = body("e-2");
        let rotated = send(sign(scheme, OLD, &text, now(0), "e-2"), text).await;
        rotated.is(202);

        let text = body("e-3");
        let fresh = || sign(scheme, SECRET, &text, now(0), "e-3");
        let wrong = "webhook.wrong-signature";
        send(sign(scheme, "another-secret", &text, now(0), "e-3"), text.clone())
            .await
            .is_problem(401, wrong);
        send(sign(scheme, GONE, &text, now(0), "e-3"), text.clone())
            .await
            .is_problem(401, wrong);
        send(fresh(), text.replace(MARK, "changed"))
            .await
            .is_problem(401, wrong);
        for missing in fresh().iter().map(|(name, _)| *name) {
            let headers: Vec<_> = fresh().into_iter().filter(|(name, _)| *name != missing).collect();
            let answer = send(headers, text.clone()).await;
            if matches!(
                missing,
                "X-GitHub-Delivery" | "X-Shopify-Webhook-Id" | "Idempotency-Key"
            ) {
                // Proves nothing, so it may be missing; what comes without an id is another delivery each time.
                answer.is(202);
            } else {
                answer.is_problem(401, "webhook.missing-header");
            }
        }
        if is_timed {
            let old = send(sign(scheme, SECRET, &text, now(-400), "e-3"), text.clone()).await;
            old.is_problem(401, "webhook.too-old");
            let early = send(sign(scheme, SECRET, &text, now(400), "e-3"), text.clone()).await;
            early.is_problem(401, "webhook.too-new");
        }
        if let Some(headers) = other_algorithm(scheme, fresh()) {
            send(headers, text.clone())
                .await
                .is_problem(401, "webhook.wrong-algorithm");
        }
        let big = format!("{text}{}", " ".repeat(2000));
        send(sign(scheme, SECRET, &big, now(0), "e-4"), big.clone())
            .await
            .is_problem(413, "webhook.body-too-large");
        let broken = format!("{{\"mark\": {MARK}");
        send(sign(scheme, SECRET, &broken, now(0), "e-5"), broken)
            .await
            .is_problem(400, "webhook.invalid-body");
        let none = world.post(&path).body(text.clone());
        Answer::of(none).await.is_problem(401, "webhook.missing-header");

        let unproven = i32::from(!is_timed || scheme == "hmac");
        let started = world.executions("default").await.len() - before;
        assert_eq!(started, 2 + unproven as usize, "{scheme}: nothing else was started");

        let list = world
            .get(&format!(
                "/api/v1/webhooks/{scheme}:webhook-trigger/deliveries?outcome=refused"
            ))
            .await;
        let items = list.is(200).body["items"].as_array().unwrap().clone();
        assert!(items.iter().all(|item| item["fate"] == "refused"), "{}", list.text);
        let has = |reason: &str| items.iter().any(|item| item["reason"] == reason);
        assert!(has("wrong-signature") && has("missing-header"), "{}", list.text);
    }
    let logs = logged();
    assert!(logs.contains("a webhook delivery was refused"), "the log was captured");
    for hidden in [MARK, SECRET, OLD, GONE, WHSEC, "another-secret"] {
        let found = logs.lines().find(|line| line.contains(hidden));
        assert_eq!(found, None, "a log line shows {hidden}");
    }
}

fn other_algorithm(scheme: &str, headers: Vec<(&'static str, String)>) -> Option<Vec<(&'static str, String)>> {
    let change = |text: &str| match scheme {
        "stripe" => Some(text.replace("v1=", "v0=")),
        "github" => Some(text.replace("sha256=", "sha1=")),
        "slack" => Some(text.replace("v0=", "v1=")),
        "standard-webhooks" => Some(text.replace("v1,", "v9,")),
        "hmac" => Some(format!("sha1={text}")),
        _ => None,
    };
    let (name, text) = headers
        .iter()
        .find(|(name, _)| name.to_ascii_lowercase().contains("signature"))?
        .clone();
    let changed = change(&text)?;
    Some(
        headers
            .into_iter()
            .map(|(known, value)| (known, if known == name { changed.clone() } else { value }))
            .collect(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_secret_an_endpoint_takes_nothing() {
    let text = workflow("github", "\"${env.NOT_SET}\"", "");
    let empty = workflow("shopify", "\"${env.EMPTY}\"", "");
    let world = World::new(&[("github", &text), ("shopify", &empty)], &[("EMPTY", "")]).await;
    for (scheme, secret) in [("github", ""), ("shopify", "")] {
        let headers = sign(scheme, secret, "{}", now(0), "e");
        let answer = Answer::of(with(world.post(&format!("/webhooks/{scheme}")).body("{}"), headers)).await;
        answer.is_problem(503, "webhook.not-configured");
        assert!(answer.headers.contains_key("retry-after"));
    }
    assert!(world.executions("default").await.is_empty());
    let list = world.get("/api/v1/webhooks").await;
    let all: Vec<&Value> = list.is(200).body["items"].as_array().unwrap().iter().collect();
    assert_eq!(all.len(), 2);
    for endpoint in all {
        assert!(!endpoint["problems"].as_array().unwrap().is_empty(), "{endpoint}");
    }
    // When it is there, the sender that tries again gets through.
    let world = world.restart(&[("NOT_SET", "now-it-is-set")]).await;
    let headers = sign("github", "now-it-is-set", "{}", now(0), "e");
    Answer::of(with(world.post("/webhooks/github").body("{}"), headers))
        .await
        .is(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_fit_is_told_by_its_places() {
    let text = "
name: strict
triggers:
  - type: webhook-trigger
    config:
      path: /webhooks/strict
      authentication: { type: basic, credentials: { username: shop, password: \"${env.PASSWORD}\" } }
      validation: { schema: { type: object, required: [id], properties: { amount: { type: number } } } }
steps:
  - set: { done: true }
output: 1
";
    let world = World::new(&[("strict", text)], &[("PASSWORD", "passw0rd-7")]).await;
    let send = |password: &'static str, body: &'static str| {
        let request = world.post("/webhooks/strict").basic_auth("shop", Some(password));
        Answer::of(request.header("Content-Type", "application/json").body(body))
    };
    let wrong = send("other", "{}").await;
    wrong.is_problem(401, "webhook.wrong-credentials");
    assert!(wrong.headers["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    let unfit = send("passw0rd-7", r#"{"amount":"a-lot-9911"}"#).await;
    unfit.is_problem(400, "webhook.schema-mismatch");
    let places: Vec<&str> = unfit.body["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["pointer"].as_str().unwrap())
        .collect();
    assert!(places.contains(&"") && places.contains(&"/amount"), "{}", unfit.text);
    send("passw0rd-7", r#"{"id":1}"#).await.is(202);
    let logs = logged();
    assert!(!logs.contains("a-lot-9911") && !logs.contains("passw0rd-7"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_was_not_taken_for_json_is_told_with_what_failed() {
    let text = |name: &str, more: &str| {
        format!(
            "
name: {name}
triggers:
  - type: webhook-trigger
    config: {{ path: /webhooks/{name}, authentication: {{ type: none }}{more} }}
    when: \"${{trigger.body.amount > 100}}\"
    input: \"${{trigger.body}}\"
    key: \"${{trigger.body.id}}\"
steps:
  - set: {{ done: true }}
"
        )
    };
    let schema = ", validation: { schema: { type: object, required: [amount] } }";
    let world = World::new(
        &[("plain", &text("plain", "")), ("strict", &text("strict", schema))],
        &[],
    )
    .await;
    let send = |path: &'static str, kind: &'static str, body: &'static str| {
        let request = world.post(path).body(body);
        Answer::of(if kind.is_empty() {
            request
        } else {
            request.header("Content-Type", kind)
        })
    };
    let body = r#"{"amount":700,"id":"9911"}"#;
    let form = "application/x-www-form-urlencoded";
    let refused = send("/webhooks/plain", form, body).await;
    refused.is_problem(422, "webhook.unselectable");
    let hint = refused.body["hint"].as_str().unwrap();
    assert!(
        hint.contains("taken as a form") && hint.contains("Content-Type: application/json"),
        "{hint}"
    );
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .starts_with("`when` of the trigger"),
        "{}",
        refused.text
    );
    let refused = send("/webhooks/strict", "text/plain", body).await;
    refused.is_problem(400, "webhook.schema-mismatch");
    assert!(
        refused.body["hint"].as_str().unwrap().contains("taken as text"),
        "{}",
        refused.text
    );
    let refused = send("/webhooks/plain", "application/json", r#"{"amount":700}"#).await;
    refused.is_problem(422, "webhook.unselectable");
    assert!(
        refused.body["detail"]
            .as_str()
            .unwrap()
            .starts_with("`key` of the trigger"),
        "{}",
        refused.text
    );
    assert_eq!(refused.body.get("hint"), None);
    // The inbox says which field it was, to those who may see it.
    let list = world.get("/api/v1/webhooks/plain:webhook-trigger/deliveries").await;
    let one = list.is(200).body["items"][0]["id"].as_str().unwrap();
    let one = world
        .get(&format!("/api/v1/webhooks/plain:webhook-trigger/deliveries/{one}"))
        .await;
    assert!(
        one.is(200).body["message"]
            .as_str()
            .unwrap()
            .contains("trigger.body.id"),
        "{}",
        one.text
    );
    // Where no type is said, what looks like JSON is.
    send("/webhooks/plain", "", body).await.is(202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_that_does_not_exist_is_told_with_those_that_do() {
    let world = World::new(&[], &[]).await;
    let text = workflow("githb", "\"${env.SECRET}\"", "");
    let deploy = bowline_host::Deploy {
        files: vec![("githb.yaml".to_owned(), text.trim_start().to_owned())],
        ..bowline_host::Deploy::default()
    };
    let refused = world.host.deploy("default", deploy).await.unwrap_err();
    let problem = &refused.problems[0];
    let schemes = "`hmac`, `stripe`, `github`, `slack`, `shopify`, `twilio`, `standard-webhooks`";
    assert_eq!(
        problem.expected.as_deref(),
        Some(&*format!("one of: {schemes}")),
        "{problem:?}"
    );
    assert_eq!(problem.hint.as_deref(), Some("did you mean `github`?"), "{problem:?}");
}
