//! The suite that every store passes, on a disk and in a temporary store.

use bowline_store::StoreError;
use bowline_store::testkit::{self, Place};
use bowline_store_sqlite::{Options, SqliteStore};
use tempfile::TempDir;

struct Folder(TempDir);

impl Place for Folder {
    type Store = SqliteStore;

    fn open(&self) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(self.0.path(), Options::default())
    }
}

#[test]
fn a_store_in_a_folder_passes_the_suite() -> Result<(), testkit::Failure> {
    testkit::exercise(|| Folder(tempfile::tempdir().unwrap()))
}

struct Temporary(SqliteStore);

impl Place for Temporary {
    type Store = SqliteStore;

    fn open(&self) -> Result<SqliteStore, StoreError> {
        Ok(self.0.clone())
    }
}

#[test]
fn a_temporary_store_passes_the_suite() -> Result<(), testkit::Failure> {
    testkit::exercise(|| Temporary(SqliteStore::temporary().unwrap()))
}
