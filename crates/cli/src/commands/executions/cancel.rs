//! `bowline executions cancel`: by the process that runs it, or here.

use std::time::Duration;

use bowline_store::{RequestKind, Status, Store, StoreError};

use crate::args::CancelArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal;
use crate::wiring::session::{Followed, Session, block_on};
use crate::wiring::store;

/// How often it is looked whether the other process is done.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(super) fn run(args: &CancelArgs) -> Result {
    let row = store::find(&store::existing(&args.engine.data.folder)?, &args.id)?;
    match row.status {
        Status::Running => {}
        Status::Cancelled => {
            terminal::note(&format!("execution {} is cancelled already", row.id));
            return Ok(Exit::Success);
        }
        Status::Succeeded | Status::Failed => {
            return Err(Failure::usage(format!(
                "execution {} has {} already",
                row.id,
                row.status.name()
            )));
        }
    }
    block_on(cancel(args, &row.id))
}

async fn cancel(args: &CancelArgs, id: &str) -> Result {
    let store = store::open(&args.engine.data.folder)?;
    let mut asked = false;
    loop {
        match store.writer() {
            Ok(free) => {
                drop(free);
                break;
            }
            Err(StoreError::Locked { holder, .. }) if !asked => {
                store.request(&RequestKind::Cancel {
                    id: id.to_owned(),
                    reason: args.reason.clone(),
                })?;
                asked = true;
                let holder = holder.unwrap_or_else(|| "another process".into());
                terminal::note(&format!("{holder} runs it and is asked to cancel it"));
                if args.no_wait {
                    return Ok(Exit::Success);
                }
            }
            Err(StoreError::Locked { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        if let Some(exit) = ended(&store, id)? {
            return Ok(exit);
        }
    }
    here(args, id).await
}

/// How it ended, seen from what was asked for.
fn ended(store: &dyn Store, id: &str) -> Result<Option<Exit>> {
    let status = store.execution(id)?.map(|row| row.status);
    Ok(match status {
        None | Some(Status::Running) => None,
        Some(Status::Cancelled) => {
            terminal::note(&format!("execution {id} is cancelled"));
            Some(Exit::Success)
        }
        Some(other) => {
            return Err(Failure::usage(format!(
                "execution {id} has {} before that",
                other.name()
            )));
        }
    })
}

/// Nobody runs it: it is taken up to be cancelled, so that its compensations run.
async fn here(args: &CancelArgs, id: &str) -> Result {
    let mut session = Session::open(&args.engine, Some(id.to_owned())).await?;
    if let Some(exit) = ended(&session.store, id)? {
        return Ok(exit);
    }
    let handle = session.resume(id, "").await?;
    session.engine.cancel(id, &args.reason);
    let followed = session.follow(handle).await?;
    let exit = match &followed {
        Followed::Ended(_) => ended(&session.store, id)?.unwrap_or(Exit::Success),
        Followed::Interrupted => Exit::Interrupted,
    };
    session.close(id, &followed).await?;
    Ok(exit)
}
