//! Whether a store is sound: what it says about itself, and whether what is unfinished can be read.

use bowline_store::{ExecutionFilter, Store, WaitRow};
use bowline_store_sqlite::SqliteStore;

use super::{answers, store};
use crate::exit::Result;

/// Executions read at once.
const PAGE: usize = 500;
/// So many journals that cannot be read are named.
const NAMED: usize = 20;

/// What is wrong; nothing if all is well. Journals of finished executions are not decoded, because nothing depends on
/// them any more.
pub(crate) fn check(store: &SqliteStore) -> Result<Vec<String>> {
    let mut found = store.check()?;
    let (mut unreadable, mut filter) = (
        0,
        ExecutionFilter {
            unfinished: true,
            limit: PAGE,
            ..ExecutionFilter::default()
        },
    );
    loop {
        let page = store.executions(&filter)?;
        let Some(last) = page.last() else { break };
        filter.before = Some(last.exec);
        for row in page {
            let Err(failure) = store::records(store, &row) else {
                continue;
            };
            unreadable += 1;
            if unreadable <= NAMED {
                found.push(format!("the journal of execution {} cannot be read: {failure}", row.id));
            }
        }
    }
    if unreadable > NAMED {
        found.push(format!("... and {} more journals cannot be read", unreadable - NAMED));
    }
    Ok(found)
}

/// Open waits of executions that have ended, which nobody is ever to answer.
pub(crate) fn left_waits(store: &dyn Store) -> Result<Vec<WaitRow>> {
    let mut last = None;
    let mut left = Vec::new();
    for wait in answers::open(store, None, None)? {
        let has_ended = match last {
            Some((exec, has_ended)) if exec == wait.exec => has_ended,
            _ => store
                .execution_by_no(wait.exec)?
                .is_some_and(|row| row.status.is_finished()),
        };
        last = Some((wait.exec, has_ended));
        if has_ended {
            left.push(wait);
        }
    }
    Ok(left)
}
