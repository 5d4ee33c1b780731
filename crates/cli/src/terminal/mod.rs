//! What people and scripts see: results on stdout, everything else on stderr.
//!
//! All of it goes through [`screen`], which keeps live progress below what is printed, and through the
//! process's masker.

pub(crate) mod json;
pub(crate) mod lines;
pub(crate) mod palette;
pub(crate) mod progress;
pub(crate) mod screen;
pub(crate) mod text;
pub(crate) mod tree;

pub(crate) use bowline_host::{model, shape, time};
use serde_json::Value;

use crate::exit::{Exit, Failure, Result};
use crate::wiring::masker;

/// Prints to stderr, above live progress if there is any.
pub(crate) fn note(message: &str) {
    screen::above(&masker().scrub_text(message));
}

/// Prints to stdout, with a line break at the end.
///
/// # Errors
/// Where stdout cannot be written to. A reader that has gone away is no error: the work goes on.
pub(crate) fn print(message: &str) -> Result<()> {
    written(screen::stdout(&masker().scrub_text(message)))
}

/// Prints a JSON value to stdout, over several lines.
pub(crate) fn print_json(value: &Value) -> Result<()> {
    written(screen::stdout(&format!("{:#}", masked(value))))
}

/// Prints a JSON value to stdout as one line.
pub(crate) fn print_json_line(value: &Value) -> Result<()> {
    written(screen::stdout(&masked(value).to_string()))
}

fn masked(value: &Value) -> Value {
    let mut value = value.clone();
    masker().scrub(&mut value);
    value
}

fn written(result: std::io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            let error = anyhow::Error::new(error).context("stdout cannot be written to");
            Err(Failure::new(Exit::Output, error))
        }
        _ => Ok(()),
    }
}
