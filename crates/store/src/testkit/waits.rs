//! Cases about waits, deliveries and events.

use bytes::Bytes;

use super::parking::park;
use super::{Failure, Place, begin, contents};
use crate::{
    DEFAULT_ORGANIZATION, Delivery, DeliveryFilter, EventRow, ExecNo, Housekeeping, Store, WaitFilter, WaitKind,
    WaitRow, WaitState, Write,
};

/// An open callback on the channel `pay`.
pub(super) fn callback(exec: i64, tag: u64, key: &str) -> WaitRow {
    WaitRow {
        exec: ExecNo(exec),
        tag,
        path: format!("ask/{tag}"),
        kind: WaitKind::Callback,
        name: "pay".into(),
        key: Some(key.into()),
        until: Some(9_000),
        detail: Some(Bytes::from_static(b"{\"form\":1}")),
        opened_at: 4_000 + exec,
        state: WaitState::Open,
    }
}

fn other(kind: WaitKind, exec: i64, tag: u64, name: &str, key: Option<&str>) -> WaitRow {
    WaitRow {
        kind,
        name: name.into(),
        key: key.map(str::to_owned),
        until: None,
        detail: None,
        ..callback(exec, tag, "")
    }
}

fn close(exec: i64, tag: u64, state: WaitState) -> Write {
    Write::CloseWait {
        exec: ExecNo(exec),
        tag,
        state,
    }
}

pub(super) fn life<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 3))?;
    let asked = callback(1, u64::MAX, "k-1");
    let bare = other(WaitKind::Callback, 1, 7, "", None);
    let signal = other(WaitKind::Signal, 1, 0, "go on", None);
    let event = other(WaitKind::Event, 2, 1 << 63, "paid", Some("o-1"));
    for row in [&asked, &bare, &signal, &event] {
        writer.commit(&[Write::OpenWait(row.clone())])?;
    }
    for row in [&asked, &bare, &signal, &event] {
        assert_eq!(store.wait(row.exec, row.tag)?.as_ref(), Some(row));
    }
    assert_eq!(store.wait(ExecNo(1), 8)?, None);
    assert_eq!(store.wait(ExecNo(3), 7)?, None);

    // The same again replaces it.
    let longer = WaitRow {
        until: Some(10_000),
        key: Some("k-2".into()),
        ..asked.clone()
    };
    writer.commit(&[Write::OpenWait(longer.clone())])?;
    assert_eq!(store.wait(ExecNo(1), u64::MAX)?, Some(longer.clone()));
    assert_eq!(
        store.waits_by_key(DEFAULT_ORGANIZATION, WaitKind::Callback, "pay", "k-1")?,
        []
    );
    assert_eq!(
        store.waits_by_key(DEFAULT_ORGANIZATION, WaitKind::Callback, "pay", "k-2")?,
        std::slice::from_ref(&longer)
    );

    // Callbacks stay, the others go.
    writer.commit(&[
        close(1, u64::MAX, WaitState::Failed),
        close(1, 0, WaitState::Answered),
        close(2, 1 << 63, WaitState::Answered),
        close(2, 5, WaitState::Answered),
    ])?;
    let failed = WaitRow {
        state: WaitState::Failed,
        ..longer
    };
    assert_eq!(store.wait(ExecNo(1), u64::MAX)?, Some(failed.clone()));
    assert_eq!(store.wait(ExecNo(1), 0)?, None);
    assert_eq!(store.wait(ExecNo(2), 1 << 63)?, None);
    assert_eq!(store.waits(&WaitFilter::default())?, [bare.clone(), failed.clone()]);

    // A batch that is refused leaves all of this as it was.
    let before = contents(&store)?;
    let waits = store.waits(&WaitFilter::default())?;
    for stranger in [Write::OpenWait(callback(99, 1, "k")), park(99, None)] {
        let batch = [
            close(1, 7, WaitState::Cancelled),
            Write::OpenWait(callback(3, 3, "new")),
            Write::OpenWait(callback(1, u64::MAX, "again")),
            close(3, 3, WaitState::Answered),
            stranger,
        ];
        assert!(writer.commit(&batch).is_err());
        assert_eq!(store.waits(&WaitFilter::default())?, waits);
        assert_eq!(contents(&store)?, before);
        let found = store.waits_by_key(DEFAULT_ORGANIZATION, WaitKind::Callback, "pay", "k-2")?;
        assert_eq!(found, std::slice::from_ref(&failed));
    }
    drop(writer);
    drop(store);
    let store = place.open()?;
    assert_eq!(store.waits(&WaitFilter::default())?, waits);
    assert_eq!(store.check()?, Vec::<String>::new());
    Ok(())
}

