//! Pausing, auditing, forgetting, and attempts that may have been carried out.

use std::time::Duration;

use bowline_core::{Answer, Outcome};
use bowline_engine::{EngineError, Options, Retention};
use bowline_store::{CallbackAddress, DEFAULT_ORGANIZATION, ExecutionFilter, MemoryStore, RequestKind, Status, Store};

use crate::world::{World, begun, code, json, open, open_with, request, succeeded, until};

#[tokio::test]
async fn a_paused_execution_begins_nothing_and_goes_on_where_it_was() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let handle = engine.start(request("valuation", &"K-1")).await.unwrap();
    let id = handle.id().to_owned();
    until(&store, &id, Status::Waiting).await;
    assert!(engine.pause(&id).await.unwrap());
    until(&store, &id, Status::Paused).await;
    let answer = Answer::Succeeded {
        output: json("1"),
        event: None,
    };
    let key = CallbackAddress::Key {
        organization: DEFAULT_ORGANIZATION.into(),
        name: String::new(),
        key: "K-1".into(),
    };
    engine.deliver(&key, answer).await.unwrap();
    until(&store, &id, Status::Paused).await;
    engine.idle().await.unwrap();
    assert_eq!(world.called("book"), 0);
    // Also through a restart.
    engine.stop(Duration::ZERO).await;
    let engine = open(&store, &world);
    engine.recover().await.unwrap();
    assert_eq!(engine.in_flight(), 0);
    let handle = engine.watch(&id).await.unwrap();
    assert!(engine.unpause(&id).await.unwrap());
    assert_eq!(succeeded(&handle.outcome().await.unwrap()), r#""\"1\"""#);
    assert!(!engine.unpause(&id).await.unwrap());
    assert!(!engine.pause(&id).await.unwrap());
}

#[tokio::test]
async fn what_cannot_be_moved_goes_on_as_it_was() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let handle = engine.start(request("valuation", &"K-1")).await.unwrap();
    let id = handle.id().to_owned();
    until(&store, &id, Status::Waiting).await;
    let other = crate::world::definition("signals");
    let refused = engine.resume_on(&id, other.clone(), "moved").await;
    assert!(matches!(refused, Err(EngineError::NotResumable { .. })));
    let answer = Answer::Succeeded {
        output: json("1"),
        event: None,
    };
    let key = CallbackAddress::Key {
        organization: DEFAULT_ORGANIZATION.into(),
        name: String::new(),
        key: "K-1".into(),
    };
    engine.deliver(&key, answer).await.unwrap();
    assert_eq!(succeeded(&handle.outcome().await.unwrap()), r#""\"1\"""#);
    // What was paused before stays so.
    let handle = engine.start(request("valuation", &"K-2")).await.unwrap();
    until(&store, handle.id(), Status::Waiting).await;
    assert!(engine.pause(handle.id()).await.unwrap());
    assert!(engine.resume_on(handle.id(), other, "moved").await.is_err());
    until(&store, handle.id(), Status::Paused).await;
}

#[tokio::test]
async fn what_is_in_memory_is_not_taken_up_again() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let handle = engine.start(request("slow", &())).await.unwrap();
    begun(&world, "work").await;
    let again = engine.resume(handle.id(), "").await;
    assert!(matches!(again, Err(EngineError::AlreadyRunning(id)) if id == handle.id()));
}

#[tokio::test]
async fn another_process_has_finished_executions_forgotten() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let ended = engine.start(request("three", &"x")).await.unwrap();
    let id = ended.id().to_owned();
    ended.outcome().await.unwrap();
    store
        .request(&RequestKind::Prune {
            organization: None,
            workflow: None,
            after_ms: None,
            keep: Some(0),
        })
        .unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !store.requests(0).unwrap().is_empty() {
        assert!(std::time::Instant::now() < deadline, "the request is carried out");
        tokio::task::yield_now().await;
    }
    assert!(store.execution(&id).unwrap().is_none());
    engine.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn a_pause_lets_what_runs_end() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let handle = engine.start(request("slow", &())).await.unwrap();
    let id = handle.id().to_owned();
    begun(&world, "work").await;
    let (paused, ()) = tokio::join!(engine.pause(&id), async { world.gate.notify_one() });
    assert!(paused.unwrap());
    until(&store, &id, Status::Paused).await;
    assert!(engine.unpause(&id).await.unwrap());
    until(&store, &id, Status::Waiting).await;
    assert_eq!(world.called("work"), 1);
}

