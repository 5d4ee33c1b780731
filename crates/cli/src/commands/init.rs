//! `bowline init`: a small example that runs.

use std::fs::OpenOptions;
use std::io::Write;

use crate::args::InitArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal;

/// What is replaced by the name of the workflow.
const NAME: &str = "{{name}}";

pub(super) fn run(args: &InitArgs) -> Result {
    let name = args.name.as_str();
    let good = name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if !good {
        return Err(
            Failure::usage(format!("{} cannot be a name", terminal::text::one_line(name)))
                .hint("use letters, digits, - and _"),
        );
    }
    let workflow = format!("{name}.yaml");
    let files = [
        (workflow.as_str(), include_str!("init/workflow.yaml")),
        ("mocks.yaml", include_str!("init/mocks.yaml")),
        ("input.json", include_str!("init/input.json")),
        ("README.md", include_str!("init/readme.md")),
        (".gitignore", ".bowline/\n"),
    ];
    let folder = &args.folder;
    let there: Vec<&str> = files
        .iter()
        .map(|(file, _)| *file)
        .filter(|file| folder.join(file).exists())
        .collect();
    if !there.is_empty() {
        return Err(
            Failure::usage(format!("{} exists already: {}", folder.display(), there.join(", ")))
                .hint("name another folder, or another workflow with --name"),
        );
    }
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::usage(format!("the folder {} cannot be made: {error}", folder.display())))?;
    for (file, text) in files {
        let path = folder.join(file);
        // Made new, so that a file that came in between is not overwritten either.
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .and_then(|mut new| new.write_all(text.replace(NAME, name).as_bytes()));
        written.map_err(|error| Failure::usage(format!("{} cannot be written: {error}", path.display())))?;
        terminal::note(&format!("wrote {}", path.display()));
    }
    let there = if folder.as_os_str() == "." {
        String::new()
    } else {
        format!("cd {} && ", folder.display())
    };
    terminal::note(&format!(
        "now: {there}bowline run {workflow} --mocks mocks.yaml --input @input.json"
    ));
    Ok(Exit::Success)
}
