//! Cases about what is read after a restart.

use super::{Failure, Place, begin, contents, finish, id, record};
use crate::{ExecNo, RequestKind, Status, Store, Write};

pub(super) fn durable<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 30))?;
    for exec in 1..=30 {
        writer.commit(&[Write::Append(record(exec, 1, format!("of {exec}").as_bytes()))])?;
    }
    writer.commit(&[Write::Finish(finish(3, Status::Failed))])?;
    store.request(&RequestKind::Cancel {
        id: id(1),
        reason: "for the test".into(),
    })?;
    let before = contents(&store)?;
    drop(writer);
    drop(store);

    for _ in 0..2 {
        let store = place.open()?;
        assert_eq!(contents(&store)?, before);
        assert_eq!(store.check()?, Vec::<String>::new());
    }
    let store = place.open()?;
    let mut writer = store.writer()?;
    assert_eq!(writer.next_exec()?, ExecNo(31));
    writer.commit(&[Write::Append(record(1, 2, b"went on"))])?;
    drop(writer);
    assert_eq!(place.open()?.journal(ExecNo(1), 2, 10)?, [record(1, 2, b"went on")]);
    Ok(())
}

pub(super) fn journal_pages<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 2))?;
    // The records of two executions lie between each other.
    for seq in 1..=99 {
        writer.commit(&[
            Write::Append(record(1, seq, &[1, seq as u8])),
            Write::Append(record(2, seq, &[2])),
        ])?;
    }
    let mut all = Vec::new();
    loop {
        let page = store.journal(ExecNo(1), all.len() as u64, 17)?;
        if page.is_empty() {
            break;
        }
        assert!(
            page.len() == 17 || all.len() + page.len() == 100,
            "a page of {} in the middle",
            page.len()
        );
        all.extend(page);
    }
    assert_eq!(all.len(), 100);
    assert!(
        all.iter()
            .enumerate()
            .all(|(at, found)| found.seq == at as u64 && found.exec == ExecNo(1))
    );
    assert_eq!(store.journal(ExecNo(1), 40, 1)?, [record(1, 40, &[1, 40])]);
    assert_eq!(store.journal(ExecNo(1), 100, 10)?, []);
    assert_eq!(store.journal(ExecNo(1), u64::MAX, 10)?, []);
    assert_eq!(store.journal(ExecNo(1), 0, 0)?, []);
    Ok(())
}

pub(super) fn open_pages<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 60))?;
    let mut batch = Vec::new();
    for exec in 1..=60 {
        batch.push(Write::Append(record(exec, 1, &[exec as u8])));
        if exec % 3 == 0 {
            batch.push(Write::Finish(finish(exec, Status::Succeeded)));
        }
    }
    batch.push(Write::Reopen(ExecNo(30)));
    writer.commit(&batch)?;

    let expected: Vec<i64> = (1..=60).filter(|exec| exec % 3 != 0 || *exec == 30).collect();
    let mut found = Vec::new();
    let mut after = ExecNo(0);
    loop {
        let page = store.open_executions(after, 7)?;
        assert!(page.len() <= 7);
        let Some(last) = page.last() else { break };
        after = last.row.exec;
        for open in page {
            let exec = open.row.exec.0;
            assert_eq!(open.row.status, Status::Running);
            assert_eq!(open.row.id, id(exec));
            assert_eq!(
                open.journal,
                [record(exec, 0, b"started"), record(exec, 1, &[exec as u8])]
            );
            found.push(exec);
        }
    }
    assert_eq!(found, expected);
    assert_eq!(store.open_executions(ExecNo(60), 7)?, []);
    assert_eq!(store.open_executions(ExecNo(0), 0)?, []);
    Ok(())
}
