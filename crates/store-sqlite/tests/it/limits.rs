//! Media that are full or may not be written to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bowline_store::testkit::{execution, finish, record};
use bowline_store::{ExecNo, RequestKind, Status, Store, StoreError, Write, Writer, load};
use bowline_store_sqlite::{Options, SqliteStore};
use tempfile::TempDir;

use crate::{helper, log, migration};

/// Something mounted at a folder of its own, until this is dropped.
struct Mount {
    home: TempDir,
}

impl Mount {
    /// None, said loudly, where this process may not mount.
    fn new(arguments: &[&str]) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().to_str().unwrap();
        let arguments: Vec<&str> = arguments.iter().copied().chain([target]).collect();
        helper::have("mount", &arguments).then_some(Self { home })
    }

    fn path(&self) -> &Path {
        self.home.path()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// The next record of two executions.
fn both(seq: u64) -> [Write; 2] {
    [
        Write::Append(record(1, seq, &vec![7; 20_000])),
        Write::Append(record(2, seq, &vec![8; 20_000])),
    ]
}

/// Appends to execution 1 until there is no space; how many records there are then.
fn fill(store: &dyn Store, writer: &mut dyn Writer) -> u64 {
    writer
        .commit(&[Write::Start(execution(1, "id-1", "flow", 'a'))])
        .unwrap();
    for seq in 0..10_000 {
        match writer.commit(&both(seq)) {
            Ok(()) => {}
            Err(StoreError::Full { .. }) => {
                assert!(seq > 3, "full at once");
                assert_eq!(
                    store.journal(ExecNo(1), 0, 20_000).unwrap().len() as u64,
                    seq,
                    "part of a refused batch"
                );
                assert_eq!(
                    store.journal(ExecNo(2), 0, 20_000).unwrap().len() as u64,
                    seq,
                    "part of a refused batch"
                );
                return seq;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("never full");
}

#[test]
fn a_full_disk_refuses_batches_whole_until_there_is_space() {
    let Some(mount) = Mount::new(&["-t", "tmpfs", "-o", "size=2m", "tmpfs"]) else {
        return;
    };
    let ballast = mount.path().join("ballast");
    fs::write(&ballast, vec![0; 700_000]).unwrap();
    let store = SqliteStore::open(mount.path(), Options::default()).unwrap();
    let mut writer = store.writer().unwrap();
    let written = fill(&store, &mut *writer);
    for _ in 0..3 {
        let outcome = writer.commit(&both(written));
        assert!(
            matches!(&outcome, Err(StoreError::Full { path }) if path == store.path()),
            "{outcome:?}"
        );
    }
    fs::remove_file(&ballast).unwrap();
    writer
        .commit(&[Write::Append(record(1, written, &vec![7; 20_000]))])
        .unwrap();
    assert_eq!(store.journal(ExecNo(1), 0, 20_000).unwrap().len() as u64, written + 1);
    drop(writer);
    drop(store);

    let store = SqliteStore::open(mount.path(), Options::default()).unwrap();
    assert_eq!(store.journal(ExecNo(1), 0, 20_000).unwrap().len() as u64, written + 1);
    assert_eq!(store.journal(ExecNo(2), 0, 20_000).unwrap().len() as u64, written);
}

#[test]
fn a_disk_that_is_full_from_the_start_is_named() {
    let Some(mount) = Mount::new(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"]) else {
        return;
    };
    fs::write(mount.path().join("ballast"), vec![0; 60_000]).unwrap();
    let error = SqliteStore::open(mount.path(), Options::default()).unwrap_err();
    assert!(matches!(&error, StoreError::Full { .. }), "{error:?}");
    fs::remove_file(mount.path().join("ballast")).unwrap();
    // What the attempt left behind does not stand in the way; there is space for the tables now, if not for more.
    let outcome = SqliteStore::open(mount.path(), Options::default());
    assert!(matches!(outcome, Ok(_) | Err(StoreError::Full { .. })), "{outcome:?}");
}

#[test]
fn a_size_limit_refuses_batches_whole_until_it_is_raised() {
    let home = tempfile::tempdir().unwrap();
    let options = Options {
        max_size: Some(1_000_000),
        ..Options::default()
    };
    let store = SqliteStore::open(home.path(), options).unwrap();
    let mut writer = store.writer().unwrap();
    let written = fill(&store, &mut *writer);
    // Small things still fit; the writer is as good as before.
    writer.commit(&[Write::Append(record(1, written, b"small"))]).unwrap();
    drop(writer);
    drop(store);
    assert!(fs::metadata(home.path().join("bowline.db")).unwrap().len() <= 1_000_000);

    let options = Options {
        max_size: Some(3_000_000),
        ..Options::default()
    };
    let store = SqliteStore::open(home.path(), options).unwrap();
    let mut writer = store.writer().unwrap();
    writer
        .commit(&[Write::Append(record(2, written, &vec![8; 20_000]))])
        .unwrap();
    assert_eq!(store.journal(ExecNo(1), 0, 20_000).unwrap().len() as u64, written + 1);
    assert_eq!(store.journal(ExecNo(2), 0, 20_000).unwrap().len() as u64, written + 1);
}

#[test]
fn deletion_on_a_full_disk_is_refused_whole_and_goes_on_when_there_is_space() {
    let Some(mount) = Mount::new(&["-t", "tmpfs", "-o", "size=6m", "tmpfs"]) else {
        return;
    };
    let ballast = mount.path().join("ballast");
    // Enough for the database when the log, which has everything now, is copied into it.
    fs::write(&ballast, vec![0; 3_500_000]).unwrap();
    let store = SqliteStore::open(mount.path(), Options::default()).unwrap();
    let mut writer = store.writer().unwrap();
    writer
        .commit(&[Write::Start(execution(2, "id-2", "flow", 'a'))])
        .unwrap();
    let written = fill(&store, &mut *writer);
    let other = store.journal(ExecNo(2), 0, 20_000).unwrap();
    let slice = |at_most| Write::DeleteSlice {
        exec: ExecNo(1),
        at_most,
    };
    let end = Write::Finish(finish(1, Status::Failed));
    // Deleting writes too: what is deleted is in the log first.
    let mut refused = 0;
    let mut left = written;
    for _ in 0..10 {
        match writer.commit(&[end.clone(), slice(20), Write::Shrink { pages: 200 }]) {
            Err(StoreError::Full { path }) => assert_eq!(path, store.path()),
            outcome => panic!("{outcome:?}"),
        }
        refused += 1;
        assert_eq!(store.execution("id-1").unwrap().unwrap().status, Status::Running);
        assert_eq!(store.journal(ExecNo(1), 0, 20_000).unwrap().len() as u64, written);
    }
    assert_eq!(refused, 10);
    fs::remove_file(&ballast).unwrap();
    drop(writer);
    let mut writer = store.writer().unwrap();
    writer.commit(&[end]).unwrap();
    while left > 0 || !store.deleting(1).unwrap().is_empty() {
        let batch = [slice(2), Write::Shrink { pages: 20 }];
        // The log takes the space that there is; where it is full, it is begun anew.
        writer.commit(&batch).or_else(|_| writer.commit(&batch)).unwrap();
        let now = store.journal(ExecNo(1), 0, 20_000).unwrap().len() as u64;
        assert_eq!(now, left.saturating_sub(2));
        left = now;
    }
    assert_eq!(store.execution("id-1").unwrap(), None);
    assert_eq!(store.journal(ExecNo(2), 0, 20_000).unwrap(), other);
    assert_eq!(store.check().unwrap().len(), 1, "only that the definition is missing");
}

#[test]
fn a_backup_to_a_full_disk_is_refused_and_leaves_nothing() {
    let Some(mount) = Mount::new(&["-t", "tmpfs", "-o", "size=256k", "tmpfs"]) else {
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(home.path(), Options::default()).unwrap();
    let mut writer = store.writer().unwrap();
    let mut batch = vec![Write::Start(execution(1, "id-1", "flow", 'a'))];
    batch.extend((0..40).map(|seq| Write::Append(record(1, seq, &vec![7; 20_000]))));
    writer.commit(&batch).unwrap();
    let dest = mount.path().join("copy.db");
    let outcome = store.backup(&dest);
    assert!(
        matches!(&outcome, Err(StoreError::Full { path }) if *path == dest),
        "{outcome:?}"
    );
    assert_eq!(fs::read_dir(mount.path()).unwrap().count(), 0);
    assert!(!home.path().join("bowline.backup").exists());
    writer.commit(&[Write::Append(record(1, 40, b"goes on"))]).unwrap();
    store.backup(&home.path().join("copy.db")).unwrap();
}

#[test]
fn a_migration_on_a_full_disk_leaves_the_old_version() {
    let Some(mount) = Mount::new(&["-t", "tmpfs", "-o", "size=12m", "tmpfs"]) else {
        return;
    };
    migration::version_1(mount.path());
    let ballast = mount.path().join("ballast");
    let mut size = 0;
    // All but a little: the log's index is made, the log does not fit.
    while fs::write(&ballast, vec![0; size + 50_000]).is_ok() {
        size += 50_000;
    }
    fs::write(&ballast, vec![0; size - 150_000]).unwrap();
    let outcome = SqliteStore::open(mount.path(), Options::default());
    assert!(matches!(&outcome, Err(StoreError::Full { .. })), "{outcome:?}");
    fs::remove_file(&ballast).unwrap();
    let (store, told) = log::of(|| SqliteStore::open(mount.path(), Options::default()).unwrap());
    assert!(told.contains("did not finish and left nothing"), "{told}");
    migration::is_whole(&store);
}

/// The limit is 700 bytes besides payloads; the events, which are none of the store's, are 300 of them here.
#[test]
fn an_execution_that_waits_for_a_callback_is_small() {
    let store = SqliteStore::temporary().unwrap();
    let executions = 10_000;
    let mut writer = store.writer().unwrap();
    load::park(&mut *writer, executions, true).unwrap();
    drop(writer);
    let each = fs::metadata(store.path()).unwrap().len() / executions as u64;
    assert!(each < 670, "{each} bytes");
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

fn one_execution(folder: &Path) -> PathBuf {
    let store = SqliteStore::open(folder, Options::default()).unwrap();
    store
        .writer()
        .unwrap()
        .commit(&[Write::Start(execution(1, "id-1", "flow", 'a'))])
        .unwrap();
    store.path().to_path_buf()
}

fn refuses_to_write(store: &SqliteStore) {
    let Err(StoreError::ReadOnly { path, .. }) = store.writer() else {
        panic!("a writer of what is read-only")
    };
    assert!(path.starts_with(store.path().parent().unwrap()), "{}", path.display());
    let outcome = store.request(&RequestKind::Cancel {
        id: "id-1".into(),
        reason: String::new(),
    });
    assert!(matches!(outcome, Err(StoreError::ReadOnly { .. })), "{outcome:?}");
    assert_eq!(store.execution("id-1").unwrap().unwrap().exec, ExecNo(1));
    assert_eq!(store.open_executions(ExecNo(0), 10).unwrap().len(), 1);
    assert_eq!(store.requests(0).unwrap(), []);
    assert_eq!(store.check().unwrap().len(), 1, "only that the definition is missing");
    assert!(matches!(store.shrink(1), Err(StoreError::ReadOnly { .. })));
    assert!(matches!(store.compact(), Err(StoreError::ReadOnly { .. })));
    // But it can be copied.
    let copies = tempfile::tempdir().unwrap();
    store.backup(copies.path()).unwrap();
    let copy = SqliteStore::open(copies.path(), Options::default()).unwrap();
    assert!(copy.execution("id-1").unwrap().is_some());
}

#[test]
fn a_store_opened_for_reading_is_not_written_to() {
    let home = tempfile::tempdir().unwrap();
    let database = one_execution(home.path());
    let before = fs::read(&database).unwrap();
    let read_only = Options {
        read_only: true,
        ..Options::default()
    };
    refuses_to_write(&SqliteStore::open(home.path(), read_only).unwrap());
    assert_eq!(fs::read(&database).unwrap(), before);
}

#[test]
fn a_medium_that_cannot_be_written_to_is_read() {
    let home = tempfile::tempdir().unwrap();
    one_execution(home.path());
    let Some(mount) = Mount::new(&["--bind", "-o", "ro", home.path().to_str().unwrap()]) else {
        return;
    };
    refuses_to_write(&SqliteStore::open(mount.path(), Options::default()).unwrap());
    let read_only = Options {
        read_only: true,
        ..Options::default()
    };
    refuses_to_write(&SqliteStore::open(mount.path(), read_only).unwrap());

    let outcome = SqliteStore::open(mount.path().join("new.db"), Options::default());
    assert!(matches!(outcome, Err(StoreError::ReadOnly { .. })), "{outcome:?}");
    let outcome = SqliteStore::open(mount.path().join("new"), Options::default());
    assert!(matches!(outcome, Err(StoreError::ReadOnly { .. })), "{outcome:?}");
}

#[test]
fn a_log_on_a_medium_that_cannot_be_written_to_is_not_passed_over() {
    let home = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(home.path(), Options::default()).unwrap();
    let mut writer = store.writer().unwrap();
    writer
        .commit(&[Write::Start(execution(1, "id-1", "flow", 'a'))])
        .unwrap();
    // As after a crash: the execution is in the log only.
    for name in ["bowline.db", "bowline.db-wal"] {
        fs::copy(home.path().join(name), copy.path().join(name)).unwrap();
    }
    let Some(mount) = Mount::new(&["--bind", "-o", "ro", copy.path().to_str().unwrap()]) else {
        return;
    };
    match SqliteStore::open(
        mount.path(),
        Options {
            read_only: true,
            ..Options::default()
        },
    ) {
        // Either it is read with its log, or refused; never read without.
        Ok(store) => assert!(store.execution("id-1").unwrap().is_some()),
        Err(error) => assert!(error.to_string().contains("bowline.db"), "{error}"),
    }
}
