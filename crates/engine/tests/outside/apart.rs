//! What is written with a start, and organizations that know nothing of each other.

use std::collections::HashSet;
use std::time::Duration;

use bowline_core::{Answer, Outcome};
use bowline_engine::{Delivered, Engine, EngineError, Retry, StartKey, StartRequest};
use bowline_store::{
    CallbackAddress, DEFAULT_ORGANIZATION, Entry, EntryRange, EntryWrite, ExecutionFilter, MemoryStore, Status, Store,
};

use crate::world::{World, definition, json, open, request, succeeded, until};

fn inbox(key: &str, value: &str) -> EntryWrite {
    EntryWrite::Add(Entry::new("inbox", key, value.to_owned()))
}

fn with(name: &str, input: &str, entries: Vec<EntryWrite>) -> StartRequest {
    StartRequest {
        with: entries,
        ..request(name, &input)
    }
}

fn of(organization: &str, request: StartRequest) -> StartRequest {
    StartRequest {
        organization: organization.into(),
        ..request
    }
}

fn count(store: &MemoryStore) -> usize {
    let all = ExecutionFilter {
        limit: usize::MAX,
        ..ExecutionFilter::default()
    };
    store.executions(&all).unwrap().len()
}

#[tokio::test]
async fn an_entry_and_its_execution_begin_together_and_once() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    // The same delivery many times at once, beside others that have nothing to do with it.
    let same = (0..50).map(|n| engine.start(with("three", &n.to_string(), vec![inbox("d-1", &n.to_string())])));
    let others = (0..50).map(|n| engine.start(with("three", "x", vec![inbox(&format!("other-{n}"), "x")])));
    let (same, others) = tokio::join!(
        futures_util::future::join_all(same),
        futures_util::future::join_all(others)
    );
    let begun: Vec<_> = same.iter().filter_map(|started| started.as_ref().ok()).collect();
    let [begun] = begun[..] else {
        panic!("{} began", begun.len())
    };
    assert!(begun.created());
    for refused in same.iter().filter_map(|started| started.as_ref().err()) {
        let EngineError::EntryExists { space, key } = refused else {
            panic!("{refused}")
        };
        assert_eq!((space.as_str(), key.as_str()), ("inbox", "d-1"));
    }
    let mut ids = HashSet::new();
    for started in others {
        ids.insert(started.unwrap().id().to_owned());
    }
    assert_eq!((ids.len(), count(&store)), (50, 51));
    assert_eq!(
        store
            .entries(&EntryRange {
                space: "inbox".into(),
                ..EntryRange::default()
            })
            .unwrap()
            .len(),
        51
    );
    engine.idle().await.unwrap();
    // What was refused took no place in memory, and no place from others.
    assert_eq!(engine.in_flight(), 0);
}

#[tokio::test]
async fn nothing_is_written_with_a_start_that_is_none() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let keyed = |entry: &str| StartRequest {
        key: Some(StartKey::new("order-1")),
        ..with("three", "x", vec![inbox(entry, "")])
    };
    let first = engine.start(keyed("one")).await.unwrap();
    let again = engine.start(keyed("two")).await.unwrap();
    assert_eq!(
        (first.id(), first.created(), again.created()),
        (again.id(), true, false)
    );
    assert!(store.entry("inbox", "one").unwrap().is_some());
    assert_eq!(store.entry("inbox", "two").unwrap(), None);
    // A new key with an entry that is there: neither key nor execution.
    let refused = StartRequest {
        key: Some(StartKey::new("order-2")),
        ..with("three", "x", vec![inbox("three", ""), inbox("one", "")])
    };
    assert!(matches!(
        engine.start(refused).await,
        Err(EngineError::EntryExists { .. })
    ));
    assert_eq!(store.start_key(DEFAULT_ORGANIZATION, "three", "order-2").unwrap(), None);
    assert_eq!((store.entry("inbox", "three").unwrap(), count(&store)), (None, 1));
}

#[tokio::test]
async fn what_is_recorded_is_there_or_refused_as_a_whole() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let put = |key: &str, value: &str| EntryWrite::Put(Entry::new("deployment", key, value.to_owned()));
    let swap = |was: Option<&str>, value: &str| EntryWrite::Swap {
        entry: Entry::new("deployment", "head", value.to_owned()),
        was: was.map(|was| was.to_owned().into()),
    };
    engine
        .record(vec![definition("three")], vec![put("1", "a"), swap(None, "1")])
        .await
        .unwrap();
    assert_eq!(store.definition("hash of three").unwrap(), Some(definition("three")));
    // Two who saw the same: one is second.
    let (one, other) = tokio::join!(
        engine.record(vec![], vec![put("2", "b"), swap(Some("1"), "2")]),
        engine.record(vec![], vec![put("3", "c"), swap(Some("1"), "3")])
    );
    let refused = [one, other].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert!(
        matches!(&refused[..], [EngineError::EntryChanged { key, .. }] if key == "head"),
        "{refused:?}"
    );
    let head = store.entry("deployment", "head").unwrap().unwrap();
    let all = EntryRange {
        space: "deployment".into(),
        ..EntryRange::default()
    };
    let keys: Vec<String> = store.entries(&all).unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["1", std::str::from_utf8(&head).unwrap(), "head"]);
    engine.stop(Duration::ZERO).await;
    assert!(matches!(
        engine.record(vec![], vec![put("4", "d")]).await,
        Err(EngineError::Stopped(_))
    ));
}

