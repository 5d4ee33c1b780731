//! Journals as records, for those who look at them.

use std::path::PathBuf;

use bowline_core::{Event, Record};
use bowline_engine::read_record;
use bowline_store::{ExecutionRow, Store, StoreError};

use crate::DATABASE;

/// What the journal of an execution says, in the form in which it is read quickest: of an unfinished one without
/// what nothing depends on any more.
///
/// # Errors
/// Where it cannot be read.
pub fn records(store: &dyn Store, row: &ExecutionRow) -> Result<Vec<Record>, StoreError> {
    let journal = store
        .open_execution(row.exec)?
        .map(|open| open.journal)
        .unwrap_or_default();
    let mut all = Vec::with_capacity(journal.len());
    for record in &journal {
        all.extend(read_record(record).map_err(|error| unreadable(row, record.seq, &error))?);
    }
    Ok(all)
}

/// The path of what an execution asked for first; none where it asked for nothing.
///
/// # Errors
/// Where it cannot be read.
pub fn first_step(store: &dyn Store, row: &ExecutionRow) -> Result<Option<String>, StoreError> {
    let mut from = 0;
    loop {
        let page = store.journal(row.exec, from, 100)?;
        let Some(last) = page.last() else { return Ok(None) };
        from = last.seq + 1;
        for record in &page {
            let records = read_record(record).map_err(|error| unreadable(row, record.seq, &error))?;
            for event in records.iter().flat_map(|record| &record.events) {
                if let Event::Started {
                    origin: Some(origin), ..
                } = event
                    && let Some(first) = origin.kept.iter().min_by_key(|kept| kept.asked_at)
                {
                    return Ok(Some(first.path.trim_end_matches('/').to_owned()));
                }
                if event.is_command()
                    && let Some(path) = event.path()
                {
                    return Ok(Some(path.to_string()));
                }
            }
        }
    }
}

/// A record that cannot be read.
pub fn unreadable(row: &ExecutionRow, seq: u64, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt {
        path: PathBuf::from(DATABASE),
        detail: format!("record {seq} of execution {}: {error}", row.id),
    }
}
