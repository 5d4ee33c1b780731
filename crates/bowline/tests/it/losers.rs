//! Branches that lose are cancelled and waited for, so that what is in them cleans up.

use std::time::Duration;

use bowline::testing::{World, crash_at_every_commit};
use bowline::{Bowline, Context, Error, Workflow, branch};

use crate::Log;

async fn noted(ctx: &Context, log: &Log, name: &str) -> bowline::Result<()> {
    let (log, what) = (log.clone(), name.to_owned());
    let step = ctx.step(name).run(move |_| {
        log.add(what.clone());
        async { Ok(()) }
    });
    step.await
}

/// Books, and waits for long in a saga of its own.
async fn book(ctx: &Context, log: &Log) -> bowline::Result<u32> {
    let saga = ctx.saga();
    let part = async {
        noted(ctx, log, "book").await?;
        let log = log.clone();
        saga.undo(ctx, "book", move |ctx| async move {
            ctx.sleep("not in a hurry", Duration::from_mins(10)).await?;
            noted(&ctx, &log, "unbook").await
        })?;
        ctx.sleep("long", Duration::from_hours(100)).await?;
        Ok(1)
    };
    saga.run(part).await
}

async fn short(ctx: &Context) -> bowline::Result<u32> {
    ctx.sleep("short", Duration::from_hours(1)).await?;
    Ok(2)
}

/// How the loser comes to lose.
async fn compete(ctx: Context, log: Log, how: String) -> bowline::Result<u32> {
    let result = match how.as_str() {
        "timeout" => ctx.timeout("limit", Duration::from_hours(1), book(&ctx, &log)).await,
        "race" => bowline::race([branch(book(&ctx, &log)), branch(short(&ctx))])
            .await
            .map(|(first, _)| u32::try_from(first).unwrap()),
        "tuple" => bowline::parallel((book(&ctx, &log), async {
            short(&ctx).await?;
            Err::<(), _>(Error::permanent("two", "two fails"))
        }))
        .await
        .map(|(one, ())| one),
        "nested" => {
            let outer = async {
                bowline::parallel((book(&ctx, &log), ctx.sleep("beside", Duration::from_hours(50))))
                    .await
                    .map(|(one, ())| one)
            };
            ctx.timeout("limit", Duration::from_hours(1), outer).await
        }
        _ => bowline::parallel([
            branch(book(&ctx, &log)),
            branch(async {
                short(&ctx).await?;
                Err(Error::permanent("two", "two fails"))
            }),
        ])
        .await
        .map(|[one, _]| one),
    };
    // It is undone by the time that the others know.
    noted(&ctx, &log, "after").await?;
    result
}

#[tokio::test]
async fn a_saga_in_a_branch_that_loses_undoes_before_anything_follows() {
    for (how, expected) in [
        ("timeout", Err("timeout")),
        ("race", Ok(1)),
        ("tuple", Err("two")),
        ("array", Err("two")),
        ("nested", Err("timeout")),
    ] {
        let log = Log::default();
        let workflow = Workflow::with("w", log.clone(), compete);
        let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
        let result = world.run(&workflow, how.to_owned()).await;
        match (&result, expected) {
            (Ok(result), Ok(expected)) => assert_eq!(*result, expected, "{how}"),
            (Err(error), Err(code)) => assert!(error.is(code), "{how}: {error}"),
            _ => panic!("{how}: {result:?}"),
        }
        assert_eq!(log.all(), ["book", "unbook", "after"], "{how}");
        assert_eq!(world.elapsed(), Duration::from_mins(70), "{how}");
    }
}

#[tokio::test]
async fn a_crash_at_any_commit_undoes_the_loser_once() {
    for how in ["timeout", "race", "tuple", "nested"] {
        let report = crash_at_every_commit("w", how.to_owned(), || {
            let log = Log::default();
            let workflow = Workflow::with("w", log.clone(), compete);
            let probe = move || {
                let mut all = log.all();
                all.sort();
                all.dedup();
                all
            };
            (Bowline::builder().workflow(&workflow), probe)
        });
        let report = report.await.unwrap();
        assert_eq!(report.probed, ["after", "book", "unbook"], "{how}");
    }
}

#[tokio::test]
async fn what_cannot_be_undone_in_a_branch_is_told_with_the_error_of_the_other() {
    let workflow = Workflow::new("w", |ctx: Context, (): ()| async move {
        let saga = ctx.saga();
        let booked = saga.run(async {
            ctx.step("book").run(|_| async { Ok(()) }).await?;
            saga.undo(&ctx, "book", |_| async {
                Err(Error::permanent("jammed", "it is jammed"))
            })?;
            ctx.sleep("long", Duration::from_hours(1)).await
        });
        let fails = async {
            ctx.sleep("short", Duration::from_mins(1)).await?;
            Err::<(), _>(Error::permanent("two", "two fails"))
        };
        bowline::parallel((booked, fails)).await.map(drop)
    });
    let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
    let error = world.run(&workflow, ()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "two fails: `book` could not be undone: it is jammed [jammed] [two]"
    );
}

/// Cleaning up has limits of its own; the contest that is lost does not end it, its own limit does.
#[tokio::test]
async fn an_undoing_may_have_a_time_limit() {
    let log = Log::default();
    let workflow = Workflow::with("w", log.clone(), |ctx: Context, log: Log, (): ()| async move {
        let saga = ctx.saga();
        let booked = saga.run(async {
            noted(&ctx, &log, "book").await?;
            let log = log.clone();
            saga.undo(&ctx, "book", move |ctx| async move {
                let patient = ctx.sleep("ask nicely", Duration::from_hours(9));
                let error = ctx
                    .timeout("patience", Duration::from_hours(2), patient)
                    .await
                    .unwrap_err();
                assert!(error.is("timeout"), "{error}");
                noted(&ctx, &log, "unbook").await
            })?;
            ctx.sleep("long", Duration::from_hours(100)).await
        });
        ctx.timeout("limit", Duration::from_hours(1), booked).await
    });
    let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
    assert!(world.run(&workflow, ()).await.unwrap_err().is("timeout"));
    assert_eq!(log.all(), ["book", "unbook"]);
    assert_eq!(world.elapsed(), Duration::from_hours(3));
}

/// It swallows every error; that must not keep the workflow busy for ever.
#[tokio::test]
async fn a_loser_that_asks_on_and_on_is_dropped() {
    let workflow = Workflow::new("w", |ctx: Context, (): ()| async move {
        let stubborn = async {
            loop {
                if ctx
                    .signal::<u32>("go", "go")
                    .timeout(Duration::from_mins(1))
                    .await
                    .is_ok()
                {
                    return Ok(());
                }
            }
        };
        ctx.timeout("limit", Duration::from_hours(1), stubborn).await
    });
    let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
    assert!(world.run(&workflow, ()).await.unwrap_err().is("timeout"));
    assert_eq!(world.elapsed(), Duration::from_hours(1));
}

#[tokio::test]
async fn a_loser_that_waits_for_no_operation_or_has_not_begun_is_dropped() {
    let log = Log::default();
    let workflow = Workflow::with("w", log.clone(), |ctx: Context, log: Log, (): ()| async move {
        let (first, ()) = bowline::race([
            branch(std::future::pending()),
            branch(async { Ok(()) }),
            branch(noted(&ctx, &log, "never")),
        ])
        .await?;
        Ok(first)
    });
    let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
    assert_eq!(world.run(&workflow, ()).await.unwrap(), 1);
    assert!(log.all().is_empty());
}
