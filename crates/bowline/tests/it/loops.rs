//! `for_each` and `repeat`: bounds, failures, and what is forgotten.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bowline::testing::{World, replay_check};
use bowline::{Bowline, Context, Error, Event, Journal, RetryPolicy, StepOptions, Workflow};
use bowline_core::condense;

use crate::Log;

async fn work(ctx: &Context, name: &str) -> bowline::Result<()> {
    ctx.step(name).run(|_| async { Ok(()) }).await
}

/// Counts to `rounds`, with five operations in each.
fn counting() -> Workflow<u64, u64> {
    Workflow::new("count", |ctx: Context, rounds: u64| async move {
        let counted = ctx.repeat("count", 0, |ctx, count: u64| async move {
            for name in ["a", "b", "c", "d"] {
                work(&ctx, name).await?;
            }
            ctx.sleep("pause", Duration::from_mins(1)).await?;
            Ok(if count + 1 == rounds {
                ControlFlow::Break(count + 1)
            } else {
                ControlFlow::Continue(count + 1)
            })
        });
        let counted = counted.await?;
        work(&ctx, "last").await?;
        Ok(counted)
    })
}

async fn journal_of(workflow: &Workflow<u64, u64>, input: u64) -> Journal {
    let world = World::new(Bowline::builder().workflow(workflow)).await.unwrap();
    assert_eq!(world.run(workflow, input).await.unwrap(), input);
    assert_eq!(world.elapsed(), Duration::from_mins(input));
    let id = world.executions(&bowline::ExecutionFilter::default()).await.unwrap()[0]
        .id
        .clone();
    world.journal(&id).await.unwrap()
}

fn condensed(journal: &Journal) -> Journal {
    Journal {
        records: condense(&journal.records),
        ..journal.clone()
    }
}

#[tokio::test]
async fn what_a_loop_leaves_does_not_grow_with_its_rounds() {
    let workflow = counting();
    let (short, long) = (journal_of(&workflow, 130).await, journal_of(&workflow, 4200).await);
    assert!(long.records.len() > 20_000, "{}", long.records.len());
    let (short, long) = (condensed(&short), condensed(&long));
    replay_check(&workflow, &short).unwrap();
    replay_check(&workflow, &long).unwrap();
    // 64 rounds by themselves, 63 stretches of 64, and what the last stretch of stretches holds so far.
    assert!(
        long.records.len() < 64 * 5 + 128 + 64 * 5 + 70,
        "{}",
        long.records.len()
    );
    assert!(short.records.len() > 64 * 5, "{}", short.records.len());
}

#[tokio::test]
async fn a_condensed_journal_cut_anywhere_replays() {
    let workflow = counting();
    let journal = journal_of(&workflow, 200).await;
    for cut in (1..journal.records.len()).step_by(37) {
        let mut records = condense(&journal.records[..cut]);
        records.extend_from_slice(&journal.records[cut..]);
        let cut_there = Journal {
            records,
            ..journal.clone()
        };
        replay_check(&workflow, &cut_there).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
    }
}

/// Works on some items and keeps what is most at a time.
fn bounded(most: Arc<AtomicUsize>) -> Workflow<(usize, usize), Vec<usize>> {
    let now = Arc::new(AtomicUsize::new(0));
    Workflow::new("bounded", move |ctx: Context, (items, concurrency): (usize, usize)| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        async move {
            ctx.for_each("items", 0..items, concurrency, move |ctx, item| {
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                async move {
                    let step = ctx.step("work").run(move |_| {
                        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                        async move {
                            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            tokio::task::yield_now().await;
                            now.fetch_sub(1, Ordering::SeqCst);
                            Ok(item)
                        }
                    });
                    step.await
                }
            })
            .await
        }
    })
}

#[tokio::test]
async fn at_most_so_many_run_at_a_time_and_results_keep_their_order() {
    for (items, concurrency) in [(0, 3), (1, 3), (500, 3), (200, 1), (40, 0)] {
        let most = Arc::default();
        let workflow = bounded(Arc::clone(&most));
        let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
        let results = world.run(&workflow, (items, concurrency)).await.unwrap();
        assert_eq!(results, (0..items).collect::<Vec<_>>());
        let most = most.load(Ordering::SeqCst);
        assert!(
            concurrency == 0 || most <= concurrency,
            "{most} at a time instead of {concurrency}"
        );
        assert!(concurrency < 2 || items < 2 || most > 1, "nothing ran side by side");
    }
}

#[tokio::test]
async fn after_a_failure_nothing_begins_and_what_is_under_way_cleans_up() {
    let log = Log::default();
    let failing = Workflow::with("failing", log.clone(), |ctx: Context, log: Log, (): ()| async move {
        let once = StepOptions {
            retry: RetryPolicy::never(),
            ..StepOptions::default()
        };
        let ctx = ctx.with(&once);
        ctx.for_each("items", 0..10, 2, |ctx, item| {
            let log = log.clone();
            async move {
                log.add(format!("begin {item}"));
                if item == 0 {
                    ctx.sleep("a while", Duration::from_mins(1)).await?;
                    ctx.step("fail")
                        .run(|_| async { Err::<(), _>(Error::permanent("no", "no")) })
                        .await?;
                }
                let ended = ctx.sleep("for long", Duration::from_hours(1)).await;
                ctx.shielded().step("clean up").run(|_| async { Ok(()) }).await?;
                log.add(format!("cleaned {item}"));
                ended
            }
        })
        .await
    });
    let world = World::new(Bowline::builder().workflow(&failing)).await.unwrap();
    // A workflow that logs by itself logs twice when it is replayed, so it is not checked here.
    let error = world.start(&failing, ()).await.unwrap().result().await.unwrap_err();
    assert!(error.is("no"), "{error}");
    assert_eq!(log.all(), ["begin 0", "begin 1", "cleaned 1"]);
    assert_eq!(world.elapsed(), Duration::from_mins(1));
}

#[tokio::test]
async fn long_loops_over_items_are_forgotten_in_stretches() {
    let workflow = bounded(Arc::default());
    let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
    world
        .start(&workflow, (500, 4))
        .id("long")
        .await
        .unwrap()
        .result()
        .await
        .unwrap();
    world
        .start(&workflow, (50, 4))
        .id("short")
        .await
        .unwrap()
        .result()
        .await
        .unwrap();
    let folds = |journal: &Journal| {
        let events = journal.records.iter().flat_map(|record| &record.events);
        events.filter(|event| matches!(event, Event::ScopeFolded(_))).count()
    };
    let (long, short) = (
        world.journal("long").await.unwrap(),
        world.journal("short").await.unwrap(),
    );
    assert_eq!((folds(&long), folds(&short)), (8, 0));
    replay_check(&workflow, &condensed(&long)).unwrap();
    assert!(
        condensed(&long).records.len() < 20,
        "{}",
        condensed(&long).records.len()
    );
}
