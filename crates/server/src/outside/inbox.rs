//! The inbox: deliveries as entries in the store.
//!
//! | space | key | value |
//! |---|---|---|
//! | `inbox` | organization, endpoint, delivery | a [`Delivery`] that was taken |
//! | `inbox-refused` | the same | one that was refused: few, and their bodies small |
//! | `inbox-source` | organization, endpoint, the sender's id | the [`First`] delivery of that id |
//! | `inbox-signed` | organization, endpoint, hash of what was signed | the [`First`] delivery that was signed so |
//! | `inbox-played` | organization, endpoint, a delivery that was refused | the [`First`] delivery that was made of it |
//! | `inbox-replayed` | organization, endpoint, hash of the request's key | the [`First`] delivery that came of it |
//!
//! A delivery is written in the commit of its execution's start. The entries of the sender's id and of what was signed
//! are *added*, so a second delivery of the same cannot start anything, whatever comes between.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline_core::{BlobInfo, BlobRef};
use bowline_host::{Host, HostError};
use bowline_store::{Entry, EntryRange, EntryWrite, KEPT_BLOBS, StoreError, key, prefix};
use bowline_webhooks::{Delivery, INLINE_BODY, KeptBody};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use uuid::Uuid;

pub(super) const TAKEN: &str = "inbox";
pub(super) const REFUSED: &str = "inbox-refused";
pub(super) const SOURCE: &str = "inbox-source";
pub(super) const SIGNED: &str = "inbox-signed";
/// What refused deliveries that were played have become.
const PLAYED: &str = "inbox-played";
/// What requests that play a delivery again have led to.
const REPLAYED: &str = "inbox-replayed";

/// So many refused deliveries are kept of an endpoint; older ones go.
const MOST_REFUSED: usize = 100;

/// So many of an endpoint are kept within a second; the others are counted only, so that who floods an endpoint does
/// not fill the disk.
const REFUSED_A_SECOND: u32 = 10;

/// What the first delivery of a sender's id led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct First {
    pub(super) delivery: String,
    /// None: it was filtered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) execution: Option<String>,
}

pub(super) fn bytes_of(value: &impl Serialize) -> Result<Bytes, HostError> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|error| HostError::new(bowline_host::ErrorKind::Internal, "inbox.unwritable", error.to_string()))
}

/// What is written when a delivery is taken.
pub(super) fn taken(organization: &str, endpoint: &str, delivery: &Delivery) -> Result<Vec<EntryWrite>, HostError> {
    let place = key(&[organization, endpoint, &delivery.id]);
    let mut writes = vec![EntryWrite::Put(Entry::new(TAKEN, place, bytes_of(delivery)?))];
    let execution = match &delivery.fate {
        bowline_webhooks::Fate::Started { execution, .. } => Some(execution.clone()),
        _ => None,
    };
    let first = bytes_of(&First {
        delivery: delivery.id.clone(),
        execution,
    })?;
    for (space, known) in known_by(delivery) {
        let place = key(&[organization, endpoint, known]);
        writes.push(EntryWrite::Add(Entry::new(space, place, first.clone())));
    }
    if let Some(refused) = &delivery.refused_as {
        writes.push(EntryWrite::Remove {
            space: REFUSED.into(),
            key: key(&[organization, endpoint, refused]),
        });
    }
    if let KeptBody::Blob(blob) = &delivery.body {
        let place = key(&[blob.id.as_str(), organization, endpoint, &delivery.id]);
        writes.push(EntryWrite::Put(Entry::new(KEPT_BLOBS, place, Bytes::new())));
    }
    Ok(writes)
}

/// By what a second delivery is known. One that is played again is meant to be done again, so what the sender's was known
/// by does not stand in its way; the request that plays it again does.
fn known_by(delivery: &Delivery) -> impl Iterator<Item = (&'static str, &str)> {
    let is_sent = delivery.replay_of.is_none();
    let id = delivery.source_id.as_deref().filter(|_| is_sent);
    let proof = delivery.proof.as_deref().filter(|_| is_sent);
    let request = delivery.replay_key.as_deref();
    // Of all these, what it was made of says most about it.
    let all = [
        (PLAYED, delivery.refused_as.as_deref()),
        (REPLAYED, request),
        (SOURCE, id),
        (SIGNED, proof),
    ];
    all.into_iter().filter_map(|(space, known)| Some((space, known?)))
}

