//! The engine on a store in memory: crashes at every commit, cancellation, time, children, limits.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bowline_core::{
    Attempt, Branch, Context, ErrorKind, Outcome, Payload, Program, RetryPolicy, Saga, Step, StepError, StepOptions,
    join_all,
};
use bowline_engine::{Clock, Engine, EngineError, Options, Programs, Retry, StartRequest};
use bowline_store::{Definition, ExecutionFilter, MemoryStore, RequestKind, Status, Store};

type Calls = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// Programs by name, and what their steps did: path to idempotency keys.
#[derive(Clone, Default)]
struct World {
    calls: Calls,
    hung: Arc<tokio::sync::Notify>,
    running: Arc<AtomicUsize>,
}

fn definition(name: &str) -> Definition {
    Definition {
        hash: name.into(),
        workflow: name.into(),
        content: name.as_bytes().to_vec().into(),
    }
}

fn step(
    world: &World,
    name: &str,
    attempts: u32,
    result: impl Fn(u32) -> Result<String, StepError> + Send + Sync + 'static,
) -> Step {
    let calls = Arc::clone(&world.calls);
    let result = Arc::new(result);
    Step {
        name: name.into(),
        kind: "test".into(),
        input: None,
        options: StepOptions {
            retry: RetryPolicy {
                max_attempts: attempts,
                base_delay: Duration::from_secs(60),
                ..RetryPolicy::default()
            },
            ..StepOptions::default()
        },
        compensates: None,
        key_of: None,
        body: Arc::new(move |attempt: Attempt| {
            calls
                .lock()
                .unwrap()
                .entry(attempt.path.to_string())
                .or_default()
                .push(attempt.idempotency_key());
            let result = Arc::clone(&result);
            async move { result(attempt.number).map(|text| Payload::of(&text).unwrap()) }
        }),
    }
}

fn ok(text: &'static str) -> impl Fn(u32) -> Result<String, StepError> + Send + Sync {
    move |_| Ok(text.to_owned())
}

async fn order(world: World, ctx: Context) -> Result<Payload, StepError> {
    let mut saga = Saga::default();
    let reserved = ctx.step(step(&world, "reserve", 1, ok("r"))).await?;
    let undo = world.clone();
    saga.done("reserve", move |ctx| {
        let release = ctx.step(step(&undo, "release", 3, ok("released")));
        Box::pin(async move { release.await.map(drop) })
    });
    let both: Vec<Branch<'_, _>> = ["a", "b"]
        .into_iter()
        .map(|name| -> Branch<'_, _> {
            let ctx = ctx.scope(name);
            let world = world.clone();
            Box::pin(async move {
                ctx.sleep("pause", Duration::from_secs(3600)).await?;
                ctx.step(step(&world, "notify", 3, |attempt| {
                    if attempt < 3 {
                        Err(StepError::transient("flaky", "flaky"))
                    } else {
                        Ok("n".into())
                    }
                }))
                .await
            })
        })
        .collect();
    for result in join_all(both).await {
        result?;
    }
    let child = ctx.child("child", "leaf", Payload::null(), false).await?;
    match ctx
        .step(step(&world, "ship", 2, |_| {
            Err(StepError::permanent("sold-out", "sold out"))
        }))
        .await
    {
        Ok(_) => Ok(reserved),
        Err(error) => {
            let left = saga.compensate(&ctx).await;
            Ok(Payload::of(&format!("{} {} {}", error.code, left.len(), child.text())).unwrap())
        }
    }
}

impl Programs for World {
    fn load(&self, _: &str, definition: &Definition) -> Result<Arc<dyn Program>, StepError> {
        let world = self.clone();
        let name = definition.workflow.clone();
        Ok(Arc::new(move |ctx: Context, input: Payload| {
            let (world, name) = (world.clone(), name.clone());
            async move {
                match name.as_str() {
                    "order" => order(world, ctx).await,
                    "leaf" => ctx.step(step(&world, "leaf", 1, ok("leaf"))).await,
                    "family" => ctx.child("child", "leaf", Payload::null(), true).await,
                    "panic" => ctx.step(step(&world, "boom", 1, |_| panic!("boom"))).await,
                    "wait" => ctx.sleep("wait", Duration::from_secs(1_000_000)).await,
                    "twice" => {
                        ctx.step(step(&world, "one", 1, ok("1"))).await?;
                        if input.text() == "\"fail\""
                            && world.calls.lock().unwrap().get("two").is_none_or(Vec::is_empty)
                        {
                            return ctx
                                .step(step(&world, "two", 1, |_| Err(StepError::permanent("no", "no"))))
                                .await;
                        }
                        ctx.step(step(&world, "two", 1, ok("2"))).await
                    }
                    "hang" => {
                        let (hung, running) = (Arc::clone(&world.hung), Arc::clone(&world.running));
                        let mut hanging = step(&world, "hang", 1, ok("h"));
                        hanging.body = Arc::new(move |_: Attempt| {
                            let (hung, running) = (Arc::clone(&hung), Arc::clone(&running));
                            async move {
                                running.fetch_add(1, Ordering::SeqCst);
                                hung.notified().await;
                                Ok(Payload::null())
                            }
                        });
                        ctx.step(hanging).await
                    }
                    other => Err(StepError::permanent("unknown", other)),
                }
            }
        }))
    }

