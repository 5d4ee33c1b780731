//! The row of a schedule: what it is, and how far it is.

use bowline_store::{Entry, EntryWrite, key, prefix};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{Overlap, ScheduleConfig};
use super::ledger::By;

/// The space of schedules: organization, name.
pub(crate) const SPACE: &str = "schedule";

/// Of more running executions than this the oldest are not followed any more.
pub(crate) const FOLLOWED: usize = 100;

/// A schedule, as it is stored. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    /// What it starts.
    pub(crate) workflow: String,
    pub(crate) owner: Owner,
    pub(crate) config: ScheduleConfig,
    /// What the workflow is started with; none for what the trigger says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    pub(crate) created: i64,
    /// Every due time up to here, and this one, has its fate.
    pub(crate) through: i64,
    /// How many executions it has started by the clock.
    #[serde(default)]
    pub(crate) started: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) paused: Option<Paused>,
    /// What it has started and what has not ended, oldest first.
    #[serde(default)]
    pub(crate) running: Vec<Running>,
    /// What waits for the end of those, in the order in which it starts.
    #[serde(default)]
    pub(crate) buffer: Vec<Waiting>,
    /// How the execution ended that ended last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<Last>,
    /// The workflow has no such trigger any more. The ledger stays.
    #[serde(default)]
    pub(crate) gone: bool,
}

/// Who made a schedule, and so who may change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "by")]
pub(crate) enum Owner {
    /// A trigger of the workflow.
    Workflow { trigger: String },
    /// Somebody, through the API.
    Api,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Paused {
    pub(crate) at: i64,
    pub(crate) note: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    pub(crate) due: i64,
    pub(crate) execution: String,
    /// It is to be cancelled for another one.
    #[serde(default)]
    pub(crate) leaves: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) due: i64,
    pub(crate) by: By,
    /// What had become of it before, for a backfill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) was: Option<super::ledger::Fate>,
    /// In place of the schedule's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) overlap: Option<Overlap>,
    /// The id that its execution is to have; a new one if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// Whether the ledger has a line of it already.
    #[serde(skip)]
    pub(crate) stored: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Last {
    pub(crate) due: i64,
    pub(crate) execution: String,
    pub(crate) status: String,
    pub(crate) at: i64,
}

impl Row {
    pub(crate) fn new(workflow: String, owner: Owner, config: ScheduleConfig, now: i64) -> Self {
        Self {
            workflow,
            owner,
            config,
            input: None,
            description: None,
            created: now,
            through: now,
            started: 0,
            paused: None,
            running: Vec::new(),
            buffer: Vec::new(),
            last: None,
            gone: false,
        }
    }

    pub(crate) fn read(value: &Bytes) -> Result<Self, String> {
        serde_json::from_slice(value).map_err(|error| format!("a schedule cannot be read: {error}"))
    }

    /// Writes it where `was` is what is stored.
    pub(crate) fn write(&self, organization: &str, name: &str, was: Option<Bytes>) -> EntryWrite {
        EntryWrite::Swap {
            entry: Entry::new(SPACE, row_key(organization, name), super::json(self)),
            was,
        }
    }

    /// Whether it has started as many as it may.
    pub(crate) fn is_used_up(&self) -> bool {
        self.config.limit.is_some_and(|limit| self.started >= limit)
    }

    /// Notes an execution that it has started.
    pub(crate) fn runs(&mut self, due: i64, execution: &str) {
        self.running.push(Running {
            due,
            execution: execution.to_owned(),
            leaves: false,
        });
        if self.running.len() > FOLLOWED {
            self.running.remove(0);
        }
    }
}

pub(crate) fn row_key(organization: &str, name: &str) -> String {
    key(&[organization, name])
}

pub(crate) fn rows_of(organization: Option<&str>) -> String {
    organization.map_or_else(String::new, |organization| prefix(&[organization]))
}