/// What is forgotten with a delivery.
pub(super) fn forgotten(organization: &str, endpoint: &str, delivery: &Delivery) -> Vec<EntryWrite> {
    let remove = |space: &'static str, key| EntryWrite::Remove {
        space: space.into(),
        key,
    };
    let mut writes = vec![remove(TAKEN, key(&[organization, endpoint, &delivery.id]))];
    writes.extend(known_by(delivery).map(|(space, known)| remove(space, key(&[organization, endpoint, known]))));
    if let KeptBody::Blob(blob) = &delivery.body {
        writes.push(remove(
            KEPT_BLOBS,
            key(&[blob.id.as_str(), organization, endpoint, &delivery.id]),
        ));
    }
    writes
}

/// Keeps a body: small ones in the record, large ones as a blob.
pub(super) async fn keep_body(host: &Host, body: &Bytes, content_type: Option<&str>) -> Result<KeptBody, HostError> {
    if body.len() <= INLINE_BODY {
        return Ok(KeptBody::inline(body));
    }
    let info = BlobInfo {
        content_type: content_type.map(ToOwned::to_owned),
        announced: Some(body.len() as u64),
    };
    let whole = stream::iter([Ok(body.clone())]).boxed();
    host.blobs()
        .put(whole, info)
        .await
        .map(KeptBody::Blob)
        .map_err(|error| {
            HostError::new(
                bowline_host::ErrorKind::Unavailable,
                "blob.failed",
                format!("the body could not be kept: {error}"),
            )
        })
}

/// A body that was kept; none where it was dropped.
pub(super) async fn body_of(host: &Host, kept: &KeptBody) -> Result<Option<Bytes>, HostError> {
    let KeptBody::Blob(blob) = kept else {
        return Ok(kept.bytes().map(Bytes::from));
    };
    load(host, blob).await.map(Some).map_err(|error| {
        HostError::new(
            bowline_host::ErrorKind::Internal,
            "blob.failed",
            format!("the body cannot be had: {error}"),
        )
    })
}

async fn load(host: &Host, blob: &BlobRef) -> Result<Bytes, bowline_core::BlobError> {
    let mut pieces = host.blobs().open(blob).await?;
    let mut all = Vec::with_capacity(blob.size as usize);
    while let Some(piece) = pieces.try_next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all.into())
}

