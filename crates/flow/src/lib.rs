//! The native workflow language: parse, check, plan, and run on the core.
//!
//! A workflow is a YAML or JSON document. [`load`] makes a [`Plan`] of it, or says everything that is wrong
//! with it, each [`Problem`] with file, line, column, path and a hint. The interpreter walks plans only, so
//! it never meets a document that has not been checked.
//!
//! How a document becomes a plan:
//! 1. `tree` reads the text into values that know where they stand, within bounds;
//! 2. `schema` checks their shape against `schema/language.json` and the connectors' own schemas;
//! 3. `lower` resolves names, compiles templates and brings the ways of writing things into one.

mod bundle;
pub mod codes;
mod cursor;
pub mod diff;
mod folder;
pub mod graph;
mod lower;
pub mod plan;
mod problem;
mod report;
mod run;
mod schema;
mod shared;
mod source;
mod tree;
mod unserved;

use std::path::Path;

use bowline_connector::Registry;

pub use bundle::Bundle;
pub use codes::explain;
pub use diff::{Difference, diff};
pub use folder::{
    Outline, is_something_else, is_workflow_file, name_and_children, outline, workflow_files_in, workflows_in,
};
pub use lower::{LoadOptions, load};
pub use plan::Plan;
pub use problem::{Problem, Problems};
pub use run::{FlowProgram, Misfit, Runtime, Settings, check_answer, check_input, misfits_of_answer, misfits_of_input};
pub use schema::language_schema;
pub use shared::SharedFile;
pub use source::{SHARED_FILE, Shared, Source};

/// Loads a workflow's file, with `bowline.yaml` and the other workflows beside it.
///
/// # Errors
/// Everything that is wrong, also that the file cannot be read.
pub fn load_file(path: &Path, registry: &Registry) -> Result<Plan, Problems> {
    let source = Source::read(path)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    // The folder is only looked at when there may be something to look up.
    let workflows = source.text.contains("workflow").then(|| workflows_in(folder));
    let twins = folder::twins(path, folder, &source, workflows.is_some());
    load(source, registry, &LoadOptions { workflows, twins })
}

/// Reads YAML or JSON into a value, with the bounds and the strictness of workflow files. For other documents
/// of the program, such as inputs.
///
/// # Errors
/// Why it is no document.
pub fn document(text: &str) -> Result<serde_json::Value, Problems> {
    lower::document(text)
}

impl Plan {
    /// Makes the plan again of what [`Source::content`] gave, as it is stored for an execution. The names
    /// of child workflows are not looked up: they are when a step starts one.
    ///
    /// # Errors
    /// That the content is something else, or that this version of the program refuses it.
    pub fn from_content(content: &[u8], registry: &Registry) -> Result<Self, Problems> {
        load(Source::from_content(content)?, registry, &LoadOptions::default())
    }
}
