//! The ledger: what became of each time at which a schedule was due.
//!
//! A fire is an entry of its own, written in the commit that does what it says: with the start of the execution, or with
//! the row of the schedule that goes past it. So each due time has one fate, whatever crashes.

use bowline_store::{Entry, EntryWrite, key, prefix};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::calendar;
use super::row::Waiting;

/// The space of fires: organization, schedule, due time (padded).
pub(crate) const SPACE: &str = "fire";

/// What became of a due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// An execution was started.
    Started,
    /// Another one had not ended, and the schedule does not overlap.
    Skipped,
    /// The server could not start it in time.
    Missed,
    /// It waits for another one to end; then it is started.
    Buffered,
    /// The schedule was paused.
    Dropped,
    /// The trigger's `when` was false.
    Filtered,
    /// The workflow could not be started.
    Failed,
}

impl Fate {
    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Skipped => "skipped",
            Self::Missed => "missed",
            Self::Buffered => "buffered",
            Self::Dropped => "dropped",
            Self::Filtered => "filtered",
            Self::Failed => "failed",
        }
    }
}

/// Who made it due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The schedule itself.
    #[default]
    Clock,
    /// Somebody, who wanted it now.
    Hand,
    /// Somebody, who wanted times that were over.
    Backfill,
}

/// One due time, or a range of them, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fire {
    /// When it was due, in milliseconds since the Unix epoch. Not stored: it is in the key.
    #[serde(skip)]
    pub(crate) due: i64,
    /// Whether the ledger has a line of it already, which this one takes the place of.
    #[serde(skip)]
    pub(crate) stored: bool,
    pub(crate) fate: Fate,
    #[serde(default)]
    pub(crate) by: By,
    /// When that was decided.
    pub(crate) at: i64,
    /// The execution that it is about: the one started, or the one that had not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) execution: Option<String>,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// The last due time of a range. Those in between have this fate too, but where they have entries of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<i64>,
    /// How many due times the range had when it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
    /// What had become of it before a backfill.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) was: Option<Fate>,
}

impl Fire {
    pub(crate) fn new(due: i64, fate: Fate, by: By, at: i64) -> Self {
        Self {
            due,
            stored: false,
            fate,
            by,
            at,
            execution: None,
            reason: None,
            until: None,
            count: None,
            was: None,
        }
    }

    pub(crate) fn execution(mut self, id: &str) -> Self {
        self.execution = Some(id.to_owned());
        self
    }

    pub(crate) fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The line for what waits.
    pub(crate) fn of(waiting: &Waiting, fate: Fate, at: i64) -> Self {
        let mut fire = Self::new(waiting.due, fate, waiting.by, at);
        fire.was = waiting.was;
        fire.stored = waiting.stored;
        fire
    }

    /// Writes it: a new line is refused where there is one.
    pub(crate) fn write(&self, organization: &str, schedule: &str) -> EntryWrite {
        let entry = Entry::new(SPACE, fire_key(organization, schedule, self.due), super::json(self));
        if self.stored {
            EntryWrite::Put(entry)
        } else {
            EntryWrite::Add(entry)
        }
    }

    pub(crate) fn read(entry_key: &str, value: &Bytes) -> Result<Self, String> {
        let mut fire: Self =
            serde_json::from_slice(value).map_err(|error| format!("a fire cannot be read: {error}"))?;
        let last = bowline_store::key_parts(entry_key).last().unwrap_or_default();
        fire.stored = true;
        fire.due = last
            .parse()
            .map_err(|_| format!("`{last}` is not the time of a fire"))?;
        Ok(fire)
    }
}

pub(crate) fn fire_key(organization: &str, schedule: &str, due: i64) -> String {
    key(&[organization, schedule, &format!("{:020}", due.max(0))])
}

pub(crate) fn fires_of(organization: &str, schedule: &str) -> String {
    prefix(&[organization, schedule])
}

/// One line of a schedule's ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FireView {
    /// When it was due, by RFC 3339. The beginning, for a range.
    pub due: String,
    /// What became of it.
    pub fate: Fate,
    /// Who made it due.
    pub by: By,
    /// When that was decided.
    pub decided_at: String,
    /// The execution that was started; for a skipped one, the one that had not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// For a range of times with one fate: the last of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// For a range: how many times it was due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// What had become of it before a backfill started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Fate>,
}

impl From<&Fire> for FireView {
    fn from(fire: &Fire) -> Self {
        Self {
            due: calendar::text(fire.due),
            fate: fire.fate,
            by: fire.by,
            decided_at: calendar::text(fire.at),
            execution: fire.execution.clone(),
            reason: fire.reason.clone(),
            until: fire.until.map(calendar::text),
            count: fire.count,
            was: fire.was,
        }
    }
}
