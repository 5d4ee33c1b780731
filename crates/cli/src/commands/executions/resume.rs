//! `bowline executions resume`: one execution, taken up again.

use crate::args::ResumeArgs;
use crate::exit::{Exit, Result};
use crate::wiring::session::{Followed, Session, block_on};
use crate::wiring::store;

pub(super) fn run(args: &ResumeArgs) -> Result {
    // Looked up first, so that a wrong id starts no mocks and holds no lock.
    let id = store::find(&store::existing(&args.engine.data.folder)?, &args.id)?.id;
    block_on(async {
        let mut session = Session::open(&args.engine, Some(id.clone())).await?;
        let handle = session.resume(&id, &args.reason).await?;
        let followed = session.follow(handle).await?;
        let exit = match &followed {
            Followed::Ended(outcome) => session.tell(&id, outcome)?,
            Followed::Interrupted => Exit::Interrupted,
        };
        session.close(&id, &followed).await?;
        Ok(exit)
    })
}
