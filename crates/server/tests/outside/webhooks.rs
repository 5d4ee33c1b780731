//! What is taken: once, durably, with everything that the workflow wants to know.

use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::world::{Answer, World, hmac, now};

const ORDERS: &str = "
name: order-created
triggers:
  - type: webhook-trigger
    config:
      path: /webhooks/order-created
      method: POST
      authentication: { type: signature, secret: \"${env.WEBHOOK_SECRET}\" }
      validation: { schema: { type: object, required: [orderId], properties: { orderId: { type: string } } } }
    when: \"${$not($exists(trigger.body.test))}\"
input: { type: object }
steps:
  - set: { done: true }
output: \"${input.orderId}\"
";

const OPEN: &str = "
name: open
triggers:
  - id: hook
    type: webhook-trigger
    config: { path: \"/webhooks/{shop}/{*rest}\", method: [POST, PUT], authentication: { type: none } }
    input: \"${trigger}\"
steps:
  - set: { done: true }
output: \"${input}\"
";

const SECRET: &str = "s3cret-of-the-shop";

async fn shop() -> World {
    World::new(
        &[("order-created", ORDERS), ("open", OPEN)],
        &[("WEBHOOK_SECRET", SECRET), ("BOWLINE_ORG_ACME__WEBHOOK_SECRET", SECRET)],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_starts_its_workflow_once() {
    let world = shop().await;
    let send = |key: &'static str| {
        let request = world.signed("/webhooks/order-created", SECRET, r#"{"orderId":"o-1"}"#);
        Answer::of(request.header("Idempotency-Key", key))
    };
    let first = send("k-1").await;
    first.is(202);
    let id = first.execution().to_owned();
    assert_eq!(first.headers["location"], format!("/api/v1/executions/{id}"));
    assert_eq!(first.headers["bowline-execution"], id);
    assert_eq!(world.output("default", &id).await, "o-1");

    // Many at once are still one.
    let again = futures_util::future::join_all((0..20).map(|_| send("k-1"))).await;
    assert_eq!(first.body.get("duplicate"), None);
    for answer in again {
        let mut expected = first.body.clone();
        expected["duplicate"] = true.into();
        assert_eq!(answer.is(202).body, expected);
    }
    assert_eq!(world.executions("default").await.len(), 1);
    assert_ne!(send("k-2").await.is(202).execution(), id);
    let counts = world.app.outside.counts();
    let of = |outcome| {
        counts
            .iter()
            .find(|(count, _)| count.outcome == outcome)
            .map(|(_, number)| *number)
    };
    assert_eq!((of("started"), of("duplicate")), (Some(2), Some(20)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_survives_a_restart_and_is_still_known() {
    let world = shop().await;
    let request = |world: &World| {
        let request = world.signed("/webhooks/order-created", SECRET, r#"{"orderId":"o-1"}"#);
        request.header("Idempotency-Key", "k-1")
    };
    let first = Answer::of(request(&world)).await;
    let world = world.restart(&[]).await;
    assert_eq!(Answer::of(request(&world)).await.is(202).execution(), first.execution());
    assert_eq!(world.output("default", first.execution()).await, "o-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_keeps_a_delivery_and_starts_nothing() {
    let world = shop().await;
    let request = || {
        let request = world.signed("/webhooks/order-created", SECRET, r#"{"orderId":"o","test":true}"#);
        Answer::of(request.header("Idempotency-Key", "filtered"))
    };
    assert_eq!(request().await.is(204).text, "");
    assert_eq!(request().await.is(204).text, "");
    assert!(world.executions("default").await.is_empty());
    let list = world
        .get("/api/v1/webhooks/order-created:webhook-trigger/deliveries")
        .await;
    let items = list.is(200).body["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 1, "the second is a duplicate: {}", list.text);
    assert_eq!(
        (&items[0]["fate"], &items[0]["sourceId"]),
        (&json!("filtered"), &json!("filtered"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_reads_what_came() {
    let world = shop().await;
    let url = format!("{}/webhooks/caf%C3%A9/a/b?x=1&x=2&y=%20", world.url);
    let request = world
        .client
        .put(url)
        .header("X-One", "1")
        .header("Authorization", "Bearer hush-hush")
        .header("Cookie", "session=hush-hush")
        .form(&[("name", "Ada"), ("tag", "a"), ("tag", "b")]);
    let answer = Answer::of(request).await;
    let trigger = world.output("default", answer.is(202).execution()).await;
    assert_eq!(trigger["params"], json!({ "shop": "café", "rest": "a/b" }));
    assert_eq!(trigger["query"], json!({ "x": ["1", "2"], "y": " " }));
    assert_eq!(trigger["body"], json!({ "name": "Ada", "tag": ["a", "b"] }));
    assert_eq!(
        (&trigger["method"], &trigger["headers"]["x-one"]),
        (&json!("PUT"), &json!("1"))
    );
    assert_eq!(trigger["from"], "127.0.0.1");
    assert!(!trigger.to_string().contains("hush-hush"), "{trigger}");
    let delivery = format!(
        "/api/v1/webhooks/open:hook/deliveries/{}",
        answer.body["delivery"].as_str().unwrap()
    );
    let kept = world.get(&delivery).await;
    assert!(!kept.is(200).text.contains("hush-hush"), "{}", kept.text);
    assert_eq!(kept.body["body"]["text"], "name=Ada&tag=a&tag=b");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_and_binary_bodies_are_content() {
    let world = shop().await;
    let big = "x".repeat(300_000);
    let body = json!({ "text": big }).to_string();
    let request = world.post("/webhooks/s/big").header("Content-Type", "application/json");
    let answer = Answer::of(request.body(body.clone())).await;
    let trigger = world.output("default", answer.is(202).execution()).await;
    assert_eq!(trigger["body"]["text"], json!(big));
    let path = format!(
        "/api/v1/webhooks/open:hook/deliveries/{}",
        answer.body["delivery"].as_str().unwrap()
    );
    let kept = world.get(&path).await;
    assert_eq!(kept.body["body"]["blob"]["size"], body.len(), "{}", kept.text);
    let again = Answer::of(world.post(&format!("{path}/replay"))).await;
    let trigger = world.output("default", again.is(201).execution()).await;
    assert_eq!(trigger["body"]["text"], json!(big));

    let form = Form::new().text("note", "hi").part(
        "file",
        Part::bytes(vec![0xFF; 100])
            .file_name("a.bin")
            .mime_str("image/png")
            .unwrap(),
    );
    let answer = Answer::of(world.post("/webhooks/s/form").multipart(form)).await;
    let trigger = world.output("default", answer.is(202).execution()).await;
    assert_eq!(trigger["body"]["note"], "hi");
    let file = &trigger["body"]["file"];
    assert_eq!((&file["filename"], &file["size"]), (&json!("a.bin"), &json!(100)));
    assert_eq!(file["content"]["size"], 100, "{file}");
    let raw = world.post("/webhooks/s/raw").header("Content-Type", "image/png");
    let answer = Answer::of(raw.body(vec![0xFF; 10])).await;
    let trigger = world.output("default", answer.is(202).execution()).await;
    assert!(trigger["body"]["$blob"].is_string(), "{trigger}");
}

#[tokio::test(flavor = "multi_thread")]
async fn senders_can_wait_for_the_result() {
    let hook = |name: &str, respond: &str, steps: &str| {
        format!(
            "
name: {name}
triggers:
  - type: webhook-trigger
    config: {{ path: /webhooks/{name}, authentication: {{ type: none }}, {respond} }}
steps:
{steps}
output: \"${{input.n + 1}}\"
"
        )
    };
    let say = "  - respond: { status: 201, headers: { X-Own: \"7\" }, body: { said: \"${input.n}\" } }";
    let wait = "  - { id: word, waitFor: { signal: word } }";
    let fail = "  - fail: { error: no.good, message: it is not }";
    let world = World::new(
        &[
            ("result", &hook("result", "respond: result", "  - set: { a: 1 }")),
            ("told", &hook("told", "respond: step", &format!("{say}\n{wait}"))),
            ("long", &hook("long", "respond: result, wait: 50ms", wait)),
            ("bad", &hook("bad", "respond: result", fail)),
        ],
        &[],
    )
    .await;
    let send = |path: &'static str| Answer::of(world.post(path).json(&json!({ "n": 1 })));
    let result = send("/webhooks/result").await;
    assert_eq!(result.is(200).body, 2);
    assert!(result.headers.contains_key("bowline-execution"));
    let told = send("/webhooks/told").await;
    assert_eq!(told.is(201).body, json!({ "said": 1 }));
    assert_eq!(told.headers["x-own"], "7");
    assert!(send("/webhooks/long").await.is(202).body["execution"].is_string());
    let bad = send("/webhooks/bad").await;
    bad.is_problem(500, "execution.failed");
    // Why is nobody's business who can only send: it may be an address or a row of a table.
    assert!(
        !bad.text.contains("no.good") && !bad.text.contains("it is not"),
        "{}",
        bad.text
    );
    let execution = bad.headers["bowline-execution"].to_str().unwrap();
    assert!(bad.text.contains(execution), "{}", bad.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_when_the_server_stops_is_answered() {
    let workflow = "
name: long
triggers:
  - { type: webhook-trigger, config: { path: /webhooks/long, authentication: { type: none }, respond: result, wait: 1h } }
steps:
  - { id: word, waitFor: { signal: word } }
";
    let world = World::new(&[("long", workflow)], &[]).await;
    let sent = tokio::spawn(Answer::of(world.post("/webhooks/long").json(&json!({}))));
    let mut list = world.host.feed().list("default");
    while world.executions("default").await.is_empty() {
        list.changed().await;
    }
    let world = world.restart(&[]).await;
    let answer = sent.await.unwrap();
    assert_eq!(answer.is(202).execution(), world.executions("default").await[0].id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_request_counts_once_under_whatever_id() {
    let workflow = |name: &str, more: &str| {
        format!(
            "
name: {name}
triggers:
  - type: webhook-trigger
    config:
      path: /webhooks/{name}
      authentication: {{ type: signature, secret: \"${{env.WEBHOOK_SECRET}}\", {more} }}
steps:
  - set: {{ done: true }}
"
        )
    };
    let world = World::new(
        &[
            ("timed", &workflow("timed", "timestampHeader: X-Time")),
            ("github", &workflow("github", "scheme: github")),
            ("by-id", &workflow("by-id", "scheme: github, knownBy: id")),
        ],
        &[("WEBHOOK_SECRET", SECRET)],
    )
    .await;
    let time = now(0).to_string();
    let timed = |id: &'static str| {
        let request = world.post("/webhooks/timed").body("{}").header("X-Time", &time);
        let request = request.header("X-Webhook-Signature", hmac(SECRET, format!("{time}.{{}}").as_bytes()));
        Answer::of(if id.is_empty() {
            request
        } else {
            request.header("Idempotency-Key", id)
        })
    };
    let github = |path: &'static str, id: &'static str| {
        let request = world.post(path).body("{}").header("X-GitHub-Delivery", id);
        Answer::of(request.header("X-Hub-Signature-256", format!("sha256={}", hmac(SECRET, b"{}"))))
    };
    let first = timed("a").await;
    for id in ["a", "b", ""] {
        assert_eq!(timed(id).await.is(202).execution(), first.execution(), "{id}");
    }
    let first = github("/webhooks/github", "a").await;
    let second = github("/webhooks/github", "b").await;
    assert_eq!(second.is(202).execution(), first.execution());
    let first = github("/webhooks/by-id", "a").await;
    assert_ne!(
        github("/webhooks/by-id", "b").await.is(202).execution(),
        first.execution()
    );
    assert_eq!(world.executions("default").await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_no_page_of_the_inspector() {
    let world = World::new(
        &[(
            "page",
            "
name: page
triggers:
  - { type: webhook-trigger, config: { path: /webhooks/page, method: GET, authentication: { type: none }, respond: step } }
steps:
  - respond:
      headers: { content-type: text/html, set-cookie: bowline_session=mine, service-worker-allowed: / }
      body: <script>fetch('/api/v1/keys')</script>
",
        )],
        &[],
    )
    .await;
    let page = world.get("/webhooks/page").await;
    assert_eq!(page.is(200).headers["content-type"], "text/html");
    assert_eq!(page.headers["content-security-policy"], "sandbox allow-forms");
    for dropped in ["set-cookie", "service-worker-allowed"] {
        assert!(!page.headers.contains_key(dropped), "{dropped}");
    }
    assert!(
        world
            .get("/nothing")
            .await
            .headers
            .contains_key("content-security-policy")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn organizations_have_their_own_endpoints() {
    let world = shop().await;
    world.deploy("acme", "order-created", ORDERS).await;
    let send = |path: &'static str| {
        Answer::of(
            world
                .signed(path, SECRET, r#"{"orderId":"a"}"#)
                .header("Idempotency-Key", "k"),
        )
    };
    let acme = send("/o/acme/webhooks/order-created").await;
    acme.is(202);
    assert_eq!(world.executions("acme").await.len(), 1);
    assert!(world.executions("default").await.is_empty());
    // The same id of a sender is another delivery in another organization.
    assert_ne!(
        send("/webhooks/order-created").await.is(202).execution(),
        acme.execution()
    );
    send("/o/other/webhooks/order-created")
        .await
        .is_problem(404, "path.not-found");
    let path = format!(
        "/api/v1/webhooks/order-created:webhook-trigger/deliveries/{}",
        acme.body["delivery"].as_str().unwrap()
    );
    world.get(&path).await.is_problem(404, "delivery.not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_names_what_two_deliveries_have_in_common() {
    let keyed = ORDERS.replace("    when:", "    key: \"${trigger.body.orderId}\"\n    when:");
    let world = World::new(&[("order-created", &keyed)], &[("WEBHOOK_SECRET", SECRET)]).await;
    let send = |body: &'static str| Answer::of(world.signed("/webhooks/order-created", SECRET, body));
    let first = send(r#"{"orderId":"o-1"}"#).await;
    let again = send(r#"{"orderId":"o-1","more":1}"#).await;
    assert_eq!(again.is(202).execution(), first.execution());
    assert_ne!(
        send(r#"{"orderId":"o-2"}"#).await.is(202).execution(),
        first.execution()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn challenges_are_answered() {
    let slack = "
name: slack
triggers:
  - type: webhook-trigger
    config: { path: /webhooks/slack, authentication: { type: signature, scheme: slack, secret: \"${env.SLACK}\" } }
steps:
  - set: { done: true }
";
    let meta = "
name: meta
triggers:
  - type: webhook-trigger
    config:
      path: /webhooks/meta
      authentication: { type: signature, scheme: github, secret: \"${env.SLACK}\" }
      challenge: { parameter: hub.challenge, tokenParameter: hub.verify_token, token: \"${env.SLACK}\" }
steps:
  - set: { done: true }
";
    let world = World::new(&[("slack", slack), ("meta", meta)], &[("SLACK", "s1ack-secret")]).await;
    let body = r#"{"type":"url_verification","challenge":"3eZbrw1a"}"#;
    let time = crate::world::now(0).to_string();
    let signature = format!("v0={}", hmac("s1ack-secret", format!("v0:{time}:{body}").as_bytes()));
    let ask = |signature: String| {
        let request = world.post("/webhooks/slack").header("X-Slack-Signature", signature);
        Answer::of(request.header("X-Slack-Request-Timestamp", &time).body(body))
    };
    let asked = ask(signature).await;
    assert_eq!(asked.is(200).text, "3eZbrw1a");
    ask("v0=00".to_owned()).await.is_problem(401, "webhook.wrong-signature");
    let right = world
        .get("/webhooks/meta?hub.mode=subscribe&hub.challenge=42&hub.verify_token=s1ack-secret")
        .await;
    assert_eq!(right.is(200).text, "42");
    world
        .get("/webhooks/meta?hub.challenge=42&hub.verify_token=no")
        .await
        .is_problem(401, "webhook.wrong-credentials");
    world.get("/webhooks/meta").await.is_problem(405, "request.method");
    assert!(world.executions("default").await.is_empty());
}
