//! A callback that comes again, because its answer was lost, answers nobody else.
//!
//! Several executions may wait for one reference, and the one that has waited longest is answered. So whom a delivery is
//! for is written down by what the delivery is known by, *before* it is handed over: the same delivery leads there again,
//! also after a crash in between.
//!
//! | space | key | value |
//! |---|---|---|
//! | `callback-source` | organization, endpoint, what it is known by | [`Came`] |
//! | `callback-came` | when, organization, endpoint, what it is known by | nothing: by it old ones are found |

use bowline_core::Answer;
use bowline_host::{CallbackAddress, Delivered, EntryWrite, HostError};
use bowline_store::{Entry, EntryRange, key, key_parts};
use bowline_webhooks::{DEFAULT_KEEP, Verified, kept_id};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Inner, inbox};

const SOURCE: &str = "callback-source";
const CAME: &str = "callback-came";

/// Waits for the same reference that may be answered by others while one is looked for.
const TRIES: usize = 16;

/// Entries that are forgotten in one commit.
const SLICE: usize = 500;

/// Whom a delivery was for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Came {
    /// The execution and the path of its wait; none where nobody waited, and it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to: Option<(String, String)>,
    /// Whether it has been handed over.
    #[serde(default)]
    done: bool,
}

/// A delivery, as one that may come again.
pub(super) struct Once<'a> {
    inner: &'a Inner,
    organization: &'a str,
    endpoint: &'a str,
    known: Option<String>,
}

impl<'a> Once<'a> {
    /// By the sender's id, or else by what was signed. One that has neither is a new one each time.
    pub(super) fn new(inner: &'a Inner, organization: &'a str, endpoint: &'a str, verified: &Verified) -> Self {
        let id = verified.id.clone().map(|id| format!("id:{}", kept_id(id)));
        Self {
            inner,
            organization,
            endpoint,
            known: id.or_else(|| verified.proof.as_ref().map(|proof| format!("proof:{proof}"))),
        }
    }

    /// Hands the answer over; none where this delivery was handed over before.
    pub(super) async fn deliver(&self, to: &CallbackAddress, answer: Answer) -> Result<Option<Delivered>, HostError> {
        let Some(known) = &self.known else {
            return self.hand_over(to, answer).await.map(Some);
        };
        for _ in 0..TRIES {
            if let Some(came) = self.came(known).await? {
                return self.again(known, came, answer).await;
            }
            let Some(there) = self.inner.host.awaiting(self.organization, to).await? else {
                let delivered = self.hand_over(to, answer).await?;
                let came = Came { to: None, done: true };
                // Where another one was first, both were kept, and one of them answers.
                self.remember(known, &came).await?;
                return Ok(Some(delivered));
            };
            let came = Came {
                to: Some(there.clone()),
                done: false,
            };
            if !self.remember(known, &came).await? {
                continue;
            }
            let delivered = self.hand_over(&path(&there), answer.clone()).await?;
            let is_taken = matches!(delivered, Delivered::Accepted { .. });
            if !is_taken && self.waits_elsewhere(to, &there).await? {
                // Another answer was first there, and this one is for whoever waits next.
                self.forget(known).await?;
                continue;
            }
            self.put(known, &Came { done: true, ..came }).await?;
            return Ok(Some(delivered));
        }
        self.hand_over(to, answer).await.map(Some)
    }

    async fn hand_over(&self, to: &CallbackAddress, answer: Answer) -> Result<Delivered, HostError> {
        self.inner.host.deliver(self.organization, to, answer).await
    }

    /// It came before. Where it was not handed over then, it is now, and to the same wait.
    async fn again(&self, known: &str, came: Came, answer: Answer) -> Result<Option<Delivered>, HostError> {
        let Came {
            to: Some(there),
            done: false,
        } = came
        else {
            return Ok(None);
        };
        let delivered = self.hand_over(&path(&there), answer).await?;
        let to = Some(there);
        self.put(known, &Came { to, done: true }).await?;
        Ok(Some(delivered))
    }

    async fn waits_elsewhere(&self, to: &CallbackAddress, there: &(String, String)) -> Result<bool, HostError> {
        let next = self.inner.host.awaiting(self.organization, to).await?;
        Ok(next.is_some_and(|next| next != *there))
    }

    fn place(&self, known: &str) -> String {
        key(&[self.organization, self.endpoint, known])
    }

    async fn came(&self, known: &str) -> Result<Option<Came>, HostError> {
        let place = self.place(known);
        let found = inbox::read(&self.inner.host, move |store| store.entry(SOURCE, &place)).await?;
        found
            .map(|value| serde_json::from_slice(&value).map_err(unreadable))
            .transpose()
    }

    /// False where it is remembered already.
    async fn remember(&self, known: &str, came: &Came) -> Result<bool, HostError> {
        let at = format!("{:020}", jiff::Timestamp::now().as_millisecond());
        let when = key(&[&at, self.organization, self.endpoint, known]);
        let writes = vec![
            EntryWrite::Add(Entry::new(SOURCE, self.place(known), bytes_of(came)?)),
            EntryWrite::Put(Entry::new(CAME, when, Bytes::new())),
        ];
        match self.record(writes).await {
            Ok(()) => Ok(true),
            Err(error) if error.code == "entry.exists" => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn put(&self, known: &str, came: &Came) -> Result<(), HostError> {
        let entry = Entry::new(SOURCE, self.place(known), bytes_of(came)?);
        self.record(vec![EntryWrite::Put(entry)]).await
    }

    async fn forget(&self, known: &str) -> Result<(), HostError> {
        self.record(vec![removed(SOURCE, self.place(known))]).await
    }

    async fn record(&self, writes: Vec<EntryWrite>) -> Result<(), HostError> {
        Ok(self.inner.host.engine().record(Vec::new(), writes).await?)
    }
}

fn path((execution, path): &(String, String)) -> CallbackAddress {
    CallbackAddress::Path {
        execution: execution.clone(),
        path: path.clone(),
    }
}

fn removed(space: &'static str, key: String) -> EntryWrite {
    EntryWrite::Remove {
        space: space.into(),
        key,
    }
}

fn bytes_of(came: &Came) -> Result<Bytes, HostError> {
    serde_json::to_vec(came).map(Bytes::from).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> HostError {
    let message = format!("what is known of a callback cannot be read or written: {error}");
    HostError::new(bowline_host::ErrorKind::Internal, "callback.unreadable", message)
}

/// Forgets the callbacks that came before `now` by more than deliveries are kept; how many.
pub(super) async fn prune(inner: &Inner, now: i64) -> Result<usize, HostError> {
    let before = now.saturating_sub(i64::try_from(DEFAULT_KEEP.as_millis()).unwrap_or(i64::MAX));
    let mut count = 0;
    loop {
        let range = EntryRange {
            space: CAME.into(),
            limit: SLICE,
            ..EntryRange::default()
        };
        let found = inbox::read(&inner.host, move |store| store.entries(&range)).await?;
        let mut writes = Vec::new();
        for (when, _) in &found {
            let mut parts = key_parts(when);
            let at = parts.next().and_then(|at| at.parse::<i64>().ok());
            if at.is_some_and(|at| at >= before) {
                break;
            }
            let rest: Vec<&str> = parts.collect();
            writes.push(removed(SOURCE, key(&rest)));
            writes.push(removed(CAME, when.clone()));
        }
        let old = writes.len() / 2;
        if old > 0 {
            inner.host.engine().record(Vec::new(), writes).await?;
        }
        count += old;
        if old < SLICE {
            return Ok(count);
        }
    }
}
