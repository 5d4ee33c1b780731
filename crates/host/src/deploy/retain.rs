//! Forgetting finished executions as the current versions of their workflows say, which may change at any time.

use std::sync::Arc;
use std::time::Duration;

use bowline_engine::EngineError;

use crate::host::Inner;
use crate::retention::rule;

/// Applies the rules of current versions every `interval` until the host stops.
pub(crate) fn retain(inner: &Arc<Inner>, interval: Duration) {
    let weak = Arc::downgrade(inner);
    let mut stopped = inner.stopped.subscribe();
    tokio::spawn(async move {
        while tokio::time::timeout(interval, stopped.wait_for(|stopped| *stopped))
            .await
            .is_err()
        {
            let Some(inner) = weak.upgrade() else { return };
            let active = inner.deployments.active(None);
            let active = Arc::clone(&active.borrow());
            for one in active.iter() {
                let Some(rule) = rule(&one.organization, &one.plan) else {
                    continue;
                };
                match inner.engine.prune(&rule, false).await {
                    Ok(0) => {}
                    Ok(count) => {
                        tracing::info!(count, workflow = %one.workflow, "finished executions were forgotten");
                        inner.feed.touch(&one.organization);
                    }
                    Err(EngineError::Stopped(_)) => return,
                    Err(error) => tracing::warn!(%error, workflow = %one.workflow, "executions could not be forgotten"),
                }
            }
        }
    });
}
