//! The audit log: who changed what, from where, and what came of it.

use bowline_store::{Entry, EntryWrite, key, key_parts, prefix};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AccessError, Caller, Kind};

/// Where the log is kept.
pub(crate) const SPACE: &str = "audit";

/// The longest texts that are kept, in characters: paths and addresses come from outside.
const LONGEST: usize = 1_000;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused: the caller may not, or what it asked for was not possible.
    Refused,
    /// It failed by a fault, and may have been done.
    Failed,
}

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// When, in RFC 3339.
    pub at: String,
    /// Whose things were to be changed.
    pub organization: String,
    /// Who: the name of a key, or the subject of a token.
    pub who: String,
    /// How that one proved it: `key`, `jwt`, `session`, `loopback`, or `cli`; `token` for the address of an approval;
    /// `nothing` where credentials were refused.
    pub by: String,
    /// The id of the API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The organization of whoever did it, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// The address that it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What was done, such as `execution.cancel`.
    pub action: String,
    /// To what.
    pub target: String,
    /// What came of it.
    pub outcome: Outcome,
    /// More about it. No secrets, no payloads.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub detail: Value,
}

/// A page of the log, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AuditPage {
    /// The lines.
    pub items: Vec<AuditEntry>,
    /// Where the next page begins; none where there is none.
    pub next: Option<String>,
}

/// Which lines of the log to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// [`AuditPage::next`] of the page before.
    pub cursor: Option<String>,
    /// Only what this one did.
    pub who: Option<String>,
    /// Only these actions: those that begin with this.
    pub action: Option<String>,
    /// At most so many; 0 means 100.
    pub limit: usize,
}

/// Makes lines of the log.
#[derive(Clone, Copy, Debug)]
pub struct Audit;

impl Audit {
    /// A line about what this caller does now, with the outcome [`Outcome::Done`]: to be written in the commit of what is
    /// done, or with [`Access::write_audit`](crate::Access::write_audit).
    #[must_use]
    pub fn note(caller: &Caller, action: &str, target: &str, detail: Value) -> AuditEntry {
        let by = match caller.kind {
            Kind::Key => "key",
            Kind::Jwt => "jwt",
            Kind::Session => "session",
            Kind::Loopback => "loopback",
        };
        AuditEntry {
            at: String::new(),
            organization: caller.organization.clone(),
            who: bounded(&caller.name),
            by: by.to_owned(),
            key: caller.key.clone(),
            home: (caller.home != caller.organization).then(|| caller.home.clone()),
            from: None,
            action: bounded(action),
            target: bounded(target),
            outcome: Outcome::Done,
            detail,
        }
    }

    /// A line about what somebody did of whom nothing is known, such as a login with a wrong key. It stands in the log of the
    /// default organization.
    #[must_use]
    pub fn stranger(action: &str, target: &str, detail: Value) -> AuditEntry {
        AuditEntry {
            who: "nobody known".to_owned(),
            by: "nothing".to_owned(),
            ..Self::command(crate::DEFAULT_ORGANIZATION, action, target, detail)
        }
    }

    /// A line about what is done on the command line.
    #[must_use]
    pub fn command(organization: &str, action: &str, target: &str, detail: Value) -> AuditEntry {
        AuditEntry {
            at: String::new(),
            organization: organization.to_owned(),
            who: "bowline".to_owned(),
            by: "cli".to_owned(),
            key: None,
            home: None,
            from: None,
            action: bounded(action),
            target: bounded(target),
            outcome: Outcome::Done,
            detail,
        }
    }
}

impl AuditEntry {
    /// From where it came.
    #[must_use]
    pub fn came_from(mut self, address: impl std::fmt::Display) -> Self {
        self.from = Some(bounded(&address.to_string()));
        self
    }

    /// What came of it.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// The write that keeps it, with this time (milliseconds since the Unix epoch).
    ///
    /// # Errors
    /// Where there are no random numbers.
    pub fn write(mut self, now: i64) -> Result<EntryWrite, AccessError> {
        self.at = crate::time::text(now);
        let unique = uuid::Uuid::now_v7().to_string();
        let place = key(&[&self.organization, &format!("{:020}", now.max(0)), &unique]);
        let value = serde_json::to_vec(&self).map_err(AccessError::unavailable)?;
        Ok(EntryWrite::Put(Entry::new(SPACE, place, value)))
    }
}

/// Where the log of an organization stands.
pub(crate) fn place(organization: &str) -> String {
    prefix(&[organization])
}

/// The cursor behind this key.
pub(crate) fn cursor(key: &str) -> Option<String> {
    let mut parts = key_parts(key).skip(1);
    Some(format!("{}.{}", parts.next()?, parts.next()?))
}

/// The key that a cursor stands for.
pub(crate) fn at_cursor(organization: &str, cursor: &str) -> Result<String, AccessError> {
    let is_good = |(at, unique): &(&str, &str)| {
        at.len() == 20 && at.bytes().all(|byte| byte.is_ascii_digit()) && uuid::Uuid::parse_str(unique).is_ok()
    };
    let (at, unique) = cursor.split_once('.').filter(is_good).ok_or_else(|| {
        AccessError::Invalid("the cursor is none of the audit log's; use `next` of the page before as it is".into())
    })?;
    Ok(key(&[organization, at, unique]))
}

fn bounded(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(LONGEST).collect()
}
