//! The data folder, for running executions and for looking at them.

use std::path::{Path, PathBuf};

use bowline_core::{Event, decode};
pub(crate) use bowline_host::records::records;
use bowline_host::records::unreadable;
pub(crate) use bowline_host::{BLOBS, DATABASE};
use bowline_store::{ExecutionFilter, ExecutionRow, Store};
use bowline_store_sqlite::{Options, SqliteStore};

use super::blobs::Loader;
use crate::exit::{Failure, Result};

/// The file that is locked by whoever runs executions.
const LOCK: &str = "bowline.lock";

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

/// Who runs executions in a data folder now, such as `pid 4711`; none where nobody does.
pub(crate) fn holder(folder: &Path) -> Option<String> {
    let lock = folder.join(LOCK);
    let file = std::fs::File::open(&lock).ok()?;
    if file.try_lock_shared().is_ok() {
        return None;
    }
    let text = std::fs::read_to_string(&lock).unwrap_or_default();
    let told = text.trim();
    let is_number = told.starts_with("pid ");
    Some(if is_number {
        told.to_owned()
    } else {
        "another process".into()
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

/// Calls `each` with every event of an execution's journal, in order. What is too large for it is loaded only with a
/// `loader`.
pub(crate) fn events(
    store: &dyn Store,
    row: &ExecutionRow,
    loader: Option<&Loader>,
    mut each: impl FnMut(i64, &Event) -> Result<()>,
) -> Result<()> {
    let mut from = 0;
    loop {
        let page = store.journal(row.exec, from, 1000)?;
        if page.is_empty() {
            return Ok(());
        }
        for record in &page {
            let mut events = decode(&record.events).map_err(|error| unreadable(row, record.seq, &error))?;
            if let Some(loader) = loader {
                loader.load(&mut events)?;
            }
            for event in &events {
                each(record.at, event)?;
            }
        }
        from += page.len() as u64;
    }
}
