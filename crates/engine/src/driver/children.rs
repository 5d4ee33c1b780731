//! Executions that were started by executions.

use std::sync::Arc;

use bowline_core::{Input, Outcome, Path, Payload};
use bowline_store::{Definition, ExecNo};
use tokio::sync::mpsc;

use super::lifecycle::Place;
use super::{Driver, Recover};
use crate::backlog::Placed;
use crate::blobs::{is_absent, refers_to_payloads};
use crate::engine::EngineError;
use crate::env::Stored;
use crate::keys::Beginning;

/// A child to begin or to find.
pub(super) struct Child {
    pub(super) parent: ExecNo,
    pub(super) parent_id: Path,
    pub(super) organization: Path,
    /// What the parent runs.
    pub(super) definition: Arc<Definition>,
    pub(super) path: Path,
    pub(super) id: Path,
    pub(super) workflow: Path,
    pub(super) input: Payload,
    /// The trace of the parent, which it belongs to as well.
    pub(super) trace: Option<Path>,
    /// The parent comes from recovery: the child may exist.
    pub(super) recovered: bool,
}

impl Driver {
    pub(super) fn child_ended(&mut self, parent: &Path, child: &Path, outcome: Outcome) {
        if let Some(exec) = self.ids.get(parent)
            && let Some(path) = self
                .executions
                .get_mut(exec)
                .and_then(|parent| parent.children.remove(child))
        {
            self.io
                .follow_ups
                .push_back((*exec, Input::ChildEnded { path, outcome }));
        }
    }

    /// Begins a child, or finds the one that exists. Its parent may have ended with the same record.
    pub(super) fn child(&mut self, child: Child) {
        let parent = child.parent;
        if self.ids.contains_key(&child.id) {
            return;
        }
        if child.recovered {
            match self.io.env.stored_child(&child.id, self.io.number) {
                Ok(Stored::Unknown) => {}
                // Somebody else drives it and will tell.
                Ok(Stored::Driven) => return,
                Ok(Stored::Open(open, _, claim)) if refers_to_payloads(&open) => {
                    // It is read in peace, and comes back by itself.
                    drop(claim);
                    return self.io.env.spawn_bring_back(open.row.exec);
                }
                Ok(Stored::Open(open, loaded, claim)) => {
                    let Ok(Placed::Is(permit)) = self.io.env.child_place_now(&child.organization) else {
                        drop(claim);
                        return self.io.env.put_off(&open.row);
                    };
                    let (report, _) = mpsc::unbounded_channel();
                    let recover = Recover::new(*open, None, loaded, permit, claim, report);
                    return self.recover(recover);
                }
                Ok(Stored::Ended(outcome)) if is_absent(&outcome) => {
                    return self.io.env.spawn_child_ended(child.parent_id, child.id, outcome);
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
                Err(EngineError::Definition(error)) => {
                    let (path, outcome) = (child.path, Outcome::Failed(error));
                    return self
                        .io
                        .follow_ups
                        .push_back((parent, Input::ChildEnded { path, outcome }));
                }
                Err(error) => {
                    tracing::error!(child = %child.id, %error, "a child cannot be taken up");
                    return;
                }
            }
        }
        match self
            .io
            .env
            .child_program(&child.organization, &child.definition, &child.workflow)
        {
            Ok((definition, program)) => {
                // Its start is durable with what its parent recorded of it, whether there is a place for it or not.
                let (permit, put_off) = match self.io.env.child_place_now(&child.organization) {
                    Ok(Placed::Is(permit)) => (permit, false),
                    Ok(Placed::None) | Err(_) => (None, true),
                };
                let place = self.io.gathered.acks.len();
                let of = Place {
                    id: child.id,
                    organization: child.organization,
                    parent: Some(child.parent_id),
                };
                let mut running = self.fresh(
                    of,
                    definition,
                    &program,
                    child.input,
                    Beginning {
                        trace: child.trace,
                        put_off,
                        ..Beginning::default()
                    },
                );
                if !child.recovered
                    && place > 0
                    && let Some(ack) = self.io.gathered.acks.get_mut(place)
                {
                    ack.with_previous = true;
                }
                running.1.permit = permit;
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
