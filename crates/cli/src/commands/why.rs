//! `bowline why`: what an execution waits for, in one line.

use serde_json::to_value;

use crate::args::OneArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal;
use crate::wiring::{store, why};

pub(super) fn run(args: &OneArgs) -> Result {
    let store = store::existing(&args.data.folder)?;
    let row = store::find(&store, &args.id)?;
    let why = why::explain(&store, &args.data.folder, &row)?;
    if args.json {
        terminal::print_json(&to_value(&why).map_err(|error| Failure::new(Exit::Bug, error))?)?;
    } else {
        terminal::print(&why.line)?;
    }
    Ok(Exit::Success)
}
