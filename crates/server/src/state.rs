//! What every request sees.

use std::ops::Deref;
use std::sync::Arc;

use bowline_engine::Clock;
use bowline_host::Host;
use bowline_triggers::Triggers;

use crate::config::Config;
use crate::guard::Rules;
use crate::route::Document;
use crate::sse::Streams;
use crate::stop::Stop;
use crate::{ServeError, guard, inspector, metrics, outside};

/// The server's state. Clones are the same one.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// What is behind an [`App`]. Each part of the server keeps its own state in a type of its own.
pub struct Shared {
    /// Workflows and executions.
    pub host: Host,
    /// What starts workflows by itself.
    pub triggers: Triggers,
    /// The configuration of this process.
    pub config: Config,
    /// Tells of the end of the server.
    pub stop: Stop,
    /// Streams of events that are open.
    pub streams: Streams,
    /// The OpenAPI document.
    pub document: Document,
    /// Who may call which route.
    pub rules: Rules,
    /// Keys, tokens, limits, sessions.
    pub guard: guard::State,
    /// Webhooks and callbacks from outside.
    pub outside: outside::State,
    /// The inspector.
    pub inspector: inspector::State,
    /// Counters.
    pub metrics: metrics::State,
}

impl App {
    pub(crate) fn new(
        host: Host,
        config: Config,
        stop: Stop,
        document: Document,
        rules: Rules,
    ) -> Result<Self, ServeError> {
        Ok(Self(Arc::new(Shared {
            guard: guard::State::new(&config, &host)?,
            outside: outside::State::new(&config, &host, &stop)?,
            inspector: inspector::State::new(&config, &host)?,
            metrics: metrics::State::new(&config, &host)?,
            triggers: Triggers::start(&host, Clock::System, Vec::new()),
            host,
            config,
            stop,
            streams: Streams::default(),
            document,
            rules,
        })))
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
