//! Steps that are verified before they are tried again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use bowline::testing::World;
use bowline::{Bowline, Context, Error, ErrorKind, RetryPolicy, StepOptions, Workflow};

use crate::Log;

fn lost() -> Error {
    Error::new("gateway.lost", ErrorKind::OutcomeUnknown, "no answer")
}

fn options() -> StepOptions {
    StepOptions {
        retry: RetryPolicy {
            max_attempts: 4,
            jitter: false,
            ..RetryPolicy::default()
        },
        ..StepOptions::default()
    }
}

/// The second attempt is busy, all others are lost.
#[tokio::test]
async fn all_tries_share_the_attempts_and_the_pauses_of_the_policy() {
    let counts = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
    let state = Arc::clone(&counts);
    let workflow = Workflow::new("w", move |ctx: Context, (): ()| {
        let counts = Arc::clone(&state);
        async move {
            let service = ctx.service(&counts, &options());
            service
                .call_verified(
                    "charge",
                    30,
                    |counts, _, _| async move {
                        match counts.0.fetch_add(1, Ordering::SeqCst) {
                            1 => Err(Error::transient("busy", "busy")),
                            _ => Err(lost()),
                        }
                    },
                    |counts, _, _| async move {
                        counts.1.fetch_add(1, Ordering::SeqCst);
                        Ok(None::<u32>)
                    },
                )
                .await
        }
    });
    let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
    assert!(world.run(&workflow, ()).await.unwrap_err().is("gateway.lost"));
    assert_eq!(counts.0.load(Ordering::SeqCst), 4, "attempts in all");
    assert_eq!(counts.1.load(Ordering::SeqCst), 3, "one for each that was lost");
    // Before the second 1 s, before the third (the second of its try) 1 s, before the fourth 4 s.
    assert_eq!(world.elapsed(), Duration::from_secs(6));
}

#[tokio::test]
async fn the_time_for_all_tries_is_shared_too() {
    let workflow = Workflow::new("w", |ctx: Context, (): ()| async move {
        let options = StepOptions {
            total_timeout: Some(Duration::from_secs(5)),
            retry: RetryPolicy {
                max_attempts: 0,
                jitter: false,
                ..RetryPolicy::default()
            },
            ..StepOptions::default()
        };
        let charge = ctx.step("charge").options(&options);
        charge
            .run_verified(|_| async { Err::<u32, _>(lost()) }, |_| async { Ok(None) })
            .await
    });
    let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
    assert!(world.run(&workflow, ()).await.unwrap_err().is("gateway.lost"));
    assert_eq!(
        world.elapsed(),
        Duration::from_secs(3),
        "1 s and 2 s; 4 s more were too many"
    );
}

/// Charges (the answer of the first is lost and it was not carried out), and fails later until it is repaired.
fn sell(log: Log, repaired: Arc<AtomicBool>, undoes: bool) -> Workflow<(), String> {
    Workflow::new("sell", move |ctx: Context, (): ()| {
        let (log, repaired) = (log.clone(), Arc::clone(&repaired));
        async move {
            let saga = ctx.saga();
            let part = async {
                let charges = log.clone();
                let charge = ctx.step("charge").options(&options()).run_verified(
                    move |call| {
                        charges.add(format!("charge {}", call.idempotency_key()));
                        let first = charges.all().len() % 3 == 1;
                        async move { if first { Err(lost()) } else { Ok("charged".to_owned()) } }
                    },
                    |_| async { Ok(None) },
                );
                let done = if undoes {
                    let refunds = log.clone();
                    charge
                        .undo(&saga, move |ctx, _| async move {
                            let refund = ctx.step("refund").run(move |_| {
                                refunds.add("refund");
                                async { Ok(()) }
                            });
                            refund.await
                        })
                        .await?
                } else {
                    charge.await?
                };
                let works = repaired.load(Ordering::SeqCst);
                let ship = ctx.step("ship").run(move |_| async move {
                    if works {
                        Ok(())
                    } else {
                        Err(Error::permanent("no", "no"))
                    }
                });
                ship.await?;
                Ok(done)
            };
            saga.run(part).await
        }
    })
}

#[tokio::test]
async fn what_was_found_done_is_not_done_again_when_it_is_resumed_unless_it_was_undone() {
    for undoes in [false, true] {
        let (log, repaired) = (Log::default(), Arc::new(AtomicBool::new(false)));
        let workflow = sell(log.clone(), Arc::clone(&repaired), undoes);
        let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
        let failed = world.start(&workflow, ()).id("s").await.unwrap().result().await;
        assert!(failed.unwrap_err().is("no"));
        let before = log.all();
        assert_eq!(before.len(), if undoes { 3 } else { 2 });
        assert_eq!(before[0], before[1], "the same key");
        repaired.store(true, Ordering::SeqCst);
        let resumed: String = world.resume("s", "again").await.unwrap().result().await.unwrap();
        assert_eq!(resumed, "charged");
        let after = &log.all()[before.len()..];
        if undoes {
            assert_eq!(after.len(), 2, "charged again: {after:?}");
            assert_eq!(after[0], after[1]);
            assert_ne!(after[0], before[0], "with another key");
        } else {
            assert!(after.is_empty(), "{after:?}");
        }
        world.replay_check().await.unwrap();
    }
}
