//! Answers that came before anybody waited for them: kept, durably, until somebody does.
//!
//! The first that was kept is the answer. What else is kept for the same is dropped in the commit that records it, so
//! that whoever waits for the same reference next does not get an old one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bowline_core::mutants::{Mutant, on};
use bowline_core::{Answer, Input, Path};
use bowline_store::{
    CallbackAddress, DEFAULT_ORGANIZATION, Delivery, DeliveryFilter, ExecNo, ExecutionRow, WaitRow, Write,
};
use bytes::Bytes;

use crate::engine::EngineError;
use crate::env::Env;
use crate::outside::{Delivered, Found};
use crate::routing::Routed;

/// So many different answers are kept for one wait: the first counts, and the others are for people to look at.
const MOST_OF_ONE: usize = 16;

/// So many answers of one organization are kept, so that nobody fills the disk with what nobody waits for.
const MOST: u64 = 1_000_000;

/// So many bytes of answers of one organization are kept: 1 GiB.
const MOST_BYTES: u64 = 1 << 30;

/// A full count is made anew after this many milliseconds: some may have been taken or have expired.
const COUNT_AGAIN: i64 = 10_000;

/// About how much is kept of one organization. Never less than there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeptOf {
    rows: u64,
    bytes: u64,
    counted_at: i64,
}

impl KeptOf {
    fn has_room(self, bytes: u64) -> bool {
        self.rows < MOST && self.bytes.saturating_add(bytes) <= MOST_BYTES
    }
}

/// By organization; none where nobody has counted yet.
pub(crate) type KeptCounts = tokio::sync::Mutex<HashMap<String, KeptOf>>;

impl Env {
    /// What is kept for the same wait, oldest first.
    async fn kept_beside(
        self: &Arc<Self>,
        organization: &str,
        (to, name, key): (Option<(ExecNo, u64)>, &str, Option<&str>),
    ) -> Result<Vec<Delivery>, EngineError> {
        let filter = DeliveryFilter {
            organization: Some(organization.to_owned()),
            exec: to.map(|(exec, _)| exec),
            name: Some(name.to_owned()),
            key: key.map(ToOwned::to_owned),
            limit: 10 * MOST_OF_ONE,
            ..DeliveryFilter::default()
        };
        let tag = to.map(|(_, tag)| tag);
        let mut found = self.blocking(move |env| env.store.deliveries(&filter)).await??;
        found.retain(|kept| kept.tag == tag);
        Ok(found)
    }

    /// The numbers of what is kept for a wait.
    pub(crate) async fn kept_for(self: &Arc<Self>, wait: &WaitRow) -> Result<Vec<i64>, EngineError> {
        if self.kept.load(Ordering::SeqCst) == 0 {
            return Ok(Vec::new());
        }
        let (exec, tag, name, key) = (wait.exec, wait.tag, wait.name.clone(), wait.key.clone());
        let kept = self
            .blocking(move |env| env.store.deliveries_for(exec, tag, &name, key.as_deref()))
            .await??;
        Ok(kept.into_iter().map(|delivery| delivery.id).collect())
    }

    /// Counts one more of an organization, or refuses it.
    async fn room_to_keep(self: &Arc<Self>, organization: &str, bytes: usize) -> Result<(), EngineError> {
        let bytes = bytes as u64;
        let now = self.options.clock.now();
        let mut all = self.kept_of.lock().await;
        let mut known = all.get(organization).copied();
        if known.is_none_or(|known| !known.has_room(bytes) && now.saturating_sub(known.counted_at) > COUNT_AGAIN) {
            known = Some(self.count_kept(organization, now).await?);
        }
        let Some(mut known) = known.filter(|known| known.has_room(bytes)) else {
            if let Some(known) = known {
                all.insert(organization.to_owned(), known);
            }
            return Err(EngineError::TooManyKept(format!(
                "the organization {organization} has as many answers kept that nobody waits for as it may"
            )));
        };
        known.rows += 1;
        known.bytes += bytes;
        all.insert(organization.to_owned(), known);
        Ok(())
    }

