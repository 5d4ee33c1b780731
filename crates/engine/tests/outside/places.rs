//! Where there are fewer places than executions.

use std::time::Duration;

use bowline_engine::{Engine, Options, StartRequest};
use bowline_store::{ExecutionFilter, MemoryStore, Status, Store};

use crate::world::{World, open, open_with, request, until};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

fn of(organization: &str, name: &str) -> StartRequest {
    StartRequest {
        organization: organization.into(),
        ..request(name, &"x")
    }
}

/// Waits until something is so.
async fn so(what: &str, mut is: impl FnMut() -> bool) {
    let reached = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(LONG, reached).await.is_ok(), "{what}");
}

fn count(store: &MemoryStore, status: Status) -> usize {
    let filter = ExecutionFilter {
        limit: usize::MAX,
        ..ExecutionFilter::default()
    };
    let rows = store.executions(&filter).unwrap();
    rows.iter().filter(|row| row.status == status).count()
}

fn places(engine: &Engine, organization: &str) -> usize {
    let all = engine.places();
    all.iter()
        .find(|(whose, _)| &**whose == organization)
        .map_or(0, |(_, taken)| *taken)
}

/// After a crash there are more than there are places for, and what has one hangs: the engine is there all the same, for others
/// too, and the rest follows as places come free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_nothing_that_hangs() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    engine.start(of("two", "three")).await.unwrap().outcome().await.unwrap();
    for _ in 0..12 {
        engine.start(of("one", "slow")).await.unwrap();
    }
    so("all of them hang", || world.called("work") == 12).await;
    drop(engine);
    store.crash();

    let options = Options {
        max_in_flight: 10,
        // What waits for a place is not lost.
        audit_interval: Duration::from_millis(5),
        ..Options::default()
    };
    let engine = open_with(&store, &world, options);
    let report = tokio::time::timeout(LONG, engine.recover()).await.unwrap().unwrap();
    assert_eq!((report.resumed, report.waiting, report.stuck.len()), (8, 4, 0));
    assert_eq!((engine.backlog(), places(&engine, "one")), (4, 8));
    let other = engine.start_within(of("two", "three"), LONG).await.unwrap();
    other.outcome().await.unwrap();
    let rounds = engine.audit().rounds;
    so("it is audited", || engine.audit().rounds > rounds + 1).await;
    assert_eq!((engine.backlog(), world.called("work")), (4, 12 + 8));

    so("all go on", || {
        world.gate.notify_waiters();
        count(&store, Status::Waiting) == 12
    })
    .await;
    so("the backlog is empty", || engine.backlog() == 0).await;
    assert_eq!(world.called("work"), 12 + 12);
    assert_eq!(engine.audit().repaired, 0);
    tokio::time::timeout(LONG, engine.idle()).await.unwrap().unwrap();
}

/// What is due while there is no place goes on when there is one, and a cancellation reaches it before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_has_its_turn() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open_with(&store, &world, options_of(2));
    let mut timers = Vec::new();
    for _ in 0..6 {
        let timer = engine.start(request("timer", &1500)).await.unwrap();
        until(&store, timer.id(), Status::Waiting).await;
        timers.push(timer);
    }
    let hangs = [
        engine.start(request("slow", &"")).await.unwrap(),
        engine.start(request("slow", &"")).await.unwrap(),
    ];
    so("they wait for places", || engine.backlog() == 6).await;
    assert_eq!(world.called("after"), 0);
    for hanging in hangs {
        engine.cancel(hanging.id(), "enough").await.unwrap();
    }
    for timer in timers {
        tokio::time::timeout(LONG, timer.outcome()).await.unwrap().unwrap();
    }
    assert_eq!((world.called("after"), engine.backlog()), (6, 0));
}

/// Children are bounded like others, also those that start children: none waits for a place that whoever waits for it has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_are_bounded_and_wait_for_nobody() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open_with(&store, &world, options_of(2));
    // Each has four children, each of which has four.
    let family = engine.start(request("family", &2)).await.unwrap();
    so("two hang, and nothing else is in memory", || {
        world.called("work") == 2 && engine.backlog() > 0 && engine.in_flight() <= 3
    })
    .await;
    // A crash loses none of them: their starts were durable.
    let id = family.id().to_owned();
    drop(engine);
    store.crash();
    let engine = open_with(&store, &world, options_of(2));
    engine.recover().await.unwrap();
    let family = engine.watch(&id).await.unwrap();
    let ended = async { family.outcome().await.unwrap() };
    tokio::pin!(ended);
    let deadline = tokio::time::Instant::now() + LONG;
    let outcome = loop {
        assert!(tokio::time::Instant::now() < deadline, "it does not end");
        world.gate.notify_waiters();
        tokio::select! {
            outcome = &mut ended => break outcome,
            () = tokio::time::sleep(Duration::from_millis(2)) => {}
        }
    };
    assert!(matches!(outcome, bowline_core::Outcome::Succeeded(_)), "{outcome:?}");
    assert_eq!(count(&store, Status::Succeeded), 1 + 4 + 16);
    tokio::time::timeout(LONG, engine.idle()).await.unwrap().unwrap();
    assert_eq!(engine.backlog(), 0);
}

fn options_of(places: usize) -> Options {
    Options {
        max_in_flight: places,
        ..Options::default()
    }
}
