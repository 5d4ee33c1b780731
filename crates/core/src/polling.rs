//! Which execution this thread is polling: only its program may ask for operations.
//!
//! A context is easily carried to where it does not belong, such as into the body of a step. What is asked for there
//! would come in an order that no replay repeats, so it is refused.

use std::cell::Cell;
use std::sync::Arc;

use crate::StepError;
use crate::state::Shared;

thread_local! {
    /// The address of what the polled execution shares with its program; 0 while there is none.
    static POLLED: Cell<usize> = const { Cell::new(0) };
}

/// While this exists, the thread polls an execution, or wakes what it waits for.
pub(crate) struct Polling {
    around: usize,
}

impl Polling {
    pub(crate) fn begin(shared: &Arc<Shared>) -> Self {
        Self {
            around: POLLED.replace(address(shared)),
        }
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        POLLED.set(self.around);
    }
}

/// Whether this thread is polling any execution.
pub(crate) fn is_polling() -> bool {
    POLLED.get() != 0
}

/// Whether this thread is polling the execution.
pub(crate) fn is_polled(shared: &Arc<Shared>) -> bool {
    POLLED.get() == address(shared)
}

fn address(shared: &Arc<Shared>) -> usize {
    Arc::as_ptr(shared).addr()
}

/// The error of what was asked for where it must not be.
pub(crate) fn outside(name: &str) -> StepError {
    StepError::permanent(
        "program.outside",
        format!(
            "`{name}` was asked for outside of the program, such as in the body of a step or in a task of the async \
             runtime; ask for it in the program itself"
        ),
    )
}
