//! Cases about condensed journals, deletion, start keys, versions and blobs.

use bytes::Bytes;

use super::parking::park;
use super::waits::callback;
use super::{Failure, Place, begin, contents, definition, execution, finish, id, record};
use crate::{
    DEFAULT_ORGANIZATION, Delivery, DeliveryFilter, ExecNo, ExecutionFilter, JournalRecord, Status, Store, StoreError,
    WaitFilter, Write,
};

fn condense(exec: i64, from: u64, to: u64) -> Write {
    Write::Condense {
        exec: ExecNo(exec),
        from,
        to,
        at: 7_000,
        events: segment(exec, from, to).events,
    }
}

fn segment(exec: i64, from: u64, to: u64) -> JournalRecord {
    JournalRecord {
        at: 7_000,
        ..record(exec, from, format!("{from} to {to}").as_bytes())
    }
}

fn records(exec: i64, range: std::ops::Range<u64>) -> Vec<JournalRecord> {
    range.map(|seq| record(exec, seq, &[seq as u8])).collect()
}

pub(super) fn condensed<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    let mut batch = begin(1, 2);
    batch.retain(|write| !matches!(write, Write::Append(_)));
    for exec in [1, 2] {
        batch.extend(records(exec, 0..30).into_iter().map(Write::Append));
    }
    writer.commit(&batch)?;
    let read = || -> Result<(Vec<JournalRecord>, u64), Failure> {
        let open = store.open_execution(ExecNo(1))?.ok_or("not found")?;
        assert_eq!(Some(open.clone()), store.open_executions(ExecNo(0), 1)?.pop());
        Ok((open.journal, open.next_seq))
    };
    assert_eq!(read()?, (records(1, 0..30), 30));
    writer.commit(&[condense(1, 5, 10)])?;
    let expected = [records(1, 0..5), vec![segment(1, 5, 10)], records(1, 10..30)].concat();
    assert_eq!(read()?, (expected.clone(), 30));
    writer.commit(&[condense(1, 10, 12), condense(1, 20, 30)])?;
    let expected = [
        records(1, 0..5),
        vec![segment(1, 5, 10), segment(1, 10, 12)],
        records(1, 12..20),
        vec![segment(1, 20, 30)],
    ]
    .concat();
    assert_eq!(
        read()?,
        (expected.clone(), 30),
        "the next number is that after the last record"
    );

    // What overlaps in part, or is no range, or is of nobody, leaves all as it was.
    for refused in [
        condense(1, 0, 6),
        condense(1, 11, 15),
        condense(1, 6, 7),
        condense(1, 4, 4),
        condense(9, 0, 1),
    ] {
        assert!(
            writer.commit(&[condense(1, 0, 12), refused.clone()]).is_err(),
            "{refused:?}"
        );
        assert_eq!(read()?, (expected.clone(), 30));
    }
    // A larger one replaces those within.
    writer.commit(&[condense(1, 0, 20)])?;
    assert_eq!(read()?.0, [segment(1, 0, 20), segment(1, 20, 30)]);
    writer.commit(&[condense(1, 0, 30), Write::Append(record(1, 30, &[30]))])?;
    assert_eq!(read()?, (vec![segment(1, 0, 30), record(1, 30, &[30])], 31));

    // The history is whole, and the other execution's as well.
    assert_eq!(store.journal(ExecNo(1), 0, 100)?, records(1, 0..31));
    assert_eq!(store.last_record(ExecNo(1))?, Some(record(1, 30, &[30])));
    assert_eq!(store.last_record(ExecNo(5))?, None);
    assert_eq!(
        store.open_execution(ExecNo(2))?.map(|open| open.journal),
        Some(records(2, 0..30))
    );
    assert_eq!(store.open_execution(ExecNo(5))?, None);
    // Whatever its status.
    writer.commit(&[
        Write::Finish(finish(2, Status::Failed)),
        Write::Append(record(2, 30, b"end")),
    ])?;
    let open = store.open_execution(ExecNo(2))?.ok_or("not found")?;
    assert_eq!((open.row.status, open.next_seq), (Status::Failed, 31));
    drop(writer);
    drop(store);
    let store = place.open()?;
    assert_eq!(store.open_execution(ExecNo(1))?.map(|open| open.journal.len()), Some(2));
    assert_eq!(store.check()?, Vec::<String>::new());
    Ok(())
}