#[tokio::test]
async fn a_paused_workflow_takes_starts_and_begins_none_of_them() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let before = engine.start(request("timer", &100_000)).await.unwrap();
    until(&store, before.id(), Status::Waiting).await;
    engine.pause_workflow(DEFAULT_ORGANIZATION, "timer").await.unwrap();
    let after = engine.start(request("timer", &1)).await.unwrap();
    until(&store, after.id(), Status::Paused).await;
    let other = engine.start(request("three", &"x")).await.unwrap();
    other.outcome().await.unwrap();
    engine.unpause_workflow(DEFAULT_ORGANIZATION, "timer").await.unwrap();
    assert_eq!(succeeded(&after.outcome().await.unwrap()), "\"done\"");
    assert_eq!(store.execution(before.id()).unwrap().unwrap().status, Status::Waiting);
}

#[tokio::test]
async fn timers_that_were_due_while_nobody_was_there_fire_at_once_and_in_order() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let mut ids = Vec::new();
    for ms in [60, 20, 40] {
        ids.push(engine.start(request("timer", &ms)).await.unwrap().id().to_owned());
    }
    for id in &ids {
        until(&store, id, Status::Waiting).await;
    }
    engine.stop(Duration::ZERO).await;
    tokio::time::sleep(Duration::from_millis(80)).await;
    // With several drivers they come back in this order too, but which of two records is written first is open.
    let options = Options {
        drivers: 1,
        ..Options::default()
    };
    let engine = open_with(&store, &world, options);
    engine.recover().await.unwrap();
    let mut ended = Vec::new();
    for id in &ids {
        let handle = engine.watch(id).await.unwrap();
        handle.outcome().await.unwrap();
        let exec = store.execution(id).unwrap().unwrap().exec;
        let fired = store.journal(exec, 1, 1).unwrap().remove(0).at;
        ended.push((fired, id.clone()));
    }
    assert!(ended[1].0 <= ended[2].0 && ended[2].0 <= ended[0].0, "{ended:?}");
}

#[tokio::test]
async fn an_execution_that_lost_its_owner_is_found_and_taken_up() {
    let (store, world) = (MemoryStore::new(), World::default());
    let options = Options {
        audit_interval: Duration::from_millis(5),
        ..Options::default()
    };
    let engine = open_with(&store, &world, options);
    engine.recover().await.unwrap();
    let handle = engine.start(request("timer", &100_000)).await.unwrap();
    let id = handle.id().to_owned();
    until(&store, &id, Status::Waiting).await;
    let audited = async {
        while engine.audit().rounds == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), audited).await.unwrap();
    assert_eq!(engine.audit().repaired, 0);
    // As a fault would leave it: waiting, and nothing wakes it.
    let lost = bowline_store::Write::Park {
        exec: store.execution(&id).unwrap().unwrap().exec,
        status: Status::Waiting,
        wake_at: None,
    };
    store.meddle(&[lost]).unwrap();
    let found = async {
        while engine.audit().repaired == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.unwrap();
    // It is back where it was, with its time.
    let woken = async {
        while store
            .execution(&id)
            .unwrap()
            .unwrap()
            .wake_at
            .is_none_or(|at| at < 100_000)
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), woken).await.unwrap();
    assert!(engine.stuck().is_empty());
}

#[tokio::test]
async fn an_attempt_that_may_have_been_carried_out_is_not_repeated_where_that_is_not_wanted() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let handle = engine.start(request("careful", &())).await.unwrap();
    let id = handle.id().to_owned();
    begun(&world, "charge").await;
    drop(engine);
    let engine = open(&store, &world);
    engine.recover().await.unwrap();
    let handle = engine.watch(&id).await.unwrap();
    assert_eq!(code(&handle.outcome().await.unwrap()), "step.outcome-unknown");
    assert_eq!(world.called("charge"), 1);
}

