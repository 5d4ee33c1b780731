//! From a stored definition to something that runs.

use std::sync::Arc;

use bowline_core::{Program, StepError};
use bowline_store::Definition;

/// Makes programs of definitions. A language implements this once.
pub trait Programs: Send + Sync {
    /// The program of a definition. The engine keeps it, by the definition's hash.
    ///
    /// # Errors
    /// Where the definition cannot be run by this version or with this configuration.
    fn load(&self, definition: &Definition) -> Result<Arc<dyn Program>, StepError>;

    /// The definition that `workflow` means when an execution of `parent` starts it.
    ///
    /// # Errors
    /// Where there is none.
    fn child(&self, parent: &Definition, workflow: &str) -> Result<Definition, StepError>;
}
