//! Where an execution comes from that was made from another one: by a retry, or by running it again.

use serde::{Deserialize, Serialize};

use crate::event::{Path, is_one, one};
use crate::execution::Record;
use crate::memo::Memory;
use crate::{Event, Payload};

/// What an execution takes over from the one that it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The id of the execution that it was made from.
    pub execution: Path,
    /// The execution id that idempotency keys are made of: that of the first of the line.
    pub keys: Path,
    /// Results that are not asked for again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
    /// How often steps were completed and undone before; their keys differ by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redone: Vec<(Path, u32)>,
    /// Why it was made, as they said it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A result of another execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// The path it was recorded under. That of a folded scope ends in `/`.
    pub path: Path,
    /// What it was: the kind of the step, the workflow of the child, `timer`, and so on.
    pub kind: Path,
    /// The result.
    pub output: Payload,
    /// Attempts it took.
    pub attempts: u32,
    /// When it was asked for, in milliseconds since the Unix epoch.
    pub asked_at: i64,
    /// When it ended, in milliseconds since the Unix epoch.
    pub ended_at: i64,
    /// Of a folded scope: how often a path inside was asked for at most; else 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub most: u32,
}

impl Origin {
    /// What a new execution takes over from `execution` with this journal: the results at the paths for which
    /// `keep` is true, and the keys.
    #[must_use]
    pub fn of(execution: &Path, journal: &[Record], reason: String, keep: &dyn Fn(&str) -> bool) -> Self {
        let memory = Memory::of(journal);
        let keys = match journal.first().and_then(|record| record.events.first()) {
            Some(Event::Started {
                origin: Some(origin), ..
            }) => origin.keys.clone(),
            _ => execution.clone(),
        };
        let mut redone: Vec<_> = memory
            .redone
            .iter()
            .map(|(path, times)| (path.clone(), *times))
            .collect();
        redone.sort_unstable();
        Self {
            execution: execution.clone(),
            keys,
            kept: memory.kept(keep),
            redone,
            reason,
        }
    }
}
