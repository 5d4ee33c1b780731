//! `bowline generate`: the pages of docs/ that are made from the program itself.

use std::path::Path;

use bowline_flow::language_schema;
use bowline_testing::mocks_schema;

use crate::exit::{Exit, Failure, Result};
use crate::reference;
use crate::terminal;
use crate::wiring::registry;

pub(super) fn run(check: bool, root: &Path) -> Result {
    let registry = registry();
    let pages = [
        ("docs/reference/connectors.md", reference::connectors::page(&registry)),
        ("docs/reference/triggers.md", reference::triggers::page(&registry)),
        ("docs/reference/errors.md", reference::errors::page()),
        ("docs/reference/cli.md", reference::cli::page()),
        ("docs/reference/configuration.md", reference::configuration::page()),
        (
            "docs/schema/workflow.schema.json",
            format!("{:#}\n", language_schema(&registry)),
        ),
        (
            "docs/schema/openapi.json",
            format!("{:#}\n", bowline_server::api::routes().document()),
        ),
        ("docs/schema/mocks.schema.json", format!("{:#}\n", mocks_schema())),
    ];
    let mut stale = Vec::new();
    for (name, text) in &pages {
        let path = root.join(name);
        // One that cannot be read is out of date too.
        if std::fs::read_to_string(&path).is_ok_and(|now| now == *text) {
            continue;
        }
        stale.push(*name);
        if !check {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(|error| {
                    Failure::usage(format!("the folder {} cannot be made: {error}", folder.display()))
                })?;
            }
            super::write(&path, text)?;
        }
    }
    for name in &stale {
        let what = if check { "out of date" } else { "written" };
        terminal::print(&format!("{what}: {name}"))?;
    }
    if check && !stale.is_empty() {
        return Err(
            Failure::usage(format!("{} out of date", terminal::text::count(stale.len(), "page")))
                .hint("run `bowline generate`"),
        );
    }
    Ok(Exit::Success)
}
