//! Cases about reading while others write.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Failure, Place, begin, contents, finish, id, record};
use crate::{ExecNo, ExecutionFilter, RequestKind, Status, Store, Write};

/// Sets the flag however the scope is left, so that a failing test does not hang on its other threads.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Every batch appends one record to each of two executions, so that whoever sees half a batch sees a difference.
pub(super) fn readers<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 2))?;
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| -> Result<usize, Failure> {
                    let reader = place.open()?;
                    let mut rounds = 0;
                    let mut last = 0;
                    while !done.load(Ordering::Acquire) || rounds == 0 {
                        let page = reader.open_executions(ExecNo(0), 10)?;
                        assert_eq!(page.len(), 2);
                        let (one, two) = (page[0].journal.len(), page[1].journal.len());
                        assert_eq!(one, two, "half a batch was seen");
                        assert!(one >= last, "what was seen has gone");
                        assert!(
                            page[0]
                                .journal
                                .iter()
                                .enumerate()
                                .all(|(at, record)| record.seq == at as u64)
                        );
                        last = one;
                        rounds += 1;
                    }
                    Ok(rounds)
                })
            })
            .collect();
        let finished = Done(&done);
        for seq in 1..=200 {
            writer.commit(&[
                Write::Append(record(1, seq, &[1; 200])),
                Write::Append(record(2, seq, &[2; 200])),
            ])?;
        }
        drop(finished);
        for reader in readers {
            reader.join().map_err(|_| "a reader panicked")??;
        }
        Ok(())
    })
}

/// One store value, used for everything by several threads at once.
pub(super) fn threads<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 1))?;
    std::thread::scope(|scope| {
        let store = &store;
        let others: Vec<_> = (0..6)
            .map(|thread| {
                scope.spawn(move || -> Result<(), Failure> {
                    for round in 0..20 {
                        assert!(store.execution(&id(1))?.is_some());
                        assert!(!store.executions(&ExecutionFilter::default())?.is_empty());
                        store.journal(ExecNo(1), 0, 5)?;
                        store.requests(0)?;
                        if round % 5 == 0 {
                            store.request(&RequestKind::Cancel {
                                id: id(1),
                                reason: format!("{thread}/{round}"),
                            })?;
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        for exec in 2..=100 {
            let mut batch = begin(exec, exec);
            batch.push(Write::Finish(finish(exec, Status::Succeeded)));
            writer.commit(&batch)?;
        }
        for other in others {
            other.join().map_err(|_| "a thread panicked")??;
        }
        Ok::<(), Failure>(())
    })?;
    assert_eq!(store.requests(0)?.len(), 24);
    assert_eq!(store.executions(&ExecutionFilter::default())?.len(), 100);
    assert_eq!(contents(&store)?, contents(&place.open()?)?);
    Ok(())
}