/// Reads from the store on a thread that may block.
pub(super) async fn read<T: Send + 'static>(
    host: &Host,
    read: impl FnOnce(&dyn bowline_store::Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, HostError> {
    let store = Arc::clone(host.store());
    let done = tokio::task::spawn_blocking(move || read(store.as_ref())).await;
    let done =
        done.map_err(|error| HostError::new(bowline_host::ErrorKind::Internal, "task.failed", error.to_string()))?;
    Ok(done?)
}

/// The first delivery of what this one is known by.
pub(super) async fn first(
    host: &Host,
    organization: &str,
    endpoint: &str,
    delivery: &Delivery,
) -> Result<Option<First>, HostError> {
    let places: Vec<_> = known_by(delivery)
        .map(|(space, known)| (space, key(&[organization, endpoint, known])))
        .collect();
    let found = read(host, move |store| {
        for (space, place) in &places {
            if let Some(value) = store.entry(space, place)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    })
    .await?;
    Ok(found.and_then(|value| serde_json::from_slice(&value).ok()))
}

/// What a request with this key, which plays a delivery again, has led to already.
pub(super) async fn replayed(
    host: &Host,
    organization: &str,
    endpoint: &str,
    request: &str,
) -> Result<Option<First>, HostError> {
    let place = key(&[organization, endpoint, request]);
    let found = read(host, move |store| store.entry(REPLAYED, &place)).await?;
    Ok(found.and_then(|value| serde_json::from_slice(&value).ok()))
}

/// What a refused delivery has become, where it was played again and taken.
pub(super) async fn played(
    host: &Host,
    organization: &str,
    endpoint: &str,
    id: &str,
) -> Result<Option<First>, HostError> {
    let place = key(&[organization, endpoint, id]);
    let found = read(host, move |store| store.entry(PLAYED, &place)).await?;
    Ok(found.and_then(|value| serde_json::from_slice(&value).ok()))
}

/// A delivery, and whether it was refused.
pub(super) async fn delivery(
    host: &Host,
    organization: &str,
    endpoint: &str,
    id: &str,
) -> Result<Option<Delivery>, HostError> {
    let place = key(&[organization, endpoint, id]);
    let found = read(host, move |store| {
        Ok(match store.entry(TAKEN, &place)? {
            Some(value) => Some(value),
            None => store.entry(REFUSED, &place)?,
        })
    })
    .await?;
    Ok(found.and_then(|value| serde_json::from_slice(&value).ok()))
}

/// When the delivery of this id came, in milliseconds since the Unix epoch; none where it says nothing.
pub(super) fn made_at(id: &str) -> Option<i64> {
    let (seconds, nanos) = Uuid::parse_str(id).ok()?.get_timestamp()?.to_unix();
    i64::try_from(seconds * 1000 + u64::from(nanos / 1_000_000)).ok()
}

/// The newest refused deliveries of each endpoint.
#[derive(Default)]
pub(super) struct Quarantine(Mutex<HashMap<(String, String), Kept>>);

struct Kept {
    keys: VecDeque<String>,
    second: Instant,
    in_second: u32,
}

impl Quarantine {
    /// Keeps a refused delivery, unless too many came within this second. Where it cannot be kept it is logged: the
    /// sender is refused all the same.
    pub(super) async fn keep(&self, host: &Host, organization: &str, endpoint: &str, delivery: &Delivery) {
        if let Err(error) = self.try_keep(host, organization, endpoint, delivery).await {
            tracing::warn!(%organization, %endpoint, %error, "a refused delivery could not be kept");
        }
    }

    async fn try_keep(
        &self,
        host: &Host,
        organization: &str,
        endpoint: &str,
        delivery: &Delivery,
    ) -> Result<(), HostError> {
        let mut all = self.0.lock().await;
        let who = (organization.to_owned(), endpoint.to_owned());
        if !all.contains_key(&who) {
            let keys = known(host, organization, endpoint).await?;
            let kept = Kept {
                keys,
                second: Instant::now(),
                in_second: 0,
            };
            all.insert(who.clone(), kept);
        }
        let Some(kept) = all.get_mut(&who) else { return Ok(()) };
        if kept.second.elapsed() > Duration::from_secs(1) {
            kept.second = Instant::now();
            kept.in_second = 0;
        }
        kept.in_second += 1;
        if kept.in_second > REFUSED_A_SECOND {
            return Ok(());
        }
        let place = key(&[organization, endpoint, &delivery.id]);
        let mut writes = vec![EntryWrite::Put(Entry::new(REFUSED, place.clone(), bytes_of(delivery)?))];
        kept.keys.push_back(place);
        while kept.keys.len() > MOST_REFUSED {
            if let Some(oldest) = kept.keys.pop_front() {
                writes.push(EntryWrite::Remove {
                    space: REFUSED.into(),
                    key: oldest,
                });
            }
        }
        drop(all);
        Ok(host.engine().record(Vec::new(), writes).await?)
    }
}

async fn known(host: &Host, organization: &str, endpoint: &str) -> Result<VecDeque<String>, HostError> {
    let range = EntryRange {
        space: REFUSED.into(),
        prefix: prefix(&[organization, endpoint]),
        limit: 10 * MOST_REFUSED,
        ..EntryRange::default()
    };
    let found = read(host, move |store| store.entries(&range)).await?;
    Ok(found.into_iter().map(|(key, _)| key).collect())
}
