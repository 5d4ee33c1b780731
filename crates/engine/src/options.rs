//! How an engine is set up.

use std::sync::Arc;
use std::time::Duration;

use bowline_core::BlobStore;

use crate::{Clock, Observer, Retention, Simulation};

/// Settings of an [`Engine`](crate::Engine).
#[derive(Clone)]
pub struct Options {
    /// So many executions are in memory at most; starting another one waits. Child executions have as many places again, as
    /// a parent that waits for one must not keep it from starting: one without a place begins in the store, and goes on when
    /// there is one (where none comes free for a minute, without). With a virtual clock, or without `park_beyond`, children are not
    /// bounded. Default 10,000.
    pub max_in_flight: usize,
    /// One organization has so many of a hundred of these places at most, as soon as the store knows another one or
    /// [`Engine::share_out`](crate::Engine::share_out) is called: those whose steps hang do not keep others from starting. A
    /// quarter of the rest is for organizations that have few places, a fifth of it for each. Default 80; fewer than 5 places are
    /// not shared out, and fewer than 100 have none for those that have few.
    pub organization_share: u8,
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
    /// An execution that waits only for what is further away than this leaves memory; what wakes it brings it back
    /// from its journal. One that waits for children too, or has a long journal, rests for as long first. Default 10 s;
    /// none keeps everything in memory, as a virtual clock does.
    pub park_beyond: Option<Duration>,
    /// Callbacks, signals and cancellations of executions that have left memory wait for a place so long at most, and are
    /// [`EngineError::Busy`](crate::EngineError) after that: nothing of them is recorded. Default none: until there is one.
    pub outside_patience: Option<Duration>,
    /// A callback that nobody waits for is kept for so long. Default 7 days.
    pub keep_callbacks: Duration,
    /// An answer of a callback, or the data of a signal, has at most so many bytes; larger ones are
    /// [`EngineError::TooLarge`](crate::EngineError). Default 16 MiB.
    pub max_answer_bytes: usize,
    /// An event is kept for so long for executions that began before it and wait for it later. Default 7 days.
    pub keep_events: Duration,
    /// Where payloads of more than 64 KiB are kept, beside the store. None keeps everything in the journal.
    pub blobs: Option<Arc<dyn BlobStore>>,
    /// Which finished executions are kept. Default: all, for ever.
    pub retention: Vec<Retention>,
    /// How often finished executions are looked at for that. Default 1 minute.
    pub retention_interval: Duration,
    /// How often the self-audit looks at the next part of the store, and old events and callbacks are dropped.
    /// Default 10 s.
    pub audit_interval: Duration,
    /// Runs everything on one thread in simulated time.
    pub simulation: Option<Simulation>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_in_flight: 10_000,
            organization_share: 80,
            drivers: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            commit_patience: Duration::from_secs(10),
            request_interval: Duration::from_millis(250),
            clock: Clock::System,
            observer: None,
            park_beyond: Some(Duration::from_secs(10)),
            outside_patience: None,
            keep_callbacks: Duration::from_secs(7 * 86_400),
            max_answer_bytes: 16 * 1024 * 1024,
            keep_events: Duration::from_secs(7 * 86_400),
            blobs: None,
            retention: Vec::new(),
            retention_interval: Duration::from_secs(60),
            audit_interval: Duration::from_secs(10),
            simulation: None,
        }
    }
}
