//! The parts put together: connectors, environment, store, engine, logs.

pub(crate) mod access;
pub(crate) mod api;
pub(crate) mod beside;
pub(crate) mod blobs;
pub(crate) mod environment;
pub(crate) mod files;
pub(crate) mod logging;
pub(crate) mod remote;
pub(crate) mod replay;
pub(crate) mod server;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod signals;
pub(crate) mod soundness;
pub(crate) mod store;
pub(crate) mod why;

use std::sync::{Arc, LazyLock};

use bowline_connector::Registry;
use bowline_expression::Masker;
pub(crate) use bowline_host::{answers, programs, retention, sources as workflow};

static MASKER: LazyLock<Masker> = LazyLock::new(Masker::default);

/// The masker of this process: all that is recorded, printed or logged goes through it.
pub(crate) fn masker() -> &'static Masker {
    &MASKER
}

/// Every connector, connection type and trigger of this program.
pub(crate) fn registry() -> Arc<Registry> {
    let mut registry = Registry::default();
    bowline_connector_http::register(&mut registry);
    bowline_connector_mail::register(&mut registry);
    bowline_connector_sql::register(&mut registry);
    bowline_webhooks::register(&mut registry);
    bowline_triggers::register(&mut registry);
    Arc::new(registry)
}
