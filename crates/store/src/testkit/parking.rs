//! Cases about executions that leave memory, and about what wakes them.

use super::{Failure, Place, begin, contents, execution, finish, id, record};
use crate::{ExecNo, ExecutionFilter, Status, Store, StoreError, Write};

pub(super) fn park(exec: i64, wake_at: Option<i64>) -> Write {
    Write::Park {
        exec: ExecNo(exec),
        status: Status::Waiting,
        wake_at,
    }
}

fn due(store: &impl Store) -> Result<Vec<(i64, i64)>, StoreError> {
    let due = store.due((i64::MIN, ExecNo(0)), 100)?;
    Ok(due.into_iter().map(|(at, exec)| (at, exec.0)).collect())
}

pub(super) fn life<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 4))?;
    writer.commit(&[park(1, Some(5_000)), park(2, None)])?;
    writer.commit(&[Write::Park {
        exec: ExecNo(3),
        status: Status::Paused,
        wake_at: Some(7),
    }])?;
    let found = store.execution_by_no(ExecNo(1))?.ok_or("not found")?;
    assert_eq!(
        (found.status, found.wake_at, found.finished_at),
        (Status::Waiting, Some(5_000), None)
    );
    assert_eq!(Some(found), store.execution(&id(1))?);
    let paused = store.execution(&id(3))?.ok_or("not found")?;
    assert_eq!((paused.status, paused.wake_at), (Status::Paused, Some(7)));
    let open: Vec<i64> = store
        .open_executions(ExecNo(0), 10)?
        .iter()
        .map(|open| open.row.exec.0)
        .collect();
    assert_eq!(open, [4], "only what is running is to be taken up at a start");
    assert_eq!(due(&store)?, [(5_000, 1)]);
    assert_eq!(store.execution_by_no(ExecNo(99))?, None);

    for (status, expected) in [
        (Status::Running, vec![4]),
        (Status::Waiting, vec![2, 1]),
        (Status::Paused, vec![3]),
        (Status::Succeeded, vec![]),
    ] {
        let filter = ExecutionFilter {
            status: Some(status),
            ..ExecutionFilter::default()
        };
        let found: Vec<i64> = store.executions(&filter)?.iter().map(|row| row.exec.0).collect();
        assert_eq!(found, expected, "{status:?}");
    }

    writer.commit(&[
        Write::Unpark(ExecNo(1)),
        Write::Reopen(ExecNo(3)),
        Write::Append(record(1, 1, b"woken")),
    ])?;
    for exec in [1, 3] {
        let found = store.execution(&id(exec))?.ok_or("not found")?;
        assert_eq!((found.status, found.wake_at), (Status::Running, None));
    }
    assert_eq!(due(&store)?, []);
    writer.commit(&[park(1, Some(1)), Write::Finish(finish(1, Status::Failed))])?;
    let ended = store.execution(&id(1))?.ok_or("not found")?;
    assert_eq!(
        (ended.status, ended.wake_at, ended.finished_at),
        (Status::Failed, None, Some(3_001))
    );
    assert_eq!(due(&store)?, []);

    let before = contents(&store)?;
    for stranger in [park(77, None), Write::Unpark(ExecNo(77))] {
        assert!(writer.commit(&[park(4, Some(9)), stranger]).is_err());
        assert_eq!(contents(&store)?, before);
        assert_eq!(due(&store)?, []);
    }
    assert_eq!(store.check()?, Vec::<String>::new());
    Ok(())
}

pub(super) fn due_pages<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 60))?;
    // Ten share each time.
    let mut batch: Vec<Write> = (1..=60).map(|exec| park(exec, Some(-20 + exec % 6 * 10))).collect();
    batch.push(Write::Unpark(ExecNo(33)));
    batch.push(park(34, None));
    writer.commit(&batch)?;
    let mut expected: Vec<(i64, i64)> = (1..=60)
        .filter(|exec| *exec != 33 && *exec != 34)
        .map(|exec| (-20 + exec % 6 * 10, exec))
        .collect();
    expected.sort_unstable();
    for limit in [1, 7, 10, 100] {
        let mut found = Vec::new();
        let mut after = (i64::MIN, ExecNo(0));
        loop {
            let page = store.due(after, limit)?;
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            after = *last;
            found.extend(page.into_iter().map(|(at, exec)| (at, exec.0)));
        }
        assert_eq!(found, expected, "in pages of {limit}");
    }
    assert_eq!(store.due((i64::MIN, ExecNo(0)), 0)?, []);
    drop(writer);
    drop(store);
    assert_eq!(due(&place.open()?)?, expected, "after reopening");
    Ok(())
}

pub(super) fn parents<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 4))?;
    let wake = |exec: i64, at: i64| Write::WakeParent { id: id(exec), at };
    writer.commit(&[
        park(1, None),
        park(2, Some(50)),
        Write::Finish(finish(4, Status::Failed)),
    ])?;
    writer.commit(&[wake(1, 30), wake(2, 60), wake(3, 10), wake(4, 10), wake(99, 10)])?;
    assert_eq!(
        due(&store)?,
        [(30, 1), (50, 2)],
        "the earlier time counts, and only for waiting ones"
    );
    writer.commit(&[wake(1, 31), wake(2, 20)])?;
    assert_eq!(due(&store)?, [(20, 2), (30, 1)]);
    assert!(writer.commit(&[wake(1, 1), park(99, None)]).is_err());
    assert_eq!(due(&store)?, [(20, 2), (30, 1)]);
    Ok(())
}

pub(super) fn audit<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    let mut batch = begin(1, 9);
    let child = |exec: i64, parent: i64| {
        let mut new = execution(exec, &id(exec), "flow", 'a');
        new.parent = Some(id(parent));
        Write::Start(new)
    };
    batch.extend([
        child(10, 5),
        child(11, 6),
        park(10, Some(1)),
        Write::Finish(finish(11, Status::Failed)),
    ]);
    batch.extend([
        // 1 is running.
        park(2, Some(99)),
        park(3, None),
        Write::OpenWait(super::waits::callback(3, 1, "k")),
        park(4, None),
        // Its wait is closed.
        Write::OpenWait(super::waits::callback(4, 1, "k")),
        Write::CloseWait {
            exec: ExecNo(4),
            tag: 1,
            state: crate::WaitState::Answered,
        },
        // It waits for a child that is there.
        park(5, None),
        // It waits for a child that has ended.
        park(6, None),
        Write::Park {
            exec: ExecNo(7),
            status: Status::Paused,
            wake_at: None,
        },
        Write::Finish(finish(8, Status::Succeeded)),
        park(9, None),
    ]);
    writer.commit(&batch)?;
    for limit in [1, 2, 100] {
        let mut found = Vec::new();
        let mut after = Some(ExecNo(0));
        let mut pages = 0;
        while let Some(from) = after {
            let page = store.audit(from, limit)?;
            assert!(page.found.len() <= limit);
            assert!(page.next.is_none_or(|next| next > from), "the audit does not come on");
            after = page.next;
            found.extend(page.found.into_iter().map(|row| row.exec.0));
            pages += 1;
            assert!(pages < 100);
        }
        assert_eq!(found, [1, 4, 6, 9], "in pages of {limit}");
    }
    Ok(())
}
