//! What comes from outside: `bowline callback`, `signal`, `approve`, and the lists of what is waited for.
//!
//! All of them work beside a process that runs executions, through a request in the store, and without one: then
//! this process delivers, and goes on with the execution until it ends or waits for something else.

mod address;
mod approve;
mod deliver;
mod kept;
mod list;
mod signal;

use bowline_core::{Answer, Payload, StepError};
use serde_json::Value;

use crate::args::{CallbackCommand, FailArgs, HeartbeatArgs, SucceedArgs};
use crate::exit::{Exit, Failure, Result};
use crate::wiring::files;

pub(super) use approve::{approvals, approve};
pub(super) use signal::signal;

pub(super) fn callback(command: &CallbackCommand) -> Result {
    match command {
        CallbackCommand::Succeed(args) => succeed(args),
        CallbackCommand::Fail(args) => fail(args),
        CallbackCommand::Heartbeat(args) => heartbeat(args),
        CallbackCommand::List(args) => list::run(args),
        CallbackCommand::Deliver(args) => kept::deliver(args),
        CallbackCommand::Drop(args) => kept::drop(args),
    }
}

fn succeed(args: &SucceedArgs) -> Result {
    let output = payload(args.payload.as_deref())?;
    let address = address::of(&args.engine.data.folder, &args.target, &args.more)?;
    deliver::run(&args.engine, &address, Answer::Succeeded { output, event: None })
}

fn fail(args: &FailArgs) -> Result {
    let mut error = StepError::permanent(&args.error, &args.cause);
    if args.error.trim().is_empty() {
        return Err(Failure::usage("--error is empty").hint("give a code such as valuation.refused"));
    }
    if let Some(data) = &args.payload {
        error = error.with_data(files::input(Some(data))?);
    }
    let address = address::of(&args.engine.data.folder, &args.target, &args.more)?;
    deliver::run(&args.engine, &address, Answer::Failed(error))
}

fn heartbeat(args: &HeartbeatArgs) -> Result {
    let address = address::of(&args.engine.data.folder, &args.target, &args.more)?;
    deliver::run(&args.engine, &address, Answer::Heartbeat)
}

/// What is sent; null where nothing is given.
fn payload(given: Option<&str>) -> Result<Payload> {
    let value = match given {
        Some(_) => files::input(given)?,
        None => Value::Null,
    };
    Payload::of(&value).map_err(|error| Failure::new(Exit::Bug, error))
}
