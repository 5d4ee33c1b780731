//! `bowline completions`: scripts for shells.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::{Exit, Result};
use crate::terminal;

pub(super) fn run(shell: Shell) -> Result {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bowline", &mut script);
    terminal::print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Success)
}
