//! Which files a store consists of, and that the folder entries which lead to them are on the disk.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use bowline_store::StoreError;

use crate::errors;
use crate::options::Options;

/// The name of a database in a folder.
const DEFAULT_NAME: &str = "bowline.db";

/// The files of one store. Paths are absolute and without symbolic links, so that all who open the same database
/// agree on its lock.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// The database.
    pub(crate) database: PathBuf,
    /// Locked by whoever writes.
    pub(crate) lock: PathBuf,
    /// SQLite's write-ahead log.
    pub(crate) wal: PathBuf,
    /// There while a backup is made: locked by whoever makes it, with the name of the unfinished copy in it.
    pub(crate) backup: PathBuf,
    /// There while a database of an older version is brought up to date.
    pub(crate) migrating: PathBuf,
}

impl Files {
    /// The files that `path` means: a folder (then `bowline.db` in it) or a database file. What does not exist is
    /// a file if its name has an extension, else a folder; folders are made unless `options` say read-only.
    pub(crate) fn find(path: &Path, options: &Options) -> Result<Self, StoreError> {
        let failed = |error: io::Error| errors::io(path, "opening the store", error);
        let is_folder = match fs::metadata(path) {
            Ok(found) => found.is_dir(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.extension().is_none(),
            Err(error) => return Err(failed(error)),
        };
        let database = if is_folder {
            path.join(DEFAULT_NAME)
        } else {
            path.to_path_buf()
        };
        let name = database
            .file_name()
            .ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        let folder = match database.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        if !options.read_only {
            make_folders(folder).map_err(failed)?;
        }
        let database = match fs::canonicalize(&database) {
            Ok(resolved) => resolved,
            Err(_) => fs::canonicalize(folder).map_err(failed)?.join(name),
        };
        let mut wal = OsString::from(&database);
        wal.push("-wal");
        Ok(Self {
            lock: database.with_extension("lock"),
            backup: database.with_extension("backup"),
            migrating: database.with_extension("migrating"),
            wal: wal.into(),
            database,
        })
    }

    /// Whether there is a database with anything in it.
    pub(crate) fn has_content(&self) -> Result<bool, StoreError> {
        match fs::metadata(&self.database) {
            Ok(found) => Ok(found.len() > 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(errors::io(&self.database, "opening the store", error)),
        }
    }

    /// Whether the log may hold something that the database does not have yet.
    pub(crate) fn has_log(&self) -> bool {
        fs::metadata(&self.wal).map_or_else(|error| error.kind() != io::ErrorKind::NotFound, |found| found.len() > 0)
    }

    /// Makes a new database and its name durable.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let sync = || {
            File::open(&self.database)?.sync_all()?;
            self.database.parent().map_or(Ok(()), sync_folder)
        };
        sync().map_err(|error| errors::io(&self.database, "syncing the new database", error))
    }
}

/// Makes `folder` and those above it that are missing, durably.
fn make_folders(folder: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = folder
        .ancestors()
        .take_while(|folder| *folder != Path::new("") && !folder.exists())
        .collect();
    fs::create_dir_all(folder)?;
    for made in missing {
        match made.parent() {
            Some(parent) if parent != Path::new("") => sync_folder(parent)?,
            _ => sync_folder(Path::new("."))?,
        }
    }
    Ok(())
}

/// Makes the names in a folder durable. Only Unix has (and needs) this.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_or_a_file() {
        let home = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(home.path()).unwrap();
        let find = |path: &str| Files::find(&root.join(path), &Options::default()).unwrap();
        assert_eq!(find("").database, root.join("bowline.db"));
        assert_eq!(find("").lock, root.join("bowline.lock"));
        assert_eq!(find("").wal, root.join("bowline.db-wal"));
        assert_eq!(find("new/deep/data").database, root.join("new/deep/data/bowline.db"));
        assert!(root.join("new/deep/data").is_dir());
        assert_eq!(find("other/state.sqlite").database, root.join("other/state.sqlite"));
        assert_eq!(find("other/state.sqlite").lock, root.join("other/state.lock"));
        fs::write(root.join("plain"), "").unwrap();
        assert_eq!(find("plain").database, root.join("plain"));
    }

    #[test]
    fn read_only_makes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let options = Options {
            read_only: true,
            ..Options::default()
        };
        let error = Files::find(&home.path().join("new/data"), &options).unwrap_err();
        assert!(error.to_string().contains("data"), "{error}");
        assert!(!home.path().join("new").exists());
    }

    #[cfg(unix)]
    #[test]
    fn a_symbolic_link_has_the_lock_of_what_it_names() {
        let home = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(home.path()).unwrap();
        fs::create_dir(root.join("real")).unwrap();
        fs::write(root.join("real/bowline.db"), "").unwrap();
        std::os::unix::fs::symlink(root.join("real"), root.join("folder")).unwrap();
        std::os::unix::fs::symlink(root.join("real/bowline.db"), root.join("file.db")).unwrap();
        for path in ["folder", "file.db"] {
            let files = Files::find(&root.join(path), &Options::default()).unwrap();
            assert_eq!(files.lock, root.join("real/bowline.lock"));
        }
    }
}
