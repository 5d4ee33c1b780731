//! Keeping who has which path, whenever something was deployed.

use std::sync::Arc;

use super::Inner;
use super::endpoints::Claims;

/// Begins it, until the server's state is gone. `kept` is what the store has.
pub(super) fn spawn(inner: &Arc<Inner>, kept: Claims) {
    // Without a runtime (a test of something else) nothing is deployed.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    let mut changes = inner.endpoints.changes();
    let inner = Arc::downgrade(inner);
    runtime.spawn(async move {
        let mut kept = kept;
        loop {
            changes.mark_unchanged();
            let Some(inner) = inner.upgrade() else { return };
            keep(&inner, &mut kept).await;
            drop(inner);
            // The host lets go of it when it stops.
            if changes.changed().await.is_err() {
                return;
            }
        }
    });
}

async fn keep(inner: &Inner, kept: &mut Claims) {
    let built = inner.endpoints.current();
    let done = match built.claims.changes(kept) {
        Ok(writes) if writes.is_empty() => return,
        Ok(writes) => inner
            .host
            .engine()
            .record(Vec::new(), writes)
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match done {
        Ok(()) => kept.clone_from(&built.claims),
        // It is tried again with the next deployment; until then the memory of this process is what counts.
        Err(error) => tracing::warn!(%error, "who has which path of a webhook could not be kept"),
    }
}
