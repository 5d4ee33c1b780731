//! `bowline executions retry` and `rerun`: an ended execution done again from a step, as a new one.

use bowline_core::Payload;
use bowline_engine::Retry;

use crate::args::{EngineArgs, RerunArgs, RetryArgs};
use crate::exit::{Exit, Failure, Result};
use crate::wiring::session::{Session, block_on};
use crate::wiring::{files, store};

pub(super) fn retry(args: &RetryArgs) -> Result {
    let retry = Retry {
        id: None,
        from: args.from.clone(),
        input: None,
        new_keys: args.new_keys,
        reason: "retried by hand".to_owned(),
    };
    start(&args.engine, &args.id, retry)
}

pub(super) fn rerun(args: &RerunArgs) -> Result {
    let input = match &args.input {
        Some(given) => {
            let value = files::input(Some(given))?;
            Some(Payload::of(&value).map_err(|error| Failure::new(Exit::Bug, error))?)
        }
        None => None,
    };
    let retry = Retry {
        id: None,
        from: Some(args.from.clone()),
        input,
        new_keys: args.new_keys,
        reason: "run again by hand".to_owned(),
    };
    start(&args.engine, &args.id, retry)
}

fn start(args: &EngineArgs, id: &str, retry: Retry) -> Result {
    // Looked up first, so that a wrong id starts no mocks and holds no lock.
    let id = store::find(&store::existing(&args.data.folder)?, id)?.id;
    block_on(async {
        let session = Session::open(args, None).await?;
        match session.engine.retry(&id, retry).await {
            Ok(handle) => {
                session.mind(handle.id());
                session.conclude(handle).await
            }
            Err(error) => {
                session.quit().await;
                Err(error.into())
            }
        }
    })
}
