//! Blobs as request bodies: streamed from the blob store, never held in memory.

use std::sync::Arc;

use bowline_connector::{BlobRef, BlobStore, StepContext, StepError};
use futures_util::StreamExt;
use reqwest::Body;

use crate::quiet::Activity;

/// A blob that is streamed, and opened anew for every request.
#[derive(Clone)]
pub(crate) struct BlobBody {
    store: Arc<dyn BlobStore>,
    blob: BlobRef,
}

impl BlobBody {
    /// The blob that `field` refers to.
    pub(crate) fn find(ctx: &StepContext, field: &str, blob: BlobRef) -> Result<Self, StepError> {
        let store = Arc::clone(ctx.blob_store(field)?);
        Ok(Self { store, blob })
    }

    pub(crate) fn len(&self) -> u64 {
        self.blob.size
    }

    /// The media type that the blob has, if it is known.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.blob.content_type.as_deref()
    }

    /// Opens the blob for one request. Every piece that goes out counts as activity.
    pub(crate) async fn open(&self, activity: &Activity) -> Result<Body, StepError> {
        let pieces = self.store.open(&self.blob).await?;
        let activity = activity.clone();
        Ok(Body::wrap_stream(pieces.inspect(move |_| activity.tick())))
    }
}
