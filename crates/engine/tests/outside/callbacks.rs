//! Callbacks in every order, signals, events.

use std::time::Duration;

use bowline_core::{Answer, Outcome, StepError};
use bowline_engine::{Delivered, EngineError, Options};
use bowline_store::{
    CallbackAddress, DEFAULT_ORGANIZATION, DeliveryFilter, MemoryStore, Status, Store, WaitFilter, WaitState,
};

use crate::world::{World, begun, code, json, open, request, succeeded, until};

fn ok(text: &str) -> Answer {
    Answer::Succeeded {
        output: json(text),
        event: None,
    }
}

fn reference(key: &str) -> CallbackAddress {
    CallbackAddress::Key {
        organization: DEFAULT_ORGANIZATION.into(),
        name: String::new(),
        key: key.into(),
    }
}

/// The token that the step `ask` was given, which the program had it return.
fn token_of(store: &MemoryStore, id: &str) -> CallbackAddress {
    let exec = store.execution(id).unwrap().unwrap().exec;
    let events: Vec<_> = store
        .journal(exec, 0, 100)
        .unwrap()
        .iter()
        .flat_map(|record| bowline_core::decode(&record.events).unwrap())
        .collect();
    let token = events.iter().find_map(|event| match event {
        bowline_core::Event::StepCompleted { path, output, .. } if &**path == "ask" => output.parse().ok(),
        _ => None,
    });
    CallbackAddress::Token(token.unwrap())
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_not_kept() {
    let (store, world) = (MemoryStore::new(), World::default());
    let options = Options {
        max_answer_bytes: 1_000,
        ..Options::default()
    };
    let engine = crate::world::open_with(&store, &world, options);
    let answer = |length: usize| Answer::Succeeded {
        output: json(&"x".repeat(length - 2)),
        event: None,
    };
    let failed = Answer::Failed(StepError::permanent("no", "x".repeat(1_000)));
    let address = CallbackAddress::reference("", "R-large");
    for large in [answer(1_001), failed] {
        match engine.deliver(&address, large).await {
            Err(EngineError::TooLarge { size, limit: 1_000 }) => assert!(size > 1_000, "{size}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(store.deliveries(&DeliveryFilter::default()).unwrap(), []);
    assert!(matches!(
        engine.deliver(&address, answer(1_000)).await.unwrap(),
        Delivered::Kept { .. }
    ));
    let handle = engine.start(request("signals", &"")).await.unwrap();
    let large = engine.signal(handle.id(), "go", json(&"x".repeat(1_000)), None).await;
    assert!(matches!(large, Err(EngineError::TooLarge { .. })));
}

#[tokio::test]
async fn a_wait_leaves_memory_and_an_answer_brings_it_back_also_in_another_process() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let handle = engine.start(request("valuation", &"K-1")).await.unwrap();
    let id = handle.id().to_owned();
    until(&store, &id, Status::Waiting).await;
    engine.idle().await.unwrap();
    assert_eq!(engine.in_flight(), 0);
    engine.stop(Duration::from_secs(1)).await;
    assert!(matches!(handle.outcome().await, Err(EngineError::Stopped(_))));

    let engine = open(&store, &world);
    engine.recover().await.unwrap();
    assert_eq!(engine.in_flight(), 0, "what waits stays where it is");
    let handle = engine.watch(&id).await.unwrap();
    let told = engine.deliver(&reference("K-1"), ok("250000")).await.unwrap();
    assert_eq!(told, Delivered::Accepted { execution: id.clone() });
    assert_eq!(succeeded(&handle.outcome().await.unwrap()), r#""\"250000\"""#);
    assert_eq!((world.called("ask"), world.called("book")), (1, 1));
    // It has ended: watching tells at once.
    assert!(engine.watch(&id).await.unwrap().outcome().await.is_ok());
}

/// Who sends something to an execution that has left memory is not kept waiting for ever by those that fill it.
#[tokio::test]
async fn where_there_is_no_place_an_answer_is_refused_and_can_be_sent_again() {
    let (store, world) = (MemoryStore::new(), World::default());
    let options = Options {
        max_in_flight: 1,
        outside_patience: Some(Duration::from_millis(1)),
        ..Options::default()
    };
    let engine = crate::world::open_with(&store, &world, options);
    let handle = engine.start(request("valuation", &"K-1")).await.unwrap();
    until(&store, handle.id(), Status::Waiting).await;
    engine.idle().await.unwrap();
    let other = engine.start(request("slow", &"")).await.unwrap();
    let told = engine.deliver(&reference("K-1"), ok("1")).await;
    assert!(matches!(told, Err(EngineError::Busy(1))), "{told:?}");
    let signal = engine.signal(handle.id(), "go", json("1"), None).await;
    assert!(matches!(signal, Err(EngineError::Busy(1))), "{signal:?}");
    let cancel = engine.cancel(handle.id(), "no").await;
    assert!(matches!(cancel, Err(EngineError::Busy(1))), "{cancel:?}");
    assert_eq!(store.deliveries(&DeliveryFilter::default()).unwrap(), []);
    // What is in memory is reached all the same, and makes room.
    assert!(engine.cancel(other.id(), "no").await.unwrap());
    other.outcome().await.unwrap();
    engine.idle().await.unwrap();
    let told = engine.deliver(&reference("K-1"), ok("1")).await.unwrap();
    assert!(matches!(told, Delivered::Accepted { .. }), "{told:?}");
    assert_eq!(succeeded(&handle.outcome().await.unwrap()), r#""\"1\"""#);
}

#[tokio::test]
async fn a_second_answer_changes_nothing_and_one_after_the_end_is_late() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let handle = engine.start(request("valuation", &"K-1")).await.unwrap();
    let id = handle.id().to_owned();
    until(&store, &id, Status::Waiting).await;
    let token = token_of(&store, &id);
    engine.deliver(&token, ok("1")).await.unwrap();
    for address in [&token, &reference("K-1")] {
        let told = engine.deliver(address, ok("2")).await.unwrap();
        assert_eq!(told, Delivered::Duplicate { execution: id.clone() });
    }
    assert_eq!(succeeded(&handle.outcome().await.unwrap()), r#""\"1\"""#);

    let cancelled = engine.start(request("valuation", &"K-2")).await.unwrap();
    let id = cancelled.id().to_owned();
    until(&store, &id, Status::Waiting).await;
    assert!(engine.cancel(&id, "enough").await.unwrap());
    assert!(matches!(cancelled.outcome().await.unwrap(), Outcome::Cancelled(_)));
    let late = Delivered::Late {
        execution: id.clone(),
        status: Status::Cancelled,
    };
    assert_eq!(engine.deliver(&reference("K-2"), ok("3")).await.unwrap(), late);
    assert_eq!(engine.deliver(&token_of(&store, &id), ok("3")).await.unwrap(), late);
    let made_up = CallbackAddress::Token("bw_AAAA".into());
    assert!(matches!(
        engine.deliver(&made_up, ok("4")).await,
        Err(EngineError::BadToken)
    ));
}

#[tokio::test]
async fn what_comes_early_is_kept_through_a_restart_and_delivered_once_somebody_waits() {
    for by_token in [false, true] {
        let (store, world) = (MemoryStore::new(), World::default());
        let engine = open(&store, &world);
        let handle = engine.start(request("slow", &())).await.unwrap();
        let id = handle.id().to_owned();
        let address = if by_token {
            begun(&world, "work").await;
            token_of(&store, &id)
        } else {
            reference("R-1")
        };
        let told = engine.deliver(&address, ok("early")).await.unwrap();
        assert!(matches!(told, Delivered::Kept { .. }), "{told:?}");
        assert_eq!(
            engine.deliver(&address, Answer::Heartbeat).await.unwrap(),
            Delivered::NotAwaited
        );
        engine.stop(Duration::ZERO).await;

        let engine = open(&store, &world);
        engine.recover().await.unwrap();
        let handle = engine.watch(&id).await.unwrap();
        world.gate.notify_one();
        assert_eq!(succeeded(&handle.outcome().await.unwrap()), "\"early\"");
        let forgotten = async {
            while !store.deliveries(&DeliveryFilter::default()).unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), forgotten).await.unwrap();
    }
}

#[tokio::test]
async fn what_nobody_waits_for_is_listed_and_can_be_delivered_by_hand() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let handle = engine.start(request("valuation", &"K-1")).await.unwrap();
    until(&store, handle.id(), Status::Waiting).await;
    let told = engine.deliver(&reference("K-typo"), ok("1")).await.unwrap();
    let Delivered::Kept {
        id, execution: None, ..
    } = told
    else {
        panic!("{told:?}");
    };
    assert!(matches!(
        engine.deliver_kept(id, None).await.unwrap(),
        Delivered::Kept { .. }
    ));
    let by_hand = CallbackAddress::Path {
        execution: handle.id().into(),
        path: "answer".into(),
    };
    let told = engine.deliver_kept(id, Some(&by_hand)).await.unwrap();
    assert!(matches!(told, Delivered::Accepted { .. }), "{told:?}");
    assert!(store.deliveries(&DeliveryFilter::default()).unwrap().is_empty());
    handle.outcome().await.unwrap();
}

#[tokio::test]
async fn a_failure_that_is_reported_is_the_error_of_the_wait() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let handle = engine.start(request("valuation", &"K-1")).await.unwrap();
    until(&store, handle.id(), Status::Waiting).await;
    let failed = Answer::Failed(StepError::permanent("valuation.refused", "no such house"));
    engine.deliver(&reference("K-1"), failed).await.unwrap();
    assert_eq!(code(&handle.outcome().await.unwrap()), "valuation.refused");
}

#[tokio::test]
async fn heartbeats_put_one_deadline_off_and_not_the_other() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let silent = engine.start(request("deadline", &())).await.unwrap();
    assert_eq!(code(&silent.outcome().await.unwrap()), "callback.heartbeat-timeout");

    let alive = engine.start(request("deadline", &())).await.unwrap();
    let path = CallbackAddress::Path {
        execution: alive.id().into(),
        path: "answer".into(),
    };
    // Deadlines are bounds from below: however slow this machine is, the heartbeat's has not passed before 60 ms.
    let beat = engine.deliver(&path, Answer::Heartbeat).await.unwrap();
    assert!(matches!(beat, Delivered::Accepted { .. }), "{beat:?}");
    let ended = code(&alive.outcome().await.unwrap());
    assert!(
        ended == "callback.timeout" || ended == "callback.heartbeat-timeout",
        "{ended}"
    );
    let waits = store.waits(&WaitFilter::default()).unwrap();
    assert!(waits.iter().all(|wait| wait.state == WaitState::Cancelled), "{waits:?}");
}

#[tokio::test]
async fn signals_are_kept_in_order_and_one_sent_twice_is_one() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let handle = engine.start(request("signals", &())).await.unwrap();
    let id = handle.id().to_owned();
    assert!(engine.signal(&id, "other", json("0"), None).await.unwrap());
    assert!(engine.signal(&id, "go", json("1"), Some("s1".into())).await.unwrap());
    assert!(!engine.signal(&id, "go", json("1"), Some("s1".into())).await.unwrap());
    assert!(engine.signal(&id, "go", json("2"), Some("s2".into())).await.unwrap());
    assert_eq!(succeeded(&handle.outcome().await.unwrap()), r#"["\"1\"","\"2\""]"#);
    assert!(matches!(
        engine.signal(&id, "go", json("3"), None).await,
        Err(EngineError::Ended { .. })
    ));
    assert!(matches!(
        engine.signal("nobody", "go", json("3"), None).await,
        Err(EngineError::Unknown(_))
    ));
}

#[tokio::test]
async fn an_event_reaches_who_waits_for_it_now_and_who_began_before_it_and_waits_later() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let mine = engine.start(request("listen", &"A")).await.unwrap();
    let other = engine.start(request("listen", &"B")).await.unwrap();
    for id in [mine.id(), other.id()] {
        until(&store, id, Status::Waiting).await;
    }
    let told = engine.start(request("tell", &"A")).await.unwrap();
    told.outcome().await.unwrap();
    let event: serde_json::Value = serde_json::from_str(&succeeded(&mine.outcome().await.unwrap())).unwrap();
    assert_eq!(
        (&event["type"], &event["key"], &event["data"]),
        (&"paid".into(), &"A".into(), &"100".into())
    );
    assert_eq!(store.execution(other.id()).unwrap().unwrap().status, Status::Waiting);
    // One that begins after the event does not see it.
    let after = engine.start(request("listen", &"A")).await.unwrap();
    until(&store, after.id(), Status::Waiting).await;
}

