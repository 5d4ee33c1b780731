//! Journals without a limit.

use bowline_core::Answer;
use bowline_store::{CallbackAddress, MemoryStore, Status, Store};

use crate::world::{World, json, open, request, succeeded, until};

#[tokio::test]
async fn coming_back_reads_what_is_live_and_not_the_history() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let rounds = 20_000;
    let handle = engine.start(request("long", &rounds)).await.unwrap();
    let id = handle.id().to_owned();
    until(&store, &id, Status::Waiting).await;
    let exec = store.execution(&id).unwrap().unwrap().exec;
    let live = store.open_execution(exec).unwrap().unwrap();
    assert!(live.next_seq > rounds, "{} records", live.next_seq);
    let events: usize = bowline_engine::read_journal(&live.journal)
        .unwrap()
        .iter()
        .map(|record| record.events.len())
        .sum();
    assert!(events < 12_000, "{events} of {} records are read", live.next_seq);
    assert_eq!(
        store.journal(exec, 0, usize::MAX).unwrap().len() as u64,
        live.next_seq,
        "the history is whole"
    );
    drop(engine);
    let engine = open(&store, &world);
    engine.recover().await.unwrap();
    let handle = engine.watch(&id).await.unwrap();
    let answer = Answer::Succeeded {
        output: json("1"),
        event: None,
    };
    let path = CallbackAddress::Path {
        execution: id,
        path: "answer".into(),
    };
    engine.deliver(&path, answer).await.unwrap();
    assert_eq!(succeeded(&handle.outcome().await.unwrap()), "\"x\"");
    assert_eq!(world.called("round[0]/do"), 1);
    assert_eq!(world.called(&format!("round[{}]/do", rounds - 1)), 1);
}
