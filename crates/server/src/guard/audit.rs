//! What the guard writes into the audit log: a line about each change, and lines about credentials that were refused.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header::LOCATION;
use axum::response::Response;
use bowline_access::{Access, Audit, AuditEntry, Denied, Outcome};
use serde_json::{Map, Value, json};

use super::Note;
use crate::problem::Code;

/// What was refused and comes again so soon after its line is counted, and told in one line together.
const TOGETHER: Duration = Duration::from_mins(1);

/// What goes on is told less and less often, and so often at least.
const SELDOM: Duration = Duration::from_hours(1);

/// So many different ones have a line of their own at once. Others are counted together, so that nobody can fill the disk
/// with lines.
const AT_ONCE: u32 = 100;

/// So many more may have one after each [`TOGETHER`].
const AGAIN: u32 = 10;

/// The longest target in a line about what was refused, in bytes: whoever is refused chooses it.
const LONGEST_TARGET: usize = 200;

/// Writes the line about a request that was answered.
pub(super) fn finish(note: &Note, outcome: Outcome, response: &Response) -> impl Future<Output = ()> + use<> {
    // A body is no matter for two threads: only the line goes on.
    // What was refused has made nothing; what failed may have.
    let about = if outcome == Outcome::Refused {
        note.about()
    } else {
        note.about_done()
    };
    let line = answered(about, outcome, response);
    let access = note.access.clone();
    async move { write(&access, line).await }
}

