//! The end of the server, as everybody who waits for something hears of it.

use std::sync::Arc;

use tokio::sync::watch;

/// Tells that the server stops. Clones tell of the same end.
#[derive(Clone, Debug)]
pub struct Stop {
    told: Arc<watch::Sender<bool>>,
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// An end that has not come.
    pub fn new() -> Self {
        Self {
            told: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Says that the server stops.
    pub fn stop(&self) {
        self.told.send_replace(true);
    }

    /// Whether it stops.
    pub fn is_stopping(&self) -> bool {
        *self.told.borrow()
    }

    /// Returns once it stops.
    pub async fn stopped(&self) {
        let mut receiver = self.told.subscribe();
        // The sender lives as long as `self`, so this cannot fail before it is told.
        let _ = receiver.wait_for(|told| *told).await;
    }
}
