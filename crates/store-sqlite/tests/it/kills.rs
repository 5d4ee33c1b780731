//! `kill -9` in the middle of what takes long: a second process is killed at its first write to a file, at a later one, and
//! so on until it gets through. Needs `strace`, which kills exactly there; where there is none, says that it skipped.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use bowline_store::testkit::{definition, execution, finish, record};
use bowline_store::{ExecNo, Status, Store as _, Write};
use bowline_store_sqlite::{Options, SqliteStore};

use crate::helper::{self, Helper};
use crate::log;

const RECORDS: u64 = 2_000;

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, Options::default()).unwrap()
}

/// What a helper of these tests does; whether `role` is one of theirs.
pub(crate) fn act(role: &str, folder: &Path) -> bool {
    match role {
        "open" => drop(open(folder)),
        "delete" => delete(&open(folder), || helper::say("begun")),
        "compact" => open(folder).compact().unwrap(),
        "back up" => open(folder).backup(&folder.join("copy.db")).unwrap(),
        _ => return false,
    }
    helper::say("done");
    true
}

/// Deletes execution 1 in slices, giving space back after each. Calls `begun` after the first.
fn delete(store: &SqliteStore, begun: impl Fn()) {
    let mut writer = store.writer().unwrap();
    let slice = |exec| Write::DeleteSlice { exec, at_most: 300 };
    writer.commit(&[slice(ExecNo(1)), Write::Shrink { pages: 50 }]).unwrap();
    begun();
    while let [exec] = store.deleting(1).unwrap()[..] {
        writer.commit(&[slice(exec), Write::Shrink { pages: 50 }]).unwrap();
    }
}

/// A helper that is killed at one of its writes.
pub(crate) struct Doomed<'a> {
    role: &'a str,
    at: usize,
}

impl Doomed<'_> {
    /// Whether it was killed.
    pub(crate) fn run(&self, folder: &Path) -> bool {
        self.hear(folder).last().map(String::as_str) != Some("done")
    }

    /// What it said before that.
    fn hear(&self, folder: &Path) -> Vec<String> {
        let trace = folder.join("trace");
        let inject = format!("inject=pwrite64,ftruncate,unlink:signal=KILL:when={}", self.at);
        let words = [
            "strace",
            "-f",
            "-e",
            "trace=pwrite64,ftruncate,unlink",
            "-e",
            &inject,
            "-o",
        ];
        let words: Vec<OsString> = words.iter().map(OsString::from).chain([trace.into()]).collect();
        let under: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
        Helper::start(self.role, folder, &under).hear_all()
    }
}

/// Whether a process can be killed exactly at a write here.
pub(crate) fn can() -> bool {
    helper::have("strace", &["-f", "-e", "inject=pwrite64:signal=KILL:when=1000", "true"])
}

