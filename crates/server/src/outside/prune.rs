//! Forgetting old deliveries, in slices, beside everything else.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bowline_host::HostError;
use bowline_store::{EntryRange, EntryWrite, key, key_parts, prefix};
use bowline_webhooks::{DEFAULT_KEEP, Delivery};

use super::endpoints::Built;
use super::{Inner, inbox, once};

/// How often.
const PAUSE: Duration = Duration::from_secs(3600);

/// Deliveries in one commit.
const SLICE: usize = 200;

/// Refused deliveries are kept so long: 7 days.
const KEEP_REFUSED: Duration = Duration::from_secs(7 * 86_400);

/// Begins it, until the server's state is gone.
pub(super) fn spawn(inner: &Arc<Inner>) {
    let inner = Arc::downgrade(inner);
    // Without a runtime (a test of something else) nothing gets old.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(run(inner));
    }
}

async fn run(inner: Weak<Inner>) {
    let mut ticks = tokio::time::interval(PAUSE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        let now = jiff::Timestamp::now().as_millisecond();
        match prune(&inner, now).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "old webhook deliveries were forgotten"),
            Err(error) => tracing::warn!(%error, "old webhook deliveries cannot be forgotten; it is tried again"),
        }
    }
}

/// Forgets what is older than its endpoint keeps it; how many.
pub(super) async fn prune(inner: &Inner, now: i64) -> Result<usize, HostError> {
    let built = inner.endpoints.current();
    let mut count = 0;
    for space in [inbox::TAKEN, inbox::REFUSED] {
        let mut after: Option<String> = None;
        while let Some((organization, endpoint)) = next_endpoint(inner, space, after.take()).await? {
            let keep = match space {
                inbox::REFUSED => KEEP_REFUSED,
                _ => keep(&built, &organization, &endpoint),
            };
            let before = now.saturating_sub(i64::try_from(keep.as_millis()).unwrap_or(i64::MAX));
            count += prune_endpoint(inner, space, &organization, &endpoint, before).await?;
            // The first text behind all of this endpoint's.
            after = Some(key(&[&organization, &endpoint]) + "\u{1}");
        }
    }
    count += once::prune(inner, now).await?;
    Ok(count)
}

fn keep(built: &Built, organization: &str, endpoint: &str) -> Duration {
    let webhook = built.webhook(organization, endpoint);
    let endpoint = webhook.as_ref().and_then(|webhook| webhook.endpoint.as_ref().ok());
    endpoint.map_or(DEFAULT_KEEP, |endpoint| endpoint.config.keep())
}

async fn next_endpoint(
    inner: &Inner,
    space: &'static str,
    after: Option<String>,
) -> Result<Option<(String, String)>, HostError> {
    let range = EntryRange {
        space: space.into(),
        after,
        limit: 1,
        ..EntryRange::default()
    };
    let found = inbox::read(&inner.host, move |store| store.entries(&range)).await?;
    Ok(found.first().and_then(|(key, _)| {
        let mut parts = key_parts(key);
        Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
    }))
}

async fn prune_endpoint(
    inner: &Inner,
    space: &'static str,
    organization: &str,
    endpoint: &str,
    before: i64,
) -> Result<usize, HostError> {
    let mut count = 0;
    loop {
        let range = EntryRange {
            space: space.into(),
            prefix: prefix(&[organization, endpoint]),
            limit: SLICE,
            ..EntryRange::default()
        };
        let found = inbox::read(&inner.host, move |store| store.entries(&range)).await?;
        let all = found.len();
        // Ids begin with their time, so the oldest come first.
        let old: Vec<_> = found
            .into_iter()
            .take_while(|(key, _)| made_at(key).is_none_or(|at| at < before))
            .collect();
        let is_last = old.len() < all || all < SLICE;
        let mut writes = Vec::new();
        for (key, value) in &old {
            match serde_json::from_slice::<Delivery>(value) {
                Ok(delivery) if space == inbox::TAKEN => {
                    writes.extend(inbox::forgotten(organization, endpoint, &delivery));
                }
                _ => writes.push(EntryWrite::Remove {
                    space: space.into(),
                    key: key.clone(),
                }),
            }
        }
        if !writes.is_empty() {
            inner.host.engine().record(Vec::new(), writes).await?;
        }
        count += old.len();
        if is_last {
            return Ok(count);
        }
    }
}

/// When the delivery of this key came, in milliseconds since the Unix epoch; none where its id says nothing.
fn made_at(key: &str) -> Option<i64> {
    inbox::made_at(key_parts(key).nth(2)?)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn keys_tell_their_time() {
        let before = jiff::Timestamp::now().as_millisecond();
        let id = Uuid::now_v7().to_string();
        let at = made_at(&key(&["default", "w:t", &id])).unwrap();
        assert!((before..=before + 60_000).contains(&at), "{before} {at}");
        assert_eq!(made_at("a"), None);
        assert_eq!(made_at(&key(&["a", "b", "c"])), None);
    }
}
