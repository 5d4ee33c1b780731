//! The page of the command line: the help text of every command.

use std::fmt::Write as _;

use clap::{Command, CommandFactory};

use crate::args::Cli;

/// The page.
pub(crate) fn page() -> String {
    let mut page = String::from(super::MADE);
    page.push_str("# The command line\n");
    let mut cli = Cli::command().term_width(100);
    // Gives subcommands their whole names and the general options.
    cli.build();
    section(&mut cli, &mut page);
    page
}

fn section(command: &mut Command, page: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.clone().term_width(100).render_long_help().to_string();
    let help: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    // Writing to a text cannot fail.
    let _ = write!(page, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n"));
    for sub in command.get_subcommands_mut() {
        if !sub.is_hide_set() && sub.get_name() != "help" {
            section(sub, page);
        }
    }
}
