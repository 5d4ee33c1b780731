//! Starting once only: by a key of the caller's own.

use std::sync::Arc;
use std::time::Duration;

use bowline_core::{Input, Origin, Path};
use bowline_store::{EntryWrite, ExecNo, StartKeyRow, Status, StoreError, Write};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::engine::{Engine, EngineError, Handle, StartRequest};

/// The caller's own name for a start. Two starts of a workflow with one key are one, as the policies say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartKey {
    /// The key, such as the number of an order. It belongs to the workflow: another workflow may use it too.
    pub key: String,
    /// What to do where the execution that has the key has ended.
    pub reuse: Reuse,
    /// What to do where it has not.
    pub conflict: Conflict,
}

impl StartKey {
    /// A key with the default policies: the execution that has the key is the answer, whether it has ended or
    /// not, if it was started with the same input.
    #[must_use]
    pub fn new(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            reuse: Reuse::default(),
            conflict: Conflict::default(),
        }
    }
}

/// What a start does with a key whose execution has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reuse {
    /// That execution is the answer, if it was started with the same input; otherwise it is an error.
    #[default]
    ReturnExisting,
    /// A new execution begins and has the key from then on.
    AllowDuplicate,
    /// The same where that execution failed or was cancelled; otherwise it is an error.
    AllowDuplicateFailedOnly,
    /// It is an error.
    Reject,
}

/// What a start does with a key whose execution has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conflict {
    /// That execution is the answer, if it was started with the same input; otherwise it is an error.
    #[default]
    UseExisting,
    /// It is an error.
    Fail,
    /// That execution is cancelled, and when its compensations have run a new one begins and has the key.
    TerminateExisting,
}

/// What the first commit of an execution holds beside its start.
#[derive(Default)]
pub(crate) struct Beginning {
    /// The key that it has.
    pub(crate) key: Option<ClaimedKey>,
    /// The execution that it was made from.
    pub(crate) origin: Option<Origin>,
    /// The trace that it belongs to.
    pub(crate) trace: Option<Path>,
    /// What is written with it.
    pub(crate) entries: Vec<EntryWrite>,
    /// How long a place is waited for; none: until there is one.
    pub(crate) patience: Option<Duration>,
    /// There is no place for it: it begins in the store, and goes on when there is one.
    pub(crate) put_off: bool,
}

pub(crate) struct ClaimedKey {
    pub(crate) key: String,
    pub(crate) input_hash: Bytes,
    pub(crate) replaces: Option<ExecNo>,
}

impl ClaimedKey {
    pub(crate) fn write(self, organization: &str, workflow: &str, exec: ExecNo) -> Write {
        Write::ClaimKey {
            organization: organization.to_owned(),
            workflow: workflow.to_owned(),
            key: self.key,
            exec,
            input_hash: self.input_hash,
            replaces: self.replaces,
        }
    }
}

enum Decision {
    Existing,
    Replace,
    Terminate,
    Refuse(&'static str),
}

impl Engine {
    pub(crate) async fn start_with_key(
        &self,
        request: StartRequest,
        patience: Option<Duration>,
    ) -> Result<Handle, EngineError> {
        let Some(key) = request.key.clone() else {
            let beginning = Beginning {
                patience,
                ..Beginning::default()
            };
            return self.begin(request, beginning).await;
        };
        let input_hash = Bytes::copy_from_slice(&Sha256::digest(request.input.text().as_bytes()));
        let workflow = request.definition.workflow.clone();
        let mut refused = false;
        loop {
            let (owner, name, wanted) = (Arc::clone(&request.organization), workflow.clone(), key.key.clone());
            let has = self
                .env
                .blocking(move |env| env.store.start_key(&owner, &name, &wanted))
                .await??;
            let replaces = match has {
                None => None,
                Some(has) => {
                    let row = self.env.row(&has.id).await?;
                    match decide(&key, row.status, has.input_hash == input_hash) {
                        Decision::Existing => return Ok(self.watch(&has.id).await?.existing()),
                        Decision::Refuse(why) => return Err(taken(&workflow, &key, &has, why)),
                        Decision::Replace => Some(has.exec),
                        Decision::Terminate => {
                            // Its compensations are to run.
                            self.env.unpause(&has.id).await?;
                            let reason = format!("another execution was started with the key `{}`", key.key);
                            self.env.route(has.exec, Input::Cancel { reason }).await?;
                            // How it ends does not matter.
                            let _ = self.watch(&has.id).await?.outcome().await?;
                            Some(has.exec)
                        }
                    }
                }
            };
            let beginning = Beginning {
                key: Some(ClaimedKey {
                    key: key.key.clone(),
                    input_hash: input_hash.clone(),
                    replaces,
                }),
                patience,
                ..Beginning::default()
            };
            match self.begin(request.clone(), beginning).await {
                // Somebody else was first: what now holds is to be looked at anew. An id that exists is refused for
                // that, if it is not the key's.
                Err(EngineError::Store(error)) if !refused && matches!(*error, StoreError::Duplicate { .. }) => {
                    refused = !is_taken(&error, request.id.as_deref());
                }
                started => return started,
            }
        }
    }
}

/// Whether a start was refused because of its key, and not because its id exists.
fn is_taken(error: &StoreError, id: Option<&str>) -> bool {
    matches!(error, StoreError::Duplicate { id: refused } if Some(refused.as_str()) != id)
}

fn decide(key: &StartKey, status: Status, same_input: bool) -> Decision {
    const OTHER_INPUT: &str = "it was started with another input";
    if status.is_finished() {
        return match key.reuse {
            Reuse::ReturnExisting if same_input => Decision::Existing,
            Reuse::ReturnExisting => Decision::Refuse(OTHER_INPUT),
            Reuse::AllowDuplicateFailedOnly if status == Status::Succeeded => {
                Decision::Refuse("it has succeeded, and only failed ones may be started again")
            }
            Reuse::AllowDuplicate | Reuse::AllowDuplicateFailedOnly => Decision::Replace,
            Reuse::Reject => Decision::Refuse("it has ended, and the key may be used once only"),
        };
    }
    match key.conflict {
        Conflict::UseExisting if same_input => Decision::Existing,
        Conflict::UseExisting => Decision::Refuse(OTHER_INPUT),
        Conflict::Fail => Decision::Refuse("it has not ended"),
        Conflict::TerminateExisting => Decision::Terminate,
    }
}

fn taken(workflow: &str, key: &StartKey, has: &StartKeyRow, why: &str) -> EngineError {
    EngineError::KeyTaken {
        workflow: workflow.to_owned(),
        key: key.key.clone(),
        execution: has.id.clone(),
        why: why.to_owned(),
    }
}