/// A line with what was answered.
fn answered(mut line: AuditEntry, outcome: Outcome, response: &Response) -> AuditEntry {
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
    line
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

/// What was refused, by who did what: the first one is a line at once, and those that follow within a minute are one line
/// together. Where it goes on, the next line is of two minutes, and so on to an hour.
pub(super) struct Refusals<K>(Mutex<Counts<K>>);

struct Counts<K> {
    of: HashMap<K, Count>,
    /// So many more may have a line of their own.
    left: u32,
    /// Those that had none.
    others: u64,
}

struct Count {
    since: Instant,
    /// How long they are counted.
    span: Duration,
    /// How many have come since the last line.
    more: u64,
    /// The line that tells how many, without the number.
    line: AuditEntry,
}

impl<K> Default for Refusals<K> {
    fn default() -> Self {
        Self(Mutex::new(Counts {
            of: HashMap::new(),
            left: AT_ONCE,
            others: 0,
        }))
    }
}

impl<K: Hash + Eq> Refusals<K> {
    /// Writes what has been counted for long enough, or all of it. Those that had no line of their own are one with the action
    /// and the sender of `others`.
    pub(super) async fn write(&self, access: &Access, others: (&str, &str), all: bool) {
        for mut line in self.take(Instant::now(), others, all) {
            line.outcome = Outcome::Refused;
            write(access, line).await;
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one. Whether it is worth a line by itself; `line` is the one that later tells how many more there were.
    fn is_first(&self, who: K, now: Instant, line: impl FnOnce() -> AuditEntry) -> bool {
        let mut counts = self.counts();
        if let Some(count) = counts.of.get_mut(&who) {
            count.more += 1;
            return false;
        }
        let Some(left) = counts.left.checked_sub(1) else {
            counts.others += 1;
            return false;
        };
        counts.left = left;
        let count = Count {
            since: now,
            span: TOGETHER,
            more: 0,
            line: line(),
        };
        counts.of.insert(who, count);
        true
    }

    /// The lines about what was counted until now. What has not come again is forgotten.
    fn take(&self, now: Instant, others: (&str, &str), all: bool) -> Vec<AuditEntry> {
        let mut counts = self.counts();
        let mut lines = Vec::new();
        counts.of.retain(|_, count| {
            if !all && now.saturating_duration_since(count.since) < count.span {
                return true;
            }
            if count.more == 0 {
                return false;
            }
            lines.push(counted(count.line.clone(), std::mem::take(&mut count.more)));
            count.since = now;
            count.span = SELDOM.min(count.span * 2);
            true
        });
        counts.left = AT_ONCE.min(counts.left + AGAIN);
        let rest = std::mem::take(&mut counts.others);
        if rest > 0 {
            let line = Audit::stranger(others.0, "", Value::Null).came_from(others.1);
            lines.push(counted(line, rest));
        }
        lines
    }
}

impl Refusals<IpAddr> {
    /// Counts credentials that were refused at this path, and writes the line about the first ones of an address.
    pub(super) async fn note(&self, access: &Access, from: IpAddr, path: &str, denied: &Denied) {
        let about = |target: &str, detail| Audit::stranger("credentials.refused", target, detail).came_from(from);
        if !is_attempt(denied) || !self.is_first(from, Instant::now(), || about("", Value::Null)) {
            return;
        }
        let detail = json!({ "code": denied.code(), "count": 1 });
        let line = about(&short(&super::target(path)), detail);
        write(access, line.outcome(Outcome::Refused)).await;
    }
}

/// A caller that may not do something: whose organization, who, and what was asked for.
pub(super) type CallerAction = (String, String, String);

impl Refusals<CallerAction> {
    /// Counts a change that this caller may not make, and writes the line about the first one.
    pub(super) fn note_change(&self, note: &Note, response: &Response) -> impl Future<Output = ()> + use<> {
        let mut line = note.about();
        let who = line.key.clone().unwrap_or_else(|| line.who.clone());
        let key = (line.organization.clone(), who, line.action.clone());
        line.target = short(&line.target);
        let sum = || AuditEntry {
            target: String::new(),
            detail: json!({ "code": Denied::Forbidden(String::new()).code() }),
            ..line.clone()
        };
        let is_first = self.is_first(key, Instant::now(), sum);
        let line = is_first.then(|| answered(line, Outcome::Refused, response));
        let access = note.access.clone();
        async move {
            if let Some(line) = line {
                write(&access, line).await;
            }
        }
    }
}

/// A line with how many it tells of.
fn counted(mut line: AuditEntry, count: u64) -> AuditEntry {
    let mut detail = match line.detail {
        Value::Object(detail) => detail,
        _ => Map::new(),
    };
    detail.insert("count".into(), count.into());
    line.detail = Value::Object(detail);
    line
}

/// The beginning of a target.
fn short(target: &str) -> String {
    if target.len() <= LONGEST_TARGET {
        return target.to_owned();
    }
    format!("{}…", &target[..target.floor_char_boundary(LONGEST_TARGET)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> AuditEntry {
        Audit::stranger("credentials.refused", "", Value::Null)
    }

    fn sums(lines: &[AuditEntry]) -> Vec<u64> {
        let mut sums: Vec<_> = lines.iter().filter_map(|line| line.detail["count"].as_u64()).collect();
        sums.sort_unstable();
        sums
    }

    #[test]
    fn many_refusals_are_few_lines() {
        let refusals = Refusals::default();
        let now = Instant::now();
        assert!(refusals.is_first(0, now, line));
        for _ in 0..1_000 {
            assert!(!refusals.is_first(0, now, line));
        }
        let lines = (1..=250).filter(|number| refusals.is_first(*number, now, line)).count();
        assert_eq!(lines, 99);
        assert!(
            refusals.take(now, ("a", "b"), false).len() == 1,
            "those without a line of their own"
        );
        let later = now + TOGETHER;
        assert_eq!(sums(&refusals.take(later, ("a", "b"), false)), [1_000]);
        // What came once is worth a line again; what goes on is told as a sum.
        assert!(!refusals.is_first(0, later, line));
        assert!(refusals.is_first(1, later, line));
        assert_eq!(sums(&refusals.take(later, ("a", "b"), true)), [1]);
    }

    #[test]
    fn a_flood_of_a_day_is_a_bounded_number_of_lines() {
        let refusals = Refusals::default();
        let mut now = Instant::now();
        let (mut lines, mut fresh) = (0, 1_000_u64);
        for _ in 0..24 * 60 {
            // Ten that never stop, and many new ones in each minute.
            for _ in 0..50 {
                lines += (0..10).filter(|who| refusals.is_first(*who, now, line)).count();
            }
            lines += (0..200)
                .filter(|number| refusals.is_first(fresh + number, now, line))
                .count();
            fresh += 200;
            now += TOGETHER;
            lines += refusals.take(now, ("a", "b"), false).len();
        }
        assert!(lines < 17_000, "{lines}");
    }

    #[test]
    fn a_long_target_is_cut_between_characters() {
        assert_eq!(short("/api/v1"), "/api/v1");
        let cut = short(&"ü".repeat(3_000));
        assert!(cut.len() < 210 && cut.ends_with("ü…"), "{cut}");
    }
}
