//! `bowline executions cancel`: by the process that runs it, or here.

use std::time::Duration;

use bowline_store::{RequestKind, Status, Store};

use crate::args::CancelArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal;
use crate::wiring::beside::{Asked, ask, leave_to_rust};
use crate::wiring::session::{Followed, Session, block_on};
use crate::wiring::store;

/// How often it is looked whether the other process is done.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(super) fn run(args: &CancelArgs) -> Result {
    let row = store::find(&store::existing(&args.engine.data.folder)?, &args.id)?;
    match row.status {
        Status::Running | Status::Waiting | Status::Paused => {}
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
    let folder = &args.engine.data.folder;
    let request = RequestKind::Cancel {
        id: id.to_owned(),
        reason: args.reason.clone(),
    };
    match ask(folder, &request, "cancel it", !args.no_wait).await? {
        Asked::Left => return Ok(Exit::Success),
        Asked::Done => {}
        Asked::Nobody => {
            let row = store::find(&store::existing(folder)?, id)?;
            return if leave_to_rust(folder, &row, &request)? {
                Ok(Exit::Success)
            } else {
                here(args, id).await
            };
        }
    }
    // It has taken note of it; now its compensations run.
    let store = store::existing(folder)?;
    loop {
        if let Some(exit) = ended(&store, id)? {
            return Ok(exit);
        }
        if store::holder(folder).is_none() {
            return here(args, id).await;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// How it ended, seen from what was asked for.
fn ended(store: &dyn Store, id: &str) -> Result<Option<Exit>> {
    let status = store.execution(id)?.map(|row| row.status);
    Ok(match status {
        None | Some(Status::Running | Status::Waiting | Status::Paused) => None,
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
        session.quit().await;
        return Ok(exit);
    }
    session.remember(id)?;
    if let Err(error) = session.engine.cancel(id, &args.reason).await {
        session.quit().await;
        return Err(error.into());
    }
    let handle = session.engine.watch(id).await?;
    let followed = session.follow(handle).await?;
    let exit = match &followed {
        Followed::Ended(_) => ended(&session.store, id)?.unwrap_or(Exit::Success),
        Followed::Interrupted | Followed::Waits => Exit::Interrupted,
    };
    session.close(id, &followed).await?;
    Ok(exit)
}
