//! Cases about entries.

use bytes::Bytes;

use super::{Failure, Place, begin, execution};
use crate::{Entry, EntryRange, EntryWrite, Store, StoreError, Write, key, prefix};

fn put(space: &'static str, key: &str, value: &str) -> Write {
    Write::Entry(EntryWrite::Put(Entry::new(space, key, value.to_owned())))
}

fn add(space: &'static str, key: &str, value: &str) -> Write {
    Write::Entry(EntryWrite::Add(Entry::new(space, key, value.to_owned())))
}

fn swap(key: &str, was: Option<&str>, value: &str) -> Write {
    Write::Entry(EntryWrite::Swap {
        entry: Entry::new("s", key, value.to_owned()),
        was: was.map(|was| Bytes::copy_from_slice(was.as_bytes())),
    })
}

fn remove(space: &'static str, key: &str) -> Write {
    Write::Entry(EntryWrite::Remove {
        space: space.into(),
        key: key.into(),
    })
}

pub(super) fn life<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    let value = |space: &str, key: &str| -> Result<Option<String>, StoreError> {
        let found = store.entry(space, key)?;
        Ok(found.map(|value| String::from_utf8_lossy(&value).into_owned()))
    };
    assert_eq!(value("s", "k")?, None);
    writer.commit(&[put("s", "k", "one"), add("t", "k", "other"), add("s", "", "")])?;
    assert_eq!(value("s", "k")?.as_deref(), Some("one"));
    assert_eq!(value("t", "k")?.as_deref(), Some("other"));
    assert_eq!(value("s", "")?.as_deref(), Some(""));
    writer.commit(&[put("s", "k", "two"), remove("s", ""), remove("s", "never")])?;
    assert_eq!(value("s", "k")?.as_deref(), Some("two"));
    assert_eq!(value("s", "")?, None);

    // What does not fit leaves nothing of its batch, and says what it was.
    let mut batch = begin(1, 1);
    batch.extend([put("s", "k", "three"), remove("t", "k"), add("s", "k", "four")]);
    match writer.commit(&batch) {
        Err(StoreError::EntryExists { space, key }) => assert_eq!((space.as_str(), key.as_str()), ("s", "k")),
        other => return Err(format!("{other:?}").into()),
    }
    for wrong in [
        swap("k", None, "x"),
        swap("k", Some("one"), "x"),
        swap("new", Some(""), "x"),
    ] {
        let outcome = writer.commit(&[
            put("s", "k", "three"),
            remove("t", "k"),
            remove("s", "k"),
            put("s", "k", "two"),
            wrong,
        ]);
        assert!(matches!(outcome, Err(StoreError::EntryChanged { .. })), "{outcome:?}");
    }
    assert_eq!(store.execution(&super::id(1))?, None);
    assert_eq!(value("s", "k")?.as_deref(), Some("two"));
    assert_eq!(value("t", "k")?.as_deref(), Some("other"));
    // Within one batch, each sees what came before.
    writer.commit(&[
        swap("k", Some("two"), "three"),
        swap("k", Some("three"), "four"),
        swap("new", None, "n"),
    ])?;
    writer.commit(&[remove("s", "new"), add("s", "new", "again")])?;
    let large = "x".repeat(3_000_000);
    writer.commit(&[put("s", "large", &large)])?;
    drop(writer);
    let store = place.open()?;
    assert_eq!(store.entry("s", "k")?.as_deref(), Some(&b"four"[..]));
    assert_eq!(store.entry("s", "new")?.as_deref(), Some(&b"again"[..]));
    assert_eq!(store.entry("s", "large")?.map(|value| value.len()), Some(large.len()));
    assert_eq!(store.check()?, Vec::<String>::new());
    Ok(())
}

pub(super) fn lists<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    let name = |org: &str, number: i64| key(&[org, &format!("{number:020}")]);
    let mut batch = vec![
        put("s", "a", "short"),
        put("s", "zz", "last"),
        put("s", "é\u{10FFFF}", "odd"),
    ];
    for number in (1..=250).rev() {
        batch.push(put("s", &name("acme", number), &number.to_string()));
        batch.push(put("s", &name("acme2", number), "not it"));
        batch.push(put("t", &name("acme", number), "not it either"));
    }
    writer.commit(&batch)?;
    let all = EntryRange {
        space: "s".into(),
        prefix: prefix(&["acme"]),
        ..EntryRange::default()
    };
    let numbers = |range: &EntryRange| -> Result<Vec<i64>, Failure> {
        let mut numbers = Vec::new();
        for (key, value) in store.entries(range)? {
            let number = std::str::from_utf8(&value)?.parse()?;
            assert_eq!(key, name("acme", number));
            numbers.push(number);
        }
        Ok(numbers)
    };
    assert_eq!(numbers(&all)?, (1..=100).collect::<Vec<_>>(), "100 by default");
    for reverse in [false, true] {
        let mut range = EntryRange {
            reverse,
            limit: 60,
            ..all.clone()
        };
        let mut found = Vec::new();
        loop {
            let page = numbers(&range)?;
            assert!(page.len() <= 60);
            let Some(last) = page.last() else { break };
            range.after = Some(name("acme", *last));
            found.extend(page);
        }
        let expected: Vec<i64> = if reverse {
            (1..=250).rev().collect()
        } else {
            (1..=250).collect()
        };
        assert_eq!(found, expected, "reverse: {reverse}");
    }
    // A place between keys, and outside of the prefix.
    let keys = |range: EntryRange| -> Result<Vec<String>, StoreError> {
        Ok(store.entries(&range)?.into_iter().map(|(key, _)| key).collect())
    };
    let after = |after: &str, reverse: bool| EntryRange {
        after: Some(after.into()),
        reverse,
        limit: 1,
        ..all.clone()
    };
    assert_eq!(keys(after("", false))?, [name("acme", 1)]);
    assert_eq!(keys(after("", true))?, Vec::<String>::new());
    assert_eq!(keys(after("zzz", true))?, [name("acme", 250)]);
    assert_eq!(keys(after(&format!("{}x", name("acme", 7)), false))?, [name("acme", 8)]);
    let whole = EntryRange {
        space: "s".into(),
        limit: 1_000,
        ..EntryRange::default()
    };
    let found = keys(whole.clone())?;
    assert_eq!(found.len(), 503);
    assert!(found.is_sorted());
    assert_eq!(
        keys(EntryRange {
            prefix: "é".into(),
            ..whole.clone()
        })?,
        ["é\u{10FFFF}"]
    );
    assert_eq!(
        keys(EntryRange {
            space: "none".into(),
            ..whole
        })?,
        Vec::<String>::new()
    );
    Ok(())
}

/// An execution and an entry are there together, or neither is.
pub(super) fn with_executions<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 1))?;
    let start = |exec: i64, id: &str| Write::Start(execution(exec, id, "flow", 'a'));
    writer.commit(&[start(2, "two"), add("inbox", "d-1", "first")])?;
    assert!(
        writer
            .commit(&[start(3, "three"), add("inbox", "d-1", "second")])
            .is_err()
    );
    assert!(
        writer
            .commit(&[add("inbox", "d-2", "second"), start(3, "two")])
            .is_err()
    );
    assert_eq!(store.execution("three")?, None);
    assert_eq!(store.entry("inbox", "d-1")?.as_deref(), Some(&b"first"[..]));
    assert_eq!(store.entry("inbox", "d-2")?, None);
    Ok(())
}