/// An execution with something of everything, finished.
fn full(exec: i64) -> Vec<Write> {
    let mut batch = begin(exec, exec);
    batch.extend((1..20).map(|seq| Write::Append(record(exec, seq, &[7; 50]))));
    batch.extend((1..=4).map(|tag| Write::OpenWait(callback(exec, tag, &format!("k{exec}")))));
    batch.extend((1..=4).map(|tag| Write::CloseWait {
        exec: ExecNo(exec),
        tag,
        state: crate::WaitState::Answered,
    }));
    batch.push(Write::Keep(Delivery {
        organization: DEFAULT_ORGANIZATION.into(),
        id: 0,
        exec: Some(ExecNo(exec)),
        tag: Some(1),
        name: String::new(),
        key: None,
        answer: Bytes::from_static(b"late"),
        received_at: 1,
        expires_at: 2,
    }));
    batch.push(claim(&format!("key {exec}"), exec, None));
    batch.push(condense(exec, 0, 8));
    batch.extend(["b", "a"].map(|blob| Write::Reference {
        exec: ExecNo(exec),
        blob: blob.into(),
    }));
    batch.push(Write::Finish(finish(exec, Status::Succeeded)));
    batch
}

/// That nothing is left of an execution that [`full`] made.
fn gone(store: &impl Store, exec: i64) -> Result<(), Failure> {
    assert_eq!(store.execution(&id(exec))?, None);
    assert_eq!(store.execution_by_no(ExecNo(exec))?, None);
    assert_eq!(store.open_execution(ExecNo(exec))?, None);
    assert_eq!(store.journal(ExecNo(exec), 0, 100)?, []);
    assert_eq!(store.wait(ExecNo(exec), 1)?, None);
    let waits = WaitFilter {
        exec: Some(ExecNo(exec)),
        ..WaitFilter::default()
    };
    assert_eq!(store.waits(&waits)?, []);
    assert_eq!(store.deliveries_for(ExecNo(exec), 1, "", None)?, []);
    assert_eq!(
        store.start_key(DEFAULT_ORGANIZATION, "flow", &format!("key {exec}"))?,
        None
    );
    assert_eq!(store.blobs_of(ExecNo(exec))?, Vec::<String>::new());
    Ok(())
}

pub(super) fn deletion<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    for exec in 1..=3 {
        writer.commit(&full(exec))?;
    }
    writer.commit(&begin(4, 4))?;
    let before = contents(&store)?;
    let all = DeliveryFilter::default();
    // What has not finished is not deleted, and a refused batch deletes nothing.
    for refused in [
        Write::Delete(ExecNo(4)),
        Write::DeleteSlice {
            exec: ExecNo(4),
            at_most: 5,
        },
        park(99, None),
    ] {
        let error = writer
            .commit(&[
                Write::Delete(ExecNo(1)),
                Write::DeleteSlice {
                    exec: ExecNo(2),
                    at_most: 6,
                },
                refused,
            ])
            .err()
            .ok_or("it was accepted")?;
        assert!(matches!(error, StoreError::Refused(_)), "{error}");
        assert_eq!(contents(&store)?, before);
        assert_eq!(store.waits(&WaitFilter::default())?.len(), 12);
        assert_eq!(store.deliveries(&all)?.len(), 3);
        assert_eq!(store.blobs_of(ExecNo(1))?, ["a", "b"]);
        assert!(
            store.start_key(DEFAULT_ORGANIZATION, "flow", "key 1")?.is_some()
                && store.start_key(DEFAULT_ORGANIZATION, "flow", "key 2")?.is_some()
        );
        assert_eq!(
            store.open_execution(ExecNo(1))?.map(|open| open.journal.len()),
            Some(13)
        );
        assert_eq!(store.deleting(10)?, []);
    }

    writer.commit(&[
        Write::Delete(ExecNo(1)),
        Write::Delete(ExecNo(1)),
        Write::Delete(ExecNo(77)),
    ])?;
    gone(&store, 1)?;
    assert_eq!(store.deleting(10)?, []);
    assert_eq!(store.execution(&id(2))?.map(|row| row.status), Some(Status::Succeeded));
    assert_eq!(store.waits(&WaitFilter::default())?.len(), 8);
    assert_eq!(store.check()?, Vec::<String>::new());
    // Numbers and ids: those are never used again, these may be.
    writer.commit(&[Write::Delete(ExecNo(3))])?;
    assert_eq!(writer.next_exec()?, ExecNo(5));
    writer.commit(&begin(6, 6))?;
    writer.commit(&[Write::Finish(finish(6, Status::Failed)), Write::Delete(ExecNo(6))])?;
    assert_eq!(writer.next_exec()?, ExecNo(7));
    writer.commit(&[Write::Start(execution(7, &id(1), "flow", 'a'))])?;
    drop(writer);
    drop(store);
    assert_eq!(place.open()?.writer()?.next_exec()?, ExecNo(8));
    Ok(())
}

