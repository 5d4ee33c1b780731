//! `bowline connectors`: what steps and connections there are, and the reference of each.

use serde_json::{Value, json};

use crate::exit::{Exit, Failure, Result};
use crate::reference::connectors::{Entry, all};
use crate::terminal;
use crate::terminal::palette::To;
use crate::wiring::registry;

pub(super) fn run(name: Option<&str>, json: bool) -> Result {
    let registry = registry();
    let entries = all(&registry);
    match name {
        None if json => terminal::print_json(&list_json(&entries))?,
        None => list(&entries)?,
        Some(name) => {
            let chosen: Vec<&Entry> = entries.iter().filter(|entry| entry.name == name).collect();
            if chosen.is_empty() {
                return Err(unknown(name, &entries));
            }
            for entry in chosen {
                if json {
                    terminal::print_json(
                        &json!({ "name": entry.name, "config": entry.config, "output": entry.output }),
                    )?;
                } else {
                    terminal::print(entry.markdown(1).trim_end())?;
                }
            }
        }
    }
    Ok(Exit::Success)
}

fn list(entries: &[Entry]) -> Result<()> {
    let to = To::Stdout;
    let width = entries.iter().map(|entry| entry.name.len()).max().unwrap_or_default();
    for (title, is_connector) in [("Connectors (`type:` of a step)", true), ("Connection types", false)] {
        terminal::print(&to.bold(title).to_string())?;
        for entry in entries.iter().filter(|entry| entry.is_connector() == is_connector) {
            terminal::print(&format!("  {:width$}  {}", entry.name, entry.summary()))?;
        }
    }
    Ok(())
}

fn list_json(entries: &[Entry]) -> Value {
    let one = |entry: &Entry| {
        let kind = if entry.is_connector() {
            "connector"
        } else {
            "connection"
        };
        json!({ "name": entry.name, "kind": kind, "description": entry.summary() })
    };
    entries.iter().map(one).collect()
}

fn unknown(name: &str, entries: &[Entry]) -> Failure {
    let near = bowline_expression::nearest(name, entries.iter().map(|entry| entry.name));
    let near = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
    Failure::usage(format!(
        "there is no connector or connection type {}",
        terminal::text::one_line(name)
    ))
    .hint(format!("{near}`bowline connectors` lists all of them"))
}
