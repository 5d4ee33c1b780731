//! Faults: what goes wrong with which call.
//!
//! Every fault counts the calls it sees, struck or not, so "every third call" means the third call and not
//! the third call that something else left over.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::check::join;
use crate::error::Problem;
use crate::notation::{Fault, FaultRule, FaultType};

/// What happens to a call instead of, or to, its answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Strike {
    Reset,
    Hang,
    Malformed,
    Empty,
    Garbage,
    Drop,
    Status(StatusFault),
}

/// An answer that turns the call away.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StatusFault {
    pub(crate) status: u16,
    /// Whole seconds.
    pub(crate) retry_after: Option<u64>,
    pub(crate) body: Option<Value>,
}

impl Strike {
    /// The name that is recorded.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Hang => "hang",
            Self::Malformed => "malformed",
            Self::Empty => "empty",
            Self::Garbage => "garbage",
            Self::Drop => "drop",
            Self::Status(_) => "status",
        }
    }
}

/// The faults of a service or a route.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    due: Vec<Due>,
}

#[derive(Debug)]
struct Due {
    strike: Strike,
    every: u64,
    after: u64,
    count: u64,
    seen: AtomicU64,
}

impl Faults {
    /// Puts `fault` and `faults`, which stand in the object at `path`, together.
    pub(crate) fn compile(one: Option<Fault>, several: Vec<Fault>, path: &str, problems: &mut Vec<Problem>) -> Self {
        let several = several.into_iter().enumerate();
        let places = one
            .into_iter()
            .map(|fault| (join(path, "fault"), fault))
            .chain(several.map(|(index, fault)| (join(path, &format!("faults[{index}]")), fault)));
        let mut due = Vec::new();
        for (path, Fault(rule)) in places {
            match strike(&rule) {
                Ok(strike) => due.push(Due {
                    strike,
                    every: rule.every.get(),
                    after: rule.after,
                    count: rule.count.unwrap_or(u64::MAX),
                    seen: AtomicU64::new(0),
                }),
                Err(problem) => problems.push(Problem::new(path, problem)),
            }
        }
        Self { due }
    }

    /// Counts a call and says what strikes it.
    pub(crate) fn next(&self) -> Option<&Strike> {
        let mut struck = None;
        for due in &self.due {
            let counted = (due.seen.fetch_add(1, Ordering::Relaxed) + 1).saturating_sub(due.after);
            let strikes = counted / due.every;
            if struck.is_none() && counted > 0 && counted.is_multiple_of(due.every) && strikes <= due.count {
                struck = Some(&due.strike);
            }
        }
        struck
    }
}

fn strike(rule: &FaultRule) -> Result<Strike, &'static str> {
    let kind = match (rule.kind, rule.status) {
        (Some(kind), _) => kind,
        (None, Some(_)) => FaultType::Status,
        (None, None) => return Err("a fault needs a `type` or a `status`"),
    };
    if kind != FaultType::Status && (rule.status.is_some() || rule.retry_after.is_some() || rule.body.is_some()) {
        return Err("`status`, `retryAfter` and `body` belong to the type `status`");
    }
    Ok(match kind {
        FaultType::Reset => Strike::Reset,
        FaultType::Hang => Strike::Hang,
        FaultType::Malformed => Strike::Malformed,
        FaultType::Empty => Strike::Empty,
        FaultType::Garbage => Strike::Garbage,
        FaultType::Drop => Strike::Drop,
        FaultType::Status => Strike::Status(StatusFault {
            status: rule.status.ok_or("the type `status` needs a `status`")?,
            retry_after: rule.retry_after.map(|after| seconds(after.duration())),
            body: rule.body.clone(),
        }),
    })
}

/// Rounded up: a client that waits so long has waited enough.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn struck(fault: Value, calls: usize) -> Vec<usize> {
        let fault: Fault = serde_json::from_value(fault).expect("a fault");
        let mut problems = Vec::new();
        let faults = Faults::compile(Some(fault), Vec::new(), "", &mut problems);
        assert_eq!(problems, []);
        (1..=calls).filter(|_| faults.next().is_some()).collect::<Vec<_>>()
    }

    #[test]
    fn windows_are_counted_from_the_first_call() {
        for (fault, expected) in [
            (json!("reset"), vec![1, 2, 3, 4, 5, 6]),
            (json!({"type": "reset", "every": 3}), vec![3, 6]),
            (json!({"type": "hang", "after": 2}), vec![3, 4, 5, 6]),
            (json!({"type": "drop", "after": 1, "every": 2}), vec![3, 5]),
            (json!({"status": 503, "count": 2}), vec![1, 2]),
            (json!({"status": 503, "every": 2, "count": 1}), vec![2]),
            (json!({"status": 503, "count": 0}), vec![]),
        ] {
            assert_eq!(struck(fault.clone(), 6), expected, "{fault}");
        }
    }

    #[test]
    fn every_fault_counts_every_call() {
        let faults = [
            json!({"type": "reset", "every": 2}),
            json!({"type": "hang", "every": 3}),
        ];
        let faults = faults
            .into_iter()
            .map(|fault| serde_json::from_value(fault).expect("a fault"))
            .collect();
        let faults = Faults::compile(None, faults, "", &mut Vec::new());
        let names: Vec<_> = (0..6).map(|_| faults.next().map(Strike::name)).collect();
        assert_eq!(
            names,
            [None, Some("reset"), Some("hang"), Some("reset"), None, Some("reset")]
        );
    }

    #[test]
    fn a_fault_says_what_it_needs() {
        for fault in [
            json!({}),
            json!({"type": "status"}),
            json!({"type": "reset", "status": 500}),
        ] {
            let mut problems = Vec::new();
            let fault = serde_json::from_value(fault).expect("a fault");
            Faults::compile(None, vec![fault], "config", &mut problems);
            assert_eq!(problems.len(), 1);
            assert_eq!(problems[0].path, "config.faults[0]");
        }
    }
}
