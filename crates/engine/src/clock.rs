//! What time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// The engine's clock, in milliseconds since the Unix epoch. Cheap to clone; clones show the same time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's.
    #[default]
    System,
    /// A clock that stands still while work is going on and jumps to the next due time when everything
    /// waits: two days pass in no time. For tests and rehearsals.
    Virtual(Arc<AtomicI64>),
    /// The clock of the async runtime, counted from `base`, which is what it showed at `from`. With a runtime
    /// whose time is paused, this is simulated time.
    Runtime {
        /// Milliseconds since the Unix epoch.
        base: i64,
        /// The moment at which it was `base`.
        from: tokio::time::Instant,
    },
}

impl Clock {
    /// A virtual clock that begins at the system's time.
    #[must_use]
    pub fn virtual_now() -> Self {
        Self::Virtual(Arc::new(AtomicI64::new(Self::System.now())))
    }

    /// The clock of the async runtime that this is called in, showing `base` now.
    #[must_use]
    pub fn runtime(base: i64) -> Self {
        Self::Runtime {
            base,
            from: tokio::time::Instant::now(),
        }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        match self {
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Self::Virtual(now) => now.load(Ordering::SeqCst),
            Self::Runtime { base, from } => {
                let passed = i64::try_from(from.elapsed().as_millis()).unwrap_or(i64::MAX);
                base.saturating_add(passed)
            }
        }
    }

    /// Jumps to a later time; does nothing on a system clock.
    pub(crate) fn advance_to(&self, at: i64) {
        if let Self::Virtual(now) = self {
            now.fetch_max(at, Ordering::SeqCst);
        }
    }

    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual(_))
    }
}
