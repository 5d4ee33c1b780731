//! `bowline backup` and `restore`: a data folder copied while it is used, and put back.

use std::path::{Path, PathBuf};

use bowline_store::Store;
use bowline_store_sqlite::SqliteStore;

use crate::args::{BackupArgs, RestoreArgs};
use crate::exit::{Exit, Failure, Result};
use crate::terminal::{self, text};
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
    let blobs = copy_blobs(&args.data.folder.join(BLOBS), &args.dest.join(BLOBS))?;
    terminal::note(&format!(
        "{} is written and checked{}",
        args.dest.display(),
        and_blobs(blobs)
    ));
    Ok(Exit::Success)
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

/// Opens what was restored, reads all of it, and says what is in it.
fn verify(folder: &Path) -> Result<String> {
    let store = store::existing(folder)?;
    let found = store.check()?;
    if let Some(first) = found.first() {
        let more = found.len() - 1;
        let message = format!(
            "the copy in {} is not whole: {first}; and {more} more",
            folder.display()
        );
        return Err(Failure::new(Exit::Store, anyhow::anyhow!(message)).hint("see `bowline doctor` for both folders"));
    }
    let workflows = store.workflows()?;
    Ok(format!("executions of {}", text::count(workflows.len(), "workflow")))
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