pub(super) fn lists<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    let mut batch = begin(1, 12);
    let mut all = Vec::new();
    for exec in 1..=12 {
        for tag in [3, 1 << 40, (1 << 63) + 5] {
            let row = match exec % 3 {
                0 => callback(exec, tag, &format!("k{}", exec % 2)),
                1 => other(WaitKind::Signal, exec, tag, "go", None),
                _ => other(
                    WaitKind::Event,
                    exec,
                    tag,
                    ["a", "b"][tag as usize % 2],
                    Some("x").filter(|_| exec > 6),
                ),
            };
            all.push(row.clone());
            batch.push(Write::OpenWait(row));
        }
    }
    batch.push(close(3, 3, WaitState::Answered));
    all[6].state = WaitState::Answered;
    writer.commit(&batch)?;
    let none = WaitFilter::default();
    let filters = [
        none.clone(),
        WaitFilter {
            exec: Some(ExecNo(6)),
            ..none.clone()
        },
        WaitFilter {
            kind: Some(WaitKind::Event),
            name: Some("b".into()),
            ..none.clone()
        },
        WaitFilter {
            kind: Some(WaitKind::Callback),
            key: Some("k0".into()),
            ..none.clone()
        },
        WaitFilter {
            key: Some("x".into()),
            ..none.clone()
        },
        WaitFilter {
            state: Some(WaitState::Open),
            kind: Some(WaitKind::Callback),
            ..none.clone()
        },
        WaitFilter {
            state: Some(WaitState::Answered),
            ..none.clone()
        },
        WaitFilter {
            name: Some("it's".into()),
            ..none.clone()
        },
        WaitFilter {
            kind: Some(WaitKind::Signal),
            exec: Some(ExecNo(4)),
            name: Some("go".into()),
            ..none
        },
    ];
    for filter in filters {
        let expected: Vec<_> = all.iter().filter(|row| filter.fits(row)).cloned().collect();
        assert_eq!(store.waits(&filter)?, expected, "{filter:?}");
        let mut paged = WaitFilter {
            limit: 2,
            ..filter.clone()
        };
        let mut found = Vec::new();
        loop {
            let page = store.waits(&paged)?;
            assert!(page.len() <= 2);
            let Some(last) = page.last() else { break };
            paged.after = Some((last.exec, last.tag));
            found.extend(page);
        }
        assert_eq!(found, expected, "{filter:?} in pages");
    }
    Ok(())
}