async fn answer(engine: &Engine, organization: &str, key: &str, answer: &str) -> Delivered {
    let address = CallbackAddress::Key {
        organization: organization.into(),
        name: String::new(),
        key: key.into(),
    };
    let output = json(answer);
    engine
        .deliver(&address, Answer::Succeeded { output, event: None })
        .await
        .unwrap()
}

#[tokio::test]
async fn references_keys_and_pauses_are_an_organizations_own() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let keyed = |organization: &str| {
        let request = StartRequest {
            key: Some(StartKey::new("order-1")),
            ..request("valuation", &"R-1")
        };
        of(organization, request)
    };
    // Kept for one, which the other does not get.
    assert!(matches!(
        answer(&engine, "acme", "R-1", "early").await,
        Delivered::Kept { .. }
    ));
    engine.pause_workflow("idle", "valuation").await.unwrap();
    let emca = engine.start(keyed("emca")).await.unwrap();
    until(&store, emca.id(), Status::Waiting).await;
    let acme = engine.start(keyed("acme")).await.unwrap();
    assert_ne!(acme.id(), emca.id());
    assert_eq!(succeeded(&acme.outcome().await.unwrap()), "\"\\\"early\\\"\"");
    assert_eq!(store.execution(emca.id()).unwrap().unwrap().organization, "emca");
    assert!(matches!(
        answer(&engine, DEFAULT_ORGANIZATION, "R-1", "x").await,
        Delivered::Kept { .. }
    ));
    engine.pause_workflow("acme", "valuation").await.unwrap();
    assert!(matches!(
        answer(&engine, "emca", "R-1", "late").await,
        Delivered::Accepted { .. }
    ));
    assert_eq!(succeeded(&emca.outcome().await.unwrap()), "\"\\\"late\\\"\"");

    // What was paused stands still, also after a restart.
    let still = engine.start(of("acme", request("valuation", &"R-2"))).await.unwrap();
    until(&store, still.id(), Status::Paused).await;
    engine.stop(Duration::ZERO).await;
    let engine = open(&store, &world);
    engine.recover().await.unwrap();
    let still_too = engine.start(of("acme", request("valuation", &"R-3"))).await.unwrap();
    until(&store, still_too.id(), Status::Paused).await;
    engine.unpause_workflow("acme", "valuation").await.unwrap();
    until(&store, still_too.id(), Status::Waiting).await;
}

#[tokio::test]
async fn events_reach_their_organization_only() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let acme = engine.start(of("acme", request("listen", &"K"))).await.unwrap();
    let emca = engine.start(of("emca", request("listen", &"K"))).await.unwrap();
    for id in [acme.id(), emca.id()] {
        until(&store, id, Status::Waiting).await;
    }
    let tell = engine.start(of("emca", request("tell", &"K"))).await.unwrap();
    tell.outcome().await.unwrap();
    assert!(succeeded(&emca.outcome().await.unwrap()).contains("100"));
    engine.idle().await.unwrap();
    assert_eq!(store.execution(acme.id()).unwrap().unwrap().status, Status::Waiting);
    // One that begins to wait later finds its own events only.
    engine
        .start(of("acme", request("tell", &"K")))
        .await
        .unwrap()
        .outcome()
        .await
        .unwrap();
    let told = succeeded(&acme.outcome().await.unwrap());
    assert!(told.contains("\"id\":2"), "{told}");
}

#[tokio::test]
async fn children_and_retries_are_whose_the_execution_was_and_of_its_trace() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let parent = StartRequest {
        trace: Some(TRACE.into()),
        ..of("acme", request("parent", &""))
    };
    let parent = engine.start(parent).await.unwrap();
    let id = parent.id().to_owned();
    until(&store, &id, Status::Waiting).await;
    let of_parent = ExecutionFilter {
        parent: Some(id.clone()),
        ..ExecutionFilter::default()
    };
    let child = store.executions(&of_parent).unwrap().remove(0);
    assert_eq!(child.organization, "acme");
    // The trace is in the journal: the step after the restart has it too.
    engine.stop(Duration::ZERO).await;
    let engine = open(&store, &world);
    engine.recover().await.unwrap();
    let parent = engine.watch(&id).await.unwrap();
    assert!(matches!(
        answer(&engine, "acme", "K-child", "5").await,
        Delivered::Accepted { .. }
    ));
    assert!(matches!(parent.outcome().await.unwrap(), Outcome::Succeeded(_)));
    assert_eq!(*world.traces.lock().unwrap(), [Some(TRACE.into()), Some(TRACE.into())]);

    let again = engine.retry(&id, Retry::default()).await.unwrap();
    assert_eq!(store.execution(again.id()).unwrap().unwrap().organization, "acme");
}
