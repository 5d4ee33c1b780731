//! `bowline executions resume`: one execution, taken up again, on its own version of the workflow or on another.

use bowline_engine::Handle;
use bowline_store::{Definition, ExecutionRow, Status, Store};
use serde_json::json;

use super::pause;
use crate::args::ResumeArgs;
use crate::exit::Result;
use crate::wiring::session::{Session, block_on};
use crate::wiring::{api, registry, remote, store, workflow};

pub(super) fn run(args: &ResumeArgs) -> Result {
    // Looked up first, so that a wrong id or file starts no mocks and holds no lock.
    let store = store::existing(&args.engine.data.folder)?;
    let row = store::find(&store, &args.id)?;
    let on = match &args.on {
        Some(file) => Some((file, workflow::open_version(file, &registry())?)),
        None => None,
    };
    block_on(async {
        if let Some(server) = remote::server(&args.engine).await? {
            let server = server.within(&row.organization);
            let mut body = json!({ "reason": args.reason });
            if let Some((file, workflow)) = &on {
                body["on"] = json!(
                    remote::version(&server, &args.engine.data.folder, workflow, file)
                        .await?
                        .number
                );
            }
            let from = remote::records(&store, &row)?;
            let path = format!("executions/{}/resume", api::part(&row.id));
            server.post(&path, &body).await?;
            return remote::conclude(&server, &args.engine, &row.id, from).await;
        }
        if let Some((_, workflow)) = on {
            return onto(args, row, workflow.definition).await;
        }
        let session = Session::open(&args.engine, Some(row.id.clone())).await?;
        let handle = session.resume(&row.id, &args.reason).await;
        follow(session, handle).await
    })
}

/// Moves it to another version. Where it is due it must not go on before that, so it is paused before anything is
/// able to wake it.
async fn onto(args: &ResumeArgs, row: ExecutionRow, definition: Definition) -> Result {
    let folder = &args.engine.data.folder;
    let pauses = !row.status.is_finished() && row.status != Status::Paused;
    if pauses {
        store::open(folder)?.writer()?.commit(&[pause::park(row.exec, true)])?;
    }
    let ended = match Session::open(&args.engine, Some(row.id.clone())).await {
        Ok(session) => {
            let handle = session.resume_on(&row.id, definition, &args.reason).await;
            follow(session, handle).await
        }
        Err(failure) => Err(failure),
    };
    let store = store::open(folder)?;
    let is_paused = store
        .execution(&row.id)?
        .is_some_and(|now| now.status == Status::Paused);
    if ended.is_err() && pauses && is_paused {
        // It goes on at the next run, as it would have.
        store.writer()?.commit(&[pause::park(row.exec, false)])?;
    }
    ended
}

async fn follow(session: Session, handle: Result<Handle>) -> Result {
    match handle {
        Ok(handle) => session.conclude(handle).await,
        Err(failure) => {
            session.quit().await;
            Err(failure)
        }
    }
}
