//! What a connector is told about the step it runs, and what it may use.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
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
    /// Whether files outside of `base_dir` are out of reach: the workflow is of an organization that shares this machine
    /// with others. [`file`](Self::file) sees to it.
    pub confined: bool,
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

    /// Where the file is that `field` of a configuration names; it need not be there. Every path that a workflow gives goes
    /// through here. Where the step is [`confined`](Self::confined), this looks at the file system.
    ///
    /// # Errors
    /// `file.outside` where it is confined and the path leads outside of its folder, by itself or over a link.
    pub fn file(&self, field: &str, path: impl AsRef<Path>) -> Result<PathBuf, StepError> {
        let path = path.as_ref();
        let whole = self.base_dir.join(path);
        if !self.confined {
            return Ok(whole);
        }
        let outside = || {
            StepError::permanent(
                "file.outside",
                format!(
                    "{field}: `{}` is outside of the organization's folder; write a path below it, such as `data/orders.db`",
                    path.display()
                ),
            )
        };
        if path.components().any(|part| part == std::path::Component::ParentDir) {
            return Err(outside());
        }
        let root = self
            .base_dir
            .canonicalize()
            .map_err(|error| outside().caused_by(&error))?;
        // What is not there yet lies where the nearest folder that is there leads.
        let mut there = whole.as_path();
        loop {
            match there.canonicalize() {
                Ok(real) if real.starts_with(&root) => return Ok(whole),
                // A link that leads nowhere yet could be written through.
                Err(error) if error.kind() == ErrorKind::NotFound && there.symlink_metadata().is_err() => {
                    there = there.parent().ok_or_else(outside)?;
                }
                Ok(_) => return Err(outside()),
                Err(error) => return Err(outside().caused_by(&error)),
            }
        }
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
            confined: false,
            blobs: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confined_step_reaches_its_own_files_only() {
        let home = tempfile::tempdir().unwrap();
        let own = home.path().join("own");
        std::fs::create_dir_all(own.join("data")).unwrap();
        std::fs::write(home.path().join("secret"), "x").unwrap();
        let free = StepContext {
            base_dir: Arc::new(own.clone()),
            ..StepContext::for_tests()
        };
        assert!(free.file("f", "../secret").is_ok());
        let confined = StepContext { confined: true, ..free };
        assert_eq!(confined.file("f", "data/new/x.db").unwrap(), own.join("data/new/x.db"));
        assert_eq!(confined.file("f", own.join("x")).unwrap(), own.join("x"));
        for path in ["../secret", "data/../../secret", "/etc/passwd", "/no-such-folder/x"] {
            let error = confined.file("database", path).unwrap_err();
            assert_eq!(error.code, "file.outside");
            assert!(
                error.message.contains("database") && error.message.contains(path),
                "{error}"
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_leads_nowhere_else_either() {
        let home = tempfile::tempdir().unwrap();
        let own = home.path().join("own");
        std::fs::create_dir(&own).unwrap();
        std::os::unix::fs::symlink(home.path(), own.join("up")).unwrap();
        std::os::unix::fs::symlink(home.path().join("later"), own.join("dangling")).unwrap();
        let confined = StepContext {
            base_dir: Arc::new(own),
            confined: true,
            ..StepContext::for_tests()
        };
        for path in ["up/secret", "dangling"] {
            assert_eq!(confined.file("f", path).unwrap_err().code, "file.outside");
        }
    }
}
