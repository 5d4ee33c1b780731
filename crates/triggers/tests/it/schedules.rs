//! Schedules that start workflows.

use bowline_host::{ErrorKind, Status};
use bowline_triggers::schedule::{By, Fate, Overlap, ScheduleConfig, ScheduleSpec};
use serde_json::{Value, json};

use crate::world::{World, until};

/// Waits for `go`. Its schedule is due on the first of January.
fn patient(overlap: &str) -> String {
    format!(
        "name: report\ntriggers:\n  - type: schedule\n    config: {{ cron: '0 0 1 1 *', overlap: {overlap} }}\n\
         steps:\n  - id: word\n    waitFor: {{ signal: go }}\noutput: '${{input.by}}'\n"
    )
}

async fn named(world: &World, name: &str) {
    until("the schedule", || async {
        world.triggers.schedules().get("default", name).await.ok()
    })
    .await;
}

/// Runs it by hand and tells the fate.
async fn run(world: &World) -> Fate {
    let fire = world
        .triggers
        .schedules()
        .run_now("default", "report.schedule", None, None)
        .await
        .unwrap();
    assert_eq!(fire.by, By::Hand);
    fire.fate
}

async fn fates(world: &World, name: &str) -> Vec<Fate> {
    let page = world
        .triggers
        .schedules()
        .fires("default", name, None, None, 0)
        .await
        .unwrap();
    page.items.iter().rev().map(|fire| fire.fate).collect()
}

