//! `bowline executions resume`: one execution, taken up again, on its own version of the workflow or on another.

use bowline_store::Status;

use crate::args::ResumeArgs;
use crate::exit::Result;
use crate::wiring::session::{Session, block_on};
use crate::wiring::{registry, store, workflow};

pub(super) fn run(args: &ResumeArgs) -> Result {
    // Looked up first, so that a wrong id or file starts no mocks and holds no lock.
    let row = store::find(&store::existing(&args.engine.data.folder)?, &args.id)?;
    let (id, was_paused) = (row.id, row.status == Status::Paused);
    let on = match &args.on {
        Some(file) => Some(workflow::open_version(file, &registry())?.definition),
        None => None,
    };
    block_on(async {
        let session = Session::open(&args.engine, Some(id.clone())).await?;
        let moves = on.is_some();
        let handle = match on {
            Some(definition) => session.resume_on(&id, definition, &args.reason).await,
            None => session.resume(&id, &args.reason).await,
        };
        match handle {
            Ok(handle) => session.conclude(handle).await,
            Err(failure) => {
                // To be moved it was paused first.
                if moves && !was_paused {
                    session.engine.unpause(&id).await?;
                }
                session.quit().await;
                Err(failure)
            }
        }
    })
}
