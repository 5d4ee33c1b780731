//! A workflow's file, with everything that it starts, as a definition that can be stored.

use std::collections::BTreeMap;
use std::path::Path;

use bowline_connector::Registry;
use bowline_flow::plan::StepKind;
use bowline_flow::{Bundle, LoadOptions, Plan, Problems, Source, load, load_file, workflow_files_in, workflows_in};
use bowline_store::Definition;

/// Why a workflow's file cannot be opened.
#[derive(Debug)]
pub enum OpenError {
    /// It, or one that it starts, has problems.
    Problems(Problems),
    /// Its folder cannot be used.
    Folder(String),
}

impl From<Problems> for OpenError {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}

/// A workflow that can be started.
pub struct Workflow {
    /// Its plan.
    pub plan: Plan,
    /// What is stored.
    pub definition: Definition,
}

/// Loads a workflow and those that it, or one of them, starts. All problems of all of them are told.
///
/// # Errors
/// What is wrong with any of them.
pub fn open(file: &Path, registry: &Registry) -> Result<Workflow, OpenError> {
    let plan = load_file(file, registry)?;
    with_children(file, plan, registry)
}

fn with_children(file: &Path, plan: Plan, registry: &Registry) -> Result<Workflow, OpenError> {
    let parent = folder_of(file);
    let folder = std::fs::canonicalize(parent)
        .map_err(|error| OpenError::Folder(format!("the folder {} cannot be used: {error}", parent.display())))?;
    let children = children(&plan, parent, registry)?;
    let bundle = Bundle::new(folder, plan.source.clone(), children);
    Ok(Workflow {
        definition: definition(&bundle, &plan.name),
        plan,
    })
}

/// As [`open`], for a file that may stand beside the version that it is to replace: another file with the same name
/// of a workflow is no problem.
///
/// # Errors
/// As [`open`].
pub fn open_version(file: &Path, registry: &Registry) -> Result<Workflow, OpenError> {
    let source = Source::read(file)?;
    let workflows = source.text.contains("workflow").then(|| workflows_in(folder_of(file)));
    let options = LoadOptions {
        workflows,
        ..LoadOptions::default()
    };
    let plan = load(source, registry, &options)?;
    with_children(file, plan, registry)
}

fn folder_of(file: &Path) -> &Path {
    file.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// What is stored of a bundle whose main workflow has this name.
pub fn definition(bundle: &Bundle, name: &str) -> Definition {
    Definition {
        hash: bundle.hash(),
        workflow: name.to_owned(),
        content: bundle.content().into(),
    }
}

/// The workflows that a plan starts as steps.
pub(crate) fn started_by(plan: &Plan) -> Vec<String> {
    plan.all_steps()
        .into_iter()
        .filter_map(|step| match &step.kind {
            StepKind::Workflow { name, .. } => Some(name.clone()),
            _ => None,
        })
        .collect()
}

fn children(plan: &Plan, folder: &Path, registry: &Registry) -> Result<BTreeMap<String, Source>, Problems> {
    let mut found = BTreeMap::new();
    let mut wanted = started_by(plan);
    if wanted.is_empty() {
        return Ok(found);
    }
    let files = workflow_files_in(folder);
    let mut problems = Vec::new();
    while let Some(name) = wanted.pop() {
        if name == plan.name || found.contains_key(&name) {
            continue;
        }
        // The checker has refused names that nothing has.
        let Some(file) = files.get(&name) else { continue };
        match load_file(file, registry) {
            Ok(child) => {
                wanted.extend(started_by(&child));
                found.insert(name, child.source.clone());
            }
            Err(wrong) => {
                problems.extend(wrong.0);
                found.insert(name, Source::new(file.display().to_string(), ""));
            }
        }
    }
    if problems.is_empty() {
        Ok(found)
    } else {
        Err(Problems(problems))
    }
}