pub(super) fn by_key<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    let mut batch = begin(1, 40);
    for exec in 1..=40 {
        batch.push(Write::OpenWait(callback(exec, 1, "same")));
        batch.push(Write::OpenWait(WaitRow {
            name: "elsewhere".into(),
            ..callback(exec, 2, "same")
        }));
        if exec > 3 {
            batch.push(close(exec, 1, WaitState::Answered));
        }
    }
    batch.push(Write::OpenWait(other(WaitKind::Event, 1, 9, "pay", Some("same"))));
    writer.commit(&batch)?;
    let found = store.waits_by_key(DEFAULT_ORGANIZATION, WaitKind::Callback, "pay", "same")?;
    let found: Vec<_> = found.iter().map(|row| (row.exec.0, row.state)).collect();
    let expected = (1..=3).map(|exec| (exec, WaitState::Open));
    let expected = expected.chain((25..=40).rev().map(|exec| (exec, WaitState::Answered)));
    assert_eq!(found, expected.collect::<Vec<_>>(), "open ones, then the newest others");
    assert_eq!(
        store.waits_by_key(DEFAULT_ORGANIZATION, WaitKind::Callback, "pay", "other")?,
        []
    );
    assert_eq!(
        store
            .waits_by_key(DEFAULT_ORGANIZATION, WaitKind::Event, "pay", "same")?
            .len(),
        1
    );
    assert_eq!(
        store.waits_by_key(DEFAULT_ORGANIZATION, WaitKind::Signal, "pay", "same")?,
        []
    );
    Ok(())
}

pub(super) fn deliveries<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    writer.commit(&begin(1, 2))?;
    let delivery = |id: i64, wait: Option<(i64, u64)>, key: Option<&str>| Delivery {
        organization: DEFAULT_ORGANIZATION.into(),
        id,
        exec: wait.map(|(exec, _)| ExecNo(exec)),
        tag: wait.map(|(_, tag)| tag),
        name: "pay".into(),
        key: key.map(str::to_owned),
        answer: Bytes::from(format!("answer {id}")),
        received_at: 100 + id,
        expires_at: 1_000 - id * 10,
    };
    assert_eq!(store.last_delivery()?, 0);
    let tag = u64::MAX - 1;
    let kept = [
        delivery(0, Some((1, tag)), None),
        delivery(0, None, Some("k")),
        delivery(7, None, Some("other")),
        delivery(8, Some((1, tag)), Some("k")),
        delivery(0, Some((2, tag)), None),
    ];
    writer.commit(&kept.clone().map(Write::Keep))?;
    let numbered: Vec<_> = kept
        .into_iter()
        .zip([1, 2, 7, 8, 9])
        .map(|(delivery, id)| Delivery { id, ..delivery })
        .collect();
    assert_eq!(store.deliveries(&DeliveryFilter::default())?, numbered);
    assert_eq!(store.last_delivery()?, 9);
    let ids = |found: Vec<Delivery>| found.into_iter().map(|delivery| delivery.id).collect::<Vec<_>>();
    assert_eq!(ids(store.deliveries_for(ExecNo(1), tag, "pay", None)?), [1, 8]);
    assert_eq!(ids(store.deliveries_for(ExecNo(1), tag, "pay", Some("k"))?), [1, 2, 8]);
    assert_eq!(
        ids(store.deliveries_for(ExecNo(1), tag, "elsewhere", Some("k"))?),
        [1, 8]
    );
    assert_eq!(
        ids(store.deliveries_for(ExecNo(2), 1, "pay", Some("none"))?),
        Vec::<i64>::new()
    );
    let all = DeliveryFilter::default();
    for (filter, expected) in [
        (
            DeliveryFilter {
                id: Some(7),
                ..all.clone()
            },
            vec![7],
        ),
        (
            DeliveryFilter {
                exec: Some(ExecNo(1)),
                ..all.clone()
            },
            vec![1, 8],
        ),
        (
            DeliveryFilter {
                key: Some("k".into()),
                ..all.clone()
            },
            vec![2, 8],
        ),
        (
            DeliveryFilter {
                name: Some("pay".into()),
                after: 2,
                limit: 2,
                ..all.clone()
            },
            vec![7, 8],
        ),
        (
            DeliveryFilter {
                name: Some("none".into()),
                ..all.clone()
            },
            vec![],
        ),
    ] {
        assert_eq!(ids(store.deliveries(&filter)?), expected, "{filter:?}");
    }

    // A refused batch keeps and drops nothing, and uses no number.
    let refused = [
        Write::Keep(delivery(0, None, Some("k"))),
        Write::DropDelivery(7),
        Write::DropExpired {
            before: 2_000,
            at_most: 10,
        },
        park(99, None),
    ];
    assert!(writer.commit(&refused).is_err());
    assert!(
        writer.commit(&[Write::Keep(delivery(8, None, None))]).is_err(),
        "a number was used twice"
    );
    assert_eq!(store.deliveries(&all)?, numbered);
    assert_eq!(store.last_delivery()?, 9);

    writer.commit(&[Write::DropDelivery(9), Write::DropDelivery(9), Write::DropDelivery(500)])?;
    let housekeeping = store.housekeeping()?;
    assert_eq!((housekeeping.first_expiry, housekeeping.deliveries), (Some(920), 4));
    let expire = |before: i64, at_most: u32| Write::DropExpired { before, at_most };
    writer.commit(&[expire(920, 10)])?;
    assert_eq!(
        ids(store.deliveries(&all)?),
        [1, 2, 7, 8],
        "what expires at that time has not expired before it"
    );
    writer.commit(&[expire(2_000, 1)])?;
    assert_eq!(store.deliveries(&all)?.len(), 3, "at most one");
    writer.commit(&[expire(2_000, 10)])?;
    assert_eq!(store.deliveries(&all)?, []);
    assert_eq!(store.housekeeping()?.first_expiry, None);
    drop(writer);
    drop(store);
    let store = place.open()?;
    assert_eq!(store.last_delivery()?, 9, "numbers are not used again");
    store.writer()?.commit(&[Write::Keep(delivery(0, None, None))])?;
    assert_eq!(ids(store.deliveries(&all)?), [10]);
    Ok(())
}

