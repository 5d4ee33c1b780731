//! The store of blobs: where things are, and reading them.

use std::fs::{self, File};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bowline_core::{BlobError, BlobId, BlobInfo, BlobRef, BlobStore, BoxFuture, ByteStream};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::sync::RwLock;
use tokio_util::io::ReaderStream;

use crate::verified::verified;

/// Bytes that are written or read at a time where the store is a folder.
const LOCAL_PART: usize = 256 * 1024;
/// The smallest part that every object store takes.
const REMOTE_PART: usize = 5 * 1024 * 1024;

/// Keeps blobs in an object store. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    pub(crate) inner: Arc<Inner>,
    limit: Option<Limit>,
}

/// The largest blob, and what says so.
#[derive(Clone)]
pub(crate) struct Limit {
    pub(crate) bytes: u64,
    pub(crate) setting: Arc<str>,
}

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn ObjectStore>,
    prefix: Path,
    pub(crate) part: usize,
    /// The folder, where the store is one.
    pub(crate) folder: Option<PathBuf>,
    /// Held together by those who put a blob in its place, alone by who deletes one: so nobody relies on a blob
    /// that is being deleted.
    pub(crate) places: RwLock<()>,
}

/// A blob as [`Blobs::list`] tells it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What it is called.
    pub id: BlobId,
    /// Its bytes.
    pub size: u64,
    /// How long ago it was last put.
    pub age: Duration,
}

impl Blobs {
    /// Keeps blobs in a folder, which is made where it does not exist. Writes are synced before they count.
    ///
    /// # Errors
    /// [`BlobError::Store`] where the folder cannot be made or used.
    pub fn local(folder: impl AsRef<FilePath>) -> Result<Self, BlobError> {
        let folder = folder.as_ref();
        let store = (|| {
            fs::create_dir_all(folder)?;
            if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                File::open(parent)?.sync_all()?;
            }
            LocalFileSystem::new_with_prefix(folder).map_err(std::io::Error::other)
        })()
        .map_err(|error| BlobError::Store(format!("{} cannot be used for blobs: {error}", folder.display()).into()))?;
        Ok(Self::with(
            Arc::new(store.with_fsync(true)),
            Path::default(),
            LOCAL_PART,
            Some(folder.to_owned()),
        ))
    }

    /// Keeps blobs below `prefix` of an object store.
    #[must_use]
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self::with(store, Path::from(prefix), REMOTE_PART, None)
    }

    fn with(store: Arc<dyn ObjectStore>, prefix: Path, part: usize, folder: Option<PathBuf>) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                prefix,
                part,
                folder,
                places: RwLock::new(()),
            }),
            limit: None,
        }
    }

    /// The same store, which refuses blobs of more than `bytes`: before reading where the size is announced, else as
    /// soon as there is too much. `setting` is what users call this limit. No limit by default.
    #[must_use]
    pub fn with_limit(mut self, bytes: u64, setting: &str) -> Self {
        self.limit = Some(Limit {
            bytes,
            setting: setting.into(),
        });
        self
    }

    /// Keeps content that is in memory already.
    ///
    /// # Errors
    /// [`BlobError::TooLarge`], or [`BlobError::Store`] where it cannot be written.
    pub async fn put_bytes(&self, content: Bytes, content_type: Option<&str>) -> Result<BlobRef, BlobError> {
        let info = BlobInfo {
            content_type: content_type.map(str::to_owned),
            announced: Some(content.len() as u64),
        };
        self.put(stream::iter([Ok(content)]).boxed(), info).await
    }

    /// Whether there is a blob of this name.
    ///
    /// # Errors
    /// [`BlobError::Store`] where that cannot be found out.
    pub async fn exists(&self, id: &BlobId) -> Result<bool, BlobError> {
        Ok(self.inner.head(id).await?.is_some())
    }

    /// Deletes a blob, whoever may refer to it. It is no error where there is none.
    ///
    /// # Errors
    /// [`BlobError::Store`] where it cannot be deleted.
    pub async fn delete(&self, id: &BlobId) -> Result<(), BlobError> {
        let _alone = self.inner.places.write().await;
        self.inner.delete(&self.inner.place(id)).await
    }

    /// All blobs, in no particular order.
    pub fn list(&self) -> impl futures_util::Stream<Item = Result<Kept, BlobError>> + Send + use<> {
        let inner = Arc::clone(&self.inner);
        let now = SystemTime::now();
        let top = self.inner.below("sha256");
        let found = inner.store.list(Some(&top));
        found.map_err(failed).try_filter_map(move |meta| {
            let kept = inner.id_at(&meta.location).map(|id| Kept {
                id,
                size: meta.size,
                age: age(&meta, now),
            });
            std::future::ready(Ok(kept))
        })
    }
}

