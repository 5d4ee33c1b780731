//! Executions that are parked on a callback, as an engine leaves them.

use bytes::Bytes;

use super::WORKFLOW;
use crate::{
    DEFAULT_ORGANIZATION, Definition, ExecNo, JournalRecord, NewExecution, Status, StoreError, WaitKind, WaitRow,
    WaitState, Write, Writer,
};

/// Bytes of events that each execution has: its start and a step, then the step's result and the wait.
const EVENTS: [usize; 2] = [120, 180];
/// Executions in one commit, each with five or six writes.
const TOGETHER: i64 = 170;
const BEGUN: i64 = 1_798_761_600_000;
const DAY: i64 = 86_400_000;
const DEFINITION: &str = "8a1f0c6cf1b6a3a3c6d9be1a8d5b2f1f7a64a9dd2b1c4e0f9c3d7e5a6b8c9d0e";

/// The channel of the keys that [`park`] makes.
pub const CHANNEL: &str = "stripe";

/// The key, of twelve characters, that the execution with this number waits for.
#[must_use]
pub fn key(exec: ExecNo) -> String {
    // Spread, as other people's references are.
    let mixed = (exec.0 as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("{:012x}", mixed >> 16)
}

/// Starts so many executions and parks each on a callback with a key; with a timeout of a day if `timeout` says so.
/// The number of the first.
///
/// # Errors
/// The first error of the writer.
pub fn park(writer: &mut dyn Writer, executions: i64, timeout: bool) -> Result<ExecNo, StoreError> {
    let first = writer.next_exec()?;
    writer.commit(&[Write::Define(Definition {
        hash: DEFINITION.into(),
        workflow: WORKFLOW.into(),
        content: Bytes::from_static(b"{}"),
    })])?;
    let end = first.0 + executions;
    let mut next = first.0;
    while next < end {
        let batch: Vec<Write> = (next..end.min(next + TOGETHER))
            .flat_map(|exec| parked(ExecNo(exec), timeout))
            .collect();
        writer.commit(&batch)?;
        next += TOGETHER;
    }
    Ok(first)
}

fn parked(exec: ExecNo, timeout: bool) -> Vec<Write> {
    let at = BEGUN + exec.0;
    let until = timeout.then_some(at + DAY);
    let (high, low, number) = (at >> 16, at & 0xffff, exec.0);
    let key = key(exec);
    let mut writes = vec![Write::Start(NewExecution {
        exec,
        id: format!(
            "{high:08x}-{low:04x}-7{:03x}-8{:03x}-{key}",
            number & 0xfff,
            number >> 12 & 0xfff
        ),
        organization: DEFAULT_ORGANIZATION.into(),
        workflow: WORKFLOW.into(),
        definition: DEFINITION.into(),
        parent: None,
        origin: None,
        started_at: at,
    })];
    writes.extend(EVENTS.iter().zip(0_u64..).map(|(length, seq)| {
        Write::Append(JournalRecord {
            exec,
            seq,
            at: at + seq as i64 * 40,
            events: vec![b'e'; *length].into(),
        })
    }));
    writes.push(Write::OpenWait(WaitRow {
        exec,
        tag: (number as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93),
        path: "payment/paid".into(),
        kind: WaitKind::Callback,
        name: CHANNEL.into(),
        key: Some(key),
        until,
        detail: None,
        opened_at: at + 40,
        state: WaitState::Open,
    }));
    writes.push(Write::Park {
        exec,
        status: Status::Waiting,
        wake_at: until,
    });
    writes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryStore, Store};

    #[test]
    fn every_execution_waits_for_its_key() {
        let store = MemoryStore::new();
        let mut writer = store.writer().unwrap();
        park(&mut *writer, 400, true).unwrap();
        let first = park(&mut *writer, 3, false).unwrap();
        assert_eq!(first, ExecNo(401));
        assert_eq!(store.due((i64::MIN, ExecNo(0)), 1_000).unwrap().len(), 400);
        for exec in [1, 170, 171, 400, 401, 403].map(ExecNo) {
            let found = store
                .waits_by_key(DEFAULT_ORGANIZATION, WaitKind::Callback, CHANNEL, &key(exec))
                .unwrap();
            assert_eq!(found.iter().map(|wait| wait.exec).collect::<Vec<_>>(), [exec]);
        }
        assert_eq!(store.audit(ExecNo(0), 10).unwrap(), crate::AuditPage::default());
        assert_eq!(store.check().unwrap(), Vec::<String>::new());
    }
}