fn event(name: &str, key: Option<&str>, at: i64) -> EventRow {
    EventRow {
        organization: DEFAULT_ORGANIZATION.into(),
        id: 0,
        event: name.into(),
        key: key.map(str::to_owned),
        data: Bytes::from(format!("{name} at {at}")),
        source: "id-0001".into(),
        at,
    }
}

pub(super) fn events<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    for (name, key, at) in [
        ("paid", Some("a"), 10),
        ("paid", Some("b"), 20),
        ("sent", Some("a"), 30),
        ("paid", None, 40),
        // The clock went back.
        ("paid", Some("a"), 35),
    ] {
        writer.commit(&[Write::Emit(event(name, key, at))])?;
    }
    writer.commit(&[Write::Emit(EventRow {
        id: 9,
        ..event("paid", Some("a"), 50)
    })])?;
    assert!(
        writer
            .commit(&[Write::Emit(EventRow {
                id: 9,
                ..event("paid", None, 60)
            })])
            .is_err()
    );
    let found = |key: Option<&str>, after: i64, since: i64, limit: usize| -> Result<Vec<i64>, Failure> {
        let rows = store.events_after(DEFAULT_ORGANIZATION, "paid", key, after, since, limit)?;
        assert!(rows.iter().all(|row| row.event == "paid"));
        Ok(rows.into_iter().map(|row| row.id).collect())
    };
    assert_eq!(found(None, 0, 0, 100)?, [1, 2, 4, 5, 9]);
    assert_eq!(found(Some("a"), 0, 0, 100)?, [1, 5, 9]);
    assert_eq!(found(Some("a"), 1, i64::MIN, 1)?, [5]);
    assert_eq!(found(None, 0, 21, 100)?, [4, 5, 9]);
    assert_eq!(found(None, 4, 20, 100)?, [5, 9]);
    assert_eq!(found(None, 0, 51, 100)?, Vec::<i64>::new());
    assert_eq!(found(None, 9, 0, 100)?, Vec::<i64>::new());
    let row = store
        .events_after(DEFAULT_ORGANIZATION, "paid", None, 4, 0, 1)?
        .pop()
        .ok_or("no event")?;
    let expected = EventRow {
        id: 5,
        at: 40,
        data: Bytes::from_static(b"paid at 35"),
        ..event("paid", Some("a"), 0)
    };
    assert_eq!(row, expected, "times rise with numbers");

    assert_eq!(store.housekeeping()?.oldest_event, Some(10));
    let drop_events = |before: i64, at_most: u32| Write::DropEvents { before, at_most };
    assert!(
        writer
            .commit(&[
                drop_events(100, 9),
                Write::Emit(event("paid", None, 70)),
                park(99, None)
            ])
            .is_err()
    );
    assert_eq!(found(None, 0, 0, 100)?, [1, 2, 4, 5, 9]);
    writer.commit(&[drop_events(40, 2)])?;
    assert_eq!(found(None, 0, 0, 100)?, [4, 5, 9]);
    assert_eq!(
        store.events_after(DEFAULT_ORGANIZATION, "sent", None, 0, 0, 9)?.len(),
        1,
        "at most two"
    );
    writer.commit(&[drop_events(100, 9)])?;
    assert_eq!(
        store.housekeeping()?,
        Housekeeping {
            oldest_event: None,
            ..store.housekeeping()?
        }
    );
    drop(writer);
    drop(store);
    let store = place.open()?;
    store.writer()?.commit(&[Write::Emit(event("paid", None, 1))])?;
    assert_eq!(
        store.events_after(DEFAULT_ORGANIZATION, "paid", None, 0, 0, 9)?[0].id,
        10,
        "numbers are not used again"
    );
    Ok(())
}