impl BlobStore for Blobs {
    fn put(&self, content: ByteStream, info: BlobInfo) -> BoxFuture<Result<BlobRef, BlobError>> {
        Box::pin(crate::put::put(
            Arc::clone(&self.inner),
            self.limit.clone(),
            content,
            info,
        ))
    }

    fn open(&self, blob: &BlobRef) -> BoxFuture<Result<ByteStream, BlobError>> {
        let (inner, blob) = (Arc::clone(&self.inner), blob.clone());
        Box::pin(async move { inner.open(blob).await })
    }

    fn collect(
        &self,
        referenced: bowline_core::Referenced,
        older_than: Duration,
    ) -> BoxFuture<Result<usize, BlobError>> {
        let all = self.clone();
        Box::pin(async move {
            let collected = Self::collect(&all, move |id| referenced(id), older_than).await?;
            Ok(usize::try_from(collected.deleted).unwrap_or(usize::MAX))
        })
    }
}

impl Inner {
    /// Where the blob of this name is.
    pub(crate) fn place(&self, id: &BlobId) -> Path {
        let (first, rest) = id.hex().split_at(2);
        self.below("sha256").join(first).join(rest)
    }

    /// The blob that is there, if one can be.
    fn id_at(&self, place: &Path) -> Option<BlobId> {
        let mut parts = place.prefix_match(&self.below("sha256"))?;
        let (first, rest) = (parts.next()?, parts.next()?);
        let ends = parts.next().is_none();
        let id = BlobId::parse(&format!("sha256:{}{}", first.as_ref(), rest.as_ref()));
        id.filter(|_| ends && first.as_ref().len() == 2)
    }

    pub(crate) fn below(&self, name: &'static str) -> Path {
        self.prefix.clone().join(name)
    }

    pub(crate) async fn head(&self, id: &BlobId) -> Result<Option<ObjectMeta>, BlobError> {
        match self.store.head(&self.place(id)).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    pub(crate) async fn delete(&self, place: &Path) -> Result<(), BlobError> {
        match self.store.delete(place).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    async fn open(&self, blob: BlobRef) -> Result<ByteStream, BlobError> {
        let found = match self.store.get(&self.place(&blob.id)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Err(BlobError::Missing(blob.id)),
            Err(error) => return Err(failed(error)),
        };
        if found.meta.size != blob.size {
            return Err(BlobError::Damaged {
                what: format!("it has {} bytes, and its reference says {}", found.meta.size, blob.size),
                id: blob.id,
            });
        }
        let content: ByteStream = match found.payload {
            // Larger pieces than the crate would read.
            GetResultPayload::File(file, _) => ReaderStream::with_capacity(tokio::fs::File::from_std(file), LOCAL_PART)
                .map_err(|error| BlobError::Store(error.into()))
                .boxed(),
            GetResultPayload::Stream(content) => content.map_err(failed).boxed(),
        };
        Ok(verified(blob, content))
    }
}

/// How long ago an object was last written; nothing where the clock went back since.
pub(crate) fn age(meta: &ObjectMeta, now: SystemTime) -> Duration {
    now.duration_since(SystemTime::from(meta.last_modified))
        .unwrap_or_default()
}

pub(crate) fn failed(error: object_store::Error) -> BlobError {
    BlobError::Store(error.into())
}
