//! `bowline validate`: everything that is wrong with workflows.

use std::path::{Path, PathBuf};

use bowline_connector::Registry;
use bowline_flow::{Problem, is_workflow_file, load_file};
use serde_json::json;

use crate::args::ValidateArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal::palette::To;
use crate::terminal::{self, text};
use crate::wiring::registry;

/// The code of a file that is no workflow at all.
const NOT_A_WORKFLOW: &str = "BOW0132";

struct Checked {
    file: PathBuf,
    /// The workflow's name, where it is sound.
    name: Option<String>,
    problems: Vec<Problem>,
}

pub(super) fn run(args: &ValidateArgs) -> Result {
    let registry = registry();
    let mut all = Vec::new();
    for path in &args.files {
        if path.is_dir() {
            let found = folder(path, &registry)?;
            if found.is_empty() {
                return Err(Failure::usage(format!("there are no workflows in {}", path.display())));
            }
            all.extend(found);
        } else {
            all.push(check(path.clone(), &registry));
        }
    }
    if args.json {
        tell_json(&all)?;
    } else {
        tell(&all)?;
    }
    let sound = all.iter().all(|one| one.problems.is_empty());
    Ok(if sound { Exit::Success } else { Exit::Usage })
}

fn check(file: PathBuf, registry: &Registry) -> Checked {
    match load_file(&file, registry) {
        Ok(plan) => Checked {
            file,
            name: Some(plan.name.clone()),
            problems: Vec::new(),
        },
        Err(problems) => Checked {
            file,
            name: None,
            problems: problems.0,
        },
    }
}

/// The workflows of a folder. Mocks, inputs and whatever else lies beside them is left out.
fn folder(folder: &Path, registry: &Registry) -> Result<Vec<Checked>> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| Failure::usage(format!("the folder {} cannot be read: {error}", folder.display())))?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && is_candidate(path))
        .collect();
    files.sort();
    let checked = files.into_iter().map(|file| check(file, registry));
    Ok(checked.filter(|one| !is_something_else(one)).collect())
}

fn is_candidate(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    is_workflow_file(path) && !name.starts_with("mocks") && !name.starts_with("input")
}

fn is_something_else(checked: &Checked) -> bool {
    checked
        .problems
        .iter()
        .any(|problem| problem.code.to_string() == NOT_A_WORKFLOW)
}

fn tell(all: &[Checked]) -> Result<()> {
    let to = To::Stdout;
    for one in all {
        match &one.name {
            Some(name) => terminal::print(&format!("{} {}: {name}", to.good("✓"), one.file.display()))?,
            None => {
                for problem in &one.problems {
                    terminal::print(&problem.to_string())?;
                }
            }
        }
    }
    let problems: usize = all.iter().map(|one| one.problems.len()).sum();
    let wrong = all.iter().filter(|one| !one.problems.is_empty()).count();
    let files = text::count(all.len(), "workflow");
    terminal::print(&if problems == 0 {
        format!("{files}, no problems")
    } else {
        format!("{files}, {} in {wrong} of them", text::count(problems, "problem"))
    })
}

fn tell_json(all: &[Checked]) -> Result<()> {
    let files: Vec<_> = all
        .iter()
        .map(|one| json!({ "file": one.file.display().to_string(), "workflow": one.name, "problems": one.problems }))
        .collect();
    let valid = all.iter().all(|one| one.problems.is_empty());
    terminal::print_json(&json!({ "valid": valid, "files": files }))
}
