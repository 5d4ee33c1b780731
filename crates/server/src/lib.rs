//! The server: an HTTP API, webhooks and callbacks from outside, an inspector. Alone knows status codes.
//!
//! - [`config`]: how it runs;
//! - [`route`]: the table of routes, from which the router, the OpenAPI document and the rules come;
//! - [`api`]: one file for each resource, thin: each handler calls one operation of the host;
//! - [`guard`]: who may do what, and limits;
//! - [`outside`]: webhooks and callbacks;
//! - [`inspector`]: pages for people;
//! - [`accept`][]: connections.

pub mod accept;
pub mod api;
mod codes;
pub mod config;
pub mod docs;
pub mod extract;
pub mod guard;
pub mod idempotency;
pub mod inspector;
pub mod metrics;
pub mod notify;
pub mod outside;
pub mod problem;
pub mod route;
pub mod shaped;
mod shares;
pub mod sse;
pub mod state;
pub mod stop;

use std::net::SocketAddr;

use axum::Router;
use axum::http::StatusCode;
use bowline_host::Host;
use tokio::net::TcpListener;

pub use crate::config::Config;
use crate::problem::Problem;
pub use crate::state::App;
pub use crate::stop::Stop;

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// What was to be listened on.
        address: String,
        /// What the system says.
        error: std::io::Error,
    },
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
}

/// A server that is ready to answer.
pub struct Server {
    app: App,
    router: Router,
    listener: TcpListener,
    address: SocketAddr,
    #[cfg(unix)]
    door: Option<accept::folder::Door>,
}

impl Server {
    /// Puts the parts together. Nothing is answered before [`Server::run`].
    ///
    /// # Errors
    /// What the configuration asks for cannot be had.
    pub fn new(config: Config, host: Host, listener: TcpListener, stop: Stop) -> Result<Self, ServeError> {
        let address = listener.local_addr().map_err(|error| ServeError::Listen {
            address: config.listen.to_string(),
            error,
        })?;
        let mut api = api::routes();
        let document = api.document();
        let table = api
            .into_routes()
            .merge(outside::routes())
            .merge(inspector::routes())
            .merge(metrics::routes());
        let app = App::new(host, config, stop, document, table.rules)?;
        let needs_keys = guard::may_listen(&app, address.ip())?;
        if !needs_keys {
            tracing::info!("there is no API key: everybody on this machine is let in, and nobody else");
        }
        let router = compose(table.router, &app);
        Ok(Self {
            app,
            router,
            listener,
            address,
            #[cfg(unix)]
            door: None,
        })
    }

    /// Answers commands beside it too, through a socket in the data folder. Who may open that needs no key. Where it cannot
    /// be made, such as where the folder's path is too long for one, that is logged, and such commands are refused.
    #[must_use]
    pub fn with_door(self, data: &std::path::Path) -> Self {
        #[cfg(unix)]
        match accept::folder::Door::open(data) {
            Ok(door) => {
                return Self {
                    door: Some(door),
                    ..self
                };
            }
            Err(error) => tracing::warn!(
                %error,
                folder = %data.display(),
                "the data folder has no socket for commands beside the server: some of them are refused while it runs"
            ),
        }
        self
    }

    /// What it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's state.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Answers until the `stop` it was made with is told; then lets requests under way end.
    pub async fn run(self) {
        let app = self.app;
        guard::tidy(&app);
        shares::look(&app);
        #[cfg(unix)]
        let door = self.door.map(|door| {
            let url = app.config.public_url.clone();
            let url = url.unwrap_or_else(|| format!("http://{}", self.address));
            let url = url.parse().unwrap_or(axum::http::HeaderValue::from_static(""));
            let grace = app.config.stop_grace.duration();
            tokio::spawn(door.serve(self.router.clone(), url, app.stop.clone(), grace))
        });
        accept::serve(self.listener, self.router, &app.config, &app.stop).await;
        #[cfg(unix)]
        if let Some(door) = door
            && let Err(error) = door.await
        {
            tracing::warn!(%error, "the data folder's socket was not closed in order");
        }
        app.triggers.stop().await;
    }
}

/// All routes in one router.
fn compose(gathered: Router<App>, app: &App) -> Router {
    let router = guard::layer(
        gathered
            .method_not_allowed_fallback(not_allowed)
            .fallback(outside::fallback),
        app,
    );
    // Outside of the guard: what it refuses below /ui is a page, too.
    let router = inspector::layer(router);
    metrics::layer(router, app).with_state(app.clone())
}

/// The path is a route, and takes other methods (the header `Allow` says which).
async fn not_allowed() -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method.not-allowed",
        "this path does not take this method; the header Allow names those that it takes",
    )
}
