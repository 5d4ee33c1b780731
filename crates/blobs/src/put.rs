//! Keeping content: hashed while it goes to a temporary object, then put in its place.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bowline_core::{BlobError, BlobId, BlobInfo, BlobRef, ByteStream};
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::blobs::{Inner, Limit, age, failed};

/// A blob that was put longer ago is written again, so that its age begins anew: a collection that has looked at
/// the references before must not delete what somebody was just told is kept.
pub(crate) const FRESH: Duration = Duration::from_mins(10);

pub(crate) async fn put(
    inner: Arc<Inner>,
    limit: Option<Limit>,
    mut content: ByteStream,
    info: BlobInfo,
) -> Result<BlobRef, BlobError> {
    let check = |size: Option<u64>, read: u64| match &limit {
        Some(limit) if read > limit.bytes => Err(BlobError::TooLarge {
            size,
            limit: limit.bytes,
            setting: limit.setting.to_string(),
        }),
        _ => Ok(()),
    };
    check(info.announced, info.announced.unwrap_or_default())?;
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut rest = BytesMut::new();
    let mut upload = None;
    while let Some(piece) = content.try_next().await? {
        size += piece.len() as u64;
        check(None, size)?;
        hash.update(&piece);
        rest.extend_from_slice(&piece);
        drop(piece);
        while rest.len() > inner.part {
            let part = rest.split_to(inner.part).freeze();
            match &mut upload {
                None => upload.insert(Upload::begin(&inner).await?),
                Some(upload) => upload,
            }
            .part(part)
            .await?;
        }
    }
    if let Some(announced) = info.announced.filter(|announced| *announced != size) {
        let what = format!("{announced} bytes were announced, and there were {size}");
        return Err(BlobError::Source(what.into()));
    }
    let blob = BlobRef {
        id: BlobId::of_hash(hash.finalize().into()),
        size,
        content_type: info.content_type,
        grant: None,
    };
    match upload {
        None => small(&inner, &blob, rest.freeze()).await?,
        Some(mut upload) => {
            upload.part(rest.freeze()).await?;
            upload.finish(&inner, &blob).await?;
        }
    }
    Ok(blob)
}

/// Content that is whole in memory is written in one go, unless it is there already.
async fn small(inner: &Inner, blob: &BlobRef, content: Bytes) -> Result<(), BlobError> {
    let _together = inner.places.read().await;
    if let Some(found) = inner.head(&blob.id).await?
        && found.size == blob.size
        && age(&found, SystemTime::now()) < FRESH
    {
        return Ok(());
    }
    let written = inner.store.put(&inner.place(&blob.id), content.into()).await;
    written.map(drop).map_err(failed)
}

/// Content on its way to a temporary object. Dropped before its end it leaves at most a file, for the collection.
struct Upload {
    place: Path,
    parts: Box<dyn MultipartUpload>,
}

impl Upload {
    async fn begin(inner: &Inner) -> Result<Self, BlobError> {
        let place = inner.below("tmp").join(Uuid::now_v7().to_string());
        let parts = inner.store.put_multipart(&place).await.map_err(failed)?;
        Ok(Self { place, parts })
    }

    async fn part(&mut self, part: Bytes) -> Result<(), BlobError> {
        self.parts.put_part(PutPayload::from(part)).await.map_err(failed)
    }

    /// Puts the content in its place. What may be there already is replaced by the same, only younger.
    async fn finish(&mut self, inner: &Inner, blob: &BlobRef) -> Result<(), BlobError> {
        self.parts.complete().await.map_err(failed)?;
        let _together = inner.places.read().await;
        match inner.store.rename(&self.place, &inner.place(&blob.id)).await {
            Ok(()) => Ok(()),
            Err(error) => {
                if let Err(error) = inner.delete(&self.place).await {
                    tracing::debug!(%error, place = %self.place, "left for the collection");
                }
                Err(failed(error))
            }
        }
    }
}