pub(super) fn slices<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    for exec in 1..=3 {
        writer.commit(&full(exec))?;
    }
    for exec in [1, 2] {
        writer.commit(&[Write::DeleteSlice {
            exec: ExecNo(exec),
            at_most: 6,
        }])?;
        assert_eq!(
            store.execution(&id(exec))?,
            None,
            "nobody finds it after the first slice"
        );
        assert_eq!(store.executions(&ExecutionFilter::default())?.len(), 3 - exec as usize);
        assert!(
            !store.journal(ExecNo(exec), 0, 100)?.is_empty(),
            "more than a slice was deleted"
        );
    }
    assert_eq!(store.deleting(10)?, [ExecNo(1), ExecNo(2)]);
    assert_eq!(store.deleting(1)?, [ExecNo(1)]);
    assert_eq!(
        store.check()?,
        Vec::<String>::new(),
        "what is being deleted is no fault"
    );
    assert_eq!(writer.next_exec()?, ExecNo(4));
    // A process that comes later goes on.
    drop(writer);
    drop(store);
    let store = place.open()?;
    let mut writer = store.writer()?;
    let mut slices = 0;
    while let [exec] = store.deleting(1)?[..] {
        let left = store.journal(exec, 0, 100)?.len();
        writer.commit(&[Write::DeleteSlice { exec, at_most: 6 }])?;
        assert!(left - store.journal(exec, 0, 100)?.len() <= 6);
        slices += 1;
        assert!(slices < 20, "it does not come to an end");
    }
    assert!(slices >= 6, "{slices}");
    gone(&store, 1)?;
    gone(&store, 2)?;
    assert_eq!(store.blobs_of(ExecNo(3))?, ["a", "b"]);
    assert_eq!(store.journal(ExecNo(3), 0, 100)?.len(), 20);
    assert_eq!(store.waits(&WaitFilter::default())?.len(), 4);
    assert_eq!(store.check()?, Vec::<String>::new());
    writer.commit(&[Write::Shrink { pages: 10 }, Write::Shrink { pages: 0 }])?;
    store.shrink(10)?;
    assert_eq!(store.journal(ExecNo(3), 0, 100)?.len(), 20);
    Ok(())
}

pub(super) fn finished<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    let mut batch = begin(1, 12);
    batch.push(Write::Define(definition("flow", 'b')));
    for exec in 13..=24 {
        batch.push(Write::Start(execution(exec, &id(exec), "flow", 'b')));
    }
    batch.push(Write::Start(execution(25, &id(25), "other", 'a')));
    batch.push(Write::Finish(finish(25, Status::Failed)));
    // They end in another order than they began: 24 at 3000, ..., 2 at 3022. Odd ones go on.
    for exec in (2..=24).step_by(2) {
        batch.push(Write::Finish(crate::Finish {
            exec: ExecNo(exec),
            status: [Status::Succeeded, Status::Failed, Status::Cancelled][exec as usize % 3],
            at: 3_024 - exec,
            error: None,
        }));
    }
    batch.push(park(1, None));
    writer.commit(&batch)?;
    let found = |before: i64, limit: usize| -> Result<Vec<i64>, StoreError> {
        let rows = store.finished(DEFAULT_ORGANIZATION, "flow", before, limit)?;
        Ok(rows.into_iter().map(|row| row.exec.0).collect())
    };
    assert_eq!(found(3_004, 100)?, [24, 22]);
    assert_eq!(found(3_005, 100)?, [24, 22, 20]);
    assert_eq!(found(i64::MAX, 7)?, [24, 22, 20, 18, 16, 14, 12]);
    assert_eq!(found(i64::MAX, 100)?.len(), 12);
    assert_eq!(found(3_000, 100)?, Vec::<i64>::new());
    assert_eq!(store.finished(DEFAULT_ORGANIZATION, "none", i64::MAX, 100)?, []);
    for (keep, expected) in [
        (12, None),
        (100, None),
        (11, Some(3_002)),
        (1, Some(3_022)),
        (0, Some(3_023)),
    ] {
        let from = store.kept_from(DEFAULT_ORGANIZATION, "flow", keep)?;
        assert_eq!(from, expected, "{keep}");
        if let Some(from) = from {
            assert_eq!(found(from, 100)?.len(), 12 - keep);
        }
    }
    assert_eq!(store.kept_from(DEFAULT_ORGANIZATION, "none", 0)?, None);
    assert_eq!(store.workflows(DEFAULT_ORGANIZATION)?, ["flow", "other"]);
    writer.commit(&[Write::Reopen(ExecNo(24))])?;
    assert_eq!(found(3_004, 100)?, [22]);
    Ok(())
}

