//! What triggers need of the world around them: entries, starts, and how executions end. The host in earnest, a model
//! with crashes in tests.

use async_trait::async_trait;
use bowline_host::Problem;
use bowline_store::{EntryRange, EntryWrite};
use bytes::Bytes;
use serde_json::Value;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// An entry is not what it was taken for, or is there already: nothing was written.
    #[error("somebody else has changed it in the meantime")]
    Changed,
    /// It will not get better by itself.
    #[error("{0}")]
    Refused(String),
    /// It may get better: the host is stopping, the disk is full, ...
    #[error("{0}")]
    Later(String),
}

/// An execution to start.
#[derive(Clone, Debug)]
pub struct Begin {
    /// Name of the workflow.
    pub workflow: String,
    /// Its id.
    pub id: String,
    /// What it is started with.
    pub input: Value,
    /// Where this is not new, the execution that has it is the answer.
    pub key: Option<String>,
    /// Written in the commit of the start.
    pub with: Vec<EntryWrite>,
}

/// An execution that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Its id.
    pub id: String,
    /// False where its key led to one that was there already. Then nothing was written.
    pub created: bool,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// As users know it: `completed`, `failed`, `cancelled`; `deleted` where it is not there any more.
    pub status: String,
    /// Whether it did what it should.
    pub completed: bool,
    /// Whether it failed by itself.
    pub failed: bool,
}

/// What triggers need of the world around them.
#[async_trait]
pub trait Place: Send + Sync + 'static {
    /// The value of an entry.
    async fn entry(&self, space: &'static str, key: String) -> Result<Option<Bytes>, Trouble>;
    /// Entries in the order of their keys.
    async fn entries(&self, range: EntryRange) -> Result<Vec<(String, Bytes)>, Trouble>;
    /// Writes all of these, durably, or none.
    async fn record(&self, writes: Vec<EntryWrite>) -> Result<(), Trouble>;
    /// Whether a workflow of this name can be started.
    async fn startable(&self, organization: &str, workflow: &str) -> bool;
    /// Starts an execution, durably.
    async fn start(&self, organization: &str, begin: Begin) -> Result<Begun, Trouble>;
    /// How an execution ended; none while it has not.
    async fn ended(&self, organization: &str, id: &str) -> Result<Option<Ended>, Trouble>;
    /// Waits for its end. May return before, after a long time.
    async fn wait(&self, organization: &str, id: &str);
    /// Says what is wrong with a trigger of a workflow; nothing where it works. `source` tells triggers apart.
    fn note(&self, organization: &str, workflow: &str, source: &str, problems: Vec<Problem>);
    /// Asks it to stop; nothing where it has ended.
    async fn cancel(&self, organization: &str, id: &str, reason: &str) -> Result<(), Trouble>;
}