#[tokio::test]
async fn a_parent_that_left_memory_hears_of_its_child() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let handle = engine.start(request("parent", &())).await.unwrap();
    until(&store, handle.id(), Status::Waiting).await;
    engine.idle().await.unwrap();
    engine.deliver(&reference("K-child"), ok("7")).await.unwrap();
    assert_eq!(succeeded(&handle.outcome().await.unwrap()), r#""\"7\"""#);
}

#[tokio::test]
async fn answers_in_a_crash_are_lost_only_if_nobody_was_told() {
    for crash_at in 0..6 {
        let (store, world) = (MemoryStore::new(), World::default());
        let engine = open(&store, &world);
        let handle = engine.start(request("valuation", &"K-1")).await.unwrap();
        let id = handle.id().to_owned();
        until(&store, &id, Status::Waiting).await;
        let fault = if crash_at % 2 == 0 {
            bowline_store::Fault::CrashBefore
        } else {
            bowline_store::Fault::CrashAfter
        };
        store.inject(crash_at / 2, fault);
        let told = engine.deliver(&reference("K-1"), ok("1")).await;
        // It may end, or the crash may come first.
        let _ = handle.outcome().await;
        engine.stop(Duration::ZERO).await;
        store.crash();
        store.heal();

        let engine = open(&store, &world);
        engine.recover().await.unwrap();
        let handle = engine.watch(&id).await.unwrap();
        let again = engine.deliver(&reference("K-1"), ok("2")).await.unwrap();
        let expected = match (&told, &again) {
            (Err(_), Delivered::Accepted { .. }) => r#""\"2\"""#,
            (Ok(Delivered::Accepted { .. }) | Err(_), Delivered::Duplicate { .. } | Delivered::Late { .. }) => {
                r#""\"1\"""#
            }
            other => panic!("crash {crash_at}: {other:?}"),
        };
        assert_eq!(
            succeeded(&handle.outcome().await.unwrap()),
            expected,
            "crash {crash_at}"
        );
        assert_eq!(world.called("ask"), 1);
    }
}

