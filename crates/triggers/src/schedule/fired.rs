//! How many due times of a schedule had which fate, since this process began: for figures.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::ledger::{By, Fate, Fire};

/// The counts of one schedule.
#[derive(Debug, Default)]
pub(crate) struct Fired(Mutex<Counts>);

#[derive(Clone, Debug, Default)]
struct Counts {
    fates: BTreeMap<Fate, u64>,
    late_ms: u64,
}

/// How often a schedule had a fate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FiredCount {
    /// Whose it is.
    pub organization: String,
    /// Its name.
    pub schedule: String,
    /// The fate.
    pub fate: Fate,
    /// How many due times had it since this process began.
    pub count: u64,
    /// Of those that started by the clock, how late they did so in milliseconds, all together. 0 for other fates.
    pub late_ms: u64,
}

impl Fired {
    /// A line of the ledger is durable.
    pub(crate) fn count(&self, fire: &Fire) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.fates.entry(fire.fate).or_default() += fire.count.unwrap_or(1);
        if fire.fate == Fate::Started && fire.by == By::Clock {
            counts.late_ms += u64::try_from(fire.at.saturating_sub(fire.due)).unwrap_or(0);
        }
    }

    /// All of them.
    pub(crate) fn all(&self, organization: &str, schedule: &str) -> Vec<FiredCount> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let one = |(fate, count): (Fate, u64)| FiredCount {
            organization: organization.to_owned(),
            schedule: schedule.to_owned(),
            fate,
            count,
            late_ms: if fate == Fate::Started { counts.late_ms } else { 0 },
        };
        counts.fates.into_iter().map(one).collect()
    }
}
