//! The data folder, for running executions and for looking at them.

use std::path::{Path, PathBuf};

use bowline_core::{Event, decode};
use bowline_store::{ExecutionFilter, ExecutionRow, Store, StoreError};
use bowline_store_sqlite::{Options, SqliteStore};

use crate::exit::{Failure, Result};

/// The name of the database in a data folder.
const DATABASE: &str = "bowline.db";

fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}

/// Opens the store in a data folder, and makes it where there is none.
pub(crate) fn open(folder: &Path) -> Result<SqliteStore> {
    Ok(SqliteStore::open(database(folder), Options::default())?)
}

/// Opens the store in a data folder for reading, beside whoever writes. None where there is no store yet.
pub(crate) fn look(folder: &Path) -> Result<Option<SqliteStore>> {
    let database = database(folder);
    if !database.exists() {
        return Ok(None);
    }
    let options = Options {
        read_only: true,
        ..Options::default()
    };
    Ok(Some(SqliteStore::open(database, options)?))
}

/// Opens the store in a data folder for reading.
pub(crate) fn existing(folder: &Path) -> Result<SqliteStore> {
    look(folder)?.ok_or_else(|| {
        Failure::usage(format!("there are no executions in {}", folder.display()))
            .hint("name the folder that `bowline run` used with --data")
    })
}

/// The execution with this id, or with the only id that begins so.
pub(crate) fn find(store: &dyn Store, id: &str) -> Result<ExecutionRow> {
    if let Some(row) = store.execution(id)? {
        return Ok(row);
    }
    let begins = ExecutionFilter {
        id_prefix: Some(id.to_owned()),
        limit: 6,
        ..ExecutionFilter::default()
    };
    let mut rows = if id.is_empty() {
        Vec::new()
    } else {
        store.executions(&begins)?
    };
    match rows.len() {
        0 => Err(Failure::usage(format!("no execution has the id {id}")).hint("see `bowline executions list`")),
        1 => Ok(rows.remove(0)),
        more => {
            let ids: Vec<&str> = rows.iter().take(5).map(|row| row.id.as_str()).collect();
            let and = if more > 5 { ", ..." } else { "" };
            Err(Failure::usage(format!(
                "several executions have an id that begins with {id}: {}{and}",
                ids.join(", ")
            )))
        }
    }
}

/// Calls `each` with every event of an execution's journal, in order.
pub(crate) fn events(
    store: &dyn Store,
    row: &ExecutionRow,
    mut each: impl FnMut(i64, &Event) -> Result<()>,
) -> Result<()> {
    let mut from = 0;
    loop {
        let page = store.journal(row.exec, from, 1000)?;
        if page.is_empty() {
            return Ok(());
        }
        for record in &page {
            let events = decode(&record.events).map_err(|error| {
                let detail = format!("record {} of execution {}: {error}", record.seq, row.id);
                StoreError::Corrupt {
                    path: PathBuf::from(DATABASE),
                    detail,
                }
            })?;
            for event in &events {
                each(record.at, event)?;
            }
        }
        from += page.len() as u64;
    }
}
