//! Cases about what a writer writes, and what it refuses.

use super::{Failure, Place, begin, contents, definition, execution, finish, id, record};
use crate::{DEFAULT_ORGANIZATION, ExecNo, ExecutionFilter, ExecutionRow, Status, Store, StoreError, Write};

pub(super) fn empty<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    assert_eq!(store.definition("none")?, None);
    assert_eq!(store.execution("none")?, None);
    assert_eq!(store.executions(&ExecutionFilter::default())?, []);
    assert_eq!(store.journal(ExecNo(1), 0, 10)?, []);
    assert_eq!(store.open_executions(ExecNo(0), 10)?, []);
    assert_eq!(store.requests(0)?, []);
    assert_eq!(store.check()?, Vec::<String>::new());
    assert_eq!(store.writer()?.next_exec()?, ExecNo(1));
    Ok(())
}

pub(super) fn life<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    let mut new = execution(1, "first", "flow", 'a');
    new.parent = Some("above".into());
    writer.commit(&[
        Write::Define(definition("flow", 'a')),
        Write::Start(new),
        Write::Append(record(1, 0, b"started")),
    ])?;
    writer.commit(&[Write::Append(record(1, 1, b"one")), Write::Append(record(1, 2, b""))])?;

    let running = ExecutionRow {
        exec: ExecNo(1),
        id: "first".into(),
        organization: DEFAULT_ORGANIZATION.into(),
        workflow: "flow".into(),
        definition: "a".repeat(64),
        parent: Some("above".into()),
        origin: None,
        status: Status::Running,
        started_at: 1_001,
        finished_at: None,
        error: None,
        wake_at: None,
    };
    assert_eq!(store.execution("first")?, Some(running.clone()));
    assert_eq!(
        store.journal(ExecNo(1), 0, 10)?,
        [record(1, 0, b"started"), record(1, 1, b"one"), record(1, 2, b"")]
    );
    assert_eq!(store.open_executions(ExecNo(0), 10)?.len(), 1);

    for status in [Status::Succeeded, Status::Failed, Status::Cancelled] {
        writer.commit(&[Write::Finish(finish(1, status))])?;
        let finished = ExecutionRow {
            status,
            finished_at: Some(3_001),
            error: (status == Status::Failed).then(|| "oops".into()),
            ..running.clone()
        };
        assert_eq!(store.execution("first")?, Some(finished));
        assert_eq!(store.open_executions(ExecNo(0), 10)?, []);
        writer.commit(&[Write::Reopen(ExecNo(1))])?;
        assert_eq!(store.execution("first")?, Some(running.clone()));
        assert_eq!(store.open_executions(ExecNo(0), 10)?.len(), 1);
    }
    writer.commit(&[
        Write::Append(record(1, 3, b"more")),
        Write::Finish(finish(1, Status::Succeeded)),
    ])?;
    assert_eq!(store.journal(ExecNo(1), 3, 10)?, [record(1, 3, b"more")]);

    // From nothing to the end in one batch.
    let mut batch = begin(2, 2);
    batch.push(Write::Finish(finish(2, Status::Failed)));
    writer.commit(&batch)?;
    assert_eq!(store.execution(&id(2))?.map(|row| row.status), Some(Status::Failed));
    assert_eq!(store.check()?, Vec::<String>::new());
    Ok(())
}

pub(super) fn numbers<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 3))?;
    assert_eq!(writer.next_exec()?, ExecNo(4));
    // Numbers that were left out are not used later.
    writer.commit(&begin(10, 10))?;
    writer.commit(&[Write::Finish(finish(10, Status::Succeeded))])?;
    assert_eq!(writer.next_exec()?, ExecNo(11));
    drop(writer);
    assert_eq!(store.writer()?.next_exec()?, ExecNo(11));
    drop(store);
    assert_eq!(place.open()?.writer()?.next_exec()?, ExecNo(11));
    Ok(())
}

pub(super) fn definitions<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    let first = definition("flow", 'a');
    let mut again = first.clone();
    again.workflow = "renamed".into();
    let mut large = definition("large", 'b');
    large.content = vec![7; 3_000_000].into();
    writer.commit(&[Write::Define(first.clone()), Write::Define(first.clone())])?;
    writer.commit(&[Write::Define(again), Write::Define(large.clone())])?;
    assert_eq!(store.definition(&first.hash)?, Some(first));
    assert_eq!(store.definition(&large.hash)?, Some(large));
    assert_eq!(store.definition("")?, None);
    Ok(())
}

