//! What a connector is told about the step it runs, and what it may use.

use std::path::PathBuf;
use std::sync::Arc;

use bowline_core::{BlobRef, BlobStore, StepError};
use bowline_expression::Masker;
use futures_util::TryStreamExt;

use crate::connections::Connections;

/// One attempt of one step. Cheap to clone.
#[derive(Clone)]
pub struct StepContext {
    /// Id of the execution, as users see it.
    pub execution_id: Arc<str>,
    /// Name of the workflow.
    pub workflow: Arc<str>,
    /// Path of the step in its execution, such as `saga/charge`.
    pub path: Arc<str>,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Stable through retry, replay and resume; to be sent wherever the service takes one.
    pub idempotency_key: Arc<str>,
    /// The trace that the execution belongs to, to be sent on where a service takes one: the text of a W3C
    /// `traceparent` header.
    pub trace: Option<Arc<str>>,
    /// The connections that the workflow may use, by name.
    pub connections: Connections,
    /// Knows the secrets of this process. A connector that derives a new secret form of one (such as a
    /// base64 `Authorization` header) adds it here before it is used.
    pub masker: Masker,
    /// Folder against which relative paths in a configuration are resolved: the workflow file's own.
    pub base_dir: Arc<PathBuf>,
    /// Where content goes that is too large for a journal; none where the program that runs this has no place.
    pub blobs: Option<Arc<dyn BlobStore>>,
}

impl StepContext {
    /// The connection called `name`, built on first use and shared by everything that uses it.
    ///
    /// # Errors
    /// `connection.unknown` where nothing has that name, `connection.type` where it is of another type
    /// than `T`'s, and whatever building it says.
    pub fn connection<T: Send + Sync + 'static>(&self, name: &str) -> Result<Arc<T>, StepError> {
        self.connections.get(name, self)
    }

    /// The store of blobs, for `field`, which needs one.
    ///
    /// # Errors
    /// `blob.store` where there is none.
    pub fn blob_store(&self, field: &str) -> Result<&Arc<dyn BlobStore>, StepError> {
        self.blobs.as_ref().ok_or_else(|| {
            StepError::permanent(
                "blob.store",
                format!("{field}: there is no blob store here; give the program a data folder"),
            )
        })
    }

    /// The whole content of a blob, for a connector that needs it at once. `field` is where the reference stands.
    ///
    /// # Errors
    /// `blob.too-large` where it has more than `limit` bytes, before any is read; `blob.store` and what the store says.
    pub async fn read_blob(&self, field: &str, blob: &BlobRef, limit: u64) -> Result<Vec<u8>, StepError> {
        if blob.size > limit {
            return Err(StepError::permanent(
                "blob.too-large",
                format!(
                    "{field}: the blob has {} bytes, and at most {limit} can be used here",
                    blob.size
                ),
            ));
        }
        let mut pieces = self.blob_store(field)?.open(blob).await?;
        let mut content = Vec::with_capacity(blob.size as usize);
        while let Some(piece) = pieces.try_next().await? {
            content.extend_from_slice(&piece);
        }
        Ok(content)
    }

    /// A context for tests and documentation examples: execution `test`, path `step`, attempt 1.
    #[must_use]
    pub fn for_tests() -> Self {
        Self {
            execution_id: "test".into(),
            workflow: "test".into(),
            path: "step".into(),
            attempt: 1,
            idempotency_key: "test/step".into(),
            trace: None,
            connections: Connections::default(),
            masker: Masker::default(),
            base_dir: Arc::new(PathBuf::from(".")),
            blobs: None,
        }
    }
}
