//! `bowline explain`: what an error code means and what to do about it.

use bowline_flow::codes::{EXPLANATIONS, explain};

use crate::exit::{Exit, Failure, Result};
use crate::terminal;
use crate::terminal::palette::To;

pub(super) fn run(code: Option<&str>) -> Result {
    let to = To::Stdout;
    let Some(code) = code else {
        for known in EXPLANATIONS {
            terminal::print(&format!("{}  {}", to.bold(known.code), known.title))?;
        }
        return Ok(Exit::Success);
    };
    let Some(known) = explain(code) else {
        return Err(unknown(code));
    };
    terminal::print(&format!(
        "{}: {}\n\n{}\n\n{} {}",
        to.bold(known.code),
        known.title,
        known.text,
        to.bold("What to do:"),
        known.mend
    ))?;
    Ok(Exit::Success)
}

fn unknown(code: &str) -> Failure {
    let known: Vec<String> = EXPLANATIONS.iter().map(|known| known.code.to_string()).collect();
    let wanted = code.trim().to_uppercase();
    let near = bowline_expression::nearest(&wanted, known.iter().map(String::as_str))
        .and_then(explain)
        .map_or_else(String::new, |near| {
            format!("did you mean {} ({})? ", near.code, near.title)
        });
    Failure::usage(format!("there is no code {}", terminal::text::one_line(code)))
        .hint(format!("{near}`bowline explain` lists all of them"))
}