    async fn count_kept(self: &Arc<Self>, organization: &str, now: i64) -> Result<KeptOf, EngineError> {
        let mut filter = DeliveryFilter {
            organization: Some(organization.to_owned()),
            ..DeliveryFilter::default()
        };
        self.blocking(move |env| {
            let mut count = KeptOf {
                rows: 0,
                bytes: 0,
                counted_at: now,
            };
            loop {
                let page = env.store.deliveries(&filter)?;
                let Some(last) = page.last() else { return Ok(count) };
                filter.after = last.id;
                count.rows += page.len() as u64;
                count.bytes += page.iter().map(|kept| kept.answer.len() as u64).sum::<u64>();
            }
        })
        .await?
    }

    /// Keeps a callback that nobody waits for yet.
    pub(crate) async fn keep(
        self: &Arc<Self>,
        address: &CallbackAddress,
        early: Option<(ExecutionRow, u64)>,
        answer: Answer,
    ) -> Result<Delivered, EngineError> {
        let now = self.options.clock.now();
        let expires_at = now.saturating_add(i64::try_from(self.options.keep_callbacks.as_millis()).unwrap_or(i64::MAX));
        let (name, key) = match address {
            CallbackAddress::Key { name, key, .. } => (name.clone(), Some(key.clone())),
            _ => (String::new(), None),
        };
        let organization = match (address, &early) {
            (CallbackAddress::Key { organization, .. }, _) => organization.clone(),
            (_, Some((row, _))) => row.organization.clone(),
            _ => DEFAULT_ORGANIZATION.to_owned(),
        };
        let answer_text = serde_json::to_vec(&answer).map_err(|error| EngineError::Invalid(error.to_string()))?;
        let to = (
            early.as_ref().map(|(row, tag)| (row.exec, *tag)),
            &*name,
            key.as_deref(),
        );
        let others = self.kept_beside(&organization, to).await?;
        // The other side says it again because it has not heard that it was taken.
        if let Some(same) = others.iter().find(|kept| kept.answer == answer_text) {
            return Ok(Delivered::Kept {
                id: same.id,
                execution: early.map(|(row, _)| row.id),
                expires_at: same.expires_at,
            });
        }
        if others.len() >= MOST_OF_ONE {
            return Err(EngineError::TooManyKept(format!(
                "{} different answers to this are kept already",
                others.len()
            )));
        }
        self.room_to_keep(&organization, answer_text.len()).await?;
        let id = self.next_delivery.fetch_add(1, Ordering::SeqCst);
        let execution = early.as_ref().map(|(row, _)| row.id.clone());
        let delivery = Delivery {
            id,
            organization,
            exec: early.as_ref().map(|(row, _)| row.exec),
            tag: early.as_ref().map(|(_, tag)| *tag),
            name,
            key,
            answer: Bytes::from(answer_text),
            received_at: now,
            expires_at,
        };
        self.inbox.write(vec![Write::Keep(delivery)]).await?;
        if !on(Mutant::LoseEarlyCallbacks) {
            self.kept.fetch_add(1, Ordering::SeqCst);
        }
        // Somebody may have begun to wait in between, and not have seen it.
        if let Found::Open(wait) = self.find(address).await?
            && let Some(delivered) = self.answer(wait, answer, None).await?
        {
            self.forget(id).await?;
            return Ok(delivered);
        }
        // Or have got another answer in between; then this must not wait for the next one with the same reference.
        if let Found::Closed(wait) = self.find(address).await? {
            self.forget(id).await?;
            return self.closed(wait).await;
        }
        Ok(Delivered::Kept {
            id,
            execution,
            expires_at,
        })
    }

    async fn forget(self: &Arc<Self>, id: i64) -> Result<(), EngineError> {
        // Not counted down: two may forget the same one. The audit counts.
        self.inbox.write(vec![Write::DropDelivery(id)]).await
    }

