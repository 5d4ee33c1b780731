//! A data folder that is opened again, by the same code or by other code.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bowline::testing::{crash_at_every_commit, replay_check};
use bowline::{Bowline, Context, Error, ErrorKind, Journal, Status, Workflow, branch};
use tokio::sync::Notify;

const GRACE: Duration = Duration::from_millis(50);

/// Waits for a signal; `answer` is what it then says.
fn waiting(answer: &'static str) -> Workflow<(), String> {
    Workflow::new("waiting", move |ctx: Context, (): ()| async move {
        let word: String = ctx.signal("word", "word").await?;
        Ok(format!("{answer} {word}"))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unfinished_goes_on_where_the_folder_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let first = Bowline::builder()
        .workflow(&waiting("one"))
        .open(folder.path())
        .await
        .unwrap();
    drop(first.start(&waiting("one"), ()).id("w").await.unwrap());
    first.stop(GRACE).await;
    drop(first);

    // The workflow has a new version; the execution stays on its own.
    let now = waiting("two").version("2");
    let builder = Bowline::builder().workflow(&now).former(&waiting("one"));
    let second = builder.open(folder.path()).await.unwrap();
    assert!(second.recovery().stuck.is_empty());
    assert!(second.signal("w", "word", "hello", None).await.unwrap());
    assert_eq!(
        second.handle::<String>("w").await.unwrap().result().await.unwrap(),
        "one hello"
    );
    let new = second.start(&now, ()).await.unwrap();
    second.signal(new.id(), "word", "hello", None).await.unwrap();
    assert_eq!(new.result().await.unwrap(), "two hello");
    second.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_of_a_workflow_that_is_not_registered_is_stuck_by_name() {
    let folder = tempfile::tempdir().unwrap();
    // Under way, so that it is in memory and is taken up again.
    let began = Arc::new(Notify::new());
    let busy = Workflow::with(
        "busy",
        Arc::clone(&began),
        |ctx: Context, began: Arc<Notify>, (): ()| async move {
            let step = ctx.step("hang").run(move |_| {
                began.notify_one();
                std::future::pending::<bowline::Result<()>>()
            });
            step.await
        },
    );
    let first = Bowline::builder().workflow(&busy).open(folder.path()).await.unwrap();
    drop(first.start(&busy, ()).id("b").await.unwrap());
    began.notified().await;
    first.stop(GRACE).await;
    drop(first);
    let second = Bowline::builder()
        .workflow(&busy.version("2"))
        .open(folder.path())
        .await
        .unwrap();
    let stuck = &second.recovery().stuck;
    assert_eq!(stuck.len(), 1);
    assert_eq!((stuck[0].id.as_str(), stuck[0].workflow.as_str()), ("b", "busy"));
    assert!(
        stuck[0].error.contains("`busy` version `1` is not registered"),
        "{}",
        stuck[0].error
    );
    assert_eq!(second.execution("b").await.unwrap().unwrap().status, Status::Running);
    second.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values_are_kept_beside_the_journal_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let large = Workflow::new("large", |ctx: Context, text: String| async move {
        let twice = text.repeat(2);
        let step = ctx.step("repeat").run(move |_| {
            let twice = twice.clone();
            async move { Ok(twice) }
        });
        let twice: String = step.await?;
        ctx.publish("length", &twice.len())?;
        Ok(twice)
    });
    let bowline = Bowline::builder().workflow(&large).open(folder.path()).await.unwrap();
    let text = "many words ".repeat(20_000);
    let result = bowline
        .start(&large, text.clone())
        .id("l")
        .await
        .unwrap()
        .result()
        .await;
    assert_eq!(result.unwrap(), text.repeat(2));
    assert!(std::fs::read_dir(folder.path().join("blobs")).unwrap().next().is_some());
    assert_eq!(bowline.query::<usize>("l", "length").await.unwrap(), Some(440_000));
    let journal = bowline.journal("l").await.unwrap();
    bowline.stop(GRACE).await;
    drop(folder);
    let kept: Journal = serde_json::from_str(&serde_json::to_string(&journal).unwrap()).unwrap();
    replay_check(&large, &kept).unwrap();
}

/// A race, a child, an unknown outcome: the same after a crash anywhere.
#[tokio::test]
async fn a_crash_at_any_commit_changes_nothing() {
    let report = crash_at_every_commit("all", (), || {
        let gateway = Arc::new(AtomicU32::new(0));
        let child = Workflow::new("child", |ctx: Context, n: u32| async move {
            ctx.step("double").run(move |_| async move { Ok(n * 2) }).await
        });
        let all = Workflow::with(
            "all",
            Arc::clone(&gateway),
            |ctx: Context, gateway: Arc<AtomicU32>, (): ()| async move {
                let (winner, text) = bowline::race([
                    branch(async {
                        ctx.sleep("slow", Duration::from_hours(2))
                            .await
                            .map(|()| "slow".to_owned())
                    }),
                    branch(async {
                        ctx.sleep("quick", Duration::from_hours(1))
                            .await
                            .map(|()| "quick".to_owned())
                    }),
                ])
                .await?;
                let (a, b) = bowline::parallel((
                    ctx.child::<_, u32>("a", "child", 1),
                    ctx.child::<_, u32>("b", "child", 2),
                ))
                .await?;
                let (charging, looking) = (Arc::clone(&gateway), gateway);
                let receipt = ctx.step("charge").run_verified(
                    move |_| {
                        charging.store(1, Ordering::SeqCst);
                        async { Err(Error::new("gateway.lost", ErrorKind::OutcomeUnknown, "no answer")) }
                    },
                    move |_| {
                        let found = looking.load(Ordering::SeqCst);
                        async move { Ok((found > 0).then_some(found)) }
                    },
                );
                Ok((winner, text, a, b, receipt.await?))
            },
        );
        (Bowline::builder().workflow(&all).workflow(&child), move || {
            gateway.load(Ordering::SeqCst)
        })
    });
    let report = report.await.unwrap();
    assert_eq!(report.probed, 1);
    let bowline::Outcome::Succeeded(output) = report.outcome else {
        panic!("{:?}", report.outcome);
    };
    assert_eq!(output.text(), r#"[1,"quick",2,4,1]"#);
}
