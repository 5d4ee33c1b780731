use bowline_core::Payload;
use bowline_host::{
    Answer, CallbackAddress, DEFAULT_ORGANIZATION, Decision, Delivered, ErrorKind, Start, StartKey, Waiting,
};
use serde_json::{Map, json};

use crate::world::{THEM, US, World, files};

const ASKS: &str = "
name: asks
steps:
  - { id: asked, callback: { name: valuations, correlate: \"${input.reference}\", timeout: 2d } }
output: \"${asked}\"
";

/// Its reference is the address that it was told to answer at.
const CALLS: &str = "
name: calls
steps:
  - id: asked
    type: do
    config: { answer: \"${callback.endpoint}\" }
    callback: { name: valuations, correlate: \"${response}\", timeout: 2d }
";

const ENDPOINTS: &str = "callbacks: { valuations: { correlate: \"${callback.body.reference}\" } }\n";

const APPROVES: &str = "
name: approves
steps:
  - id: ok
    approve:
      who: [ann, bob]
      what: May we?
      timeout: 2d
      form: { properties: { limit: { type: number } }, required: [limit] }
output: \"${ok}\"
";

fn answer(value: serde_json::Value) -> Answer {
    Answer::Succeeded {
        output: Payload::of(&value).unwrap(),
        event: None,
    }
}

fn key(reference: &str) -> CallbackAddress {
    CallbackAddress::Key {
        // The host puts in whose it is.
        organization: THEM.into(),
        name: "valuations".into(),
        key: reference.into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_address_of_an_endpoint_is_that_of_the_organization() {
    let world = World::new().await;
    for (organization, path) in [
        (US, "/o/acme/callbacks/valuations"),
        (DEFAULT_ORGANIZATION, "/callbacks/valuations"),
    ] {
        let both = files(&[("calls.yaml", CALLS), ("bowline.yaml", ENDPOINTS)]);
        world.host.deploy(organization, both).await.unwrap();
        let started = world
            .host
            .start(organization, Start::new("calls", json!({})))
            .await
            .unwrap();
        let mut following = world.host.feed().execution(&started.id);
        let told = loop {
            let open = world
                .host
                .callbacks(organization, &Waiting::default())
                .await
                .unwrap()
                .items;
            if let Some(one) = open.first() {
                break one.reference.clone().unwrap();
            }
            assert!(following.changed().await);
        };
        assert_eq!(told, format!("http://127.0.0.1:8080{path}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callbacks_find_their_own_organization_only() {
    let world = World::new().await;
    let host = &world.host;
    world.deploy("asks", ASKS).await;
    let id = world.start("asks", json!({ "reference": "V-1" })).await;
    world.waits(&id).await;
    let with_tokens = Waiting {
        tokens: true,
        ..Waiting::default()
    };
    let open = host.callbacks(US, &with_tokens).await.unwrap().items;
    assert_eq!(
        (open[0].path.as_str(), open[0].reference.as_deref()),
        ("asked", Some("V-1"))
    );
    assert_eq!(
        host.callbacks(US, &Waiting::default()).await.unwrap().items[0].token,
        None
    );
    assert!(host.callbacks(THEM, &with_tokens).await.unwrap().items.is_empty());

    let token = open[0].token.clone().unwrap();
    assert_eq!(host.organization_of_token(&token).await.unwrap(), US);
    let by_token = CallbackAddress::Token(token);
    let error = host.deliver(THEM, &by_token, answer(json!(1))).await.unwrap_err();
    let made_up = host
        .deliver(US, &CallbackAddress::Token("bw_made-up".into()), answer(json!(1)))
        .await
        .unwrap_err();
    assert_eq!(error, made_up, "as if it did not exist");
    assert_eq!((error.kind, error.code), (ErrorKind::NotFound, "callback.bad-token"));

    // By reference nobody waits for it there, so it is kept there.
    let kept = host.deliver(THEM, &key("V-1"), answer(json!("theirs"))).await.unwrap();
    let Delivered::Kept { id: number, .. } = kept else {
        panic!("{kept:?}")
    };
    assert!(host.kept(US, None, 0).await.unwrap().items.is_empty());
    let theirs = host.kept(THEM, None, 0).await.unwrap().items;
    assert_eq!((theirs[0].id, &theirs[0].body), (number, &Some(json!("theirs"))));
    for error in [
        host.deliver_kept(US, number, Some(&by_token)).await.unwrap_err(),
        host.drop_kept(US, number).await.unwrap_err(),
        host.deliver(US, &CallbackAddress::Kept(number), answer(json!(1)))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.code, "callback.not-kept");
    }
    host.drop_kept(THEM, number).await.unwrap();

    let accepted = Delivered::Accepted { execution: id.clone() };
    assert_eq!(
        host.deliver(US, &key("V-1"), answer(json!(42))).await.unwrap(),
        accepted
    );
    let again = host.deliver(US, &by_token, answer(json!(43))).await.unwrap();
    assert_eq!(again, Delivered::Duplicate { execution: id.clone() });
    assert_eq!(world.end(&id).await.output, Some(json!(42)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_answer_is_kept_and_delivered_by_hand() {
    let world = World::new().await;
    let host = &world.host;
    world.deploy("asks", ASKS).await;
    let kept = host.deliver(US, &key("V-2"), answer(json!("early"))).await.unwrap();
    let Delivered::Kept { id: number, .. } = kept else {
        panic!("{kept:?}")
    };
    let id = world.start("asks", json!({ "reference": "V-1" })).await;
    world.waits(&id).await;
    let delivered = host.deliver_kept(US, number, Some(&key("V-1"))).await.unwrap();
    assert_eq!(delivered, Delivered::Accepted { execution: id.clone() });
    assert_eq!(world.end(&id).await.output, Some(json!("early")));
    assert_eq!(
        host.deliver_kept(US, number, None).await.unwrap_err().code,
        "callback.not-kept"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_decide() {
    let world = World::new().await;
    let host = &world.host;
    world.deploy("approves", APPROVES).await;
    let id = world.start("approves", json!({})).await;
    world.waits(&id).await;
    let asked = &host.approvals(US, &Waiting::default()).await.unwrap().items[0];
    assert_eq!(
        (asked.who.as_slice(), asked.what.as_deref()),
        (&["ann".to_owned(), "bob".to_owned()][..], Some("May we?"))
    );
    assert!(
        asked.form.is_some()
            && host
                .approvals(THEM, &Waiting::default())
                .await
                .unwrap()
                .items
                .is_empty()
    );
    let decide = |limit: serde_json::Value| Decision {
        approved: true,
        by: Some("ann".into()),
        comment: None,
        form: Map::from_iter([("limit".to_owned(), limit)]),
    };
    let error = host.approve(US, &id, None, decide(json!("much"))).await.unwrap_err();
    assert_eq!(error.code, "approval.form", "{error}");
    let error = host
        .approve(US, &id, Some("nothing"), decide(json!(5)))
        .await
        .unwrap_err();
    assert_eq!(error.code, "approval.none");
    let taken = host.approve(US, &id, Some("ok"), decide(json!(5))).await.unwrap();
    assert_eq!(taken, Delivered::Accepted { execution: id.clone() });
    assert_eq!(
        world.end(&id).await.output,
        Some(json!({ "approved": true, "by": "ann", "limit": 5 }))
    );
    assert_eq!(
        host.approve(US, &id, None, decide(json!(5))).await.unwrap_err().kind,
        ErrorKind::Gone
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_keys_and_waits_are_listed_in_pages() {
    let world = World::new().await;
    world.deploy("asks", ASKS).await;
    for n in 0..5 {
        let mut start = bowline_host::Start::new("asks", json!({ "reference": format!("P-{n}") }));
        start.key = Some(StartKey::new(format!("k-{n}")));
        let id = world.host.start(US, start).await.unwrap().id;
        world.waits(&id).await;
    }
    let mut waiting = Waiting {
        limit: 2,
        ..Waiting::default()
    };
    let mut references = Vec::new();
    loop {
        let page = world.host.callbacks(US, &waiting).await.unwrap();
        references.extend(page.items.into_iter().filter_map(|one| one.reference));
        waiting.cursor = page.next;
        if waiting.cursor.is_none() {
            break;
        }
    }
    assert_eq!(references, ["P-0", "P-1", "P-2", "P-3", "P-4"]);
}
