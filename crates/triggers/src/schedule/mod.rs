//! Schedules: when workflows start by the clock, and a ledger of what became of each time at which they were due.
//!
//! - [`calendar`] and `cron`: when a schedule is due, a function of its configuration;
//! - `decide`: what it does next, a function of its row, its calendar and the time;
//! - `keeper`: one schedule at work: reads, decides, and writes the decision in the commit of what it does; `backfill`: times
//!   that are over; `live`: the task that does so;
//! - `ledger` and `row`: what is stored; `fired`: what is counted;
//! - `book`: all of them, and what people do with them; `source`: those that are triggers of workflows.

mod backfill;
mod book;
pub mod calendar;
mod config;
mod cron;
mod decide;
mod fired;
mod keeper;
mod ledger;
mod live;
mod row;
mod source;
#[cfg(test)]
mod tests;
mod told;
mod view;

use serde::Serialize;

pub use book::Schedules;
pub use config::{OneOrMany, Overlap, ScheduleConfig};
pub use fired::FiredCount;
pub use ledger::{By, Fate, FireView};
pub(crate) use source::ScheduleSource;
pub use source::kind;
pub use view::{LastView, PausedView, ScheduleSpec, ScheduleView, StartedView};

/// The kind of trigger, as users write it.
pub const KIND: &str = "schedule";

/// What is stored. Types of ours have nothing that JSON has not.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
