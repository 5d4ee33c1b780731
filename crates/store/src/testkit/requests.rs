//! Cases about requests.

use super::{Failure, Place, begin};
use crate::{CallbackAddress, Entry, EntryWrite, PauseTarget, RequestKind, Store, Write};

fn cancel(id: &str) -> RequestKind {
    RequestKind::Cancel {
        id: id.into(),
        reason: format!("enough of \"{id}\""),
    }
}

pub(super) fn queue<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    for name in ["a", "b", "c"] {
        store.request(&cancel(name))?;
    }
    let found = store.requests(0)?;
    assert_eq!(
        found.iter().map(|request| request.kind.clone()).collect::<Vec<_>>(),
        [cancel("a"), cancel("b"), cancel("c")]
    );
    let ids: Vec<i64> = found.iter().map(|request| request.id).collect();
    assert!(ids[0] > 0 && ids[0] < ids[1] && ids[1] < ids[2], "{ids:?}");
    assert_eq!(store.requests(ids[0])?, found[1..]);
    assert_eq!(store.requests(ids[2])?, []);
    assert_eq!(store.requests(ids[2])?, []);

    let mut writer = store.writer()?;
    writer.commit(&[Write::DropRequest(ids[1])])?;
    assert_eq!(store.requests(0)?, [found[0].clone(), found[2].clone()]);
    writer.commit(&[
        Write::DropRequest(ids[0]),
        Write::DropRequest(ids[1]),
        Write::DropRequest(ids[2]),
    ])?;
    assert_eq!(store.requests(0)?, []);
    // One that follows from something else that is written.
    writer.commit(&[Write::Request(cancel("own"))])?;
    let own = store.requests(0)?;
    assert_eq!(
        own.iter().map(|request| request.kind.clone()).collect::<Vec<_>>(),
        [cancel("own")]
    );
    writer.commit(&[Write::DropRequest(own[0].id)])?;
    drop(writer);
    drop(store);

    // Whoever remembers the last id it saw misses nothing that comes after the queue was empty.
    let store = place.open()?;
    store.request(&cancel("d"))?;
    let later = store.requests(ids[2])?;
    assert_eq!(
        later.iter().map(|request| request.kind.clone()).collect::<Vec<_>>(),
        [cancel("d")]
    );
    Ok(())
}

pub(super) fn kinds<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let (name, key) = ("pay".to_owned(), "\"k\" 🦀".to_owned());
    let callback = |address| RequestKind::Callback {
        address,
        answer: "{\"succeeded\":{\"output\":1.50}}".into(),
    };
    let all = [
        cancel("a"),
        callback(CallbackAddress::Token("bw_x".into())),
        callback(CallbackAddress::Key {
            organization: "acme".into(),
            name,
            key,
        }),
        callback(CallbackAddress::Path {
            execution: "a".into(),
            path: "ask".into(),
        }),
        callback(CallbackAddress::Kept(7)),
        RequestKind::Signal {
            id: "a".into(),
            name: "go".into(),
            data: "null".into(),
            signal: None,
        },
        RequestKind::Pause(PauseTarget::Execution("a".into())),
        RequestKind::Unpause(PauseTarget::Workflow {
            organization: "acme".into(),
            workflow: "flow".into(),
        }),
        RequestKind::Prune {
            organization: Some("acme".into()),
            workflow: Some("flow".into()),
            after_ms: Some(86_400_000),
            keep: None,
        },
        RequestKind::Entries(vec![
            EntryWrite::Add(Entry::new("x", "a\u{0}b", vec![0, 255])),
            EntryWrite::Swap {
                entry: Entry::new("x", "c", "é"),
                was: Some("d".into()),
            },
            EntryWrite::Remove {
                space: "x".into(),
                key: "e".into(),
            },
        ]),
    ];
    for kind in &all {
        store.request(kind)?;
    }
    drop(store);
    let found = place.open()?.requests(0)?;
    assert_eq!(found.into_iter().map(|request| request.kind).collect::<Vec<_>>(), all);
    Ok(())
}

pub(super) fn beside_a_writer<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let asking = place.open()?;
    let mut writer = store.writer()?;
    let mut seen = 0;
    for round in 0..20 {
        writer.commit(&begin(round + 1, round + 1))?;
        assert_eq!(store.requests(seen)?, []);
        asking.request(&cancel(&round.to_string()))?;
        let found = store.requests(seen)?;
        assert_eq!(found.len(), 1, "round {round}");
        assert_eq!(found[0].kind, cancel(&round.to_string()));
        seen = found[0].id;
        writer.commit(&[Write::DropRequest(seen)])?;
    }
    assert_eq!(store.requests(0)?, []);
    Ok(())
}
