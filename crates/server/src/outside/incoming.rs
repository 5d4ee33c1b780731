//! A request from outside as it comes in: where it went, from where, and its body within bounds.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::header::{CONTENT_LENGTH, HOST};
use axum::http::{HeaderMap, Method};
use futures_util::StreamExt;

/// A body has to be here after so long, whatever its size.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

/// So much of a body that is too large is read and dropped, so that its sender gets to read the answer.
const DRAINED: u64 = 1 << 20;

/// Where a request went, and from where.
pub(super) struct Address {
    /// The address that the sender called, whole.
    pub(super) url: String,
    /// The path of it, with the organization.
    pub(super) path: String,
    /// The path and the query.
    path_and_query: String,
    /// From where.
    pub(super) from: Option<String>,
    /// When, in milliseconds since the Unix epoch.
    pub(super) at: i64,
}

impl Address {
    /// The address of a request. What the client says in `Forwarded` headers is not believed: a signature over an
    /// address is only worth something where the address is ours to say.
    pub(super) fn of(request: &Request, public_url: Option<&str>) -> Self {
        let uri = request.uri();
        let path_and_query = uri
            .path_and_query()
            .map_or_else(|| uri.path().to_owned(), ToString::to_string);
        let origin = public_url.map_or_else(
            || {
                let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
                format!("http://{}", host.or_else(|| uri.host()).unwrap_or("localhost"))
            },
            ToOwned::to_owned,
        );
        Self {
            url: format!("{origin}{path_and_query}"),
            path: uri.path().to_owned(),
            path_and_query,
            from: request
                .extensions()
                .get::<ConnectInfo<SocketAddr>>()
                .map(|ConnectInfo(from)| from.ip().to_string()),
            at: jiff::Timestamp::now().as_millisecond(),
        }
    }

    /// With the address that the configuration says the sender calls.
    pub(super) fn called(mut self, url: Option<&str>) -> Self {
        if let Some(url) = url {
            self.url = match self.path_and_query.split_once('?') {
                Some((_, query)) => format!("{url}?{query}"),
                None => url.to_owned(),
            };
        }
        self
    }

    pub(super) fn query(&self) -> &str {
        self.path_and_query.split_once('?').map_or("", |(_, query)| query)
    }
}

/// A request whose body is here.
pub(super) struct Incoming {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why a body is not here.
pub(super) enum NoBody {
    /// It has more than the limit.
    TooLarge(HeaderMap),
    /// It took too long.
    TooSlow,
    /// The sender went away.
    Broken,
}

/// Reads the body of a request, `limit` bytes at most.
pub(super) async fn read(request: Request, limit: u64) -> Result<Incoming, NoBody> {
    let (parts, body) = request.into_parts();
    let announced = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let gathered = if announced.is_some_and(|announced| announced > limit) {
        drain(body.into_data_stream(), 0).await;
        Ok(None)
    } else {
        gather(body, limit).await
    };
    match gathered {
        Ok(Some(body)) => Ok(Incoming {
            method: parts.method,
            headers: parts.headers,
            body,
        }),
        Ok(None) => Err(NoBody::TooLarge(parts.headers)),
        Err(why) => Err(why),
    }
}

/// None where there is more than the limit.
async fn gather(body: Body, limit: u64) -> Result<Option<Bytes>, NoBody> {
    let mut stream = body.into_data_stream();
    let gathering = async {
        let mut first = Bytes::new();
        let mut all = Vec::new();
        while let Some(piece) = stream.next().await {
            let piece = piece.map_err(|_| NoBody::Broken)?;
            let length = first.len().max(all.len()) as u64;
            if length + piece.len() as u64 > limit {
                return Ok(None);
            }
            // Most bodies come in one piece, which then need not be copied.
            if length == 0 {
                first = piece;
            } else {
                if all.is_empty() {
                    all.extend_from_slice(&first);
                }
                all.extend_from_slice(&piece);
            }
        }
        Ok(Some(if all.is_empty() { first } else { all.into() }))
    };
    let gathered = tokio::time::timeout(BODY_TIMEOUT, gathering).await;
    match gathered {
        Ok(Ok(None)) => {
            drain(stream, limit).await;
            Ok(None)
        }
        Ok(gathered) => gathered,
        Err(_) => Err(NoBody::TooSlow),
    }
}

async fn drain(mut stream: axum::body::BodyDataStream, before: u64) {
    let mut dropped = before.min(DRAINED);
    let draining = async {
        while let Some(Ok(piece)) = stream.next().await {
            dropped += piece.len() as u64;
            if dropped > 2 * DRAINED {
                break;
            }
        }
    };
    // Whoever is slow with what nobody wants is left alone with it.
    let _ended = tokio::time::timeout(Duration::from_secs(2), draining).await;
}
