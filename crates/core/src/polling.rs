//! Which execution this thread is polling: only its program may ask for operations.
//!
//! A context is easily carried to where it does not belong, such as into the body of a step. What is asked for there
//! would come in an order that no replay repeats, so it is refused.

use std::cell::RefCell;
use std::sync::Arc;

use crate::StepError;
use crate::state::Shared;

thread_local! {
    /// What the polled execution shares with its program; none while there is no such execution.
    static POLLED: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// While this exists, the thread polls an execution, or wakes what it waits for.
pub(crate) struct Polling {
    around: Option<Arc<Shared>>,
}

impl Polling {
    pub(crate) fn begin(shared: &Arc<Shared>) -> Self {
        Self {
            around: POLLED.replace(Some(Arc::clone(shared))),
        }
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        drop(POLLED.replace(self.around.take()));
    }
}

/// Whether this thread is polling any execution.
pub(crate) fn is_polling() -> bool {
    POLLED.with_borrow(Option::is_some)
}

/// Whether this thread is polling the execution.
pub(crate) fn is_polled(shared: &Arc<Shared>) -> bool {
    POLLED.with_borrow(|polled| polled.as_ref().is_some_and(|polled| Arc::ptr_eq(polled, shared)))
}

/// What the execution shares with its program that this thread is polling.
pub(crate) fn polled() -> Option<Arc<Shared>> {
    POLLED.with_borrow(Clone::clone)
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
