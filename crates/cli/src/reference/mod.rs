//! Pages that are made from the program itself: connectors, triggers, error codes, the command line.

pub(crate) mod cli;
pub(crate) mod configuration;
pub(crate) mod connectors;
pub(crate) mod errors;
mod fields;
pub(crate) mod triggers;

/// The first line of every page.
const MADE: &str = "<!-- Made by `bowline generate`. Do not edit. -->\n\n";
