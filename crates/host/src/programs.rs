//! Programs for the engine: stored bundles, loaded as workflows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bowline_connector::Registry;
use bowline_core::{Program, StepError};
use bowline_engine::{Migration, Programs};
use bowline_flow::{Bundle, Difference, FlowProgram, LoadOptions, Plan, load};
use bowline_store::Definition;
use serde_json::Value;

use crate::organizations::{self, Organizations};
use crate::shape::Shape;
use crate::{names, sources};

/// Makes programs of definitions, and remembers what they look like.
pub struct FlowPrograms {
    organizations: Arc<Organizations>,
    /// By workflow name, the one that was loaded last.
    shapes: Mutex<HashMap<String, Arc<Shape>>>,
}

impl FlowPrograms {
    /// Programs that run with what their organization is given.
    #[must_use]
    pub fn new(organizations: Arc<Organizations>) -> Self {
        Self {
            organizations,
            shapes: Mutex::default(),
        }
    }

    /// What the workflow of this name looks like.
    pub fn shape(&self, workflow: &str) -> Option<Arc<Shape>> {
        self.shapes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(workflow)
            .cloned()
    }
}

/// What a stored definition says that stands for code in a program of its own: which version of the workflow that is.
/// None for a workflow that was read from files.
pub fn in_rust(definition: &Definition) -> Option<String> {
    let content: Value = serde_json::from_slice(&definition.content).ok()?;
    content["rust"]["version"].as_str().map(ToOwned::to_owned)
}

/// The code of the error with which a workflow is left to the Rust program that has it.
pub const IN_RUST: &str = "definition.rust";

/// Reads a stored definition.
///
/// # Errors
/// Where it stands for a program in Rust, or this version of the program refuses it.
pub fn read(definition: &Definition, registry: &Registry) -> Result<(Bundle, Plan), StepError> {
    if let Some(version) = in_rust(definition) {
        let name = &definition.workflow;
        let message = format!("{name} (version {version}) runs in the Rust program that started it, and only there");
        return Err(StepError::permanent(IN_RUST, message));
    }
    let bundle = Bundle::from_content(&definition.content).map_err(|error| {
        StepError::permanent("definition.invalid", "the stored definition cannot be read").caused_by(&error)
    })?;
    let plan = load(bundle.main.clone(), registry, &LoadOptions::default()).map_err(|problems| {
        let all: Vec<String> = problems
            .0
            .iter()
            .map(|problem| format!("{}: {} [{}]", problem.location, problem.message, problem.code))
            .collect();
        let message = format!(
            "this version of bowline refuses the stored workflow: {}",
            all.join("; ")
        );
        StepError::permanent("definition.refused", message)
    })?;
    Ok((bundle, plan))
}

/// What an execution takes along from one version of its workflow to another.
#[must_use]
pub fn migration(difference: Arc<Difference>) -> Migration {
    let lost = Arc::clone(&difference);
    Migration {
        keep: Arc::new(move |path| difference.keeps(path)),
        missing: Arc::new(move |path| lost.missing(path).is_some()),
    }
}

impl Programs for FlowPrograms {
    fn load(&self, organization: &str, definition: &Definition) -> Result<Arc<dyn Program>, StepError> {
        let (bundle, plan) = read(definition, self.organizations.registry())?;
        self.organizations.prepare(organization)?;
        let own = self.organizations.of(organization);
        // Better now than after half of its steps.
        let missing = names::missing(&plan, &own.settings.env, &own.settings.credentials);
        if !missing.is_empty() {
            let message = organizations::lacks(organization, &missing);
            return Err(StepError::permanent("definition.environment", message));
        }
        let shape = Arc::new(Shape::new(plan.clone()));
        self.shapes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(plan.name.clone(), shape);
        Ok(Arc::new(FlowProgram::new(plan, own.runtime, bundle.folder)))
    }

    fn migrate(&self, _: &str, old: &Definition, new: &Definition) -> Result<Migration, StepError> {
        let ((_, old), (_, new)) = (
            read(old, self.organizations.registry())?,
            read(new, self.organizations.registry())?,
        );
        Ok(migration(Arc::new(bowline_flow::diff(&old, &new))))
    }

    fn child(&self, _: &str, parent: &Definition, workflow: &str) -> Result<Definition, StepError> {
        let bundle = Bundle::from_content(&parent.content).map_err(|error| {
            StepError::permanent("definition.invalid", "the stored definition cannot be read").caused_by(&error)
        })?;
        let child = bundle.child(workflow).ok_or_else(|| {
            StepError::permanent(
                "workflow.unknown",
                format!("no workflow named `{workflow}` was stored with {}", parent.workflow),
            )
        })?;
        Ok(sources::definition(&child, workflow))
    }
}
