//! `bowline backup` and `restore`: a data folder copied while it is used, and put back.

use std::path::{Path, PathBuf};

use bowline_store::{Store, StoreError};
use bowline_store_sqlite::{Options, SqliteStore};

use crate::args::{BackupArgs, RestoreArgs};
use crate::exit::{Exit, Failure, Result};
use crate::terminal::{self, text};
use crate::wiring::soundness;
use crate::wiring::store::{self, BLOBS, DATABASE};

pub(super) fn backup(args: &BackupArgs) -> Result {
    let store = store::existing(&args.data.folder)?;
    let dest = args.dest.join(DATABASE);
    if dest.exists() {
        return Err(Failure::usage(format!("{} holds a store already", args.dest.display()))
            .hint("name a folder that does not exist, or an empty one"));
    }
    make(&args.dest)?;
    // Blobs are put before what refers to them is committed. So those that are copied after the database hold all
    // that its copy refers to, if they are not deleted in between, for which they have to be older than a day.
    // The copy was opened and read to its end before it got its name.
    store.backup(&dest)?;
    // What the copy's own check does not see: journals that cannot be decoded.
    let wrong = soundness::check(&store)?;
    let blobs = copy_blobs(&args.data.folder.join(BLOBS), &args.dest.join(BLOBS))?;
    terminal::note(&format!(
        "{} is written and read to its end{}",
        args.dest.display(),
        and_blobs(blobs)
    ));
    let Some(first) = wrong.first() else {
        return Ok(Exit::Success);
    };
    let message = format!(
        "the backup is a true copy of a store that is not sound: {first}{}",
        and_more(&wrong)
    );
    Err(Failure::new(Exit::Store, anyhow::anyhow!(message))
        .hint("see `bowline doctor`, mend what can be mended, and take another backup"))
}

pub(super) fn restore(args: &RestoreArgs) -> Result {
    let (source, folder) = (&args.source, &args.data.folder);
    let database = if source.is_dir() {
        source.join(DATABASE)
    } else {
        source.clone()
    };
    if !database.is_file() {
        return Err(Failure::usage(format!("there is no backup at {}", source.display()))
            .hint("name the folder that `bowline backup` wrote"));
    }
    if folder.join(DATABASE).exists() {
        return Err(Failure::usage(format!(
            "{} holds a store already, which is not overwritten",
            folder.display()
        ))
        .hint("move it away, or name another folder with --data"));
    }
    // Before anything is made.
    refuse_unsound(&database, source)?;
    make(folder)?;
    let home = source.is_dir().then(|| source.join(BLOBS));
    // The database comes last: without it the folder is none that anybody would run executions in.
    let blobs = match home {
        Some(home) => copy_blobs(&home, &folder.join(BLOBS))?,
        None => 0,
    };
    SqliteStore::restore(&database, folder.join(DATABASE))?;
    let checked = verify(folder)?;
    terminal::note(&format!(
        "{} restored and checked: {checked}{}",
        folder.display(),
        and_blobs(blobs)
    ));
    Ok(Exit::Success)
}

/// Reads all of a backup, and says what is wrong with it.
fn refuse_unsound(database: &Path, source: &Path) -> Result<()> {
    let hint = "restore an earlier backup; nothing was written";
    let unsound = |message: String| {
        let message = format!("the backup {} is not sound: {message}", source.display());
        Failure::new(Exit::Store, anyhow::anyhow!(message)).hint(hint)
    };
    let found = match open(database) {
        Ok(store) => soundness::check(&store)?,
        Err(StoreError::Corrupt { detail, .. }) => vec![detail],
        Err(error) => return Err(error.into()),
    };
    match found.first() {
        None => Ok(()),
        Some(first) => Err(unsound(format!("{first}{}", and_more(&found)))),
    }
}

fn open(database: &Path) -> std::result::Result<SqliteStore, StoreError> {
    let options = Options {
        read_only: true,
        ..Options::default()
    };
    SqliteStore::open(database, options)
}

fn and_more(found: &[String]) -> String {
    match found.len() {
        0 | 1 => String::new(),
        more => format!("; and {} more", more - 1),
    }
}

/// Opens what was restored, reads all of it, and says what is in it.
fn verify(folder: &Path) -> Result<String> {
    let store = store::existing(folder)?;
    let found = soundness::check(&store)?;
    if let Some(first) = found.first() {
        let message = format!(
            "the copy in {} is not whole: {first}{}",
            folder.display(),
            and_more(&found)
        );
        return Err(Failure::new(Exit::Store, anyhow::anyhow!(message)).hint("see `bowline doctor` for both folders"));
    }
    let mut workflows = 0;
    for organization in store.organizations()? {
        workflows += store.workflows(&organization)?.len();
    }
    Ok(format!("executions of {}", text::count(workflows, "workflow")))
}

fn and_blobs(count: usize) -> String {
    if count == 0 {
        String::new()
    } else {
        format!(", {}", text::count(count, "blob"))
    }
}

fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .map_err(|error| Failure::usage(format!("the folder {} cannot be made: {error}", folder.display())))
}

/// Copies blobs that are not there yet; how many there are. Each has its name only when it is whole.
fn copy_blobs(from: &Path, to: &Path) -> Result<usize> {
    let mut count = 0;
    let mut folders = vec![PathBuf::from("sha256")];
    while let Some(folder) = folders.pop() {
        let source = from.join(&folder);
        if !source.is_dir() {
            continue;
        }
        make(&to.join(&folder))?;
        let failed = |error: std::io::Error| {
            Failure::new(
                Exit::Store,
                anyhow::Error::new(error).context(format!("copying {}", source.display())),
            )
        };
        for entry in std::fs::read_dir(&source).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = folder.join(entry.file_name());
            if entry.file_type().map_err(failed)?.is_dir() {
                folders.push(name);
                continue;
            }
            count += 1;
            let dest = to.join(&name);
            if dest.exists() {
                continue;
            }
            let partial = dest.with_extension("partial");
            std::fs::copy(entry.path(), &partial).map_err(failed)?;
            std::fs::File::open(&partial)
                .and_then(|file| file.sync_all())
                .map_err(failed)?;
            std::fs::rename(&partial, &dest).map_err(failed)?;
        }
    }
    Ok(count)
}
