//! Undoing: order, cancellation, resumption, loops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bowline::testing::{World, crash_at_every_commit, replay_check};
use bowline::{Bowline, Context, Error, Journal, Workflow};
use bowline_core::condense;

use crate::Log;

async fn logged(ctx: &Context, log: &Log, name: &str) -> bowline::Result<String> {
    let (log, what) = (log.clone(), name.to_owned());
    let step = ctx.step(name).run(move |call| {
        log.add(format!("{what} {}", call.idempotency_key()));
        let what = what.clone();
        async move { Ok(what) }
    });
    step.await
}

fn names(log: &Log) -> Vec<String> {
    log.all()
        .iter()
        .filter_map(|entry| Some(entry.rsplit_once(' ')?.0.to_owned()))
        .collect()
}

/// Books a room and a flight, and fails until it is repaired.
fn trip(log: Log, repaired: Arc<AtomicBool>) -> Workflow<(), String> {
    Workflow::new("trip", move |ctx: Context, (): ()| {
        let (log, repaired) = (log.clone(), Arc::clone(&repaired));
        async move {
            let saga = ctx.saga();
            let part = async {
                for what in ["room", "flight"] {
                    let (booking, undo_log) = (log.clone(), log.clone());
                    let name = format!("book {what}");
                    let noted = name.clone();
                    let step = ctx.step(&name).run(move |call| {
                        booking.add(format!("{noted} {}", call.idempotency_key()));
                        async move { Ok(what.to_owned()) }
                    });
                    step.undo(&saga, |ctx, what| async move {
                        logged(&ctx, &undo_log, &format!("cancel {what}")).await.map(drop)
                    })
                    .await?;
                }
                let pay = ctx.step("pay").run(move |_| {
                    let works = repaired.load(Ordering::SeqCst);
                    async move {
                        if works {
                            Ok("paid".to_owned())
                        } else {
                            Err(Error::permanent("declined", "no money"))
                        }
                    }
                });
                pay.await
            };
            saga.run(part).await
        }
    })
}

#[tokio::test]
async fn what_was_undone_is_done_again_under_a_new_key_when_it_is_resumed() {
    let (log, repaired) = (Log::default(), Arc::new(AtomicBool::new(false)));
    let trip = trip(log.clone(), Arc::clone(&repaired));
    let world = World::new(Bowline::builder().workflow(&trip)).await.unwrap();
    let failed = world.start(&trip, ()).id("t").await.unwrap().result().await;
    assert!(failed.unwrap_err().is("declined"));
    assert_eq!(
        names(&log),
        ["book room", "book flight", "cancel flight", "cancel room"]
    );
    repaired.store(true, Ordering::SeqCst);
    let paid: String = world.resume("t", "money came").await.unwrap().result().await.unwrap();
    assert_eq!(paid, "paid");
    assert_eq!(names(&log)[4..], ["book room", "book flight"]);
    let all = log.all();
    assert_ne!(all[0], all[4], "the key is another one");
}

#[tokio::test]
async fn a_crash_at_any_commit_undoes_what_was_done_and_nothing_else() {
    let report = crash_at_every_commit("trip", (), || {
        let log = Log::default();
        let trip = trip(log.clone(), Arc::default());
        let probe = move || {
            let mut all = log.all();
            all.sort();
            all.dedup();
            all
        };
        (Bowline::builder().workflow(&trip), probe)
    });
    let report = report.await.unwrap();
    assert_eq!(report.probed.len(), 4);
    assert_eq!(report.commits, 6, "one for the start, one for each of the five steps");
}

#[tokio::test]
async fn undoing_goes_on_when_one_undoing_fails_and_is_told() {
    let log = Log::default();
    let workflow = Workflow::with("w", log.clone(), |ctx: Context, log: Log, (): ()| async move {
        let saga = ctx.saga();
        for name in ["first", "second"] {
            logged(&ctx, &log, name).await?;
        }
        saga.undo(&ctx, "first", move |ctx| async move {
            logged(&ctx, &log, "undo first").await.map(drop)
        })?;
        saga.undo(&ctx, "second", |_| async {
            Err(Error::permanent("jammed", "it is jammed"))
        })?;
        saga.run(async { Err::<(), _>(Error::permanent("failed", "it failed")) })
            .await
    });
    let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
    let error = world.run(&workflow, ()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "it failed: `second` could not be undone: it is jammed [jammed] [failed]"
    );
    assert_eq!(names(&log), ["first", "second", "undo first"]);
}

#[tokio::test]
async fn a_cancelled_workflow_undoes_out_of_reach_of_the_cancellation() {
    let log = Log::default();
    let workflow = Workflow::with("w", log.clone(), |ctx: Context, log: Log, (): ()| async move {
        let saga = ctx.saga();
        logged(&ctx, &log, "do").await?;
        saga.undo(&ctx, "do", move |ctx| async move {
            ctx.sleep("not in a hurry", Duration::from_hours(1)).await?;
            logged(&ctx, &log, "undo").await.map(drop)
        })?;
        saga.run(ctx.sleep("for ever", Duration::from_hours(1_000_000))).await
    });
    let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
    let held = world.hold_time().await.unwrap();
    let handle = world.start(&workflow, ()).await.unwrap();
    world.cancel(handle.id(), "enough").await.unwrap();
    drop(held);
    let error = handle.result().await.unwrap_err();
    assert!(error.is_cancelled() && error.message().contains("enough"), "{error}");
    assert_eq!(names(&log), ["do", "undo"]);
    assert_eq!(world.elapsed(), Duration::from_hours(1));
}