#[tokio::test]
async fn finished_executions_are_forgotten_by_age_and_count() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let mut ids = Vec::new();
    for _ in 0..5 {
        let handle = engine.start(request("three", &"x")).await.unwrap();
        ids.push(handle.id().to_owned());
        assert!(matches!(handle.outcome().await.unwrap(), Outcome::Succeeded(_)));
        // So that they end at different times.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let waiting = engine.start(request("valuation", &"K")).await.unwrap();
    let rule = |keep, after| Retention {
        organization: None,
        workflow: None,
        keep,
        after,
    };
    assert_eq!(engine.prune(&rule(Some(2), None), true).await.unwrap(), 3);
    assert_eq!(engine.prune(&rule(Some(2), None), false).await.unwrap(), 3);
    let left = store.executions(&ExecutionFilter::default()).unwrap();
    assert_eq!(left.len(), 3);
    assert!(left.iter().any(|row| row.id == ids[4]) && left.iter().any(|row| row.id == waiting.id()));
    assert!(store.execution(&ids[0]).unwrap().is_none());
    assert_eq!(
        engine
            .prune(&rule(None, Some(Duration::from_secs(3600))), false)
            .await
            .unwrap(),
        0
    );
    assert_eq!(engine.prune(&rule(None, Some(Duration::ZERO)), false).await.unwrap(), 2);
    assert!(store.check().unwrap().is_empty());
}

#[tokio::test]
async fn a_pause_never_takes_an_end_back() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    for _ in 0..100 {
        let handle = engine.start(request("three", &"x")).await.unwrap();
        let id = handle.id().to_owned();
        let paused = engine.pause(&id).await.unwrap();
        let ended = tokio::time::timeout(Duration::ZERO, handle.outcome()).await;
        assert!(!(paused && ended.is_ok()), "{id} was paused after its end");
        assert_eq!(engine.unpause(&id).await.unwrap(), paused);
        engine.watch(&id).await.unwrap().outcome().await.unwrap();
        assert_eq!(store.execution(&id).unwrap().unwrap().status, Status::Succeeded);
    }
}

#[tokio::test]
async fn a_request_that_takes_long_does_not_keep_others_waiting() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let busy = engine.start(request("slow", &())).await.unwrap();
    begun(&world, "work").await;
    let waiting = engine.start(request("timer", &100_000)).await.unwrap();
    let pause = bowline_store::PauseTarget::Execution(busy.id().into());
    store.request(&bowline_store::RequestKind::Pause(pause)).unwrap();
    store
        .request(&bowline_store::RequestKind::Cancel {
            id: waiting.id().into(),
            reason: "enough".into(),
        })
        .unwrap();
    let outcome = tokio::time::timeout(Duration::from_secs(10), waiting.outcome())
        .await
        .unwrap();
    assert!(matches!(outcome.unwrap(), Outcome::Cancelled(_)));
    world.gate.notify_one();
    until(&store, busy.id(), Status::Paused).await;
}

#[tokio::test]
async fn after_the_end_of_an_engine_nobody_waits_for_it() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    engine.stop(Duration::ZERO).await;
    let told = tokio::time::timeout(Duration::from_secs(10), engine.drop_kept(1))
        .await
        .unwrap();
    assert!(matches!(told, Err(bowline_engine::EngineError::Stopped(_))));
}

#[tokio::test]
async fn what_another_try_did_is_not_done_again_by_a_resumption() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let handle = engine.start(request("verified", &())).await.unwrap();
    let id = handle.id().to_owned();
    assert_eq!(code(&handle.outcome().await.unwrap()), "no");
    assert_eq!((world.called("charge"), world.called("charge#2")), (1, 1));
    {
        let calls = world.calls.lock().unwrap();
        assert_eq!(calls["charge"], calls["charge#2"], "one key for both");
    }
    let resumed = engine.resume(&id, "again").await.unwrap();
    assert_eq!(succeeded(&resumed.outcome().await.unwrap()), "\"charged\"");
    assert_eq!((world.called("charge"), world.called("charge#2")), (1, 1));
}
