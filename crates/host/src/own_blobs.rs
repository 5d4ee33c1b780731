//! Blobs of one organization. All lie in one store and are named by the hash of their content, which says nothing of who
//! may have it: so a reference carries a grant, and without its own grant an organization opens nothing.
//!
//! Grants are computed. A workflow, a sender or a service that writes down a reference cannot make one.

use std::sync::Arc;
use std::time::Duration;

use bowline_core::{BlobError, BlobInfo, BlobRef, BlobStore, BoxFuture, ByteStream, Referenced, TokenKey};
use bowline_store::DEFAULT_ORGANIZATION;

/// The store as one organization sees it.
struct OwnBlobs {
    all: Arc<dyn BlobStore>,
    key: TokenKey,
    organization: Arc<str>,
}

/// The store as `organization` sees it. The organization `default`, whose content was there before there were others,
/// sees all of it.
pub(crate) fn own_blobs(all: &Arc<dyn BlobStore>, key: &TokenKey, organization: &str) -> Arc<dyn BlobStore> {
    if organization == DEFAULT_ORGANIZATION {
        return Arc::clone(all);
    }
    Arc::new(OwnBlobs {
        all: Arc::clone(all),
        key: key.clone(),
        organization: organization.into(),
    })
}

impl BlobStore for OwnBlobs {
    fn put(&self, content: ByteStream, info: BlobInfo) -> BoxFuture<Result<BlobRef, BlobError>> {
        let put = self.all.put(content, info);
        let (key, organization) = (self.key.clone(), Arc::clone(&self.organization));
        Box::pin(async move {
            let blob = put.await?;
            Ok(BlobRef {
                grant: Some(key.grant(&organization, &blob.id)),
                ..blob
            })
        })
    }

    fn open(&self, blob: &BlobRef) -> BoxFuture<Result<ByteStream, BlobError>> {
        let grant = blob.grant.as_deref().unwrap_or_default();
        if self.key.is_granted(&self.organization, &blob.id, grant) {
            return self.all.open(blob);
        }
        // As where there is none: whether somebody else has it is not told.
        let missing = BlobError::Missing(blob.id.clone());
        Box::pin(async move { Err(missing) })
    }

    fn collect(&self, referenced: Referenced, older_than: Duration) -> BoxFuture<Result<usize, BlobError>> {
        self.all.collect(referenced, older_than)
    }
}
