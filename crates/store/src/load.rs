//! A load for a writer, used by benches: what an engine with many executions in flight asks of its store,
//! without the engine.
//!
//! Each execution is a start row, some journal records and a finish; a record has to be durable before the same
//! execution appends its next. Batching is the natural one: each commit carries the next record of every execution
//! in flight. Executions take each other's places as they finish, at different times, so that commits look alike.

mod many;
mod parked;

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

pub use many::{APART, BEGAN, ORGANIZATIONS, WORKFLOWS, many, mixed};
pub use parked::{CHANNEL, key, park};

use crate::{
    DEFAULT_ORGANIZATION, Definition, ExecNo, Finish, JournalRecord, NewExecution, Status, StoreError, Write, Writer,
};

const WORKFLOW: &str = "load";
const DEFINITION: &str = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";

/// What [`drive`] measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadReport {
    /// From the first commit to the end of the last.
    pub elapsed: Duration,
    /// Transactions.
    pub commits: usize,
    /// Journal records written.
    pub steps: usize,
    /// Half of the commits took at most this.
    pub p50: Duration,
    /// 99 of 100 commits took at most this. A step waits for one commit, so this is a step's time as well.
    pub p99: Duration,
}

impl LoadReport {
    /// Journal records a second.
    #[must_use]
    pub fn steps_per_second(&self) -> f64 {
        self.steps as f64 / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// One place in the flight: the execution that has it, and what it writes next.
struct Slot {
    exec: ExecNo,
    seq: usize,
    /// Places are filled over the first rounds, not all in the first.
    from_round: usize,
}

/// Runs `executions` executions of `steps` records with `payload` bytes each through `writer`, `in_flight` at a time.
///
/// # Errors
/// The first error of the writer.
pub fn drive(
    writer: &mut dyn Writer,
    executions: usize,
    in_flight: usize,
    steps: usize,
    payload: usize,
) -> Result<LoadReport, StoreError> {
    let events = Bytes::from((0..payload).map(|at| b' ' + (at % 90) as u8).collect::<Vec<_>>());
    let first = writer.next_exec()?.0;
    let end = first + executions as i64;
    let mut next = first;
    writer.commit(&[Write::Define(Definition {
        hash: DEFINITION.into(),
        workflow: WORKFLOW.into(),
        content: Bytes::from_static(b"{}"),
    })])?;

    let mut slots: Vec<Option<Slot>> = Vec::with_capacity(in_flight);
    for place in 0..in_flight.min(executions) {
        slots.push(Some(Slot {
            exec: ExecNo(next),
            seq: 0,
            from_round: place % steps.max(1),
        }));
        next += 1;
    }
    let mut batch = Vec::with_capacity(in_flight * 2);
    let mut times = Vec::with_capacity(executions.saturating_mul(steps) / in_flight.max(1) + steps);
    let mut written = 0;
    let begun = Instant::now();
    for round in 0.. {
        batch.clear();
        let at = now();
        for slot in &mut slots {
            let Some(current) = slot else { continue };
            if current.from_round > round {
                continue;
            }
            if current.seq == 0 {
                batch.push(Write::Start(new_execution(current.exec, at)));
            }
            if current.seq < steps {
                batch.push(Write::Append(JournalRecord {
                    exec: current.exec,
                    seq: current.seq as u64,
                    at,
                    events: events.clone(),
                }));
                written += 1;
            }
            current.seq += 1;
            if current.seq >= steps {
                batch.push(Write::Finish(Finish {
                    exec: current.exec,
                    status: Status::Succeeded,
                    at,
                    error: None,
                }));
                *slot = (next < end).then_some(Slot {
                    exec: ExecNo(next),
                    seq: 0,
                    from_round: 0,
                });
                next += i64::from(slot.is_some());
            }
        }
        if batch.is_empty() {
            break;
        }
        let before = Instant::now();
        writer.commit(&batch)?;
        times.push(before.elapsed());
    }
    let elapsed = begun.elapsed();
    times.sort_unstable();
    Ok(LoadReport {
        elapsed,
        commits: times.len(),
        steps: written,
        p50: percentile(&times, 50),
        p99: percentile(&times, 99),
    })
}

fn new_execution(exec: ExecNo, at: i64) -> NewExecution {
    NewExecution {
        exec,
        id: format!("0198c0de-0000-7000-8000-{:012x}", exec.0),
        organization: DEFAULT_ORGANIZATION.into(),
        workflow: WORKFLOW.into(),
        definition: DEFINITION.into(),
        parent: None,
        origin: None,
        started_at: at,
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((sorted.len() * percent / 100).min(last))
        .copied()
        .unwrap_or_default()
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ExecutionFilter, MemoryStore, Store};

    #[test]
    fn writes_every_execution_whole() {
        let store = MemoryStore::new();
        let mut writer = store.writer().unwrap();
        let report = drive(&mut *writer, 25, 4, 10, 300).unwrap();
        assert_eq!(report.steps, 250);
        assert_eq!(report.commits as u64 + 1, store.commits());
        assert!(
            report.commits >= 250 / 4 && report.commits <= 250 / 4 + 21,
            "{}",
            report.commits
        );
        assert!(report.p50 <= report.p99 && report.p99 <= report.elapsed);
        let rows = store.executions(&ExecutionFilter::default()).unwrap();
        assert_eq!(rows.len(), 25);
        for row in rows {
            assert_eq!(row.status, Status::Succeeded);
            assert_eq!(store.journal(row.exec, 0, 100).unwrap().len(), 10);
        }
        assert_eq!(store.check().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn goes_on_in_a_store_that_has_executions() {
        let store = MemoryStore::new();
        let mut writer = store.writer().unwrap();
        drive(&mut *writer, 3, 8, 2, 10).unwrap();
        drive(&mut *writer, 3, 1, 2, 10).unwrap();
        assert_eq!(store.executions(&ExecutionFilter::default()).unwrap().len(), 6);
        assert_eq!(drive(&mut *writer, 0, 8, 2, 10).unwrap().steps, 0);
        assert_eq!(drive(&mut *writer, 2, 8, 0, 10).unwrap().steps, 0);
    }
}
