//! `bowline executions`: what became of runs, and what can be done about them.

mod cancel;
mod history;
mod list;
mod pause;
mod prune;
mod query;
mod resume;
mod retry;
mod show;

use crate::args::ExecutionsCommand;
use crate::exit::Result;

pub(super) fn run(command: ExecutionsCommand) -> Result {
    match command {
        ExecutionsCommand::List(args) => list::run(&args),
        ExecutionsCommand::Show(args) => show::run(&args),
        ExecutionsCommand::History(args) => history::run(&args),
        ExecutionsCommand::Resume(args) => resume::run(&args),
        ExecutionsCommand::Cancel(args) => cancel::run(&args),
        ExecutionsCommand::Pause(args) => pause::run(&args, true),
        ExecutionsCommand::Unpause(args) => pause::run(&args, false),
        ExecutionsCommand::Retry(args) => retry::retry(&args),
        ExecutionsCommand::Rerun(args) => retry::rerun(&args),
        ExecutionsCommand::Query(args) => query::run(&args),
        ExecutionsCommand::Prune(args) => prune::run(&args),
    }
}
