//! What cannot be read is found by `doctor`, `backup` and `restore`.

use bowline_store::{JournalRecord, Store, Write};
use bowline_store_sqlite::{Options, SqliteStore};

use crate::common::Folder;

#[test]
fn a_journal_that_cannot_be_decoded_is_told_by_its_execution() {
    let folder = Folder::new();
    let pause = r#"{"pause": "1h"}"#;
    let mut run = folder.spawn(&["run", "waits.yaml", "--mocks", "mocks.yaml", "--id", "w-1", "-i", pause]);
    run.until("pause waits until");
    run.signal("INT");
    assert_eq!(run.end().code, Some(5));
    let sound = folder.run(&["doctor"]);
    assert_eq!(sound.code, Some(0), "{}", sound.told());
    let store = SqliteStore::open(folder.path(".bowline/bowline.db"), Options::default()).unwrap();
    let row = store.execution("w-1").unwrap().unwrap();
    let seq = store.open_execution(row.exec).unwrap().unwrap().next_seq;
    let garbage = Write::Append(JournalRecord {
        exec: row.exec,
        seq,
        at: 0,
        events: b"[{\"unheardOf\": 1}]".to_vec().into(),
    });
    store.writer().unwrap().commit(&[garbage]).unwrap();
    drop(store);
    let doctor = folder.run(&["doctor"]);
    assert!(
        doctor.code == Some(4) && doctor.stdout.contains("the journal of execution w-1 cannot be read"),
        "{}",
        doctor.told()
    );
    let backup = folder.run(&["backup", "copy"]);
    assert!(
        backup.code == Some(4) && backup.stderr.contains("w-1"),
        "{}",
        backup.told()
    );
    let restored = folder.run(&["restore", "copy", "--data", "new"]);
    assert!(
        restored.code == Some(4) && restored.stderr.contains("w-1"),
        "{}",
        restored.told()
    );
    assert!(!folder.path("new").exists(), "nothing is left behind");
}