    pub(crate) async fn deliver_kept(
        self: &Arc<Self>,
        id: i64,
        to: Option<&CallbackAddress>,
        patience: Option<Duration>,
    ) -> Result<Delivered, EngineError> {
        let filter = DeliveryFilter {
            id: Some(id),
            ..DeliveryFilter::default()
        };
        let kept = self.blocking(move |env| env.store.deliveries(&filter)).await??;
        let kept = kept
            .into_iter()
            .next()
            .ok_or_else(|| EngineError::Unknown(format!("kept callback {id}")))?;
        let answer = read_answer(&kept)?;
        let address = match (to, kept.exec, kept.tag, kept.key) {
            (Some(to), ..) => to.clone(),
            (None, Some(exec), Some(tag), _) => CallbackAddress::Token(self.tokens.token(exec.0, tag)),
            (None, _, _, Some(key)) => CallbackAddress::Key {
                organization: kept.organization,
                name: kept.name,
                key,
            },
            (None, ..) => return Err(EngineError::Invalid(format!("kept callback {id} leads nowhere"))),
        };
        if let Found::Open(wait) = self.find(&address).await?
            && let Some(delivered) = self.answer(wait, answer, patience).await?
        {
            self.forget(id).await?;
            return Ok(delivered);
        }
        let execution = match kept.exec {
            Some(exec) => Some(self.id_of(exec).await?),
            None => None,
        };
        Ok(Delivered::Kept {
            id,
            execution,
            expires_at: kept.expires_at,
        })
    }

    pub(crate) async fn look_for_callback(
        self: &Arc<Self>,
        exec: ExecNo,
        path: &Path,
        tag: u64,
        name: Option<Path>,
        key: Option<String>,
    ) -> Result<(), EngineError> {
        let kept = self
            .blocking(move |env| {
                env.store
                    .deliveries_for(exec, tag, name.as_deref().unwrap_or_default(), key.as_deref())
            })
            .await??;
        let stale: Vec<i64> = kept.iter().map(|delivery| delivery.id).collect();
        for delivery in kept {
            let answer = read_answer(&delivery)?;
            let input = Input::WaitAnswered {
                path: Arc::clone(path),
                answer,
            };
            // The first is the answer, and the others go with it in one commit: an execution that waits for the same
            // reference next must not find them.
            let routed = self.route_answer(exec, input, stale.clone(), None).await?;
            if routed == Routed::Recorded {
                return Ok(());
            }
            // By token it is for this wait and no other; by reference another execution may have a use for it.
            if delivery.exec.is_some() {
                self.forget(delivery.id).await?;
            }
        }
        Ok(())
    }

    pub(crate) async fn bring_kept_to_waits(self: &Arc<Self>) -> Result<(), EngineError> {
        let mut filter = DeliveryFilter::default();
        loop {
            let wanted = filter.clone();
            let page = self.blocking(move |env| env.store.deliveries(&wanted)).await??;
            let Some(last) = page.last() else { return Ok(()) };
            filter.after = last.id;
            for kept in page {
                match self.deliver_kept(kept.id, None, None).await {
                    // Its execution is gone, or has taken it meanwhile.
                    Ok(_) | Err(EngineError::Unknown(_)) => {}
                    Err(error @ EngineError::Stopped(_)) => return Err(error),
                    Err(error) => tracing::warn!(%error, id = kept.id, "a kept callback cannot be delivered"),
                }
            }
        }
    }
}

fn read_answer(kept: &Delivery) -> Result<Answer, EngineError> {
    serde_json::from_slice(&kept.answer)
        .map_err(|error| EngineError::Invalid(format!("kept callback {} cannot be read: {error}", kept.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organization_keeps_so_many_and_so_much() {
        let of = |rows, bytes| KeptOf {
            rows,
            bytes,
            counted_at: 0,
        };
        assert!(of(MOST - 1, 0).has_room(1));
        assert!(!of(MOST, 0).has_room(1));
        assert!(of(0, MOST_BYTES - 1).has_room(1));
        assert!(!of(0, MOST_BYTES - 1).has_room(2));
    }
}
