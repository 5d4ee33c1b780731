//! Files of a local store that were never finished, because a process died.
//!
//! `object_store` writes to `<name>#<number>` beside the name and renames. It does not list these files, so they are
//! looked for here.

use std::path::Path;
use std::time::{Duration, SystemTime};
use std::{fs, io};

/// Deletes unfinished files below `folder` that nobody has written to for longer than `older_than`. How many.
pub(crate) fn delete(folder: &Path, older_than: Duration) -> io::Result<u64> {
    let mut deleted = 0;
    let now = SystemTime::now();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let name = entry.file_name();
            let unfinished = name
                .to_str()
                .and_then(|name| name.split_once('#'))
                .is_some_and(|(_, number)| number.parse::<u32>().is_ok());
            if unfinished && is_old(&entry, now, older_than)? && removed(&entry)? {
                deleted += 1;
            }
        }
    }
    Ok(deleted)
}

fn is_old(entry: &fs::DirEntry, now: SystemTime, older_than: Duration) -> io::Result<bool> {
    match entry.metadata() {
        Ok(meta) => Ok(now.duration_since(meta.modified()?).is_ok_and(|age| age > older_than)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn removed(entry: &fs::DirEntry) -> io::Result<bool> {
    match fs::remove_file(entry.path()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
