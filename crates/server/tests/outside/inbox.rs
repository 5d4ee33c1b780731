//! The inbox: what is shown, verified again and played again, and what is forgotten.

use serde_json::json;

use crate::world::{Answer, World};

fn hook(more: &str) -> String {
    format!(
        "
name: hook
triggers:
  - id: it
    type: webhook-trigger
    config:
      path: /webhooks/it
      authentication: {{ type: signature, secret: \"${{env.SECRET}}\" }}
{more}
steps:
  - set: {{ done: true }}
output: \"${{input.n}}\"
"
    )
}

const DELIVERIES: &str = "/api/v1/webhooks/hook:it/deliveries";

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_delivery_is_taken_when_its_secret_is_known() {
    let world = World::new(&[("hook", &hook(""))], &[("SECRET", "first-secret")]).await;
    let request = |world: &World| {
        let request = world.signed("/webhooks/it", "second-secret", r#"{"n":5}"#);
        request.header("Idempotency-Key", "k-1")
    };
    Answer::of(request(&world))
        .await
        .is_problem(401, "webhook.wrong-signature");
    let list = world.get(&format!("{DELIVERIES}?outcome=refused")).await;
    let id = list.body["items"][0]["id"].as_str().unwrap().to_owned();
    let replay = format!("{DELIVERIES}/{id}/replay");
    let refused = Answer::of(world.post(&replay)).await;
    refused.is_problem(409, "delivery.refused");

    let world = world.restart(&[("SECRET", "second-secret")]).await;
    let taken = Answer::of(world.post(&replay)).await;
    assert_eq!(world.output("default", taken.is(201).execution()).await, 5);
    let left = world.get(&format!("{DELIVERIES}?outcome=refused")).await;
    assert_eq!(left.body["items"], json!([]), "it is refused no more");
    // And the sender's own retry is a second one.
    let retried = Answer::of(request(&world)).await;
    assert_eq!(retried.is(202).execution(), taken.execution());
    assert_eq!(world.executions("default").await.len(), 1);

    // One that was taken starts another when it is played again.
    let first = taken.body["delivery"].as_str().unwrap();
    let again = Answer::of(world.post(&format!("{DELIVERIES}/{first}/replay"))).await;
    assert_ne!(again.is(201).execution(), taken.execution());
    let newest = world.get(DELIVERIES).await;
    assert_eq!(newest.body["items"][0]["replayOf"], first);
    assert_eq!(world.executions("default").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_plays_a_delivery_again_does_it_once() {
    let world = World::new(&[("hook", &hook(""))], &[("SECRET", "first-secret")]).await;
    Answer::of(world.signed("/webhooks/it", "no-secret", r#"{"n":7}"#))
        .await
        .is(401);
    let list = world.get(DELIVERIES).await;
    let refused = format!("{DELIVERIES}/{}/replay", list.body["items"][0]["id"].as_str().unwrap());
    let played = |path: String, key: &'static str| {
        let request = world.post(&path).header("Idempotency-Key", key);
        async move {
            Answer::of(request.json(&json!({ "unverified": true })))
                .await
                .is(201)
                .body
                .clone()
        }
    };
    let first = played(refused.clone(), "r-1").await;
    assert_eq!(first["fate"], "started");
    assert_eq!(played(refused, "r-1").await, first, "although it is refused no more");

    let taken = format!("{DELIVERIES}/{}/replay", first["delivery"].as_str().unwrap());
    let second = played(taken.clone(), "r-1").await;
    assert_ne!(
        second["execution"], first["execution"],
        "the key is one of this delivery"
    );
    let (one, other) = tokio::join!(played(taken.clone(), "r-1"), played(taken.clone(), "r-1"));
    assert_eq!((&one, &other), (&second, &second));
    assert_ne!(played(taken, "r-2").await["execution"], second["execution"]);
    assert_eq!(world.executions("default").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_verified_can_be_taken_on_somebodys_word() {
    let world = World::new(&[("hook", &hook(""))], &[("SECRET", "first-secret")]).await;
    Answer::of(world.signed("/webhooks/it", "no-secret", r#"{"n":7}"#))
        .await
        .is(401);
    let list = world.get(&format!("{DELIVERIES}?outcome=refused")).await;
    let replay = format!("{DELIVERIES}/{}/replay", list.body["items"][0]["id"].as_str().unwrap());
    Answer::of(world.post(&replay))
        .await
        .is_problem(409, "delivery.refused");
    let taken = Answer::of(world.post(&replay).json(&json!({ "unverified": true }))).await;
    assert_eq!(world.output("default", taken.is(201).execution()).await, 7);
    for missing in ["hook:it/deliveries/nothing", "other:it/deliveries/nothing"] {
        let missing = world.get(&format!("/api/v1/webhooks/{missing}")).await;
        missing.is_problem(404, "delivery.not-found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_in_pages_newest_first() {
    let world = World::new(&[("hook", &hook(""))], &[("SECRET", "first-secret")]).await;
    let mut sent = Vec::new();
    for n in 0..5 {
        let answer = Answer::of(world.signed("/webhooks/it", "first-secret", &format!("{{\"n\":{n}}}"))).await;
        sent.push(answer.is(202).body["delivery"].as_str().unwrap().to_owned());
    }
    sent.reverse();
    let mut seen = Vec::new();
    let mut path = format!("{DELIVERIES}?limit=2");
    loop {
        let page = world.get(&path).await;
        let items = page.is(200).body["items"].as_array().unwrap();
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match page.body["next"].as_str() {
            Some(next) => path = format!("{DELIVERIES}?limit=2&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_came_is_in_one_list() {
    let world = World::new(&[("hook", &hook(""))], &[("SECRET", "first-secret")]).await;
    let mut sent = Vec::new();
    for n in 0..7 {
        let secret = if n % 3 == 2 { "no-secret" } else { "first-secret" };
        let answer = Answer::of(world.signed("/webhooks/it", secret, &format!("{{\"n\":{n}}}"))).await;
        sent.push(answer.status.as_u16());
    }
    sent.reverse();
    let list = async |query: &str| {
        let mut seen = Vec::new();
        let mut path = format!("{DELIVERIES}?limit=2{query}");
        loop {
            let page = world.get(&path).await;
            for item in page.is(200).body["items"].as_array().unwrap() {
                seen.push(if item["fate"] == "refused" { 401 } else { 202 });
            }
            match page.body["next"].as_str() {
                Some(next) => path = format!("{DELIVERIES}?limit=2{query}&cursor={next}"),
                None => return seen,
            }
        }
    };
    assert_eq!(list("").await, sent);
    assert_eq!(list("&outcome=accepted").await, vec![202; 5]);
    assert_eq!(list("&outcome=refused").await, vec![401; 2]);
    world.get(&format!("{DELIVERIES}?outcome=other")).await.is(400);
    let unknown = world.get("/api/v1/webhooks/hook.it/deliveries").await;
    unknown.is_problem(404, "endpoint.not-found");
    let page = world.get("/ui/webhooks?endpoint=hook:it").await;
    let (refused, started) = (
        page.is(200).text.matches("Refused").count(),
        page.text.matches("Started").count(),
    );
    assert!(refused >= 2 && started == 5, "{refused} {started}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_nothing_is_configured_is_kept_and_can_be_played() {
    let world = World::new(&[("hook", &hook(""))], &[]).await;
    let request = world.signed("/webhooks/it", "the-secret", r#"{"n":9}"#);
    Answer::of(request).await.is_problem(503, "webhook.not-configured");
    let list = world.get(DELIVERIES).await;
    let kept = list.is(200).body["items"][0].clone();
    assert_eq!(
        (&kept["fate"], &kept["reason"]),
        (&json!("refused"), &json!("not-configured"))
    );
    let one = format!("{DELIVERIES}/{}", kept["id"].as_str().unwrap());
    assert_eq!(world.get(&one).await.is(200).body["body"]["text"], r#"{"n":9}"#);
    let replay = format!("{one}/replay");
    let early = Answer::of(world.post(&replay)).await;
    early.is_problem(409, "endpoint.not-configured");

    let world = world.restart(&[("SECRET", "another-secret")]).await;
    Answer::of(world.post(&replay))
        .await
        .is_problem(409, "delivery.refused");
    let world = world.restart(&[("SECRET", "the-secret")]).await;
    let taken = Answer::of(world.post(&replay)).await;
    assert_eq!(world.output("default", taken.is(201).execution()).await, 9);
    let list = world.get(DELIVERIES).await;
    assert_eq!(list.body["items"].as_array().unwrap().len(), 1, "{}", list.text);
    assert_eq!(list.body["items"][0]["fate"], "started");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_deliveries_do_not_pile_up() {
    let world = World::new(&[("hook", &hook(""))], &[("SECRET", "first-secret")]).await;
    let all = (0..60).map(|_| Answer::of(world.signed("/webhooks/it", "no-secret", "{}")));
    for answer in futures_util::future::join_all(all).await {
        answer.is(401);
    }
    let list = world.get(&format!("{DELIVERIES}?outcome=refused&limit=500")).await;
    let kept = list.body["items"].as_array().unwrap().len();
    assert!((1..60).contains(&kept), "{kept} of 60 within moments are kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_deliveries_are_forgotten_with_their_ids() {
    let world = World::new(&[("hook", &hook("      keep: 0"))], &[("SECRET", "first-secret")]).await;
    let send = |world: &World| {
        let request = world.signed("/webhooks/it", "first-secret", r#"{"n":1}"#);
        Answer::of(request.header("Idempotency-Key", "k"))
    };
    let first = send(&world).await.is(202).execution().to_owned();
    // A server forgets when it begins, and once an hour.
    let world = world.restart(&[]).await;
    let forgotten = async {
        loop {
            let list = world.get(DELIVERIES).await;
            if list.is(200).body["items"] == json!([]) {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::world::LONG, forgotten).await.unwrap();
    assert_ne!(send(&world).await.is(202).execution(), first);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_read_hides_no_other() {
    let world = World::new(&[("hook", &hook(""))], &[("SECRET", "first-secret")]).await;
    Answer::of(world.signed("/webhooks/it", "first-secret", r#"{"n":1}"#))
        .await
        .is(202);
    let id = uuid::Uuid::now_v7().to_string();
    let place = bowline_store::key(&["default", "hook:it", &id]);
    let broken = bowline_store::Entry::new("inbox", place, "no delivery");
    let write = bowline_store::EntryWrite::Put(broken);
    world.host.engine().record(Vec::new(), vec![write]).await.unwrap();
    let list = world.get(DELIVERIES).await;
    let items = list.is(200).body["items"].as_array().unwrap();
    let fates: Vec<_> = items.iter().map(|item| item["fate"].as_str().unwrap()).collect();
    assert_eq!(fates, ["unreadable", "started"]);
    assert_eq!(items[0]["id"], id);
    for page in ["/ui/webhooks", "/ui/webhooks?endpoint=hook:it"] {
        world.get(page).await.is(200);
    }
}
