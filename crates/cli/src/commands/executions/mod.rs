//! `bowline executions`: what became of runs, and what can be done about them.

mod cancel;
mod history;
mod list;
mod resume;
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
    }
}
