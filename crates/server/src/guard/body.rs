//! Bodies of requests: how large they may be, and how slow.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_LENGTH;
use bytes::Bytes;
use futures_util::StreamExt as _;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// What happened to a body. The handler sees an error; the guard makes an answer of this.
#[derive(Clone, Default)]
pub(super) struct Fate(Arc<AtomicU8>);

const TOO_LARGE: u8 = 1;
const TOO_SLOW: u8 = 2;

impl Fate {
    pub(super) fn is_too_large(&self) -> bool {
        self.0.load(Ordering::Acquire) == TOO_LARGE
    }

    pub(super) fn is_too_slow(&self) -> bool {
        self.0.load(Ordering::Acquire) == TOO_SLOW
    }
}

/// How large a body may be, and how fast it has to come.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// Bytes.
    pub(super) most: usize,
    /// So long whatever comes.
    pub(super) grace: Duration,
    /// Bytes a second, after that.
    pub(super) rate: u32,
}

impl Pace {
    /// When a body that has come so far must have gone on.
    fn until(&self, begun: Instant, came: usize) -> Instant {
        let earned = came as f64 / f64::from(self.rate.max(1));
        begun + self.grace + Duration::from_secs_f64(earned)
    }

    /// Whether the body says itself that it is too large.
    pub(super) fn is_declared_too_large(&self, headers: &HeaderMap) -> bool {
        let declared = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        declared.is_some_and(|declared| declared > self.most as u64)
    }
}

/// So many bytes of a body that nobody wants are taken, so that its sender gets to read why.
const DROPPED: usize = 16 << 20;

/// Takes what there is of a body and drops it: a sender whose connection is closed in the middle sees a broken
/// connection and no answer.
pub(super) async fn drop_some(body: Body) {
    let mut stream = body.into_data_stream();
    let mut dropped = 0;
    let dropping = async {
        while let Some(Ok(piece)) = stream.next().await {
            dropped += piece.len();
            if dropped > DROPPED {
                break;
            }
        }
    };
    // Whoever is slow with what nobody wants is left alone with it.
    let _ended = tokio::time::timeout(Duration::from_secs(2), dropping).await;
}

/// A body that is held to a pace.
pub(super) struct Paced {
    body: Body,
    pace: Pace,
    begun: Instant,
    came: usize,
    /// Set while the body is waited for.
    waits: Option<Pin<Box<Sleep>>>,
    fate: Fate,
}

impl Paced {
    pub(super) fn new(body: Body, pace: Pace, fate: Fate) -> Self {
        Self {
            body,
            pace,
            begun: Instant::now(),
            came: 0,
            waits: None,
            fate,
        }
    }

    fn refused(&self, fate: u8, why: &'static str) -> axum::Error {
        self.fate.0.store(fate, Ordering::Release);
        axum::Error::new(std::io::Error::other(why))
    }
}

impl HttpBody for Paced {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) else {
            let until = self.pace.until(self.begun, self.came);
            let waits = self.waits.get_or_insert_with(|| Box::pin(sleep_until(until)));
            if waits.deadline() != until {
                waits.as_mut().reset(until);
            }
            ready!(waits.as_mut().poll(context));
            return Poll::Ready(Some(Err(self.refused(TOO_SLOW, "the body comes too slowly"))));
        };
        if let Some(Ok(frame)) = &frame {
            self.came += frame.data_ref().map_or(0, Bytes::len);
            if self.came > self.pace.most {
                return Poll::Ready(Some(Err(self.refused(TOO_LARGE, "the body is too large"))));
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use futures_util::stream;
    use http_body_util::BodyExt;

    use super::*;

    const PACE: Pace = Pace {
        most: 100,
        grace: Duration::from_secs(10),
        rate: 10,
    };

    /// A body of pieces of this size, one after each of these seconds.
    fn pieces(size: usize, seconds: Vec<u64>) -> Body {
        let pieces = stream::iter(seconds).then(move |seconds| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, std::io::Error>(Bytes::from(vec![0; size]))
        });
        Body::from_stream(pieces)
    }

    async fn read(body: Body) -> (Option<usize>, Fate) {
        let fate = Fate::default();
        let read = Paced::new(body, PACE, fate.clone()).collect().await;
        (read.ok().map(|body| body.to_bytes().len()), fate)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_but_not_too_slow() {
        assert_eq!(read(pieces(10, vec![9])).await.0, Some(10));
        // Each piece of 10 bytes earns another second.
        assert_eq!(read(pieces(10, vec![9, 1, 1])).await.0, Some(30));
        let (none, fate) = read(pieces(1, vec![2; 50])).await;
        assert!(none.is_none() && fate.is_too_slow() && !fate.is_too_large());
        let (none, fate) = read(pieces(10, vec![11])).await;
        assert!(none.is_none() && fate.is_too_slow());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_say_its_size_is_cut_where_it_gets_too_large() {
        assert_eq!(read(pieces(50, vec![0, 0])).await.0, Some(100));
        let (none, fate) = read(pieces(50, vec![0, 0, 0])).await;
        assert!(none.is_none() && fate.is_too_large() && !fate.is_too_slow());
    }

    #[test]
    fn a_declared_size_is_believed_where_it_is_too_large() {
        let declared = |text: &str| {
            let headers = HeaderMap::from_iter([(CONTENT_LENGTH, text.parse().unwrap())]);
            PACE.is_declared_too_large(&headers)
        };
        assert!(declared("101") && declared("18446744073709551615"));
        assert!(!declared("100") && !declared("x"));
    }
}
