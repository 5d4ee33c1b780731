//! Content that is compared with its name while it is read.
//!
//! The last piece is held back until the hash of all is known. Who sends the content on, with its length said
//! before, so never completes a message that is not what it should be.

use bowline_core::{BlobError, BlobId, BlobRef, ByteStream};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

struct Reading {
    blob: BlobRef,
    content: ByteStream,
    hash: Sha256,
    read: u64,
    held: Option<Bytes>,
}

/// The same pieces; an error instead of the last one where all of it is not what `blob` names.
pub(crate) fn verified(blob: BlobRef, content: ByteStream) -> ByteStream {
    let begin = Reading {
        blob,
        content,
        hash: Sha256::new(),
        read: 0,
        held: None,
    };
    let pieces = stream::try_unfold(Some(begin), |reading| async move {
        let Some(mut reading) = reading else { return Ok(None) };
        while let Some(piece) = reading.content.try_next().await? {
            if piece.is_empty() {
                continue;
            }
            reading.hash.update(&piece);
            reading.read += piece.len() as u64;
            if reading.read > reading.blob.size {
                return Err(reading.damaged());
            }
            if let Some(ready) = reading.held.replace(piece) {
                return Ok(Some((ready, Some(reading))));
            }
        }
        let hash = BlobId::of_hash(std::mem::take(&mut reading.hash).finalize().into());
        if reading.read != reading.blob.size || hash != reading.blob.id {
            return Err(reading.damaged());
        }
        Ok(reading.held.take().map(|last| (last, None)))
    });
    pieces.boxed()
}

impl Reading {
    fn damaged(&self) -> BlobError {
        let what = if self.read == self.blob.size {
            "its content is not what was put; restore it from a backup".to_owned()
        } else {
            format!("{} bytes were read, and it had {}", self.read, self.blob.size)
        };
        BlobError::Damaged {
            id: self.blob.id.clone(),
            what,
        }
    }
}
