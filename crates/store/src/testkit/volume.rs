//! Cases about much of something.

use super::{Failure, Place, begin, finish, id, record};
use crate::{ExecNo, ExecutionFilter, Status, Store, Write};

pub(super) fn large<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    let events: Vec<u8> = (0..8_000_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    writer.commit(&begin(1, 2))?;
    writer.commit(&[
        Write::Append(record(1, 1, &events)),
        Write::Append(record(2, 1, &events)),
        Write::Append(record(1, 2, b"small")),
    ])?;
    drop(writer);
    drop(store);
    let store = place.open()?;
    assert!(store.journal(ExecNo(1), 1, 10)? == [record(1, 1, &events), record(1, 2, b"small")]);
    let mut after = ExecNo(0);
    let mut found = 0;
    loop {
        let page = store.open_executions(after, 100)?;
        let Some(last) = page.last() else { break };
        after = last.row.exec;
        found += page
            .iter()
            .filter(|open| open.journal.iter().any(|record| record.events == events))
            .count();
    }
    assert_eq!(found, 2);
    Ok(())
}

pub(super) fn thousands<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 5_000))?;
    for seq in 1..=4 {
        let batch: Vec<Write> = (1..=5_000)
            .map(|exec| Write::Append(record(exec, seq, &[seq as u8; 300])))
            .collect();
        writer.commit(&batch)?;
    }
    let ended: Vec<Write> = (1..=4_000)
        .map(|exec| Write::Finish(finish(exec, Status::Succeeded)))
        .collect();
    writer.commit(&ended)?;

    let mut after = ExecNo(0);
    let mut open = 0;
    loop {
        let page = store.open_executions(after, 300)?;
        let Some(last) = page.last() else { break };
        after = last.row.exec;
        open += page.len();
        assert!(
            page.iter()
                .all(|open| open.row.exec.0 > 4_000 && open.journal.len() == 5)
        );
    }
    assert_eq!(open, 1_000);
    let filter = ExecutionFilter {
        status: Some(Status::Succeeded),
        limit: 5_000,
        ..Default::default()
    };
    assert_eq!(store.executions(&filter)?.len(), 4_000);
    assert_eq!(store.execution(&id(1))?.map(|row| row.finished_at), Some(Some(3_001)));
    assert_eq!(store.check()?, Vec::<String>::new());
    Ok(())
}
