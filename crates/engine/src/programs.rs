//! From a stored definition to something that runs.

use std::sync::Arc;

use bowline_core::{Program, StepError};
use bowline_store::Definition;

/// Makes programs of definitions. A language implements this once.
///
/// What a program reads of its process can differ between organizations, so one definition is a program of its own in
/// each of them.
pub trait Programs: Send + Sync {
    /// The program of a definition in an organization. The engine keeps it, by the two.
    ///
    /// # Errors
    /// Where the definition cannot be run by this version or with this configuration.
    fn load(&self, organization: &str, definition: &Definition) -> Result<Arc<dyn Program>, StepError>;

    /// The definition that `workflow` means when an execution of `parent` starts it, which is of this organization.
    ///
    /// # Errors
    /// Where there is none.
    fn child(&self, organization: &str, parent: &Definition, workflow: &str) -> Result<Definition, StepError>;

    /// How executions of `old` go on on `new`, in this organization. The default refuses.
    ///
    /// # Errors
    /// Where that is not possible at all.
    fn migrate(&self, organization: &str, old: &Definition, new: &Definition) -> Result<Migration, StepError> {
        let _ = organization;
        let message = format!(
            "workflow {} cannot be moved from {} to {}",
            old.workflow, old.hash, new.hash
        );
        Err(StepError::permanent("definition.immovable", message))
    }
}

/// How an execution goes on on another definition.
#[derive(Clone)]
pub struct Migration {
    /// Whether what was done at this path is the same in the new definition, so that its result is kept. Whatever
    /// is not kept runs again.
    pub keep: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    /// Whether the new definition has no place for what was done at this path: its result would be lost, and
    /// nothing would undo it.
    pub missing: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}