#[tokio::test]
async fn what_was_said_twice_before_anybody_waited_answers_one_execution_only() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    for text in ["7", "8"] {
        let told = engine.deliver(&reference("K-1"), ok(text)).await.unwrap();
        assert!(matches!(told, Delivered::Kept { .. }), "{told:?}");
    }
    let first = engine.start(request("valuation", &"K-1")).await.unwrap();
    assert_eq!(succeeded(&first.outcome().await.unwrap()), r#""\"7\"""#);
    engine.idle().await.unwrap();
    assert!(store.deliveries(&DeliveryFilter::default()).unwrap().is_empty());
    let next = engine.start(request("valuation", &"K-1")).await.unwrap();
    until(&store, next.id(), Status::Waiting).await;
    engine.deliver(&reference("K-1"), ok("9")).await.unwrap();
    assert_eq!(succeeded(&next.outcome().await.unwrap()), r#""\"9\"""#);
}

#[tokio::test]
async fn what_is_said_again_before_anybody_waits_is_kept_once_and_only_so_many_others_are() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let kept = |told: Delivered| match told {
        Delivered::Kept { id, .. } => id,
        other => panic!("{other:?}"),
    };
    let first = kept(engine.deliver(&reference("K-2"), ok("1")).await.unwrap());
    for _ in 0..5 {
        assert_eq!(kept(engine.deliver(&reference("K-2"), ok("1")).await.unwrap()), first);
    }
    assert_eq!(store.deliveries(&DeliveryFilter::default()).unwrap().len(), 1);
    for number in 2..=16 {
        kept(
            engine
                .deliver(&reference("K-2"), ok(&number.to_string()))
                .await
                .unwrap(),
        );
    }
    let refused = engine.deliver(&reference("K-2"), ok("17")).await.unwrap_err();
    assert!(matches!(refused, EngineError::TooManyKept(_)), "{refused}");
    // Nobody else is in the way of it.
    kept(engine.deliver(&reference("K-3"), ok("17")).await.unwrap());
    assert_eq!(store.deliveries(&DeliveryFilter::default()).unwrap().len(), 17);
}