pub(super) fn events_wake<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    let mut batch = begin(1, 8);
    for (exec, name, key) in [
        (1, "paid", None),
        (2, "paid", Some("a")),
        (3, "paid", Some("b")),
        (4, "sent", Some("a")),
        (5, "paid", Some("a")),
        (6, "paid", Some("a")),
    ] {
        batch.push(Write::OpenWait(other(WaitKind::Event, exec, 1, name, key)));
        batch.push(park(exec, (exec == 2).then_some(20)));
    }
    batch.push(Write::OpenWait(other(WaitKind::Signal, 7, 1, "paid", None)));
    batch.push(park(7, None));
    // It waits for it twice; it is in memory; its wait is closed.
    batch.push(Write::OpenWait(other(WaitKind::Event, 1, 2, "paid", Some("a"))));
    batch.push(Write::Unpark(ExecNo(5)));
    batch.push(close(6, 1, WaitState::Cancelled));
    writer.commit(&batch)?;
    let paths = |exec: i64, tag: u64| (ExecNo(exec), tag, format!("ask/{tag}"));
    assert_eq!(
        store.event_waits(DEFAULT_ORGANIZATION, "paid", Some("a"))?,
        [paths(1, 1), paths(1, 2), paths(2, 1), paths(5, 1)]
    );
    assert_eq!(store.event_waits(DEFAULT_ORGANIZATION, "paid", None)?, [paths(1, 1)]);
    assert_eq!(store.event_waits(DEFAULT_ORGANIZATION, "none", Some("a"))?, []);

    assert!(
        writer
            .commit(&[Write::Emit(event("paid", Some("a"), 30)), park(99, None)])
            .is_err()
    );
    let due = || store.due((i64::MIN, ExecNo(0)), 100);
    assert_eq!(due()?, [(20, ExecNo(2))]);
    writer.commit(&[Write::Emit(event("paid", Some("a"), 30))])?;
    assert_eq!(due()?, [(20, ExecNo(2)), (30, ExecNo(1))]);
    writer.commit(&[
        Write::Emit(event("sent", None, 40)),
        Write::Emit(event("paid", Some("b"), 50)),
    ])?;
    assert_eq!(due()?, [(20, ExecNo(2)), (30, ExecNo(1)), (50, ExecNo(3))]);
    // In one batch with what it is about, in this order.
    writer.commit(&[
        Write::OpenWait(other(WaitKind::Event, 8, 1, "late", None)),
        park(8, None),
        Write::Emit(event("late", Some("x"), 60)),
    ])?;
    assert_eq!(due()?.last(), Some(&(60, ExecNo(8))));
    Ok(())
}
