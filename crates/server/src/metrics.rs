//! Figures for Prometheus.

use axum::Router;
use bowline_host::Host;

use crate::config::Config;
use crate::guard::Routes;
use crate::{App, ServeError};

/// What this part keeps.
pub struct State {}

impl State {
    /// The state of a server that starts.
    pub fn new(_config: &Config, _host: &Host) -> Result<Self, ServeError> {
        Ok(Self {})
    }
}

/// Its routes.
pub fn routes() -> Routes {
    Routes::new()
}

/// Counts every request of the router.
pub fn layer(router: Router<App>, _app: &App) -> Router<App> {
    router
}