#[tokio::test]
async fn what_nobody_answered_in_time_is_late_and_no_repetition() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let silent = engine.start(request("deadline", &())).await.unwrap();
    let id = silent.id().to_owned();
    silent.outcome().await.unwrap();
    let path = CallbackAddress::Path {
        execution: id,
        path: "answer".into(),
    };
    let told = engine.deliver(&path, ok("1")).await.unwrap();
    assert!(matches!(told, Delivered::Late { .. }), "{told:?}");
}

#[tokio::test]
async fn an_execution_that_goes_on_on_another_version_leaves_no_wait_behind() {
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let old = engine.start(request("valuation", &"K-1")).await.unwrap();
    let id = old.id().to_owned();
    until(&store, &id, Status::Waiting).await;
    let next = crate::world::definition("valuation@2");
    engine
        .resume_on(&id, next, "mended")
        .await
        .unwrap()
        .outcome()
        .await
        .unwrap();
    assert_eq!(world.called("ask"), 1, "what is the same keeps its result");
    let open_waits = WaitFilter {
        state: Some(WaitState::Open),
        ..WaitFilter::default()
    };
    assert!(store.waits(&open_waits).unwrap().is_empty());
    // Whoever waits for the reference now gets the answer.
    let other = engine.start(request("valuation", &"K-1")).await.unwrap();
    until(&store, other.id(), Status::Waiting).await;
    let told = engine.deliver(&reference("K-1"), ok("1")).await.unwrap();
    assert_eq!(
        told,
        Delivered::Accepted {
            execution: other.id().into()
        }
    );
    other.outcome().await.unwrap();
}

#[tokio::test]
async fn every_event_reaches_whoever_takes_one_after_the_other() {
    const EVENTS: usize = 60;
    let (store, world) = (MemoryStore::new(), World::default());
    let engine = open(&store, &world);
    let consumer = engine.start(request("consume", &EVENTS)).await.unwrap();
    until(&store, consumer.id(), Status::Waiting).await;
    let tellers = (0..EVENTS).map(|_| engine.start(request("tell", &"A")));
    for teller in futures_util::future::join_all(tellers).await {
        teller.unwrap().outcome().await.unwrap();
    }
    let outcome = tokio::time::timeout(Duration::from_secs(30), consumer.outcome())
        .await
        .unwrap();
    let seen: Vec<i64> = serde_json::from_str(&succeeded(&outcome.unwrap())).unwrap();
    let mut sorted = seen.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (EVENTS, &sorted), "each once, in order");
}
