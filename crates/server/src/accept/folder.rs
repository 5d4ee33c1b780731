//! The way in for commands beside a server: a socket in the data folder. Who may open it has the folder, and with it
//! everything that is in there; so no key is asked for.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, HeaderValue, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{UnixListener, UnixStream};
use tower::Service;

use crate::stop::Stop;

/// The name of the socket in a data folder.
pub const SOCKET: &str = "bowline.sock";

/// The header of its answers that says where others reach the server.
pub const ADDRESS: HeaderName = HeaderName::from_static("bowline-address");

/// A listener that fails is asked again after this.
const PAUSE: Duration = Duration::from_millis(50);

/// What a request from there carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfFolder;

/// A socket in a data folder. Its file goes when this does.
pub(crate) struct Door {
    listener: UnixListener,
    path: PathBuf,
    /// Who has the folder.
    owner: u32,
}

impl Door {
    /// Opens one in a folder that nobody else serves, in the place of one that a process left that has gone.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        let owner = std::fs::metadata(&path)?.uid();
        Ok(Self { listener, path, owner })
    }

    /// Whether the other end may be let in: it is whoever has the folder, or the system's administrator. The file's own
    /// permissions say so too, but not for the moment in which it is made.
    fn knows(&self, stream: &UnixStream) -> bool {
        stream
            .peer_cred()
            .is_ok_and(|peer| peer.uid() == self.owner || peer.uid() == 0)
    }

    /// Serves requests until `stop`, then lets those under way end for at most `grace`. `address` is where others reach
    /// the server.
    pub(crate) async fn serve(self, router: Router, address: HeaderValue, stop: Stop, grace: Duration) {
        let connections = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.stopped() => break,
            };
            let stream = match accepted {
                Ok((stream, _)) if self.knows(&stream) => stream,
                Ok(_) => {
                    tracing::warn!(
                        "somebody else than the data folder's owner has opened its socket, and is not let in"
                    );
                    continue;
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection to the data folder's socket could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let served = connections.watch(connection(stream, router.clone(), address.clone()));
            tokio::spawn(async move {
                if let Err(error) = served.await {
                    tracing::debug!(%error, "a connection to the data folder's socket ended early");
                }
            });
        }
        if tokio::time::timeout(grace, connections.shutdown()).await.is_err() {
            tracing::warn!("requests of commands did not end in time; their connections are closed");
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // It may have been removed by hand; the next server takes its place in any case.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn connection(
    stream: UnixStream,
    router: Router,
    address: HeaderValue,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send + 'static {
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (mut router, address) = (router.clone(), address.clone());
        // Rates and the audit log know it as this machine.
        let here = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        request.extensions_mut().insert(ConnectInfo(here));
        request.extensions_mut().insert(OfFolder);
        async move {
            let mut response = router.call(request).await?;
            response.headers_mut().insert(ADDRESS, address);
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
}
