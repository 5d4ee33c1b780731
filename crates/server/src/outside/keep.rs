//! Keeping who has which path, whenever something was deployed.

use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use super::endpoints::Claims;

/// How long after it could not be written.
const PAUSE: Duration = Duration::from_secs(5);

/// Begins it, until the server's state is gone. `kept` is what the store has.
pub(super) fn spawn(inner: &Arc<Inner>, kept: Claims) {
    // Without a runtime (a test of something else) nothing is deployed.
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    let (mut changes, mut revisions) = (inner.endpoints.changes(), inner.endpoints.revisions());
    let inner = Arc::downgrade(inner);
    runtime.spawn(async move {
        let mut kept = kept;
        loop {
            changes.mark_unchanged();
            revisions.mark_unchanged();
            let Some(inner) = inner.upgrade() else { return };
            let pause = keep(&inner, &mut kept).await.err();
            drop(inner);
            let again = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            // The host lets go of both when it stops.
            let is_there = tokio::select! {
                told = changes.changed() => told.is_ok(),
                told = revisions.changed() => told.is_ok(),
                () = again => true,
            };
            if !is_there {
                return;
            }
        }
    });
}

/// Keeps what is different from `kept`.
///
/// # Errors
/// When to try again. Until then the memory of this process is what counts.
async fn keep(inner: &Inner, kept: &mut Claims) -> Result<(), Duration> {
    let built = inner.endpoints.current();
    let done = match built.claims.changes(kept) {
        Ok(writes) if writes.is_empty() => return Ok(()),
        Ok(writes) => inner
            .host
            .engine()
            .record(Vec::new(), writes)
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match done {
        Ok(()) => {
            kept.clone_from(&built.claims);
            Ok(())
        }
        Err(error) => {
            tracing::warn!(%error, "who has which path of a webhook could not be kept; it is tried again");
            Err(PAUSE)
        }
    }
}
