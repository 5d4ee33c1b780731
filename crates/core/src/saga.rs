//! Undoing what was done, newest first.
//!
//! A [`Saga`] collects what would undo each completed action. [`Saga::compensate`] runs it in reverse
//! order, out of reach of cancellation; one undoing that fails does not keep the others from running.

use crate::combine::Branch;
use crate::mutants::{Mutant, on};
use crate::{Context, StepError};

type Undo = Box<dyn FnOnce(Context) -> Branch<'static, Result<(), StepError>> + Send>;

/// What would have to be undone.
#[derive(Default)]
pub struct Saga {
    undo: Vec<(String, Undo)>,
}

/// An undoing that failed: what it is about is left as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct NotUndone {
    /// The name under which it was added.
    pub name: String,
    /// Why.
    pub error: StepError,
}

impl Saga {
    /// Adds what undoes an action that is done.
    pub fn done<F>(&mut self, name: impl Into<String>, undo: F)
    where
        F: FnOnce(Context) -> Branch<'static, Result<(), StepError>> + Send + 'static,
    {
        self.undo.push((name.into(), Box::new(undo)));
    }

    /// How many actions could be undone.
    #[must_use]
    pub fn len(&self) -> usize {
        self.undo.len()
    }

    /// Whether there is nothing to undo.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.undo.is_empty()
    }

    /// Takes over everything that `other` would undo, as done after this one's own.
    pub fn absorb(&mut self, other: Self) {
        self.undo.extend(other.undo);
    }

    /// Undoes everything, newest first, and says what could not be undone.
    pub async fn compensate(self, context: &Context) -> Vec<NotUndone> {
        let mut left = Vec::new();
        let skipped = usize::from(on(Mutant::SkipCompensation));
        for (name, undo) in self.undo.into_iter().rev().skip(skipped) {
            if let Err(error) = undo(context.shielded()).await {
                left.push(NotUndone { name, error });
            }
        }
        left
    }
}