fn claim(key: &str, exec: i64, replaces: Option<i64>) -> Write {
    Write::ClaimKey {
        organization: DEFAULT_ORGANIZATION.into(),
        workflow: "flow".into(),
        key: key.into(),
        exec: ExecNo(exec),
        input_hash: Bytes::from(format!("hash of {exec}")),
        replaces: replaces.map(ExecNo),
    }
}

pub(super) fn start_keys<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 4))?;
    writer.commit(&[claim("k", 1, None)])?;
    let holder = |key: &str| -> Result<Option<(i64, String, Bytes)>, StoreError> {
        let row = store.start_key(DEFAULT_ORGANIZATION, "flow", key)?;
        Ok(row.map(|row| (row.exec.0, row.id, row.input_hash)))
    };
    let held_by = |exec: i64| Some((exec, id(exec), Bytes::from(format!("hash of {exec}"))));
    assert_eq!(holder("k")?, held_by(1));
    assert_eq!(holder("other")?, None);
    assert_eq!(store.start_key(DEFAULT_ORGANIZATION, "other", "k")?, None);
    for (refused, named) in [
        (claim("k", 2, None), id(1)),
        (claim("k", 2, Some(3)), id(1)),
        (claim("k", 1, None), id(1)),
    ] {
        match writer.commit(&[claim("new", 3, None), refused]) {
            Err(StoreError::Duplicate { id }) => assert_eq!(id, named),
            other => return Err(format!("expected a duplicate, got {other:?}").into()),
        }
        assert_eq!(holder("k")?, held_by(1));
        assert_eq!(holder("new")?, None, "a refused batch left something");
    }
    assert!(matches!(
        writer.commit(&[claim("free", 2, Some(1))]),
        Err(StoreError::Duplicate { .. })
    ));
    assert!(
        writer.commit(&[claim("free", 99, None)]).is_err(),
        "of an execution that does not exist"
    );
    writer.commit(&[claim("k", 2, Some(1))])?;
    assert_eq!(holder("k")?, held_by(2));
    // In one batch with the start, and twice within one.
    let mut batch = begin(5, 5);
    batch.extend([claim("k", 5, Some(2)), claim("k", 3, Some(5))]);
    writer.commit(&batch)?;
    assert_eq!(holder("k")?, held_by(3));
    // It is free again when the execution is deleted.
    writer.commit(&[Write::Finish(finish(3, Status::Failed)), Write::Delete(ExecNo(3))])?;
    assert_eq!(holder("k")?, None);
    writer.commit(&[claim("k", 4, None)])?;
    drop(writer);
    drop(store);
    assert_eq!(
        place
            .open()?
            .start_key(DEFAULT_ORGANIZATION, "flow", "k")?
            .map(|row| row.id),
        Some(id(4))
    );
    Ok(())
}