    fn child(&self, _: &str, _: &Definition, workflow: &str) -> Result<Definition, StepError> {
        Ok(definition(workflow))
    }
}

fn open(store: &MemoryStore, world: &World, clock: Clock) -> Engine {
    let options = Options {
        clock,
        commit_patience: Duration::ZERO,
        request_interval: Duration::from_millis(5),
        ..Options::default()
    };
    Engine::open(
        Arc::new(store.clone()),
        Arc::new(world.clone()),
        tokio::runtime::Handle::current(),
        options,
    )
    .unwrap()
}

fn request(name: &str, input: &str) -> StartRequest {
    StartRequest::new(definition(name), Payload::of(input).unwrap())
}

fn text(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded(output) => output.text().to_owned(),
        Outcome::Failed(error) => format!("failed: {}", error.code),
        Outcome::Cancelled(error) => format!("cancelled: {}", error.code),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_commit_changes_nothing() {
    let (store, world) = (MemoryStore::new(), World::default());
    let clock = Clock::virtual_now();
    let engine = open(&store, &world, clock.clone());
    let outcome = engine
        .start(request("order", "x"))
        .await
        .unwrap()
        .outcome()
        .await
        .unwrap();
    engine.stop(Duration::from_secs(5)).await;
    let expected = text(&outcome);
    assert_eq!(expected, "\"sold-out 0 \\\"leaf\\\"\"");
    let commits = store.commits();
    assert!(commits > 8, "{commits}");
    for crash_at in 0..commits {
        let (store, world) = (MemoryStore::new(), World::default());
        let clock = Clock::virtual_now();
        let engine = open(&store, &world, clock.clone());
        store.fail_after(usize::try_from(crash_at).unwrap());
        let started = engine.start(request("order", "x")).await;
        if let Ok(handle) = started {
            // Ended by the crash, or just before it.
            let _ = handle.outcome().await;
        }
        drop(engine);
        store.crash();
        store.heal();
        let engine = open(&store, &world, clock);
        engine.recover().await.unwrap();
        engine.idle().await.unwrap();
        engine.stop(Duration::from_secs(5)).await;
        for row in store.executions(&ExecutionFilter::default()).unwrap() {
            assert_eq!(
                row.status,
                Status::Succeeded,
                "{} after a crash at commit {crash_at}",
                row.workflow
            );
            if row.workflow == "order" {
                let last = store.journal(row.exec, 0, 1000).unwrap().pop().unwrap();
                let events = String::from_utf8(last.events.to_vec()).unwrap();
                assert!(events.contains("sold-out 0"), "{events}");
            }
        }
        for (path, keys) in world.calls.lock().unwrap().iter() {
            let most = if path.ends_with("notify") { 4 } else { 2 };
            assert!(
                keys.len() <= most,
                "{path} ran {} times after a crash at commit {crash_at} of {commits}",
                keys.len()
            );
            assert!(keys.iter().all(|key| key == &keys[0]), "{path} had two keys");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_is_the_error_of_its_step() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world, Clock::System);
    let outcome = engine
        .start(request("panic", "x"))
        .await
        .unwrap()
        .outcome()
        .await
        .unwrap();
    let Outcome::Failed(error) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(
        (error.code.as_str(), error.message.as_str()),
        ("panic", "it panicked: boom")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancellation_ends_a_wait_also_when_another_process_asks() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world, Clock::System);
    let first = engine.start(request("wait", "x")).await.unwrap();
    assert!(engine.cancel(first.id(), "enough").await.unwrap());
    let Outcome::Cancelled(error) = first.outcome().await.unwrap() else {
        panic!()
    };
    assert_eq!(error.message, "cancelled: enough");
    let second = engine.start(request("wait", "x")).await.unwrap();
    store
        .request(&RequestKind::Cancel {
            id: second.id().into(),
            reason: "asked".into(),
        })
        .unwrap();
    assert_eq!(text(&second.outcome().await.unwrap()), "cancelled: cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_execution_keeps_what_was_done() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world, Clock::System);
    let handle = engine.start(request("twice", "fail")).await.unwrap();
    let id = handle.id().to_owned();
    assert_eq!(text(&handle.outcome().await.unwrap()), "failed: no");
    assert!(matches!(
        engine.resume("nobody", "").await,
        Err(EngineError::Unknown(_))
    ));
    let again = engine.resume(&id, "mended").await.unwrap();
    assert_eq!(text(&again.outcome().await.unwrap()), "\"2\"");
    assert!(matches!(
        engine.resume(&id, "").await,
        Err(EngineError::NotResumable { .. })
    ));
    let calls = world.calls.lock().unwrap();
    assert_eq!((calls["one"].len(), calls["two"].len()), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_in_flight_are_bounded_and_a_gentle_stop_lets_steps_finish() {
    let (store, world) = (MemoryStore::new(), World::default());
    let options = Options {
        max_in_flight: 2,
        ..Options::default()
    };
    let engine = Engine::open(
        Arc::new(store.clone()),
        Arc::new(world.clone()),
        tokio::runtime::Handle::current(),
        options,
    )
    .unwrap();
    let one = engine.start(request("hang", "x")).await.unwrap();
    let two = engine.start(request("hang", "x")).await.unwrap();
    let third = engine.start(request("hang", "x"));
    tokio::pin!(third);
    assert!(
        futures_util::poll!(third.as_mut()).is_pending(),
        "the third waits for a place"
    );
    let patience = Duration::from_millis(1);
    let busy = engine.start_within(request("hang", "x"), patience).await.unwrap_err();
    assert!(matches!(busy, EngineError::Busy(2)), "{busy}");
    while world.running.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    let stopping = engine.stop(Duration::from_secs(60));
    tokio::pin!(stopping);
    assert!(futures_util::poll!(stopping.as_mut()).is_pending());
    world.hung.notify_waiters();
    stopping.await;
    assert_eq!(text(&one.outcome().await.unwrap()), "null");
    assert_eq!(text(&two.outcome().await.unwrap()), "null");
    assert!(matches!(third.await, Err(EngineError::Stopped(_))));
}

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// Steps that hang are their organization's trouble: others start, retry and resume all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_organization_leaves_places_to_others() {
    let (store, world) = (MemoryStore::new(), World::default());
    let options = Options {
        max_in_flight: 10,
        ..Options::default()
    };
    let engine = Engine::open(
        Arc::new(store.clone()),
        Arc::new(world.clone()),
        tokio::runtime::Handle::current(),
        options,
    )
    .unwrap();
    let of = |organization: &str, workflow: &str, input: &str| StartRequest {
        organization: organization.into(),
        ..request(workflow, input)
    };
    let mut ended = Vec::new();
    for organization in ["one", "two"] {
        let handle = engine.start(of(organization, "twice", "fail")).await.unwrap();
        ended.push(handle.id().to_owned());
        handle.outcome().await.unwrap();
    }
    for _ in 0..8 {
        engine.start(of("one", "hang", "x")).await.unwrap();
    }
    let patience = Duration::from_millis(1);
    let retry = || Retry {
        patience: Some(patience),
        ..Retry::default()
    };
    for refused in [
        engine.start_within(of("one", "hang", "x"), patience).await,
        engine.retry(&ended[0], retry()).await,
        engine.resume_within(&ended[0], None, "", patience).await,
    ] {
        assert!(matches!(refused, Err(EngineError::Busy(10))), "{refused:?}");
    }
    assert!(engine.places().contains(&("one".into(), 8)), "{:?}", engine.places());
    engine.start_within(of("two", "hang", "x"), LONG).await.unwrap();
    let again = Retry {
        patience: Some(LONG),
        ..Retry::default()
    };
    engine.retry(&ended[1], again).await.unwrap().outcome().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_is_taken_once() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world, Clock::System);
    let with_id = StartRequest {
        id: Some("mine".into()),
        ..request("leaf", "x")
    };
    let first = engine.start(with_id.clone()).await.unwrap();
    let second = engine.start(with_id).await.unwrap_err();
    assert!(matches!(second, EngineError::Store(_)), "{second}");
    assert_eq!(text(&first.outcome().await.unwrap()), "\"leaf\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_refused_starts_no_children() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world, Clock::System);
    let with_id = StartRequest {
        id: Some("mine".into()),
        ..request("family", "x")
    };
    engine.start(with_id.clone()).await.unwrap().outcome().await.unwrap();
    engine.idle().await.unwrap();
    assert!(engine.start(with_id).await.is_err());
    engine.idle().await.unwrap();
    let rows = store.executions(&ExecutionFilter::default()).unwrap();
    assert_eq!(rows.len(), 2, "the parent and its one child");
    assert_eq!(world.calls.lock().unwrap()["leaf"].len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_writer_at_a_time() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world, Clock::System);
    let other = Engine::open(
        Arc::new(store.clone()),
        Arc::new(world.clone()),
        tokio::runtime::Handle::current(),
        Options::default(),
    );
    assert!(other.is_err());
    engine.stop(Duration::from_secs(5)).await;
    let error = StepError::new("x", ErrorKind::Transient, "x");
    assert!(error.kind.is_retryable());
    drop(open(&store, &world, Clock::System));
}
