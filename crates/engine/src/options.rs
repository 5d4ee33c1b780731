//! How an engine is set up.

use std::sync::Arc;
use std::time::Duration;

use crate::{Clock, Observer};

/// Settings of an [`Engine`](crate::Engine).
#[derive(Clone)]
pub struct Options {
    /// So many executions are in memory at most; starting another one waits. Child executions do not
    /// count: a parent that waits for one must not keep it from starting. Default 10,000.
    pub max_in_flight: usize,
    /// Tasks that drive executions. Default: as many as there are processors. A virtual clock needs
    /// one, because only then it is known that everything waits; the engine sees to that.
    pub drivers: usize,
    /// A commit that the store refuses for want of space or because of an I/O error is tried again for
    /// so long before the engine gives up. Default 10 s.
    pub commit_patience: Duration,
    /// How often requests from other processes (such as a cancellation) are looked for. Default 250 ms.
    pub request_interval: Duration,
    /// What time it is.
    pub clock: Clock,
    /// Who is told what has become durable.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_in_flight: 10_000,
            drivers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            commit_patience: Duration::from_secs(10),
            request_interval: Duration::from_millis(250),
            clock: Clock::System,
            observer: None,
        }
    }
}
