//! The `bowline` binary: runs workflows that survive a crash, and shows what became of them.
//!
//! - [`args`]: what may be written on the command line;
//! - [`commands`]: one file for each command, thin: they call the libraries and say what came of it;
//! - [`wiring`]: the store, the engine, the connectors and the environment put together;
//! - [`terminal`]: progress, tables, colours, and the way out to stdout and stderr;
//! - [`reference`]: the pages that are made from schemas and help texts;
//! - [`exit`]: what the process ends with.
//!
//! What always holds: results go to stdout and everything else to stderr; whatever is printed or logged has
//! been through the process's masker; and a reader of stdout that goes away does not end an execution.

mod args;
mod commands;
mod exit;
mod panics;
mod reference;
mod terminal;
mod wiring;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::args::Cli;
use crate::exit::Exit;

/// A step allocates on one thread and frees on another, which glibc's allocator pays for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let takes_folder = wiring::environment::takes_folder(&matches);
    terminal::palette::choose(cli.color);
    panics::install();
    let ended = std::panic::catch_unwind(|| {
        // The server reads in its configuration how to log.
        if !matches!(cli.command, args::Command::Serve(_)) {
            wiring::logging::install(cli.log.as_deref());
        }
        if takes_folder {
            wiring::environment::refuse_two_folders()?;
        }
        commands::run(cli.command, cli.log.as_deref())
    });
    let exit = match ended {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => failure.report(),
        // The panic hook has told what there is to tell.
        Err(_) => Exit::Bug,
    };
    exit.code()
}