/// An item that adds to a saga around the loop must run again on a replay, or it could not be undone.
#[tokio::test]
async fn a_loop_that_adds_to_a_saga_is_not_forgotten() {
    let log = Log::default();
    let workflow = Workflow::with("w", log.clone(), |ctx: Context, log: Log, items: u32| async move {
        let saga = ctx.saga();
        let part = async {
            let saga = &saga;
            ctx.for_each("items", 0..items, 8, |ctx, item| {
                let log = log.clone();
                async move {
                    let step = ctx.step("reserve").run(move |_| async move { Ok(item) });
                    step.undo(saga, |ctx, item: u32| async move {
                        logged(&ctx, &log, &format!("release {item}")).await.map(drop)
                    })
                    .await
                }
            })
            .await?;
            Err::<(), _>(Error::permanent("sold-out", "sold out"))
        };
        saga.run(part).await
    });
    let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
    world
        .start(&workflow, 300)
        .id("w")
        .await
        .unwrap()
        .result()
        .await
        .unwrap_err();
    let released = names(&log);
    assert_eq!(released.len(), 300);
    assert_eq!(released.first().map(String::as_str), Some("release 299"));
    let journal = world.journal("w").await.unwrap();
    let condensed = Journal {
        records: condense(&journal.records),
        ..journal
    };
    replay_check(&workflow, &condensed).unwrap();
}

/// The long form ties an undoing to what it undoes too: a resumed execution charges again.
#[tokio::test]
async fn what_was_undone_in_the_long_form_is_done_again_when_it_is_resumed() {
    let (log, repaired) = (Log::default(), Arc::new(AtomicBool::new(false)));
    let state = (log.clone(), Arc::clone(&repaired));
    let sell = Workflow::with(
        "sell",
        state,
        |ctx: Context, (log, repaired): (Log, Arc<AtomicBool>), (): ()| async move {
            let saga = ctx.saga();
            let part = async {
                logged(&ctx, &log, "charge").await?;
                let refunds = log.clone();
                saga.undo(&ctx, "charge", move |ctx| async move {
                    logged(&ctx, &refunds, "refund").await.map(drop)
                })?;
                let pack = ctx.scope("pack");
                for name in ["box", "tape"] {
                    logged(&pack, &log, name).await?;
                }
                let unpacks = log.clone();
                saga.undo(&ctx, "pack", move |ctx| async move {
                    logged(&ctx, &unpacks, "unpack").await.map(drop)
                })?;
                let works = repaired.load(Ordering::SeqCst);
                let ship = ctx.step("ship").run(move |_| async move {
                    if works {
                        Ok(())
                    } else {
                        Err(Error::permanent("no", "no"))
                    }
                });
                ship.await
            };
            saga.run(part).await
        },
    );
    let world = World::new(Bowline::builder().workflow(&sell)).await.unwrap();
    let failed = world.start(&sell, ()).id("s").await.unwrap().result().await;
    assert!(failed.unwrap_err().is("no"));
    assert_eq!(names(&log), ["charge", "box", "tape", "unpack", "refund"]);
    repaired.store(true, Ordering::SeqCst);
    let resumed = world.resume::<()>("s", "a ship came").await.unwrap();
    resumed.result().await.unwrap();
    assert_eq!(names(&log)[5..], ["charge", "box", "tape"]);
    let all = log.all();
    assert!(
        all[0] != all[5] && all[1] != all[6] && all[2] != all[7],
        "the keys are others: {all:?}"
    );
}

#[tokio::test]
async fn an_undoing_of_nothing_is_refused() {
    let workflow = Workflow::new("w", |ctx: Context, (): ()| async move {
        ctx.scope("shop").step("charge").run(|_| async { Ok(()) }).await?;
        ctx.saga().undo(&ctx, "refund", |_| async { Ok(()) })
    });
    let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
    let error = world.run(&workflow, ()).await.unwrap_err();
    assert!(
        error.is("workflow.misuse") && error.message().contains("`refund`"),
        "{error}"
    );
}

/// A saga that is made and used up inside of a round is no reason to keep the round.
#[tokio::test]
async fn a_loop_whose_rounds_have_sagas_of_their_own_is_forgotten() {
    let workflow = Workflow::new("w", |ctx: Context, (): ()| async move {
        ctx.for_each("items", 0..200_u32, 8, |ctx, item| async move {
            let saga = ctx.saga();
            let step = ctx.step("reserve").run(move |_| async move { Ok(item) });
            saga.run(step.undo(&saga, |_, _: u32| async { Ok(()) })).await
        })
        .await
        .map(|items| items.len())
    });
    let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
    assert_eq!(
        world
            .start(&workflow, ())
            .id("w")
            .await
            .unwrap()
            .result()
            .await
            .unwrap(),
        200
    );
    let journal = world.journal("w").await.unwrap();
    let records = condense(&journal.records);
    assert!(records.len() < 20, "{} of {}", records.len(), journal.records.len());
    replay_check(&workflow, &Journal { records, ..journal }).unwrap();
}
