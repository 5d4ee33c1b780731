//! `bowline run`: one workflow, from its start to its end.

use bowline_core::{Event, Payload, decode, internalize};
use bowline_engine::{Conflict, Reuse, StartKey, StartRequest};
use bowline_flow::check_input;
use bowline_store::{DEFAULT_ORGANIZATION, ExecutionRow, Store};
use bowline_store_sqlite::SqliteStore;
use serde_json::{Value, json};

use crate::args::{ConflictWhen, ReuseWhen, RunArgs};
use crate::exit::{Exit, Failure, Result};
use crate::terminal::{note, text};
use crate::wiring::api::Api;
use crate::wiring::session::{Session, block_on};
use crate::wiring::workflow::{self, Workflow};
use crate::wiring::{blobs, files, registry, remote, store};

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
    if args.key.as_deref().is_some_and(|key| key.trim().is_empty()) {
        return Err(Failure::usage("--key is empty")
            .hint("give what makes this start the same as another, such as the number of the order"));
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

fn start_key(args: &RunArgs, key: &str) -> StartKey {
    StartKey {
        key: key.to_owned(),
        reuse: match args.reuse {
            ReuseWhen::ReturnExisting => Reuse::ReturnExisting,
            ReuseWhen::AllowDuplicate => Reuse::AllowDuplicate,
            ReuseWhen::AllowDuplicateFailedOnly => Reuse::AllowDuplicateFailedOnly,
            ReuseWhen::Reject => Reuse::Reject,
        },
        conflict: match args.conflict {
            ConflictWhen::UseExisting => Conflict::UseExisting,
            ConflictWhen::Fail => Conflict::Fail,
            ConflictWhen::TerminateExisting => Conflict::TerminateExisting,
        },
    }
}

/// The input of an execution; none where it was kept apart and has gone.
async fn started_with(store: &SqliteStore, args: &RunArgs, row: &ExecutionRow) -> Result<Option<Value>> {
    let mut input = None;
    let blobs = blobs::open(&args.engine.data.folder)?;
    for record in store.journal(row.exec, 0, 1)? {
        let mut events = decode(&record.events).unwrap_or_default();
        internalize(&mut events, blobs.as_ref())
            .await
            .map_err(|error| Failure::new(Exit::Store, error))?;
        input = events.iter().find_map(|event| match event {
            Event::Started { input, .. } => input.parse().ok(),
            _ => None,
        });
    }
    Ok(input)
}

/// A server has the folder: it runs this, if it has the same workflow.
async fn beside(api: &Api, args: &RunArgs, workflow: &Workflow, input: &Value) -> Result {
    if args.reuse != ReuseWhen::ReturnExisting || args.conflict != ConflictWhen::UseExisting {
        let message = format!(
            "a server ({}) runs executions here, and takes no --reuse and no --conflict",
            api.holder
        );
        return Err(Failure::usage(message).hint("leave them away, or stop the server"));
    }
    let store = store::existing(&args.engine.data.folder)?;
    if let Some(id) = &args.id
        && let Some(row) = store.execution(id)?
        && !row.status.is_finished()
        && row.workflow == workflow.plan.name
    {
        note(&format!("execution {id} exists and goes on"));
        return remote::conclude(api, &args.engine, id, 0).await;
    }
    let version = remote::version(api, &args.engine.data.folder, workflow, &args.file).await?;
    let mut body = json!({ "workflow": workflow.plan.name, "input": input });
    if version.is_old {
        body["version"] = json!(version.number);
    }
    if let Some(id) = &args.id {
        body["id"] = json!(id);
    }
    let answer = api.post_once("executions", &body, args.key.as_deref()).await?;
    let id = remote::id(&answer)?;
    if answer["created"] == json!(false) {
        note(&format!("execution {id} has the key already: its result is the answer"));
    }
    remote::conclude(api, &args.engine, &id, 0).await
}

async fn run_async(args: &RunArgs, workflow: Workflow, input: Value) -> Result {
    if let Some(api) = remote::server(&args.engine).await? {
        return beside(&api, args, &workflow, &input).await;
    }
    let id = args.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let mut session = Session::open_with(&args.engine, Some(id.clone()), Some(&workflow.plan)).await?;
    let mut handle = match session.store.execution(&id)? {
        Some(row) if !row.status.is_finished() && row.workflow != workflow.plan.name => {
            session.stop().await;
            let message = format!(
                "execution {id} is one of the workflow {}, not of {}",
                row.workflow, workflow.plan.name
            );
            return Err(Failure::usage(message).hint("choose another --id"));
        }
        Some(row) if !row.status.is_finished() => {
            if args.input.is_some()
                && started_with(&session.store, args, &row)
                    .await?
                    .is_some_and(|other| other != input)
            {
                session.stop().await;
                let message = format!("execution {id} has not ended, and was started with another input");
                return Err(
                    Failure::usage(message).hint("leave --input away to let it go on as it is, or choose another --id")
                );
            }
            note(&format!("execution {id} exists and goes on"));
            Some(session.resume(&id, "").await?)
        }
        _ => None,
    };
    if let Some(key) = &args.key
        && let Some(known) = session
            .store
            .start_key(DEFAULT_ORGANIZATION, &workflow.plan.name, key)?
    {
        // Whatever becomes of it is to be shown with its past.
        session.remember(&known.id)?;
        let is_unfinished = session
            .store
            .execution(&known.id)?
            .is_some_and(|row| !row.status.is_finished());
        if is_unfinished && args.no_recover {
            handle = Some(session.resume(&known.id, "").await?);
        }
    }
    if !args.no_recover {
        // They go on beside this one, and are waited for at the end: one that hangs must not hold this one up.
        session.take_up().await?;
    }
    let handle = if let Some(handle) = handle.filter(|_| args.key.is_none()) {
        handle
    } else {
        let input = Payload::of(&input).map_err(|error| Failure::new(Exit::Bug, error))?;
        let request = StartRequest {
            id: Some(id.clone()),
            key: args.key.as_deref().map(|key| start_key(args, key)),
            ..StartRequest::new(workflow.definition, input)
        };
        session.start(request).await?
    };
    if handle.id() != id {
        note(&format!(
            "execution {} has the key already: its result is the answer",
            handle.id()
        ));
        session.mind(handle.id());
    }
    session.conclude(handle).await
}