pub(super) fn duplicates<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 2))?;
    let before = contents(&store)?;

    let mut of_an_older_one = begin(3, 20);
    of_an_older_one.insert(0, Write::Finish(finish(1, Status::Failed)));
    of_an_older_one.insert(0, Write::Define(definition("other", 'b')));
    of_an_older_one.push(Write::Start(execution(21, &id(2), "flow", 'a')));
    let within = [
        Write::Start(execution(3, "twice", "flow", 'a')),
        Write::Append(record(3, 0, b"started")),
        Write::Start(execution(4, "twice", "flow", 'a')),
    ];
    for (batch, expected) in [(&of_an_older_one[..], id(2)), (&within[..], "twice".to_owned())] {
        match writer.commit(batch) {
            Err(StoreError::Duplicate { id }) => assert_eq!(id, expected),
            other => return Err(format!("expected a duplicate, got {other:?}").into()),
        }
        assert_eq!(contents(&store)?, before, "a refused batch left something");
        assert_eq!(store.definition(&"b".repeat(64))?, None);
        assert_eq!(writer.next_exec()?, ExecNo(3));
    }
    // A number that is taken is refused too; it is a mistake of the caller's, so only that it is refused counts.
    assert!(
        writer
            .commit(&[Write::Start(execution(2, "new", "flow", 'a'))])
            .is_err()
    );
    assert_eq!(contents(&store)?, before);

    writer.commit(&begin(3, 20))?;
    assert_eq!(store.open_executions(ExecNo(0), 100)?.len(), 20);
    Ok(())
}

pub(super) fn conflicts<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 2))?;
    writer.commit(&[Write::Append(record(1, 1, b"ours"))])?;
    let before = contents(&store)?;

    let mut of_an_older_one = begin(3, 9);
    of_an_older_one.push(Write::Append(record(2, 1, b"good")));
    of_an_older_one.push(Write::Append(record(1, 1, b"theirs")));
    of_an_older_one.push(Write::Append(record(1, 2, b"after")));
    let within = [
        Write::Append(record(2, 1, b"good")),
        Write::DropRequest(100),
        Write::Append(record(2, 1, b"again")),
        Write::Finish(finish(2, Status::Failed)),
    ];
    for (batch, exec) in [(&of_an_older_one[..], 1), (&within[..], 2)] {
        match writer.commit(batch) {
            Err(StoreError::Conflict { exec: found, seq: 1 }) => assert_eq!(found, exec),
            other => return Err(format!("expected a conflict, got {other:?}").into()),
        }
        assert_eq!(contents(&store)?, before, "a refused batch left something");
    }
    writer.commit(&[
        Write::Append(record(1, 2, b"next")),
        Write::Append(record(2, 1, b"next")),
    ])?;
    assert_eq!(
        store.journal(ExecNo(1), 1, 10)?,
        [record(1, 1, b"ours"), record(1, 2, b"next")]
    );
    Ok(())
}

pub(super) fn strangers<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 1))?;
    let before = contents(&store)?;
    for stranger in [Write::Finish(finish(7, Status::Failed)), Write::Reopen(ExecNo(7))] {
        let mut batch = begin(2, 3);
        batch.push(stranger);
        let error = writer
            .commit(&batch)
            .err()
            .ok_or("a write for an unknown execution was accepted")?;
        assert!(error.to_string().contains('7'), "does not name the execution: {error}");
        assert_eq!(contents(&store)?, before);
    }
    Ok(())
}

pub(super) fn empty_batch<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&[])?;
    writer.commit(&begin(1, 1))?;
    writer.commit(&[])?;
    assert_eq!(store.open_executions(ExecNo(0), 10)?.len(), 1);
    Ok(())
}

pub(super) fn texts<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    let odd = ["it's", "\"quoted\"", "ümläut 漢字 🦀", "a;b--c", "%_*?[", " "];
    let mut batch = Vec::new();
    for (at, text) in odd.iter().enumerate() {
        let mut new = execution(at as i64 + 1, text, text, 'a');
        new.parent = Some((*text).into());
        batch.push(Write::Start(new));
        batch.push(Write::Append(record(at as i64 + 1, 0, text.as_bytes())));
        let mut kept = definition(text, 'a');
        kept.hash = (*text).into();
        batch.push(Write::Define(kept));
    }
    batch.push(Write::Append(record(1, 1, &(0..=255).collect::<Vec<u8>>())));
    writer.commit(&batch)?;
    for text in odd {
        let row = store.execution(text)?.ok_or("not found")?;
        assert_eq!(
            (row.id.as_str(), row.workflow.as_str(), row.parent.as_deref()),
            (text, text, Some(text))
        );
        assert_eq!(
            store
                .journal(row.exec, 0, 1)?
                .first()
                .map(|record| record.events.to_vec()),
            Some(text.into())
        );
        assert_eq!(
            store.definition(text)?.map(|definition| definition.workflow),
            Some(text.into())
        );
    }
    assert_eq!(
        store.journal(ExecNo(1), 1, 1)?,
        [record(1, 1, &(0..=255).collect::<Vec<u8>>())]
    );
    Ok(())
}

pub(super) fn exclusive<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let other = place.open()?;
    let mut writer = store.writer()?;
    for attempt in [store.writer(), other.writer()] {
        match attempt {
            Err(StoreError::Locked {
                holder: Some(holder), ..
            }) => {
                assert!(holder.contains(&std::process::id().to_string()), "{holder}");
            }
            Err(error) => return Err(format!("expected the holder's name, got {error:?}").into()),
            Ok(_) => return Err("two writers at once".into()),
        }
    }
    writer.commit(&begin(1, 1))?;
    assert!(other.execution(&id(1))?.is_some());
    drop(writer);
    other.writer()?.commit(&begin(2, 2))?;
    assert!(store.execution(&id(2))?.is_some());
    store.writer()?.commit(&begin(3, 3))?;
    Ok(())
}
