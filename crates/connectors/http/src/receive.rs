//! The body of an answer: read into memory, or sent on to the blob store while it comes in.

use std::sync::Arc;
use std::time::Duration;

use bowline_connector::{BlobError, BlobInfo, BlobRef, BlobStore, ByteStream, StepError};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use reqwest::Response;
use reqwest::header::HeaderMap;

use crate::config::ResponseType;
use crate::decode::{self, Shape};
use crate::failure::Attempted;
use crate::quiet::{self, Activity, Silence};
use crate::size::ByteSize;

/// Which bodies become blobs, and where they go.
pub(crate) struct Keeping {
    pub(crate) store: Arc<dyn BlobStore>,
    /// The largest body that is not kept, unless `responseType` is `blob`.
    pub(crate) inline: ByteSize,
    /// The largest body that may be kept, where the step or its connection says so.
    pub(crate) limit: Option<ByteSize>,
}

impl Keeping {
    /// The most bytes of a successful answer with these headers to be read into memory before it is sent to the
    /// store; `None` where it does not go there.
    pub(crate) fn inline(&self, wanted: ResponseType, headers: &HeaderMap) -> Option<Inline> {
        let bytes = match wanted {
            ResponseType::Blob => 0,
            ResponseType::Auto => self.inline.0,
            _ => return None,
        };
        let unless_text = match (wanted, decode::announced(headers)) {
            (ResponseType::Blob, _) | (_, Some(Shape::Bytes)) => false,
            (_, None) => true,
            (_, Some(_)) => return None,
        };
        Some(Inline { bytes, unless_text })
    }
}

/// What is read into memory first.
#[derive(Clone, Copy)]
pub(crate) struct Inline {
    bytes: u64,
    /// Nobody says what it is: what begins as text stays in memory.
    unless_text: bool,
}

/// An answer read to its end, or why it was not.
pub(crate) enum Ending {
    Whole(Bytes),
    Kept(BlobRef),
    TooLarge,
    Failed(StepError),
}

/// An answer's body on its way in.
pub(crate) struct Receiving {
    pub(crate) response: Response,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) activity: Activity,
    pub(crate) attempted: Attempted,
    /// Most bytes.
    pub(crate) limit: u64,
    /// Bytes read.
    pub(crate) read: u64,
}

/// Why there is no next piece.
enum Broken {
    TooLarge,
    Failed(StepError),
}

impl Broken {
    fn ending(self) -> Ending {
        match self {
            Self::TooLarge => Ending::TooLarge,
            Self::Failed(error) => Ending::Failed(error),
        }
    }
}

impl Receiving {
    /// Reads all of it into memory. Nothing is cut off: over the limit there is no body.
    pub(crate) async fn whole(mut self) -> Ending {
        match self.gather(Vec::new(), u64::MAX).await {
            Ok((pieces, _)) => Ending::Whole(joined(pieces)),
            Err(broken) => broken.ending(),
        }
    }

    /// Reads it into memory where it is small, and otherwise sends it to the store. `limit` bounds what stays in
    /// memory, and takes the place of the limit for blobs where it does.
    pub(crate) async fn kept(
        mut self,
        inline: Inline,
        keeping: &Keeping,
        content_type: Option<String>,
        limit: ByteSize,
    ) -> Ending {
        let announced = self.response.content_length();
        let first = match self.gather(Vec::new(), inline.bytes).await {
            Ok((pieces, true)) => return Ending::Whole(joined(pieces)),
            Ok((pieces, false)) => pieces,
            Err(broken) => return broken.ending(),
        };
        if inline.unless_text && begins_as_text(&first) {
            self.limit = limit.0;
            if announced.unwrap_or(self.read).max(self.read) > self.limit {
                return Ending::TooLarge;
            }
            return match self.gather(first, u64::MAX).await {
                Ok((pieces, _)) => Ending::Whole(joined(pieces)),
                Err(broken) => broken.ending(),
            };
        }
        let attempted = self.attempted.clone();
        let info = BlobInfo {
            content_type,
            announced,
        };
        match keeping.store.put(self.pieces(first), info).await {
            Ok(blob) => Ending::Kept(blob),
            Err(BlobError::Source(source)) => match source.downcast::<Stopped>() {
                Ok(stopped) => stopped.0.ending(),
                Err(other) => Ending::Failed(attempted.not_kept(BlobError::Source(other))),
            },
            Err(error) => Ending::Failed(attempted.not_kept(error)),
        }
    }

    /// Reads until there is more than `bytes`, or to the end; which of them it was.
    async fn gather(&mut self, mut pieces: Vec<Bytes>, bytes: u64) -> Result<(Vec<Bytes>, bool), Broken> {
        while self.read <= bytes {
            match self.next().await? {
                Some(piece) => pieces.push(piece),
                None => return Ok((pieces, true)),
            }
        }
        Ok((pieces, false))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        match quiet::wait(self.response.chunk(), self.read_timeout, &self.activity).await {
            Ok(Ok(None)) => Ok(None),
            Ok(Ok(Some(piece))) => {
                self.read += piece.len() as u64;
                if self.read > self.limit {
                    return Err(Broken::TooLarge);
                }
                Ok(Some(piece))
            }
            Ok(Err(error)) => Err(Broken::Failed(self.attempted.no_answer(error))),
            Err(Silence(limit)) => Err(Broken::Failed(self.attempted.too_slow("readTimeout", limit))),
        }
    }

    fn pieces(self, first: Vec<Bytes>) -> ByteStream {
        let rest = stream::try_unfold(self, |mut receiving| async move {
            match receiving.next().await {
                Ok(piece) => Ok(piece.map(|piece| (piece, receiving))),
                Err(broken) => Err(BlobError::Source(Box::new(Stopped(broken)))),
            }
        });
        stream::iter(first.into_iter().map(Ok)).chain(rest).boxed()
    }
}

/// What stops the way into the store, and comes back out of it.
struct Stopped(Broken);

impl std::fmt::Debug for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Broken::TooLarge => f.write_str("the answer is too large"),
            Broken::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Stopped {}

fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() < 2 {
        return pieces.pop().unwrap_or_default();
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in &pieces {
        whole.extend_from_slice(piece);
    }
    whole.freeze()
}

/// Whether the pieces are UTF-8 as far as they go; a character may be cut at their end.
fn begins_as_text(pieces: &[Bytes]) -> bool {
    let begin: Vec<u8> = pieces.iter().flatten().copied().collect();
    match std::str::from_utf8(&begin) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}
