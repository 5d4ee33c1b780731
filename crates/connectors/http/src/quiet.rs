//! The longest silence that is put up with.
//!
//! The limit is on silence, not on the whole: it starts again whenever a piece of a streamed request body
//! goes out, so that a slow upload is not mistaken for a service that says nothing.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts pieces of a body that went out. Clones count together.
#[derive(Clone, Default)]
pub(crate) struct Activity(Arc<AtomicU64>);

impl Activity {
    pub(crate) fn tick(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Nothing came and nothing went out for the whole limit.
#[derive(Debug)]
pub(crate) struct Silence(pub(crate) Duration);

/// Waits for `future`, but not longer than `limit` after the last sign of activity.
pub(crate) async fn wait<F: Future>(
    future: F,
    limit: Option<Duration>,
    activity: &Activity,
) -> Result<F::Output, Silence> {
    let Some(limit) = limit else {
        return Ok(future.await);
    };
    let mut future = pin!(future);
    loop {
        let before = activity.count();
        match tokio::time::timeout(limit, future.as_mut()).await {
            Ok(output) => return Ok(output),
            Err(_) if activity.count() != before => {}
            Err(_) => return Err(Silence(limit)),
        }
    }
}
