//! Deleting what nothing refers to.
//!
//! A blob is put before the record is committed that refers to it, so a young one is left alone whether or not
//! something refers to it. Dying in the middle leaves blobs that the next collection finds again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bowline_core::{BlobError, BlobId};
use futures_util::TryStreamExt;

use crate::blobs::{Blobs, Kept, age, failed};
use crate::leftovers;
use crate::put::FRESH;

/// No blob that was put more recently is ever collected.
pub const MIN_AGE: Duration = Duration::from_hours(1);

/// Between these a blob is not refreshed by a put of the same content, and old enough to go.
const _: () = assert!(FRESH.as_secs() * 2 <= MIN_AGE.as_secs());

/// Blobs whose references are looked up at a time.
const BATCH: usize = 256;

/// What a collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs that stay.
    pub kept: u64,
    /// Blobs that were deleted.
    pub deleted: u64,
    /// Bytes of those.
    pub deleted_bytes: u64,
    /// Remains of interrupted puts that were deleted.
    pub leftovers: u64,
}

impl Blobs {
    /// Deletes blobs that were put longer than `older_than` ago and that nothing refers to, and what interrupted
    /// puts have left. Less than [`MIN_AGE`] counts as that; a day is sensible.
    ///
    /// `referenced` is asked on a thread where it may block. It must count what is committed, at whatever time it
    /// is asked. Where it fails, the collection ends, and what it has deleted stays deleted.
    ///
    /// One process collects; others may put meanwhile.
    ///
    /// # Errors
    /// [`BlobError::Store`] where the blobs cannot be listed or deleted, [`BlobError::Source`] with the error of
    /// `referenced`.
    pub async fn collect<F, E>(&self, referenced: F, older_than: Duration) -> Result<Collected, BlobError>
    where
        F: Fn(&BlobId) -> Result<bool, E> + Send + Sync + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let older_than = older_than.max(MIN_AGE);
        let referenced = Arc::new(referenced);
        let mut done = Collected::default();
        let mut old = Vec::with_capacity(BATCH);
        let mut all = std::pin::pin!(self.list());
        while let Some(kept) = all.try_next().await? {
            if kept.age <= older_than {
                done.kept += 1;
                continue;
            }
            old.push(kept);
            if old.len() == BATCH {
                self.delete_unused(std::mem::take(&mut old), &referenced, older_than, &mut done)
                    .await?;
            }
        }
        self.delete_unused(old, &referenced, older_than, &mut done).await?;
        done.leftovers = self.delete_leftovers(older_than).await?;
        Ok(done)
    }

    async fn delete_unused<F, E>(
        &self,
        old: Vec<Kept>,
        referenced: &Arc<F>,
        older_than: Duration,
        done: &mut Collected,
    ) -> Result<(), BlobError>
    where
        F: Fn(&BlobId) -> Result<bool, E> + Send + Sync + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let asked = Arc::clone(referenced);
        let answers = tokio::task::spawn_blocking(move || {
            let answers = old.into_iter().map(|kept| Ok((asked(&kept.id)?, kept)));
            answers.collect::<Result<Vec<_>, E>>()
        });
        let answers = answers.await.map_err(|error| BlobError::Source(error.into()))?;
        for (used, kept) in answers.map_err(|error| BlobError::Source(error.into()))? {
            if used || !self.delete_old(&kept.id, older_than).await? {
                done.kept += 1;
            } else {
                done.deleted += 1;
                done.deleted_bytes += kept.size;
            }
        }
        Ok(())
    }

    /// Deletes a blob, unless it was put again since it was found old.
    async fn delete_old(&self, id: &BlobId, older_than: Duration) -> Result<bool, BlobError> {
        let _alone = self.inner.places.write().await;
        match self.inner.head(id).await? {
            Some(found) if age(&found, SystemTime::now()) > older_than => {
                self.inner.delete(&self.inner.place(id)).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    async fn delete_leftovers(&self, older_than: Duration) -> Result<u64, BlobError> {
        let mut deleted = 0;
        let place = self.inner.below("tmp");
        let mut temporary = self.inner.store.list(Some(&place));
        while let Some(meta) = temporary.try_next().await.map_err(failed)? {
            if age(&meta, SystemTime::now()) > older_than {
                self.inner.delete(&meta.location).await?;
                deleted += 1;
            }
        }
        if let Some(folder) = self.inner.folder.clone() {
            let more = tokio::task::spawn_blocking(move || leftovers::delete(&folder, older_than));
            let more = more.await.map_err(|error| BlobError::Store(error.into()))?;
            deleted += more.map_err(|error| BlobError::Store(error.into()))?;
        }
        Ok(deleted)
    }
}
