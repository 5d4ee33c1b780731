//! The store in memory passes the suite, and its faults do what they say.

use std::time::Duration;

use super::*;
use crate::testkit::{self, Place};
use crate::{Status, Write};

struct Fresh(MemoryStore);

impl Place for Fresh {
    type Store = MemoryStore;

    fn open(&self) -> Result<MemoryStore, StoreError> {
        Ok(self.0.clone())
    }
}

#[test]
fn passes_the_suite() -> Result<(), testkit::Failure> {
    testkit::exercise(|| Fresh(MemoryStore::new()))
}

fn begin(exec: i64) -> Vec<Write> {
    vec![
        Write::Define(testkit::definition("flow", 'a')),
        Write::Start(testkit::execution(exec, &format!("id-{exec}"), "flow", 'a')),
        Write::Append(testkit::record(exec, 0, b"started")),
    ]
}

#[test]
fn the_next_commit_fails_once_and_leaves_nothing() {
    let store = MemoryStore::new();
    let mut writer = store.writer().unwrap();
    store.fail_next_commit();
    assert!(writer.commit(&begin(1)).is_err());
    assert!(store.execution("id-1").unwrap().is_none());
    assert_eq!(store.commits(), 0);
    writer.commit(&begin(1)).unwrap();
    assert_eq!(store.execution("id-1").unwrap().unwrap().status, Status::Running);
    assert_eq!(store.commits(), 1);
}

#[test]
fn fails_after_some_commits_until_it_is_healed() {
    let store = MemoryStore::new();
    let mut writer = store.writer().unwrap();
    store.fail_after(1);
    writer.commit(&begin(1)).unwrap();
    assert!(writer.commit(&begin(2)).is_err());
    assert!(writer.commit(&begin(2)).is_err());
    store.heal();
    writer.commit(&begin(2)).unwrap();
}

#[test]
fn a_crash_refuses_the_old_writer_and_keeps_what_was_acknowledged() {
    let store = MemoryStore::new();
    let mut old = store.writer().unwrap();
    old.commit(&begin(1)).unwrap();
    store.crash();
    let mut new = store.writer().unwrap();
    assert!(old.commit(&begin(2)).unwrap_err().to_string().contains("crash"));
    assert!(old.next_exec().is_err());
    drop(old);
    assert!(
        matches!(store.writer(), Err(StoreError::Locked { .. })),
        "the old writer released the new one's lock"
    );
    assert_eq!(new.next_exec().unwrap(), ExecNo(2));
    assert!(store.execution("id-1").unwrap().is_some());
    assert!(store.execution("id-2").unwrap().is_none());
}

#[test]
fn a_crash_in_a_commit_loses_the_batch_or_only_the_acknowledgement() {
    for (fault, kept) in [(Fault::CrashBefore, false), (Fault::CrashAfter, true)] {
        let store = MemoryStore::new();
        let mut writer = store.writer().unwrap();
        store.inject(1, fault);
        writer.commit(&begin(1)).unwrap();
        assert!(writer.commit(&begin(2)).is_err());
        assert!(writer.commit(&begin(3)).is_err());
        assert_eq!(store.execution("id-2").unwrap().is_some(), kept, "{fault:?}");
        assert!(store.writer().is_ok());
    }
}

#[test]
fn a_held_commit_waits_and_is_lost_in_a_crash() {
    let store = MemoryStore::new();
    let mut writer = store.writer().unwrap();
    let hold = store.hold();
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| writer.commit(&begin(1)));
        assert!(hold.wait_for_commit(Duration::from_secs(10)));
        assert!(store.execution("id-1").unwrap().is_none());
        drop(hold);
        commit.join().unwrap().unwrap();
    });
    assert!(store.execution("id-1").unwrap().is_some());

    let hold = store.hold();
    assert!(!hold.wait_for_commit(Duration::from_millis(1)));
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| writer.commit(&begin(2)));
        assert!(hold.wait_for_commit(Duration::from_secs(10)));
        store.crash();
        assert!(commit.join().unwrap().is_err());
    });
    drop(hold);
    assert!(store.execution("id-2").unwrap().is_none());
}
