//! Where changes are written to: a running engine, or whatever else may write to the store.

use async_trait::async_trait;
use bowline_engine::{Engine, EngineError};
use bowline_store::{EntryWrite, StoreError};

/// Why a change was not written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is one with this name already.
    #[error("it exists already")]
    Exists,
    /// Somebody else has changed it meanwhile.
    #[error("somebody else changed it at the same time; try again")]
    Changed,
    /// It could not be written.
    #[error("{0}")]
    Failed(String),
}

/// Writes entries: all of them or none, durably on return.
#[async_trait]
pub trait Recorder: Send + Sync + 'static {
    /// Writes these.
    async fn record(&self, entries: Vec<EntryWrite>) -> Result<(), RecordError>;
}

impl From<StoreError> for RecordError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::EntryExists { .. } => Self::Exists,
            StoreError::EntryChanged { .. } => Self::Changed,
            other => Self::Failed(other.to_string()),
        }
    }
}

#[async_trait]
impl Recorder for Engine {
    async fn record(&self, entries: Vec<EntryWrite>) -> Result<(), RecordError> {
        Engine::record(self, Vec::new(), entries)
            .await
            .map_err(|error| match error {
                EngineError::EntryExists { .. } => RecordError::Exists,
                EngineError::EntryChanged { .. } => RecordError::Changed,
                EngineError::Store(error) => match &*error {
                    StoreError::EntryExists { .. } => RecordError::Exists,
                    StoreError::EntryChanged { .. } => RecordError::Changed,
                    other => RecordError::Failed(other.to_string()),
                },
                other => RecordError::Failed(other.to_string()),
            })
    }
}
