//! Changing workflows while executions of them run.

use std::time::Duration;

use bowline::testing::{World, replay_check};
use bowline::{Bowline, Context, Workflow};

async fn work(ctx: &Context, name: &str) -> bowline::Result<()> {
    ctx.step(name).run(|_| async { Ok(()) }).await
}

fn before() -> Workflow<(), ()> {
    Workflow::new("sell", |ctx: Context, (): ()| async move {
        work(&ctx, "reserve").await?;
        ctx.sleep("a day", Duration::from_hours(24)).await?;
        work(&ctx, "charge").await
    })
}

#[tokio::test]
async fn a_change_that_asks_for_its_version_replays_old_and_new_journals() {
    let after = Workflow::new("sell", |ctx: Context, (): ()| async move {
        work(&ctx, "reserve").await?;
        if ctx.version("insurance", 1) > 0 {
            work(&ctx, "insure").await?;
        }
        ctx.sleep("a day", Duration::from_hours(24)).await?;
        work(&ctx, "charge").await
    });
    for workflow in [before(), after.clone()] {
        let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
        world
            .start(&workflow, ())
            .id("s")
            .await
            .unwrap()
            .result()
            .await
            .unwrap();
        replay_check(&after, &world.journal("s").await.unwrap()).unwrap();
    }
}

#[tokio::test]
async fn a_change_that_does_not_is_found_out() {
    let after = Workflow::new("sell", |ctx: Context, (): ()| async move {
        work(&ctx, "reserve").await?;
        work(&ctx, "insure").await?;
        work(&ctx, "charge").await
    });
    let world = World::new(Bowline::builder().workflow(&before())).await.unwrap();
    world
        .start(&before(), ())
        .id("s")
        .await
        .unwrap()
        .result()
        .await
        .unwrap();
    let error = replay_check(&after, &world.journal("s").await.unwrap()).unwrap_err();
    assert!(error.is("replay.nondeterminism"));
    assert!(
        error.message().contains("`a day`") && error.message().contains("`insure`"),
        "{error}"
    );
}
