//! Copying a store while it is used, and putting a copy in place.
//!
//! A copy shows one moment: its pages are read in one transaction, so that the writer goes on beside it, and the log
//! grows by what is written until the copy is made, and no longer. It is written under a name of its own, synced, opened and
//! checked, and only then gets the name that was asked for. A copy whose process was killed is found by the note that it
//! left, and removed, when the store is next opened.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bowline_store::StoreError;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use tempfile::NamedTempFile;

use crate::connect;
use crate::errors;
use crate::files::{Files, sync_folder};
use crate::lock::WriterLock;
use crate::options::Options;
use crate::schema::{self, Found, STEPS};

/// Pages that are copied at once: 8 MiB.
const PAGES: std::os::raw::c_int = 2_048;
/// In the name of every unfinished copy.
const PARTIAL: &str = ".partial-";

/// Copies the store to a file that does not exist, or into a folder under its own name.
pub(crate) fn backup(files: &Files, options: &Options, dest: &Path) -> Result<(), StoreError> {
    let dest = match files.database.file_name() {
        Some(name) if dest.is_dir() => dest.join(name),
        _ => dest.to_path_buf(),
    };
    refuse_existing(&dest)?;
    let partial = partial(&dest)?;
    // Where nothing can be written beside the store, an unfinished copy is not found later.
    let note = if options.read_only {
        None
    } else {
        match Note::leave(files, partial.path()) {
            Err(StoreError::ReadOnly { .. }) => None,
            outcome => Some(outcome?),
        }
    };
    let source = connect::reader(files, options)?;
    copy(&source, files, partial, &dest)?;
    drop(note);
    Ok(())
}

/// Puts a copy where there is no store yet.
pub(crate) fn restore(backup: &Path, to: &Path) -> Result<(), StoreError> {
    let options = Options {
        read_only: true,
        ..Options::default()
    };
    let from = Files::find(backup, &options)?;
    if !from.has_content()? {
        return Err(errors::other(
            &from.database,
            "restoring a backup",
            "there is no backup",
        ));
    }
    let source = connect::reader(&from, &options)?;
    if let Found::Version(found) = identify(&source, &from)?
        && found > STEPS.len() as i64
    {
        return Err(StoreError::Newer {
            path: from.database,
            found,
            known: STEPS.len() as i64,
        });
    }
    let files = Files::find(to, &Options::default())?;
    let _lock = WriterLock::take(&files)?;
    refuse_existing(&files.database)?;
    if files.has_log() {
        // It would be taken for the log of the copy.
        let what = "there is a log of another database; restore into an empty folder";
        return Err(errors::other(&files.wal, "restoring a backup", what));
    }
    copy(&source, &from, partial(&files.database)?, &files.database)
}

fn refuse_existing(dest: &Path) -> Result<(), StoreError> {
    if dest.symlink_metadata().is_ok() {
        let what = "it exists already and is not overwritten; choose another name or move it away";
        return Err(errors::other(dest, "copying a store", what));
    }
    Ok(())
}

