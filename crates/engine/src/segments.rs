//! Journals without a limit: what is inside finished scopes is not read again.
//!
//! The history stays as it is for people. Beside it, its beginning is kept condensed, and bringing an execution
//! back reads that and what came after. It is condensed anew when as much has gathered since as is live, and some
//! thousand records at least, so that the cost for each record stays the same however long the history is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bowline_core::{Event, Record, condense, decode};
use bowline_store::{ExecNo, JournalRecord, OpenExecution, Write};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::engine::EngineError;
use crate::env::Env;

/// So many records gather before they are condensed.
const RECORDS: u64 = 2048;
/// What is not shrunk to this part of it stays as it is.
const WORTH: usize = 2;

/// How far the journal of one execution is condensed.
#[derive(Default)]
pub(crate) struct Condensed {
    /// At this length it is worth a look.
    next: AtomicU64,
    busy: AtomicBool,
}

impl Condensed {
    /// As recovery found it.
    pub(crate) fn of(open: &OpenExecution) -> Self {
        let condensed = Self::default();
        let since = open
            .journal
            .iter()
            .rev()
            .take_while(|record| !is_condensed(&record.events))
            .count() as u64;
        let next = open.next_seq.saturating_sub(since).saturating_add(RECORDS);
        condensed.next.store(next, Ordering::Relaxed);
        condensed
    }

    /// Whether it is time, with so many durable records of which some folded scopes.
    pub(crate) fn is_time(&self, durable: u64) -> bool {
        durable >= self.next.load(Ordering::Relaxed).max(RECORDS) && !self.busy.swap(true, Ordering::Relaxed)
    }
}

/// The condensed beginning of a journal as the store keeps it: records with their times.
#[derive(Serialize, Deserialize)]
struct Stretch {
    condensed: Vec<(i64, Vec<Event>)>,
}

fn is_condensed(events: &[u8]) -> bool {
    events.starts_with(b"{")
}

/// What one row of a journal says: the events of one commit, or those of a condensed beginning.
///
/// # Errors
/// Where it cannot be read.
pub fn read_record(record: &JournalRecord) -> Result<Vec<Record>, serde_json::Error> {
    if is_condensed(&record.events) {
        let stretch: Stretch = serde_json::from_slice(&record.events)?;
        return Ok(stretch
            .condensed
            .into_iter()
            .map(|(at, events)| Record { at, events })
            .collect());
    }
    Ok(vec![Record {
        at: record.at,
        events: decode(&record.events)?,
    }])
}

/// What a journal says, as recovery reads it.
///
/// # Errors
/// Where a record cannot be read.
pub fn read_journal(journal: &[JournalRecord]) -> Result<Vec<Record>, serde_json::Error> {
    let mut records = Vec::with_capacity(journal.len());
    for record in journal {
        if is_condensed(&record.events) {
            records.extend(read_record(record)?);
        } else {
            records.push(Record {
                at: record.at,
                events: decode(&record.events)?,
            });
        }
    }
    Ok(records)
}

impl Env {
    /// Condenses what has gathered, beside everything else.
    pub(crate) fn spawn_condense(self: &Arc<Self>, exec: ExecNo, condensed: Arc<Condensed>, durable: u64) {
        let env = Arc::clone(self);
        self.runtime.spawn(async move {
            let mut durable = durable;
            let next = loop {
                let live = match env.condense(exec, durable).await {
                    Ok(live) => live.max(RECORDS),
                    Err(error) => {
                        tracing::warn!(exec = exec.0, %error, "a journal could not be condensed; coming back takes longer");
                        break durable.saturating_mul(2);
                    }
                };
                // What has gathered meanwhile.
                match env.blocking(move |env| env.store.last_record(exec)).await {
                    Ok(Ok(Some(last))) if last.seq >= durable + live => durable = last.seq + 1,
                    _ => break durable + live,
                }
            };
            condensed.next.store(next, Ordering::Relaxed);
            condensed.busy.store(false, Ordering::Relaxed);
        });
    }

    /// Condenses the records before `durable`; how many of them are live.
    async fn condense(self: &Arc<Self>, exec: ExecNo, durable: u64) -> Result<u64, EngineError> {
        let (live, made) = self
            .blocking(move |env| {
                let open = env.store.open_execution(exec)?;
                let mut journal = open.map(|open| open.journal).unwrap_or_default();
                journal.retain(|record| record.seq < durable);
                let before: usize = journal.iter().map(|record| record.events.len()).sum();
                let records = read_journal(&journal).map_err(|error| EngineError::Invalid(error.to_string()))?;
                drop(journal);
                let records = condense(&records);
                let (live, at) = (records.len() as u64, records.last().map_or(0, |record| record.at));
                let stretch = Stretch {
                    condensed: records.into_iter().map(|record| (record.at, record.events)).collect(),
                };
                let events = serde_json::to_vec(&stretch).map_err(|error| EngineError::Invalid(error.to_string()))?;
                let worth = events.len() <= before / WORTH;
                Ok::<_, EngineError>((live, worth.then_some((at, events))))
            })
            .await??;
        if let Some((at, events)) = made {
            let condensed = Write::Condense {
                exec,
                from: 0,
                to: durable,
                at,
                events: Bytes::from(events),
            };
            self.inbox.write(vec![condensed]).await?;
        }
        Ok(live)
    }
}
