//! What other processes ask of the one that holds the writer.

use serde::{Deserialize, Serialize};

use crate::{DEFAULT_ORGANIZATION, EntryWrite};

/// What another process asks of the one that holds the writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RequestKind {
    /// Cancel this execution.
    Cancel {
        /// Its id.
        id: String,
        /// Why, as the one who asks says it.
        reason: String,
    },
    /// Hand this answer to what waits for it.
    Callback {
        /// What waits for it.
        address: CallbackAddress,
        /// The answer as JSON, in the form that the engine reads.
        answer: String,
    },
    /// Try a kept callback again, at `to` if that is given and otherwise where it was sent.
    DeliverKept {
        /// The number under which it is kept.
        id: i64,
        /// Where it goes instead.
        to: Option<CallbackAddress>,
    },
    /// Forget a kept callback.
    DropKept(i64),
    /// Send this signal to an execution.
    Signal {
        /// The execution's id.
        id: String,
        /// The signal's name.
        name: String,
        /// What it carries, as JSON.
        data: String,
        /// Two signals to an execution with the same one here are the same signal.
        signal: Option<String>,
    },
    /// Pause this.
    Pause(PauseTarget),
    /// Let this go on.
    Unpause(PauseTarget),
    /// Forget finished executions. With both bounds, what either of them lets go is forgotten.
    Prune {
        /// Only those of this organization; none means those of every one.
        #[serde(default)]
        organization: Option<String>,
        /// Only those of this workflow; none means those of every one.
        workflow: Option<String>,
        /// Those that ended longer ago than so many milliseconds.
        after_ms: Option<i64>,
        /// All but so many of each workflow, those that ended last.
        keep: Option<usize>,
    },
    /// Change these entries: all of them or, where one is not as it was taken to be, none.
    Entries(Vec<EntryWrite>),
}

/// Where a callback goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CallbackAddress {
    /// To whoever made this token.
    Token(String),
    /// To whoever waits for this key.
    Key {
        /// The organization of those who may wait for it.
        #[serde(default = "default_organization")]
        organization: String,
        /// The channel that the key belongs to; empty for none.
        name: String,
        /// The other side's reference.
        key: String,
    },
    /// To the callback at this path of this execution.
    Path {
        /// The execution's id.
        execution: String,
        /// The path.
        path: String,
    },
    /// A kept delivery, by its number, is tried again.
    Kept(i64),
}

impl CallbackAddress {
    /// To whoever waits for this key of this channel (empty for none), in the organization that nobody named.
    pub fn reference(name: impl Into<String>, key: impl Into<String>) -> Self {
        Self::Key {
            organization: DEFAULT_ORGANIZATION.to_owned(),
            name: name.into(),
            key: key.into(),
        }
    }
}

/// What is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PauseTarget {
    /// The execution with this id.
    Execution(String),
    /// All executions of this workflow, also those that start later.
    Workflow {
        /// Whose workflow it is.
        organization: String,
        /// Its name.
        workflow: String,
    },
}

/// Of requests that were left before there were organizations.
fn default_organization() -> String {
    DEFAULT_ORGANIZATION.to_owned()
}

/// A [`RequestKind`] with its place in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Ascending.
    pub id: i64,
    /// What is asked.
    pub kind: RequestKind,
}
