//! Programs for the engine: stored bundles, loaded as workflows.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bowline_connector::Registry;
use bowline_core::{Program, StepError};
use bowline_engine::Programs;
use bowline_flow::{Bundle, FlowProgram, LoadOptions, Plan, Runtime, Settings, load};
use bowline_store::Definition;
use serde_json::Value;

use super::{masker, names, workflow};
use crate::terminal::shape::Shape;

/// Makes programs of definitions, and remembers what they look like.
pub(crate) struct FlowPrograms {
    registry: Arc<Registry>,
    runtime: Arc<Runtime>,
    env: BTreeMap<String, String>,
    credentials: Value,
    /// By workflow name, the one that was loaded last.
    shapes: Mutex<HashMap<String, Arc<Shape>>>,
    /// What definitions need must be there.
    careful: AtomicBool,
}

impl FlowPrograms {
    /// Programs that run with these variables and credentials.
    pub(crate) fn new(registry: Arc<Registry>, env: BTreeMap<String, String>, credentials: Value) -> Self {
        let settings = Settings {
            env: env.clone(),
            credentials: credentials.clone(),
            ..Settings::default()
        };
        let runtime = Arc::new(Runtime::new(Arc::clone(&registry), masker().clone(), settings));
        Self {
            registry,
            runtime,
            env,
            credentials,
            shapes: Mutex::default(),
            careful: AtomicBool::new(false),
        }
    }

    /// Whether a definition whose variables are missing is refused. It is while an execution is started or taken
    /// up: better now than after half of its steps.
    pub(crate) fn careful(&self, careful: bool) {
        self.careful.store(careful, Ordering::SeqCst);
    }

    /// What the workflow of this name looks like.
    pub(crate) fn shape(&self, workflow: &str) -> Option<Arc<Shape>> {
        self.shapes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(workflow)
            .cloned()
    }
}

/// Reads a stored definition.
pub(crate) fn read(definition: &Definition, registry: &Registry) -> Result<(Bundle, Plan), StepError> {
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

impl Programs for FlowPrograms {
    fn load(&self, definition: &Definition) -> Result<Arc<dyn Program>, StepError> {
        let (bundle, plan) = read(definition, &self.registry)?;
        if self.careful.load(Ordering::SeqCst) {
            let missing = names::missing(&plan, &self.env, &self.credentials);
            if !missing.is_empty() {
                let names: Vec<String> = missing.into_iter().collect();
                let message = format!(
                    "the workflow reads {}, which this process does not have",
                    names.join(", ")
                );
                return Err(StepError::permanent("definition.environment", message));
            }
        }
        let shape = Arc::new(Shape::new(plan.clone()));
        self.shapes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(plan.name.clone(), shape);
        Ok(Arc::new(FlowProgram::new(
            plan,
            Arc::clone(&self.runtime),
            bundle.folder,
        )))
    }

    fn child(&self, parent: &Definition, workflow: &str) -> Result<Definition, StepError> {
        let bundle = Bundle::from_content(&parent.content).map_err(|error| {
            StepError::permanent("definition.invalid", "the stored definition cannot be read").caused_by(&error)
        })?;
        let child = bundle.child(workflow).ok_or_else(|| {
            StepError::permanent(
                "workflow.unknown",
                format!("no workflow named `{workflow}` was stored with {}", parent.workflow),
            )
        })?;
        Ok(workflow::definition(&child, workflow))
    }
}
