//! Executions that were started by executions.

use std::sync::Arc;

use bowline_core::{Input, Outcome, Path, Payload};
use bowline_store::ExecNo;
use tokio::sync::mpsc;

use super::{Driver, Recover};
use crate::env::Stored;

/// A child to begin or to find.
pub(super) struct Child {
    pub(super) path: Path,
    pub(super) id: Path,
    pub(super) workflow: Path,
    pub(super) input: Payload,
    pub(super) detached: bool,
    /// The parent comes from recovery: the child may exist.
    pub(super) recovered: bool,
}

impl Driver {
    pub(super) fn child_ended(&mut self, parent: &Path, child: &Path, outcome: Outcome) {
        if let Some(exec) = self.ids.get(parent)
            && let Some(path) = self.executions.get(exec).and_then(|parent| parent.children.get(child))
        {
            self.io.follow_ups.push_back((
                *exec,
                Input::ChildEnded {
                    path: Arc::clone(path),
                    outcome,
                },
            ));
        }
    }

    /// Begins a child, or finds the one that exists.
    pub(super) fn child(&mut self, parent: ExecNo, child: Child) {
        let Some(running) = self.executions.get_mut(&parent) else {
            return;
        };
        if !child.detached {
            running.children.insert(Arc::clone(&child.id), Arc::clone(&child.path));
        }
        let (parent_id, definition) = (Arc::clone(&running.id), Arc::clone(&running.definition));
        if self.ids.contains_key(&child.id) {
            return;
        }
        if child.recovered {
            match self.io.env.stored_child(&child.id) {
                Ok(Stored::Unknown) => {}
                // Somebody else drives it and will tell.
                Ok(Stored::Driven) => return,
                Ok(Stored::Open(open, (definition, program))) => {
                    let (report, _) = mpsc::unbounded_channel();
                    let recover = Recover {
                        open: *open,
                        definition,
                        program,
                        permit: None,
                        ended: None,
                        resume: None,
                        report,
                    };
                    return self.recover(recover);
                }
                Ok(Stored::Ended(outcome)) => {
                    return self.io.follow_ups.push_back((
                        parent,
                        Input::ChildEnded {
                            path: child.path,
                            outcome,
                        },
                    ));
                }
                Err(error) => {
                    tracing::error!(child = %child.id, %error, "a child cannot be taken up");
                    return;
                }
            }
        }
        match self.io.env.child_program(&definition, &child.workflow) {
            Ok((definition, program)) => {
                let running = self.fresh(child.id, Some(parent_id), definition, &program, child.input);
                self.admit(running);
            }
            Err(error) => {
                let outcome = Outcome::Failed(error);
                self.io.follow_ups.push_back((
                    parent,
                    Input::ChildEnded {
                        path: child.path,
                        outcome,
                    },
                ));
            }
        }
    }
}