async fn settled(world: &World, expected: &[Fate]) {
    until("the ledger", || async {
        (fates(world, "report.schedule").await == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn skipping_and_waiting_heed_real_executions() {
    for (overlap, second, third) in [
        ("skip", Fate::Skipped, Fate::Skipped),
        ("bufferOne", Fate::Buffered, Fate::Skipped),
        ("bufferAll", Fate::Buffered, Fate::Buffered),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::open(folder.path()).await;
        world.deploy("default", &patient(overlap)).await;
        named(&world, "report.schedule").await;
        assert_eq!(
            [run(&world).await, run(&world).await, run(&world).await],
            [Fate::Started, second, third],
            "{overlap}"
        );
        let all = [second, third].iter().filter(|fate| **fate == Fate::Buffered).count();
        for ended in 0..=all {
            let running = until("a start", || async {
                let executions = world.executions("default").await;
                executions.get(ended).map(|execution| execution.id.clone())
            });
            world.go(&running.await).await;
        }
        let became = |fate: Fate| if fate == Fate::Buffered { Fate::Started } else { fate };
        settled(&world, &[Fate::Started, became(second), became(third)]).await;
        until("all ends", || async {
            let statuses = world.statuses().await;
            (statuses == vec![Status::Succeeded; all + 1]).then_some(())
        })
        .await;
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_one_is_cancelled() {
    for overlap in ["cancelOther", "terminateOther"] {
        let folder = tempfile::tempdir().unwrap();
        let world = World::open(folder.path()).await;
        world.deploy("default", &patient(overlap)).await;
        named(&world, "report.schedule").await;
        assert_eq!(run(&world).await, Fate::Started);
        let second = run(&world).await;
        assert_eq!(second == Fate::Started, overlap == "terminateOther", "{overlap}");
        settled(&world, &[Fate::Started, Fate::Started]).await;
        until("the cancellation", || async {
            let statuses = world.statuses().await;
            (statuses.len() == 2 && statuses[0] == Status::Cancelled && !statuses[1].is_finished()).then_some(())
        })
        .await;
        world.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_starts_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    world.deploy("default", &patient("bufferOne")).await;
    named(&world, "report.schedule").await;
    assert_eq!([run(&world).await, run(&world).await], [Fate::Started, Fate::Buffered]);
    world.close().await;
    let world = World::open(folder.path()).await;
    let first = world.executions("default").await[0].id.clone();
    world.go(&first).await;
    settled(&world, &[Fate::Started, Fate::Started]).await;
    assert_eq!(world.executions("default").await.len(), 2);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_starts_it_and_it_pauses_itself() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    let text = "name: failing\ntriggers:\n  - id: often\n    type: schedule\n    config: { every: 1s, pauseOnFailure: true }\n    \
                input: { due: '${trigger.scheduledAt}' }\nsteps:\n  - fail: { error: no, message: never }\n";
    world.deploy("default", text).await;
    let paused = until("the pause", || async {
        let view = world.triggers.schedules().get("default", "failing.often").await.ok()?;
        view.paused.map(|paused| paused.note)
    })
    .await;
    let executions = world.executions("default").await;
    assert!(paused.contains(&executions[0].id), "{paused}");
    let input = world
        .host
        .payload("default", &executions[0].id, bowline_host::Which::Input)
        .await
        .unwrap()
        .unwrap();
    let fires = world
        .triggers
        .schedules()
        .fires("default", "failing.often", Some(Fate::Started), None, 0)
        .await
        .unwrap();
    assert_eq!(input, json!({"due": fires.items.last().unwrap().due}));
    world.close().await;
}

fn spec(config: Value) -> ScheduleSpec {
    ScheduleSpec {
        workflow: "report".into(),
        config: serde_json::from_value::<ScheduleConfig>(config).unwrap(),
        input: Some(json!({"by": "me"})),
        description: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    let schedules = world.triggers.schedules();
    let kind = |result: Result<bool, bowline_host::HostError>| result.map_err(|error| (error.kind, error.code));
    assert_eq!(
        kind(schedules.put("default", "mine", spec(json!({"every": "1s"}))).await),
        Err((ErrorKind::Invalid, "schedule.invalid"))
    );
    world.deploy("default", &patient("skip")).await;
    named(&world, "report.schedule").await;
    assert_eq!(
        kind(
            schedules
                .put("default", "report.schedule", spec(json!({"every": "1s"})))
                .await
        ),
        Err((ErrorKind::Conflict, "schedule.is-trigger"))
    );
    assert_eq!(
        kind(schedules.put("default", "bad", spec(json!({"cron": "no"}))).await),
        Err((ErrorKind::Invalid, "schedule.invalid"))
    );
    assert_eq!(
        kind(
            schedules
                .put("default", "mine", spec(json!({"every": "1s", "overlap": "allow"})))
                .await
        ),
        Ok(true)
    );
    until("a start", || async {
        (!world.executions("default").await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(
        kind(
            schedules
                .put("default", "mine", spec(json!({"cron": "0 0 1 1 *"})))
                .await
        ),
        Ok(false)
    );
    assert_eq!(
        schedules.get("default", "mine").await.unwrap().words,
        schedules.get("default", "report.schedule").await.unwrap().words
    );

    // What is another organization's is not there.
    let not_found = |code| ("schedule.not-found", code);
    assert_eq!(schedules.list("other").await.unwrap(), []);
    let code = |error: bowline_host::HostError| (error.code, error.kind);
    assert_eq!(
        code(schedules.get("other", "mine").await.unwrap_err()),
        not_found(ErrorKind::NotFound)
    );
    assert_eq!(
        code(schedules.pause("other", "mine", "").await.unwrap_err()),
        not_found(ErrorKind::NotFound)
    );
    assert_eq!(
        code(schedules.unpause("other", "mine").await.unwrap_err()),
        not_found(ErrorKind::NotFound)
    );
    assert_eq!(
        code(schedules.run_now("other", "mine", None, None).await.unwrap_err()),
        not_found(ErrorKind::NotFound)
    );
    assert_eq!(
        code(schedules.fires("other", "mine", None, None, 0).await.unwrap_err()),
        not_found(ErrorKind::NotFound)
    );
    assert_eq!(
        code(schedules.backfill("other", "mine", (0, 1), None).await.unwrap_err()),
        not_found(ErrorKind::NotFound)
    );
    assert_eq!(
        code(schedules.delete("other", "mine").await.unwrap_err()),
        not_found(ErrorKind::NotFound)
    );

    // Its ledger has pages.
    let first = schedules.fires("default", "mine", None, None, 1).await.unwrap();
    assert_eq!(first.items.len(), 1);
    schedules
        .run_now("default", "mine", Some(Overlap::Allow), None)
        .await
        .unwrap();
    let page = schedules.fires("default", "mine", None, None, 1).await.unwrap();
    assert_eq!(page.items[0].by, By::Hand);
    let next = schedules
        .fires("default", "mine", None, page.next.as_deref(), 500)
        .await
        .unwrap();
    assert_eq!((next.items[0].clone(), next.next), (first.items[0].clone(), None));

    // What waits when it is deleted is dropped, and the ledger stays.
    let waits = schedules
        .run_now("default", "mine", Some(Overlap::BufferAll), None)
        .await;
    assert_eq!(waits.unwrap().fate, Fate::Buffered);
    schedules.delete("default", "mine").await.unwrap();
    assert!(schedules.get("default", "mine").await.unwrap().gone);
    let ledger = schedules.fires("default", "mine", None, None, 0).await.unwrap().items;
    assert_eq!(
        (ledger[0].fate, ledger[0].reason.as_deref()),
        (Fate::Dropped, Some("the schedule was deleted"))
    );
    assert_eq!(
        code(schedules.run_now("default", "mine", None, None).await.unwrap_err()),
        not_found(ErrorKind::NotFound)
    );
    // One of its name begins anew, behind the old lines.
    let again = schedules
        .put("default", "mine", spec(json!({"cron": "0 0 1 1 *"})))
        .await;
    assert_eq!(kind(again), Ok(true));
    assert!(!schedules.get("default", "mine").await.unwrap().gone);
    let run = schedules.run_now("default", "mine", None, None).await.unwrap();
    assert_eq!(run.fate, Fate::Started);
    let now = schedules.fires("default", "mine", None, None, 0).await.unwrap().items;
    assert_eq!(now[1..], ledger);
    // Deleted again, the ledger goes too.
    for _ in 0..2 {
        schedules.delete("default", "mine").await.unwrap();
    }
    assert_eq!(
        code(schedules.get("default", "mine").await.unwrap_err()),
        not_found(ErrorKind::NotFound)
    );
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_again_after_a_restart_and_goes_with_its_workflow() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    world.deploy("default", &patient("skip")).await;
    world.deploy("other", &patient("skip")).await;
    named(&world, "report.schedule").await;
    world
        .triggers
        .schedules()
        .put("default", "mine", spec(json!({"every": "1s", "overlap": "allow"})))
        .await
        .unwrap();
    world.close().await;
    let world = World::open(folder.path()).await;
    let before = world.executions("default").await.len();
    until("a start", || async {
        (world.executions("default").await.len() > before).then_some(())
    })
    .await;
    world
        .triggers
        .schedules()
        .pause("default", "mine", "enough")
        .await
        .unwrap();
    world.host.withdraw("default", "report", None).await.unwrap();
    until("the end of the trigger", || async {
        let view = world
            .triggers
            .schedules()
            .get("default", "report.schedule")
            .await
            .unwrap();
        view.gone.then_some(())
    })
    .await;
    let refused = world
        .triggers
        .schedules()
        .run_now("default", "report.schedule", None, None)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::NotFound);
    assert!(
        !world
            .triggers
            .schedules()
            .get("other", "report.schedule")
            .await
            .unwrap()
            .gone
    );
    // Deployed again, it is there again.
    world.deploy("default", &patient("skip")).await;
    until("the trigger", || async {
        let view = world
            .triggers
            .schedules()
            .get("default", "report.schedule")
            .await
            .unwrap();
        (!view.gone).then_some(())
    })
    .await;
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_due_before_a_change_starts_as_its_trigger_says() {
    let folder = tempfile::tempdir().unwrap();
    let flow = |distance: &str| {
        format!(
            "name: often\ntriggers:\n  - type: schedule\n    config: {{ every: {distance}, overlap: allow }}\n    \
             input: {{ fixed: yes }}\nsteps:\n  - set: {{ a: 1 }}\noutput: '${{input}}'\n"
        )
    };
    let world = World::open(folder.path()).await;
    world.deploy("default", &flow("1s")).await;
    let started = || async {
        let executions = world.executions("default").await;
        (executions.len() >= 2).then_some(())
    };
    until("two starts", started).await;
    world.triggers.stop().await;
    // Due while nothing runs it, and then changed.
    let seen = world.executions("default").await.len();
    let began = std::time::Instant::now();
    let due = || async { (began.elapsed() > std::time::Duration::from_millis(2100)).then_some(()) };
    until("two due times", due).await;
    world.deploy("default", &flow("1h")).await;
    world.close().await;
    let world = World::open(folder.path()).await;
    until("the late starts", || async {
        (world.executions("default").await.len() >= seen + 2).then_some(())
    })
    .await;
    for execution in world.executions("default").await {
        let input = world
            .host
            .payload("default", &execution.id, bowline_host::Which::Input)
            .await;
        assert_eq!(input.unwrap().unwrap(), json!({"fixed": "yes"}));
    }
    world.close().await;
}
