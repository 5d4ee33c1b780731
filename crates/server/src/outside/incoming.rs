//! A request from outside as it comes in: where it went, from where, and its body within bounds.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
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
    pub(super) fn of(request: &Request, from: Option<IpAddr>, public_url: Option<&str>) -> Self {
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
            from: from.map(|from| from.to_string()),
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

/// A body may have so many bytes without a share of the budget: what is small comes through when others have used it up.
const FREE: u64 = 16 << 10;

/// Bytes that bodies may have in memory together, while nobody knows yet whether their senders may send.
#[derive(Clone)]
pub(super) struct Budget(Arc<AtomicU64>);

impl Budget {
    pub(super) fn new(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            bytes: 0,
            taken: 0,
        }
    }
}

/// What one body has of the budget, until this is dropped.
pub(super) struct Share {
    budget: Budget,
    /// Of the body.
    bytes: u64,
    /// Of the budget.
    taken: u64,
}

impl Share {
    /// Takes as much as `more` bytes of body need; false where there is not so much left.
    fn grow(&mut self, more: u64) -> bool {
        let bytes = self.bytes + more;
        let wanted = bytes.saturating_sub(FREE) - self.taken;
        let left = &self.budget.0;
        let take = |left: u64| left.checked_sub(wanted);
        if left.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_err() {
            return false;
        }
        self.bytes = bytes;
        self.taken += wanted;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.taken, Ordering::AcqRel);
    }
}

/// A request whose body is here.
pub(super) struct Incoming {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What the body has of the budget. None where there is no body.
    pub(super) _share: Option<Share>,
}

/// Why a body is not here.
pub(super) enum NoBody {
    /// It has more than the limit.
    TooLarge(HeaderMap),
    /// It took too long.
    TooSlow,
    /// The sender went away.
    Broken,
    /// Bodies of others take all the room there is.
    NoRoom,
}

/// Reads the body of a request, `limit` bytes at most.
pub(super) async fn read(request: Request, limit: u64, budget: &Budget) -> Result<Incoming, NoBody> {
    let mut share = budget.share();
    let (parts, body) = request.into_parts();
    let announced = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let gathered = if announced.is_some_and(|announced| announced > limit) {
        drain(body.into_data_stream(), 0).await;
        Ok(None)
    } else {
        gather(body, limit, &mut share).await
    };
    match gathered {
        Ok(Some(body)) => Ok(Incoming {
            method: parts.method,
            headers: parts.headers,
            body,
            _share: Some(share),
        }),
        Ok(None) => Err(NoBody::TooLarge(parts.headers)),
        Err(why) => Err(why),
    }
}

/// None where there is more than the limit.
async fn gather(body: Body, limit: u64, share: &mut Share) -> Result<Option<Bytes>, NoBody> {
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
            if !share.grow(piece.len() as u64) {
                return Err(NoBody::NoRoom);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(bytes: u64) -> Request {
        Request::new(Body::from(vec![b'x'; bytes as usize]))
    }

    #[tokio::test]
    async fn bodies_share_a_budget_and_small_ones_need_none() {
        let budget = Budget::new(10_000);
        let first = read(request(FREE + 6_000), 1 << 20, &budget).await.ok().unwrap();
        let second = read(request(FREE + 6_000), 1 << 20, &budget).await;
        assert!(matches!(second, Err(NoBody::NoRoom)));
        let small = read(request(FREE), 1 << 20, &budget).await;
        assert!(small.is_ok());
        drop(first);
        let third = read(request(FREE + 10_000), 1 << 20, &budget).await;
        assert!(third.is_ok());
        drop(third);
        // One that is refused for its size gives back what it had.
        let large = read(request(FREE + 9_000), FREE + 8_000, &budget).await;
        assert!(matches!(large, Err(NoBody::TooLarge(_))));
        assert_eq!(budget.0.load(Ordering::Acquire), 10_000);
    }
}
