//! Connections: where they come from, how many there may be, how they are served, and how they end.

mod count;
#[cfg(unix)]
pub mod folder;
mod stall;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::Service;

use self::count::Addresses;
pub(crate) use self::count::whose;
use self::stall::Stalling;
pub(crate) use self::stall::Taking;
use crate::ServeError;
use crate::config::{Config, Connections};
use crate::stop::Stop;

/// A listener that fails (files or memory are short) is asked again after this.
const PAUSE: Duration = Duration::from_millis(50);

/// The socket that the service manager has handed over (`LISTEN_FDS`), or a new one.
///
/// # Errors
/// The address cannot be listened on.
pub fn listener(config: &Config) -> Result<TcpListener, ServeError> {
    let handed = listenfd::ListenFd::from_env().take_tcp_listener(0);
    let (address, listener) = match handed {
        Ok(None) => (config.listen.to_string(), std::net::TcpListener::bind(config.listen)),
        Ok(Some(listener)) => ("the socket in LISTEN_FDS".to_owned(), Ok(listener)),
        Err(error) => ("the socket in LISTEN_FDS".to_owned(), Err(error)),
    };
    listener
        .and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        })
        .map_err(|error| ServeError::Listen { address, error })
}

/// Serves connections until `stop`, then lets requests under way end for at most `grace`.
pub(crate) async fn serve(listener: TcpListener, router: Router, config: &Config, stop: &Stop) {
    let (limits, grace) = (&config.connections, config.stop_grace.duration());
    let connections = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(limits.max.clamp(1, Semaphore::MAX_PERMITS)));
    let addresses = Addresses::new(limits.per_address, &config.limits.proxies);
    loop {
        let next = async {
            // Without a place nothing is accepted: the kernel keeps those who come.
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = stop.stopped() => break,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(counted) = addresses.enter(from.ip()) else {
            tracing::debug!(address = %from.ip(), "a connection is closed: its address has too many");
            continue;
        };
        let served = connection(stream, from, &router, limits);
        let served = connections.watch(served);
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::debug!(%error, %from, "a connection ended early");
            }
            drop((place, counted));
        });
    }
    // From here on the kernel refuses new connections, or keeps them for whoever has the socket too.
    drop(listener);
    if tokio::time::timeout(grace, connections.shutdown()).await.is_err() {
        tracing::warn!("requests did not end in time; their connections are closed");
    }
}

/// A connection while it is served.
fn connection(
    stream: TcpStream,
    from: SocketAddr,
    router: &Router,
    limits: &Connections,
) -> impl GracefulConnection<Error = hyper::Error> + Send + 'static {
    // Answers are small and written whole: waiting for more would only make them late.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    // A router is cheap to clone; one with another layer would be built anew for each connection.
    let router = router.clone();
    let stream = Stalling::new(stream, limits.stall_timeout.duration());
    let taking = stream.taking();
    let service = service_fn(move |mut request: axum::http::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(from));
        request.extensions_mut().insert(taking.clone());
        router.clone().call(request)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout.duration())
        .max_headers(limits.headers)
        // What is written goes through one buffer that is there anyway: a reader that is slow has no others.
        .writev(false)
        // Below 8 KiB hyper cannot read at all.
        .max_buf_size(limits.header_bytes.max(8 * 1024))
        .serve_connection(TokioIo::new(stream), service)
}
