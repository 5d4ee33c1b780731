//! What would break replay is noticed and named.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bowline::testing::World;
use bowline::{Bowline, Context, Workflow, branch};

async fn run(workflow: &Workflow<(), ()>) -> bowline::Result<()> {
    World::new(Bowline::builder().workflow(workflow))
        .await?
        .run(workflow, ())
        .await
}

#[tokio::test]
async fn waiting_for_something_else_than_its_operations_fails_the_workflow() {
    let workflow = Workflow::new("w", |_: Context, (): ()| async {
        tokio::time::sleep(Duration::from_hours(1)).await;
        Ok(())
    });
    let error = run(&workflow).await.unwrap_err();
    assert_eq!(error.code(), "program.stalled");
}

#[tokio::test]
async fn a_step_that_asks_for_another_step_fails() {
    let workflow = Workflow::new("w", |ctx: Context, (): ()| async move {
        let inner = ctx.clone();
        let outer = ctx.step("outer").run(move |_| {
            let inner = inner.clone();
            async move { inner.step("inner").run(|_| async { Ok(()) }).await }
        });
        outer.await
    });
    let error = run(&workflow).await.unwrap_err();
    assert_eq!(error.code(), "program.outside");
    assert!(error.message().contains("`inner`"), "{error}");
}

#[tokio::test]
async fn a_workflow_that_is_another_one_each_time_is_found_out_by_the_replay_check() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let workflow = Workflow::new("w", |ctx: Context, (): ()| async move {
        let name = format!("step {}", RUNS.fetch_add(1, Ordering::SeqCst));
        ctx.step(&name).run(|_| async { Ok(()) }).await
    });
    let error = run(&workflow).await.unwrap_err();
    assert_eq!(error.code(), "replay.nondeterminism");
    assert!(
        error.message().contains("`step 0`") && error.message().contains("`step 1`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_panic_fails_the_step_or_the_workflow_and_nothing_else() {
    let in_step = Workflow::new("w", |ctx: Context, (): ()| async move {
        ctx.step("boom").run(|_| async { panic!("in a step") }).await
    });
    assert!(run(&in_step).await.unwrap_err().message().contains("in a step"));
    let blocking = Workflow::new("w", |ctx: Context, (): ()| async move {
        ctx.step("boom").run_blocking(|_| panic!("in a thread")).await
    });
    assert!(run(&blocking).await.unwrap_err().message().contains("in a thread"));
    let in_workflow = Workflow::new("w", |_: Context, (): ()| async { panic!("in the workflow") });
    assert!(
        run(&in_workflow)
            .await
            .unwrap_err()
            .message()
            .contains("in the workflow")
    );
}

#[tokio::test]
async fn a_result_of_another_type_is_named() {
    let writes = Workflow::new("w", |ctx: Context, (): ()| async move {
        ctx.step("measure").run(|_| async { Ok("seven".to_owned()) }).await
    });
    let world = World::new(Bowline::builder().workflow(&writes)).await.unwrap();
    world.start(&writes, ()).id("w").await.unwrap().result().await.unwrap();
    let reads = Workflow::new("w", |ctx: Context, (): ()| async move {
        let size: u32 = ctx.step("measure").run(|_| async { Ok(7) }).await?;
        Ok(size)
    });
    let error = bowline::testing::replay_check(&reads, &world.journal("w").await.unwrap()).unwrap_err();
    assert!(error.message().contains("end with an error"), "{error}");
}

#[tokio::test]
async fn branches_may_talk_to_each_other_as_much_as_they_like() {
    let workflow = Workflow::new("w", |_: Context, (): ()| async {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        let count = branch(async move {
            let mut count = 0;
            while receiver.recv().await.is_some() {
                count += 1;
            }
            Ok(count)
        });
        let tell = branch(async move {
            for word in 0..2_000 {
                sender.send(word).await?;
            }
            Ok(0)
        });
        let [count, _] = bowline::parallel([count, tell]).await?;
        assert_eq!(count, 2_000);
        Ok(())
    });
    run(&workflow).await.unwrap();
}
