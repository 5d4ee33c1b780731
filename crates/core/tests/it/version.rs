//! Changing a program while executions of it run.

use std::sync::{Arc, Mutex};

use bowline_core::{Context, Event, Execution, Payload, Record, Resumption, StepError, StepOptions};

use super::support::{Ended, Live, ended, identity, json, step};

async fn ask(ctx: &Context, name: &str) -> Result<(), StepError> {
    ctx.step(step(name, StepOptions::default())).await.map(drop)
}

async fn old(ctx: Context, _: Payload) -> Ended {
    ask(&ctx, "first").await?;
    ask(&ctx, "old way").await?;
    ask(&ctx, "last").await?;
    Ok(json("old"))
}

async fn new(ctx: Context, _: Payload) -> Ended {
    ask(&ctx, "first").await?;
    let version = ctx.version("change", 2);
    assert_eq!(version, ctx.version("change", 3), "it stays what it was");
    ask(&ctx, if version == 0 { "old way" } else { "new way" }).await?;
    ask(&ctx, "last").await?;
    Ok(json(version))
}

fn chosen(journal: &[Record]) -> Vec<u32> {
    let events = journal.iter().flat_map(|record| &record.events);
    events
        .filter_map(|event| match event {
            Event::VersionChosen { version, .. } => Some(*version),
            _ => None,
        })
        .collect()
}

#[test]
fn an_execution_that_passed_the_place_before_goes_the_old_way() {
    let mut live = Live::start(&old);
    live.succeed(&["first"]);
    let (mut execution, _) = Execution::replay(identity(), &new, &live.journal, 2000).unwrap();
    assert!(execution.waits_for("old way"));
    execution.handle(2001, ended("old way", 1, Ok(Payload::null())));
    execution.handle(2002, ended("last", 1, Ok(Payload::null())));
    assert!(format!("{:?}", execution.outcome()).contains("Succeeded(0)"));
}

#[test]
fn an_execution_that_comes_there_later_goes_the_newest_way_and_stays_on_it() {
    let live = Live::start(&old);
    let (mut execution, _) = Execution::replay(identity(), &new, &live.journal, 2000).unwrap();
    let batch = execution.handle(2001, ended("first", 1, Ok(Payload::null())));
    assert!(execution.waits_for("new way"));
    let mut journal = live.journal.clone();
    journal.push(Record {
        at: 2001,
        events: batch.events,
    });
    assert_eq!(chosen(&journal), [2]);
    // A still newer program, which knows a third way.
    let newer = |ctx: Context, input: Payload| async move {
        ask(&ctx, "first").await?;
        assert_eq!(ctx.version("change", 3), 2);
        ask(&ctx, "new way").await?;
        Ok::<_, StepError>(input)
    };
    let (execution, _) = Execution::replay(identity(), &newer, &journal, 3000).unwrap();
    assert!(execution.waits_for("new way"));
}

#[test]
fn another_life_remembers_the_way() {
    let mut live = Live::start(&new);
    live.succeed(&["first"]);
    live.handle(ended("new way", 1, Err(StepError::permanent("no", "no"))));
    live.resume(Resumption::because("again"));
    assert_eq!(chosen(&live.journal), [2, 2]);
    live.crash();
    live.succeed(&["new way", "last"]);
    assert_eq!(live.output(), "2");
}

#[test]
fn a_program_knows_whether_it_repeats_itself() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    let program = move |ctx: Context, _: Payload| {
        let log = Arc::clone(&log);
        async move {
            log.lock().unwrap().push(ctx.is_replaying());
            ask(&ctx, "first").await?;
            log.lock().unwrap().push(ctx.is_replaying());
            ask(&ctx, "last").await?;
            Ok::<_, StepError>(Payload::null())
        }
    };
    let mut live = Live::start(&program);
    live.crash();
    live.succeed(&["first"]);
    assert_eq!(*told.lock().unwrap(), [false, true, false]);
}
