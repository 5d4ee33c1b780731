//! Journals as records, for those who look at them.

use std::path::PathBuf;

use bowline_core::Record;
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

/// A record that cannot be read.
pub fn unreadable(row: &ExecutionRow, seq: u64, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt {
        path: PathBuf::from(DATABASE),
        detail: format!("record {seq} of execution {}: {error}", row.id),
    }
}
