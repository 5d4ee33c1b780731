//! What a server tells of its work: [figures](Figures) for Prometheus, and [traces](Traces) over OTLP.
//!
//! Both hear of the same two things: what the engine has committed ([`Observer`]), and attempts of connectors that have
//! ended ([`Watch`]). Neither ever makes an execution wait.

mod bounded;
mod config;
mod export;
mod figures;
mod labels;
mod process;
mod traces;

use std::sync::Arc;

use bowline_connector::{Attempted, Watch};
use bowline_engine::{Committed, Observer};
use bowline_store::SharedStore;

pub use config::{Config, TelemetryError};
pub use figures::{Figures, MEDIA_TYPE};
pub use traces::Traces;

/// Figures, and traces where they are wanted. Clones are the same one.
#[derive(Clone)]
pub struct Telemetry(Arc<Shared>);

struct Shared {
    figures: Figures,
    traces: Option<Traces>,
}

impl Telemetry {
    /// Begins to gather. Needs a runtime of tokio where traces are sent.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(config: &Config) -> Result<Self, TelemetryError> {
        let figures = Figures::new();
        let traces = Traces::new(config, &figures)?;
        Ok(Self(Arc::new(Shared { figures, traces })))
    }

    /// Figures for Prometheus.
    pub fn figures(&self) -> &Figures {
        &self.0.figures
    }

    /// Whether traces are sent.
    pub fn is_tracing(&self) -> bool {
        self.0.traces.is_some()
    }

    /// What an execution is started with whose starter belongs to no trace: the text of a `traceparent`, or nothing where
    /// no traces are sent or this one is left out by `sample`.
    pub fn new_trace(&self) -> Option<String> {
        self.0.traces.as_ref()?.begin()
    }

    /// Where the beginnings of executions are looked up that other processes started. Until then such ones have no span.
    pub fn look_in(&self, store: SharedStore) {
        if let Some(traces) = &self.0.traces {
            traces.look_in(store);
        }
    }

    /// Sends what has been gathered and not been sent. Call it before the process ends.
    pub async fn flush(&self) {
        if let Some(traces) = &self.0.traces {
            traces.flush().await;
        }
    }
}

impl Observer for Telemetry {
    fn committed(&self, committed: Committed<'_>) {
        self.0.figures.committed(&committed);
        if let Some(traces) = &self.0.traces {
            traces.committed(&committed);
        }
    }
}

impl Watch for Telemetry {
    fn attempted(&self, attempt: &Attempted<'_>) {
        self.0.figures.attempted(attempt);
        if let Some(traces) = &self.0.traces {
            traces.attempted(attempt);
        }
    }
}
