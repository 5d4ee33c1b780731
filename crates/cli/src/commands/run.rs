//! `bowline run`: one workflow, from its start to its end.

use bowline_core::Payload;
use bowline_engine::StartRequest;
use bowline_flow::check_input;
use bowline_store::{Status, Store};
use serde_json::Value;

use crate::args::RunArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal::text;
use crate::wiring::session::{Followed, Session, block_on};
use crate::wiring::workflow::{self, Workflow};
use crate::wiring::{files, registry};

pub(super) fn run(args: &RunArgs) -> Result {
    // What is wrong with the files is told before anything is opened or started.
    let workflow = workflow::open(&args.file, &registry())?;
    let input = files::input(args.input.as_deref())?;
    refuse_wrong(&workflow, &input)?;
    if args
        .id
        .as_deref()
        .is_some_and(|id| id.trim().is_empty() || id.chars().any(char::is_control))
    {
        return Err(Failure::usage("--id is empty or has control characters"));
    }
    block_on(run_async(args, workflow, input))
}

fn refuse_wrong(workflow: &Workflow, input: &Value) -> Result<()> {
    let problems = check_input(&workflow.plan, input);
    if problems.is_empty() {
        return Ok(());
    }
    let mut message = format!("the input does not fit the workflow {}", workflow.plan.name);
    for problem in &problems {
        message.push_str("\n  ");
        message.push_str(&text::one_line(problem));
    }
    Err(Failure::usage(message))
}

async fn run_async(args: &RunArgs, workflow: Workflow, input: Value) -> Result {
    let id = args.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let mut session = Session::open(&args.engine, Some(id.clone())).await?;
    let handle = match session.store.execution(&id)? {
        Some(row) if row.status == Status::Running && row.workflow != workflow.plan.name => {
            session.stop().await;
            let message = format!(
                "execution {id} is one of the workflow {}, not of {}",
                row.workflow, workflow.plan.name
            );
            return Err(Failure::usage(message).hint("choose another --id"));
        }
        Some(row) if row.status == Status::Running => {
            crate::terminal::note(&format!("execution {id} exists and goes on"));
            Some(session.resume(&id, "").await?)
        }
        _ => None,
    };
    if !args.no_recover {
        // They go on beside this one, and are waited for at the end: one that hangs must not hold this one up.
        session.take_up().await?;
    }
    let handle = if let Some(handle) = handle {
        handle
    } else {
        let input = Payload::of(&input).map_err(|error| Failure::new(Exit::Bug, error))?;
        let request = StartRequest {
            id: Some(id.clone()),
            definition: workflow.definition,
            input,
        };
        session.start(request).await?
    };
    let followed = session.follow(handle).await?;
    let exit = match &followed {
        Followed::Ended(outcome) => session.tell(&id, outcome)?,
        Followed::Interrupted => Exit::Interrupted,
    };
    session.close(&id, &followed).await?;
    Ok(exit)
}
