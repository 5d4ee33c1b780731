//! What it takes to run an engine in simulated time.

use std::sync::Arc;
use std::time::Duration;

/// Everything on the one thread of a current-thread runtime with paused time: the committer is a task, the
/// store is read inline, and what happens when depends on the delays given here and on nothing else. With
/// [`Clock::Runtime`](crate::Clock), the same delays give the same run.
#[derive(Clone)]
pub struct Simulation {
    /// How long the next commit takes before it is written, and how long after that until its end is told.
    pub commit: Arc<dyn Fn() -> (Duration, Duration) + Send + Sync>,
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Simulation")
    }
}