/// Calls `case` with helpers that are killed later and later, until one is not.
pub(crate) fn at_each_write(role: &str, mut case: impl FnMut(&Doomed<'_>) -> bool) {
    if !can() {
        return;
    }
    let mut at = 1;
    let mut killed = 0;
    while case(&Doomed { role, at }) {
        killed += 1;
        at += 1 + at / 2;
        assert!(at < 1_000_000, "it never gets through");
    }
    assert!(killed > 5, "killed {killed} times only");
}

/// One finished execution with a long journal, and one that runs; closed.
fn long_and_short(folder: &Path) {
    let store = open(folder);
    let mut writer = store.writer().unwrap();
    let mut batch = vec![Write::Define(definition("flow", 'a'))];
    for exec in [1, 2] {
        batch.push(Write::Start(execution(exec, &format!("id-{exec}"), "flow", 'a')));
        batch.extend((0..RECORDS).map(|seq| Write::Append(record(exec, seq, &[exec as u8; 500]))));
    }
    batch.push(Write::Finish(finish(1, Status::Succeeded)));
    writer.commit(&batch).unwrap();
}

/// That the execution which nobody touched is whole.
fn short_is_whole(store: &SqliteStore) {
    let open = store.open_execution(ExecNo(2)).unwrap().unwrap();
    assert_eq!((open.row.id.as_str(), open.row.status), ("id-2", Status::Running));
    assert_eq!(open.journal.len() as u64, RECORDS);
    assert!(open.journal.iter().all(|record| record.events == vec![2; 500]));
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_deletion_that_is_killed_is_found_and_goes_on() {
    let mut interrupted = 0;
    at_each_write("delete", |helper| {
        let home = tempfile::tempdir().unwrap();
        long_and_short(home.path());
        let size = home.path().join("bowline.db").metadata().unwrap().len();
        let said = helper.hear(home.path());
        let store = open(home.path());
        short_is_whole(&store);
        let left = store.journal(ExecNo(1), 0, 10_000).unwrap().len() as u64;
        let (writer, told) = log::of(|| store.writer().unwrap());
        drop(writer);
        let begun = said.iter().any(|said| said == "begun");
        match store.execution("id-1").unwrap() {
            Some(row) => {
                assert!(!begun, "what was acknowledged is lost");
                assert_eq!((row.status, left), (Status::Succeeded, RECORDS));
            }
            None if store.deleting(1).unwrap().is_empty() => assert_eq!(left, 0),
            None => {
                interrupted += 1;
                assert!(
                    told.contains("deletion was interrupted") && told.contains("deleting=1"),
                    "{told}"
                );
            }
        }
        delete(&store, || {});
        assert_eq!(store.execution("id-1").unwrap(), None);
        assert_eq!(store.journal(ExecNo(1), 0, 10).unwrap(), []);
        short_is_whole(&store);
        let housekeeping = store.housekeeping().unwrap();
        store
            .shrink((housekeeping.free_bytes / u64::from(housekeeping.page_size)) as u32)
            .unwrap();
        drop(store.writer().unwrap());
        let smaller = home.path().join("bowline.db").metadata().unwrap().len();
        assert!(smaller < size * 6 / 10, "{smaller} of {size}");
        said.last().map(String::as_str) != Some("done")
    });
    assert!(!can() || interrupted > 2, "interrupted {interrupted} times");
}

#[test]
fn compacting_that_is_killed_changes_nothing() {
    at_each_write("compact", |helper| {
        let home = tempfile::tempdir().unwrap();
        long_and_short(home.path());
        open(home.path())
            .writer()
            .unwrap()
            .commit(&[Write::Delete(ExecNo(1))])
            .unwrap();
        let killed = helper.run(home.path());
        let store = open(home.path());
        short_is_whole(&store);
        store.compact().unwrap();
        assert_eq!(store.housekeeping().unwrap().free_bytes, 0);
        killed
    });
}

#[test]
fn a_backup_that_is_killed_leaves_no_copy_and_is_told_of() {
    let mut leftovers = 0;
    at_each_write("back up", |helper| {
        let home = tempfile::tempdir().unwrap();
        long_and_short(home.path());
        let killed = helper.run(home.path());
        let partial = |folder: &Path| {
            let names = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().file_name());
            names
                .filter(|name| name.to_string_lossy().contains(".partial-"))
                .count()
        };
        let copy = home.path().join("copy.db");
        if copy.exists() {
            short_is_whole(&open(&copy));
        } else {
            assert!(killed);
        }
        let left = partial(home.path());
        let (store, told) = log::of(|| open(home.path()));
        assert_eq!(partial(home.path()), 0, "the unfinished copy stays");
        assert_eq!(
            told.contains("a backup did not finish; its unfinished copy was removed"),
            left > 0,
            "{told}"
        );
        leftovers += left;
        short_is_whole(&store);
        if !copy.exists() {
            store.backup(&copy).unwrap();
            short_is_whole(&open(&copy));
        }
        assert!(!home.path().join("bowline.backup").exists());
        killed
    });
    assert!(!can() || leftovers > 2, "{leftovers}");
}