pub(super) fn versions<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    assert_eq!(store.workflows(DEFAULT_ORGANIZATION)?, Vec::<String>::new());
    let mut batch = begin(1, 3);
    let (first, second, other) = (
        definition("flow", 'a'),
        definition("flow", 'b'),
        definition("other", 'c'),
    );
    batch.extend([Write::Define(other), Write::Define(second.clone())]);
    let mut made_again = execution(4, &id(4), "flow", 'a');
    made_again.origin = Some(id(1));
    batch.push(Write::Start(made_again));
    writer.commit(&batch)?;
    assert_eq!(
        store.definitions(DEFAULT_ORGANIZATION, "flow")?,
        std::slice::from_ref(&first)
    );
    assert_eq!(store.definitions(DEFAULT_ORGANIZATION, "none")?, []);
    assert_eq!(store.execution(&id(4))?.and_then(|row| row.origin), Some(id(1)));

    let redefine = |exec: i64| Write::Redefine {
        exec: ExecNo(exec),
        definition: second.hash.clone(),
    };
    assert!(writer.commit(&[redefine(1), redefine(99)]).is_err());
    assert_eq!(store.execution(&id(1))?.map(|row| row.definition), Some("a".repeat(64)));
    writer.commit(&[redefine(1), Write::Finish(finish(2, Status::Failed)), park(3, None)])?;
    let row = store.execution(&id(1))?.ok_or("not found")?;
    assert_eq!(
        (row.definition.as_str(), row.workflow.as_str()),
        (second.hash.as_str(), "flow")
    );
    assert_eq!(store.definitions(DEFAULT_ORGANIZATION, "flow")?, [first, second]);
    let list = |filter: ExecutionFilter| -> Result<Vec<i64>, StoreError> {
        Ok(store.executions(&filter)?.into_iter().map(|row| row.exec.0).collect())
    };
    let all = ExecutionFilter::default();
    let of_first = ExecutionFilter {
        definition: Some("a".repeat(64)),
        ..all.clone()
    };
    assert_eq!(list(of_first.clone())?, [4, 3, 2]);
    assert_eq!(
        list(ExecutionFilter {
            unfinished: true,
            ..of_first
        })?,
        [4, 3]
    );
    assert_eq!(
        list(ExecutionFilter {
            unfinished: true,
            ..all
        })?,
        [4, 3, 1]
    );
    assert_eq!(store.workflows(DEFAULT_ORGANIZATION)?, ["flow"]);

    let place_of = |workflow: &str| (DEFAULT_ORGANIZATION.to_owned(), workflow.to_owned());
    let pause = |workflow: &str| {
        let (organization, workflow) = place_of(workflow);
        Write::PauseWorkflow { organization, workflow }
    };
    let (organization, workflow) = place_of("flow");
    let unpause = Write::UnpauseWorkflow { organization, workflow };
    writer.commit(&[pause("flow"), pause("flow"), pause("a")])?;
    assert_eq!(store.paused_workflows(DEFAULT_ORGANIZATION)?, ["a", "flow"]);
    assert!(writer.commit(&[unpause.clone(), pause("new"), park(99, None)]).is_err());
    assert_eq!(store.paused_workflows(DEFAULT_ORGANIZATION)?, ["a", "flow"]);
    writer.commit(&[unpause.clone(), unpause])?;
    assert_eq!(store.paused_workflows(DEFAULT_ORGANIZATION)?, ["a"]);
    drop(writer);
    drop(store);
    let store = place.open()?;
    assert_eq!(store.paused_workflows(DEFAULT_ORGANIZATION)?, ["a"]);
    assert_eq!(store.check()?, Vec::<String>::new());
    Ok(())
}

pub(super) fn blobs<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 2))?;
    let refer = |exec: i64, blob: &str| Write::Reference {
        exec: ExecNo(exec),
        blob: blob.into(),
    };
    writer.commit(&[refer(1, "b"), refer(1, "a"), refer(1, "b"), refer(2, "b")])?;
    assert_eq!(store.blobs_of(ExecNo(1))?, ["a", "b"]);
    assert_eq!(store.blobs_of(ExecNo(3))?, Vec::<String>::new());
    assert!(writer.commit(&[refer(1, "new"), refer(99, "b")]).is_err());
    assert!(!store.blob_referenced("new")?);
    writer.commit(&[Write::Finish(finish(1, Status::Failed)), Write::Delete(ExecNo(1))])?;
    assert!(store.blob_referenced("b")? && !store.blob_referenced("a")?);
    Ok(())
}

pub(super) fn token_key<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let key = store.token_key()?;
    assert_ne!(key, [0; 32]);
    assert_eq!(store.token_key()?, key);
    drop(store);
    assert_eq!(
        place.open()?.token_key()?,
        key,
        "tokens that were given away are worth nothing any more"
    );
    Ok(())
}