/// A new file beside the one that is to be made, readable by its owner only.
fn partial(dest: &Path) -> Result<NamedTempFile, StoreError> {
    let name = dest.file_name().unwrap_or(OsStr::new("backup"));
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(PARTIAL);
    tempfile::Builder::new()
        .prefix(&prefix)
        .tempfile_in(folder_of(dest))
        .map_err(|error| errors::io(dest, "making the copy's file", error))
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Copies what `source` shows into `partial`, and gives that its name when it is whole.
fn copy(source: &Connection, from: &Files, partial: NamedTempFile, dest: &Path) -> Result<(), StoreError> {
    copy_pages(source, partial.path()).map_err(|error| {
        // What has no space, or cannot be written, is the copy.
        let about = if errors::is_damage(&error) {
            &from.database
        } else {
            dest
        };
        errors::sqlite(about, "copying a store", error)
    })?;
    partial
        .as_file()
        .sync_all()
        .map_err(|error| errors::io(dest, "syncing the copy", error))?;
    inspect(partial.path(), dest)?;
    partial
        .persist_noclobber(dest)
        .map_err(|error| errors::io(dest, "naming the copy", error.error))?;
    sync_folder(folder_of(dest)).map_err(|error| errors::io(dest, "syncing the copy", error))
}

fn copy_pages(source: &Connection, partial: &Path) -> rusqlite::Result<()> {
    let mut copy = Connection::open(partial)?;
    // It is synced as a whole, and nobody sees it before.
    copy.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA locking_mode = EXCLUSIVE;")
        .or_else(|error| match error {
            // Some of these answer.
            rusqlite::Error::ExecuteReturnedResults => Ok(()),
            other => Err(other),
        })?;
    // Kept until the end: without it, each commit of the writer's would make the copy begin again.
    let transaction = source.unchecked_transaction()?;
    transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    {
        let backup = Backup::new(&transaction, &mut copy)?;
        loop {
            match backup.step(PAGES)? {
                StepResult::Done => break,
                StepResult::More => {}
                // Nobody else has the copy, so it is the source's pages that are busy, for a moment.
                _ => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
    transaction.finish()?;
    copy.close().map_err(|(_, error)| error)
}

/// Opens a copy and looks at all of its pages.
fn inspect(partial: &Path, dest: &Path) -> Result<(), StoreError> {
    let options = Options {
        read_only: true,
        ..Options::default()
    };
    let files = Files::find(partial, &options)?;
    let connection = connect::unchanging(&files, &options)?;
    identify(&connection, &files)?;
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| errors::sqlite(dest, "checking the copy", error))?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(StoreError::Corrupt {
            path: dest.to_path_buf(),
            detail: format!("the copy was checked and is not kept: {verdict}"),
        })
    }
}

/// That it is a store, of whatever version.
fn identify(connection: &Connection, files: &Files) -> Result<Found, StoreError> {
    match schema::identify(connection, files)? {
        Found::Empty => Err(StoreError::Corrupt {
            path: files.database.clone(),
            detail: "there is nothing in it".into(),
        }),
        found @ Found::Version(_) => Ok(found),
    }
}

/// A file beside the store that names an unfinished copy, locked while that is being made.
struct Note<'f> {
    files: &'f Files,
    _file: File,
}

impl<'f> Note<'f> {
    fn leave(files: &'f Files, partial: &Path) -> Result<Self, StoreError> {
        let failed = |error: io::Error| errors::io(&files.backup, "noting that a backup is made", error);
        let mut file = open_note(files, true).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(errors::other(
                    &files.database,
                    "making a backup",
                    "another backup is being made; wait for it to end",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        remove_leftover(&mut file);
        let absolute = fs::canonicalize(partial).map_err(failed)?;
        file.set_len(0).map_err(failed)?;
        io::Seek::rewind(&mut file).map_err(failed)?;
        // A name that is no text is not found again, should this process be killed.
        let name = absolute.to_str().unwrap_or_default();
        file.write_all(name.as_bytes()).map_err(failed)?;
        Ok(Self { files, _file: file })
    }
}

impl Drop for Note<'_> {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.files.backup) {
            tracing::debug!(%error, "the note of a finished backup stays");
        }
    }
}

fn open_note(files: &Files, create: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(create)
        .truncate(false)
        .open(&files.backup)
}

/// Removes what a backup left whose process was killed, and says so.
pub(crate) fn clean(files: &Files) {
    let Ok(mut file) = open_note(files, false) else { return };
    // Whoever holds the lock is still at it.
    if file.try_lock().is_ok() {
        remove_leftover(&mut file);
        if let Err(error) = fs::remove_file(&files.backup) {
            tracing::debug!(%error, "the note of an unfinished backup stays");
        }
    }
}

fn remove_leftover(note: &mut File) {
    let mut name = String::new();
    if note.read_to_string(&mut name).is_err() || name.is_empty() {
        return;
    }
    let partial = PathBuf::from(name);
    let ours = partial
        .file_name()
        .is_some_and(|name| name.to_string_lossy().contains(PARTIAL));
    if !ours {
        return;
    }
    match fs::remove_file(&partial) {
        Ok(()) => {
            tracing::warn!(partial = %partial.display(), "a backup did not finish; its unfinished copy was removed");
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(
                partial = %partial.display(), %error,
                "a backup did not finish, and its unfinished copy could not be removed"
            );
        }
    }
}
