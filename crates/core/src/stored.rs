//! Payloads that are too large for a journal: out to the blob store before they are recorded, and back before
//! their journal is replayed. Programs see the same text either way.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::blob::{BlobError, BlobId, BlobInfo, BlobRef, BlobStore};
use crate::{Event, Outcome, Payload, Wait};

/// The largest payload that stands in a journal itself, in bytes of JSON text: 64 KiB.
pub const INLINE_LIMIT: usize = 64 * 1024;

/// Bytes that are handed to the store at a time.
const PIECE: usize = 64 * 1024;

/// Puts a payload over [`INLINE_LIMIT`] into the store, so that a journal holds a reference to it. A smaller one, and
/// one that is there already, is returned as it is.
///
/// # Errors
/// What the store says.
pub async fn externalize(payload: Payload, store: &dyn BlobStore) -> Result<Payload, BlobError> {
    let size = payload.text().len();
    if size <= INLINE_LIMIT || payload.stored().is_some() {
        return Ok(payload);
    }
    let text = payload.clone();
    let pieces = (0..size.div_ceil(PIECE)).map(move |at| {
        let bytes = text.text().as_bytes();
        Ok(Bytes::copy_from_slice(&bytes[at * PIECE..size.min((at + 1) * PIECE)]))
    });
    let info = BlobInfo {
        content_type: Some("application/json".into()),
        announced: Some(size as u64),
    };
    let blob = store.put(stream::iter(pieces).boxed(), info).await?;
    payload.stored_as(blob).map_err(|error| BlobError::Source(error.into()))
}

/// [`externalize`] for every payload of a record.
///
/// # Errors
/// What the store says; the events are as they were, or partly stored, which is as good.
pub async fn externalize_events(events: &mut [Event], store: &dyn BlobStore) -> Result<(), BlobError> {
    let mut large = Vec::new();
    each(events, &mut |payload| {
        if payload.text().len() > INLINE_LIMIT && payload.stored().is_none() {
            large.push(payload.clone());
        }
    });
    let mut stored = Vec::with_capacity(large.len());
    for payload in large {
        stored.push(externalize(payload, store).await?);
    }
    let mut stored = stored.into_iter();
    each(events, &mut |payload| {
        if payload.text().len() > INLINE_LIMIT
            && payload.stored().is_none()
            && let Some(done) = stored.next()
        {
            *payload = done;
        }
    });
    Ok(())
}

/// Loads every payload of a decoded record whose content is in the store. To be done before a replay: a program that
/// reads an absent payload gets an error.
///
/// # Errors
/// [`BlobError::Missing`] and [`BlobError::Damaged`] where the content is gone or not what it was, or what the store
/// says.
pub async fn internalize(events: &mut [Event], store: &dyn BlobStore) -> Result<(), BlobError> {
    let mut wanted: BTreeMap<BlobId, (BlobRef, Option<Payload>)> = BTreeMap::new();
    each(events, &mut |payload| {
        if let Some(blob) = payload.absent() {
            let entry = || (blob.clone(), Some(payload.clone()));
            wanted.entry(blob.id.clone()).or_insert_with(entry);
        }
    });
    if wanted.is_empty() {
        return Ok(());
    }
    for (blob, payload) in wanted.values_mut() {
        let pieces: Vec<Bytes> = store.open(blob).await?.try_collect().await?;
        if let Some(payload) = payload {
            payload.load(pieces.concat()).map_err(|error| BlobError::Damaged {
                id: blob.id.clone(),
                what: format!("it is not JSON: {error}"),
            })?;
        }
    }
    each(events, &mut |payload| {
        let loaded = payload.absent().and_then(|blob| wanted.get(&blob.id));
        if let Some((_, Some(loaded))) = loaded {
            *payload = loaded.clone();
        }
    });
    Ok(())
}

fn each(events: &mut [Event], visit: &mut dyn FnMut(&mut Payload)) {
    for event in events {
        event.each_payload(visit);
    }
}

impl Event {
    /// Shows every payload of the event to `visit`, in a fixed order.
    pub fn each_payload(&mut self, visit: &mut dyn FnMut(&mut Payload)) {
        match self {
            Self::Started { input, origin, .. } => {
                visit(input);
                let kept = origin.iter_mut().flat_map(|origin| &mut origin.kept);
                kept.for_each(|kept| visit(&mut kept.output));
            }
            Self::StepScheduled {
                input: Some(payload), ..
            }
            | Self::StepCompleted { output: payload, .. }
            | Self::ChildStarted { input: payload, .. }
            | Self::WaitCompleted { output: payload, .. }
            | Self::SignalReceived { data: payload, .. }
            | Self::Emitted { data: payload, .. }
            | Self::WaitRegistered {
                wait:
                    Wait::Callback {
                        approval: Some(payload),
                        ..
                    },
                ..
            }
            | Self::ChildEnded {
                outcome: Outcome::Succeeded(payload),
                ..
            }
            | Self::Finished {
                outcome: Outcome::Succeeded(payload),
            } => visit(payload),
            Self::ScopeFolded(fold) | Self::ScopeSkipped { fold, .. } => visit(&mut fold.output),
            // Errors carry their data as values, which stay in the journal.
            Self::StepScheduled { input: None, .. }
            | Self::AttemptBegun { .. }
            | Self::AttemptFailed { .. }
            | Self::StepFailed { .. }
            | Self::StepCancelled { .. }
            | Self::TimerSet { .. }
            | Self::TimerFired { .. }
            | Self::TimerCancelled { .. }
            | Self::ChildEnded { .. }
            | Self::ChildCancelled { .. }
            | Self::WaitRegistered { .. }
            | Self::WaitFailed { .. }
            | Self::Heartbeat { .. }
            | Self::WaitCancelled { .. }
            | Self::VersionChosen { .. }
            | Self::CancelRequested { .. }
            | Self::Resumed { .. }
            | Self::Finished { .. } => {}
        }
    }
}
