//! Starting by a key, and doing again.

use std::time::Duration;

use bowline_engine::{Conflict, EngineError, Retry, Reuse, StartKey, StartRequest};
use bowline_store::{MemoryStore, Status, Store};

use crate::world::{World, json, open, request, until};

fn keyed(workflow: &str, input: &str, key: StartKey) -> StartRequest {
    StartRequest {
        key: Some(key),
        ..request(workflow, &input)
    }
}

#[tokio::test]
async fn one_key_is_one_execution_whatever_the_moment() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let key = StartKey::new("order-1");
    // Two at once: one begins.
    let (first, second) = tokio::join!(
        engine.start(keyed("valuation", "K", key.clone())),
        engine.start(keyed("valuation", "K", key.clone()))
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first.id(), second.id());
    until(&store, first.id(), Status::Waiting).await;
    let waiting = engine.start(keyed("valuation", "K", key.clone())).await.unwrap();
    assert_eq!(waiting.id(), first.id());
    let other = engine.start(keyed("valuation", "L", key.clone())).await.unwrap_err();
    assert!(
        matches!(&other, EngineError::KeyTaken { why, .. } if why.contains("another input")),
        "{other}"
    );
    let fail = StartKey {
        conflict: Conflict::Fail,
        ..key.clone()
    };
    assert!(engine.start(keyed("valuation", "K", fail)).await.is_err());
    // Another workflow's keys are its own.
    let elsewhere = engine.start(keyed("three", "K", key.clone())).await.unwrap();
    assert_ne!(elsewhere.id(), first.id());
    elsewhere.outcome().await.unwrap();

    let terminate = StartKey {
        conflict: Conflict::TerminateExisting,
        ..key.clone()
    };
    let replaced = engine.start(keyed("valuation", "L", terminate)).await.unwrap();
    assert_ne!(replaced.id(), first.id());
    assert_eq!(store.execution(first.id()).unwrap().unwrap().status, Status::Cancelled);
}

#[tokio::test]
async fn a_key_whose_execution_has_ended_follows_its_policy() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let key = |reuse| StartKey {
        reuse,
        ..StartKey::new("order-1")
    };
    let failed = engine
        .start(keyed("three", "bad", key(Reuse::ReturnExisting)))
        .await
        .unwrap();
    let failed_id = failed.id().to_owned();
    failed.outcome().await.unwrap();
    let same = engine
        .start(keyed("three", "bad", key(Reuse::ReturnExisting)))
        .await
        .unwrap();
    assert_eq!(same.id(), failed_id);
    assert!(same.outcome().await.is_ok(), "the end is told again");
    assert!(
        engine
            .start(keyed("three", "good", key(Reuse::ReturnExisting)))
            .await
            .is_err()
    );
    assert!(engine.start(keyed("three", "bad", key(Reuse::Reject))).await.is_err());
    let again = engine
        .start(keyed("three", "good", key(Reuse::AllowDuplicateFailedOnly)))
        .await
        .unwrap();
    assert_ne!(again.id(), failed_id);
    let again_id = again.id().to_owned();
    again.outcome().await.unwrap();
    assert!(
        engine
            .start(keyed("three", "good", key(Reuse::AllowDuplicateFailedOnly)))
            .await
            .is_err()
    );
    let third = engine
        .start(keyed("three", "good", key(Reuse::AllowDuplicate)))
        .await
        .unwrap();
    assert!(third.id() != again_id && third.id() != failed_id);
}

#[tokio::test]
async fn doing_again_from_a_step_keeps_what_was_before_it_and_the_keys() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let failed = engine.start(request("three", &"bad")).await.unwrap();
    let id = failed.id().to_owned();
    failed.outcome().await.unwrap();
    let retry = Retry {
        input: Some(json("good")),
        ..Retry::default()
    };
    let again = engine.retry(&id, retry).await.unwrap();
    let row = store.execution(again.id()).unwrap().unwrap();
    assert_eq!(row.origin.as_deref(), Some(id.as_str()));
    let again_id = again.id().to_owned();
    again.outcome().await.unwrap();
    assert_eq!(
        (world.called("one"), world.called("two"), world.called("three")),
        (1, 1, 1)
    );

    let from = |step: &str, new_keys| Retry {
        from: Some(step.into()),
        new_keys,
        ..Retry::default()
    };
    engine
        .retry(&again_id, from("two", false))
        .await
        .unwrap()
        .outcome()
        .await
        .unwrap();
    engine
        .retry(&again_id, from("two", true))
        .await
        .unwrap()
        .outcome()
        .await
        .unwrap();
    assert_eq!((world.called("one"), world.called("two")), (1, 3));
    let keys = world.calls.lock().unwrap()["two"].clone();
    assert_eq!(keys[0], keys[1], "the same call has the same key");
    assert_ne!(keys[0], keys[2]);
    let unknown = engine.retry(&id, from("four", false)).await.unwrap_err().to_string();
    assert!(
        unknown.contains("`four`") && unknown.contains("one, two, three"),
        "{unknown}"
    );
    let waiting = engine.start(request("valuation", &"K")).await.unwrap();
    assert!(engine.retry(waiting.id(), Retry::default()).await.is_err());
    engine.stop(Duration::ZERO).await;
}
