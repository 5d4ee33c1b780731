//! Power-loss durability, as seen from below: which files are synced when, and what happens when a sync fails.
//! Looks at the system calls with `strace`; where there is none, says that it skipped.

use std::ffi::OsStr;
use std::path::Path;

use bowline_store::testkit::{execution, record};
use bowline_store::{ExecNo, Store as _, Write};
use bowline_store_sqlite::{Options, SqliteStore};

use crate::helper::{self, Helper};

const COMMITS: u64 = 40;

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, Options::default()).unwrap()
}

/// What a helper of these tests does; whether `role` is one of theirs.
pub(crate) fn act(role: &str, folder: &Path) -> bool {
    if !["commit", "meet a failing disk"].contains(&role) {
        return false;
    }
    let store = open(folder);
    helper::say("opened");
    let mut writer = store.writer().unwrap();
    if store.execution("id-1").unwrap().is_none() {
        writer
            .commit(&[Write::Start(execution(1, "id-1", "flow", 'a'))])
            .unwrap();
    }
    helper::say("started");
    if role == "commit" {
        for seq in 0..COMMITS {
            writer.commit(&[Write::Append(record(1, seq, &[7; 300]))]).unwrap();
            helper::say("committed");
        }
        return true;
    }
    let mut seq = 0;
    let error = loop {
        match writer.commit(&[Write::Append(record(1, seq, &[7; 300]))]) {
            Ok(()) => seq += 1,
            Err(error) => break error,
        }
        assert!(seq < 100, "no commit met the sync that fails");
    };
    helper::say(&format!("{seq} committed"));
    helper::say(&error.to_string());
    helper::say(
        &writer
            .commit(&[Write::Append(record(1, seq, b"more"))])
            .unwrap_err()
            .to_string(),
    );
    drop(writer);
    let mut writer = store.writer().unwrap();
    helper::say(&format!("{} found", store.journal(ExecNo(1), 0, 1000).unwrap().len()));
    writer.commit(&[Write::Append(record(1, seq, b"again"))]).unwrap();
    helper::say(&format!("{} found", store.journal(ExecNo(1), 0, 1000).unwrap().len()));
    true
}

#[test]
fn every_commit_syncs_the_log_before_it_is_acknowledged() {
    if !helper::have("strace", &["-V"]) || !helper::have("strace", &["-f", "true"]) {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let root = std::fs::canonicalize(home.path()).unwrap();
    let folder = root.join("new/store");
    let trace = root.join("trace");
    let under = [
        "strace",
        "-f",
        "-y",
        "-s",
        "100",
        "-e",
        "trace=write,fsync,fdatasync",
        "-o",
    ];
    let under: Vec<&OsStr> = under.iter().map(OsStr::new).chain([trace.as_os_str()]).collect();
    let said = Helper::start("commit", &folder, &under).hear_all();
    assert_eq!(said.iter().filter(|said| *said == "committed").count() as u64, COMMITS);

    // The calls between one thing that was said and the next.
    let calls = std::fs::read_to_string(&trace).unwrap();
    let mut spans: Vec<(String, Vec<&str>)> = Vec::new();
    let mut syncs = Vec::new();
    for line in calls.lines() {
        if line.contains("fsync(") || line.contains("fdatasync(") {
            syncs.push(line);
        } else if let Some((_, said)) = line.split_once("helper says ") {
            let said = said.split("\\n").next().unwrap_or_default().to_owned();
            spans.push((said, std::mem::take(&mut syncs)));
        }
    }
    let synced = |syncs: &[&str], path: &Path| {
        let path = format!("<{}>", path.display());
        syncs.iter().filter(|line| line.contains(&path)).count()
    };
    let of = |wanted: &str| -> Vec<&(String, Vec<&str>)> { spans.iter().filter(|(said, _)| said == wanted).collect() };

    let (_, opening) = of("opened")[0];
    for path in [&root, &root.join("new"), &folder, &folder.join("bowline.db")] {
        assert!(
            synced(opening, path) >= 1,
            "{} was not synced when it was made:\n{opening:#?}",
            path.display()
        );
    }
    let committed = of("committed");
    assert_eq!(committed.len() as u64, COMMITS);
    for (_, syncs) in committed {
        assert_eq!(synced(syncs, &folder.join("bowline.db-wal")), 1, "{syncs:#?}");
    }
}

#[test]
fn a_sync_that_fails_ends_the_writer_and_the_next_one_goes_on() {
    if !helper::have("strace", &["-f", "-e", "inject=fsync:error=EIO:when=100", "true"]) {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    open(home.path())
        .writer()
        .unwrap()
        .commit(&[Write::Start(execution(1, "id-1", "flow", 'a'))])
        .unwrap();
    let trace = home.path().join("trace");
    let inject = "inject=fsync,fdatasync:error=EIO:when=6";
    let under = ["strace", "-f", "-e", "trace=fsync,fdatasync", "-e", inject, "-o"];
    let under: Vec<&OsStr> = under.iter().map(OsStr::new).chain([trace.as_os_str()]).collect();
    let said = Helper::start("meet a failing disk", home.path(), &under).hear_all();
    let [_, _, committed, first, second, found, again] = &said[..] else {
        panic!("{said:#?}")
    };
    let committed: usize = committed.strip_suffix(" committed").unwrap().parse().unwrap();
    assert!((1..6).contains(&committed), "{said:#?}");
    assert!(first.contains("the disk failed in the middle of a commit"), "{first}");
    assert!(first.contains("bowline.db") && first.contains("opened anew"), "{first}");
    assert_eq!(first, second);
    assert_eq!(*found, format!("{committed} found"), "what was refused is there");
    assert_eq!(*again, format!("{} found", committed + 1));
    let store = open(home.path());
    assert_eq!(store.journal(ExecNo(1), 0, 1000).unwrap().len(), committed + 1);
    assert_eq!(
        store.journal(ExecNo(1), committed as u64, 1).unwrap()[0].events,
        b"again"[..]
    );
}
