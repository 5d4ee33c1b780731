//! What the guard writes into the audit log: a line about each change, and lines about credentials that were refused.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header::LOCATION;
use axum::response::Response;
use bowline_access::{Access, Audit, AuditEntry, Denied, Outcome};
use serde_json::{Map, Value, json};

use super::Note;
use crate::problem::Code;

/// How long refused credentials of one address are one line.
const TOGETHER: Duration = Duration::from_mins(1);

/// Of so many addresses refused credentials are told apart. Those of others are counted together, so that nobody can fill
/// the disk with lines.
const ADDRESSES: usize = 100;

/// Writes the line about a request that was answered.
pub(super) fn finish(note: &Note, outcome: Outcome, response: &Response) -> impl Future<Output = ()> + use<> {
    let mut line = note.about();
    line.outcome = outcome;
    let mut detail = match line.detail {
        Value::Object(detail) => detail,
        _ => Map::new(),
    };
    detail.insert("status".into(), response.status().as_u16().into());
    if let Some(Code(code)) = response.extensions().get() {
        detail.insert("code".into(), code.as_ref().into());
    }
    // What was made, or what a form of the inspector leads to.
    if let Some(made) = response.headers().get(LOCATION).and_then(|made| made.to_str().ok()) {
        let path = made.split(['?', '#']).next().unwrap_or_default();
        detail.insert("location".into(), super::target(path).into());
    }
    line.detail = Value::Object(detail);
    // A body is no matter for two threads: only the line goes on.
    let access = note.access.clone();
    async move { write(&access, line).await }
}

async fn write(access: &Access, line: AuditEntry) {
    let action = line.action.clone();
    if let Err(error) = access.write_audit(line).await {
        tracing::error!(%error, action, "a line of the audit log could not be written");
    }
}

/// Whether this is worth a line: credentials that somebody has tried, and not that there were none.
fn is_attempt(denied: &Denied) -> bool {
    matches!(
        denied,
        Denied::UnknownKey | Denied::Token(_) | Denied::Expired | Denied::Rotated | Denied::Revoked
    )
}

/// Credentials that were refused, by address: the first one is a line at once, and those of the next minute are one line
/// together.
#[derive(Default)]
pub(super) struct Refusals(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    of: HashMap<IpAddr, Count>,
    /// Those of addresses beyond [`ADDRESSES`].
    others: u64,
}

struct Count {
    since: Instant,
    /// How many have come since the line about the first one.
    more: u64,
}

impl Refusals {
    /// Counts credentials that were refused at this path, and writes the line about the first ones of an address.
    pub(super) async fn note(&self, access: &Access, from: IpAddr, path: &str, denied: &Denied) {
        if !is_attempt(denied) || !self.is_first(from, Instant::now()) {
            return;
        }
        let detail = json!({ "code": denied.code(), "count": 1 });
        let line = Audit::stranger("credentials.refused", &super::target(path), detail).came_from(from);
        write(access, line.outcome(Outcome::Refused)).await;
    }

    /// Writes what has been counted for a minute, or all of it.
    pub(super) async fn write(&self, access: &Access, all: bool) {
        let by = if all {
            None
        } else {
            Instant::now().checked_sub(TOGETHER)
        };
        for (from, count) in self.take(by) {
            let line = Audit::stranger("credentials.refused", "", json!({ "count": count })).outcome(Outcome::Refused);
            let line = match from {
                Some(from) => line.came_from(from),
                None => line.came_from("other addresses"),
            };
            write(access, line).await;
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_first(&self, from: IpAddr, now: Instant) -> bool {
        let mut counts = self.counts();
        if let Some(count) = counts.of.get_mut(&from) {
            count.more += 1;
            return false;
        }
        if counts.of.len() >= ADDRESSES {
            counts.others += 1;
            return false;
        }
        counts.of.insert(from, Count { since: now, more: 0 });
        true
    }

    /// Takes out what began at this time or earlier; none: all of it.
    fn take(&self, by: Option<Instant>) -> Vec<(Option<IpAddr>, u64)> {
        let mut counts = self.counts();
        let mut taken = Vec::new();
        counts.of.retain(|from, count| {
            let stays = by.is_some_and(|by| count.since > by);
            if !stays && count.more > 0 {
                taken.push((Some(*from), count.more));
            }
            stays
        });
        let others = std::mem::take(&mut counts.others);
        taken.extend((others > 0).then_some((None, others)));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_refusals_are_few_lines() {
        let refusals = Refusals::default();
        let now = Instant::now();
        let of = |number: u8| IpAddr::from([192, 0, 2, number]);
        assert!(refusals.is_first(of(0), now));
        for _ in 0..1_000 {
            assert!(!refusals.is_first(of(0), now));
        }
        let lines = (1..=250).filter(|number| refusals.is_first(of(*number), now)).count();
        assert_eq!(lines, ADDRESSES - 1);
        let mut taken = refusals.take(Some(now));
        taken.sort_unstable();
        assert_eq!(taken, [(None, 151), (Some(of(0)), 1_000)]);
        assert_eq!(refusals.take(None), []);
        // A minute later it is worth a line again, and not before.
        assert!(refusals.is_first(of(0), now + TOGETHER));
        assert!(!refusals.is_first(of(0), now + TOGETHER));
        assert_eq!(refusals.take(Some(now)), []);
        assert_eq!(refusals.take(None), [(Some(of(0)), 1)]);
    }
}
