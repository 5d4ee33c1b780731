//! Keys and organizations of a data folder, changed beside a running server or without one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bowline_access::{Access, AccessError, Config, RecordError, Recorder};
use bowline_engine::Clock;
use bowline_store::{EntryWrite, RequestKind, Store, Write};

use super::beside::{Asked, ask};
use super::store;
use crate::exit::{Failure, Result};

/// Opens what is in a data folder, and makes it where there is none.
pub(crate) fn open(folder: &Path) -> Result<Access> {
    let store = store::open(folder)?;
    let recorder = OfFolder(folder.to_owned());
    Access::new(Arc::new(store), Arc::new(recorder), Config::default(), Clock::System).map_err(failure)
}

/// A refusal as the command line tells it.
pub(crate) fn failure(error: AccessError) -> Failure {
    Failure::usage(error.to_string())
}

/// Writes by itself, or asks the process that runs executions in the folder.
struct OfFolder(PathBuf);

#[async_trait]
impl Recorder for OfFolder {
    async fn record(&self, entries: Vec<EntryWrite>) -> std::result::Result<(), RecordError> {
        let failed = |failure: Failure| RecordError::Failed(failure.to_string());
        let request = RequestKind::Entries(entries.clone());
        match ask(&self.0, &request, "write it", true).await.map_err(failed)? {
            Asked::Nobody => {
                let store = store::open(&self.0).map_err(failed)?;
                let writes: Vec<Write> = entries.into_iter().map(Write::Entry).collect();
                Ok(store.writer()?.commit(&writes)?)
            }
            Asked::Done => {
                let store = store::open(&self.0).map_err(failed)?;
                is_there(&store, &entries)
            }
            Asked::Left => Err(RecordError::Failed(
                "the process that runs executions in the folder has not done it so far; it will when it goes on".into(),
            )),
        }
    }
}

/// Whether what the other process was asked to write is there. It writes all or nothing, and does not say which.
fn is_there(store: &dyn Store, entries: &[EntryWrite]) -> std::result::Result<(), RecordError> {
    for write in entries {
        let (entry, otherwise) = match write {
            EntryWrite::Add(entry) => (entry, RecordError::Exists),
            EntryWrite::Swap { entry, .. } => (entry, RecordError::Changed),
            EntryWrite::Put(_) | EntryWrite::Remove { .. } => continue,
        };
        if store.entry(&entry.space, &entry.key)?.as_ref() != Some(&entry.value) {
            return Err(otherwise);
        }
    }
    Ok(())
}
