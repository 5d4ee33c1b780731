//! One file for each command.

mod backup;
mod completions;
mod config;
mod connectors;
mod diff;
mod doctor;
mod executions;
mod explain;
mod generate;
mod graph;
mod init;
mod keys;
mod openapi;
mod organizations;
mod outside;
mod run;
mod schedules;
mod schema;
mod serve;
mod simulate;
mod validate;
mod why;
mod workflows;

use std::path::Path;

use crate::args::Command;
use crate::exit::{Exit, Failure, Result};
use crate::terminal;

/// Does what the command line says. `log` is what it says about logs.
pub(crate) fn run(command: Command, log: Option<&str>) -> Result {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Serve(args) => serve::run(&args, log),
        Command::Config { command } => config::run(&command),
        Command::OpenApi(args) => openapi::run(&args),
        Command::Validate(args) => validate::run(&args),
        Command::Graph(args) => graph::run(&args),
        Command::Executions { command } => executions::run(command),
        Command::Workflows { command } => workflows::run(&command),
        Command::Schedules { command } => schedules::run(&command),
        Command::Callback { command } => outside::callback(&command),
        Command::Signal(args) => outside::signal(&args),
        Command::Approve(args) => outside::approve(&args),
        Command::Approvals(args) => outside::approvals(&args),
        Command::Why(args) => why::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Backup(args) => backup::backup(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Keys { command } => keys::run(&command),
        Command::Organizations { command } => organizations::run(&command),
        Command::Init(args) => init::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Explain { code } => explain::run(code.as_deref()),
        Command::Connectors { name, json } => connectors::run(name.as_deref(), json),
        Command::Completions { shell } => completions::run(shell),
        Command::Generate { check, root } => generate::run(check, &root),
    }
}

/// Writes a text to a file, or to stdout where none is named.
fn deliver(text: &str, file: Option<&Path>) -> Result {
    match file {
        None => terminal::print(text.trim_end_matches('\n'))?,
        Some(path) => write(path, text)?,
    }
    Ok(Exit::Success)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(|error| Failure::usage(format!("{} cannot be written: {error}", path.display())))
}
