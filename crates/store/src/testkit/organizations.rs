//! Cases about organizations: nothing of one is found for another, by whatever name.

use bytes::Bytes;

use super::{Failure, Place, definition, execution, finish};
use crate::{
    DEFAULT_ORGANIZATION, Delivery, DeliveryFilter, EventRow, ExecNo, ExecutionFilter, Status, Store, StoreError,
    WaitFilter, WaitKind, WaitRow, WaitState, Write,
};

/// Executions 1, 3, 5 are of acme, 2, 4, 6 of emca: the same workflows, keys, references and events.
const OWNERS: [&str; 2] = ["emca", "acme"];

fn owner(exec: i64) -> &'static str {
    OWNERS[exec as usize % 2]
}

fn wait(exec: i64, tag: u64, kind: WaitKind) -> WaitRow {
    WaitRow {
        exec: ExecNo(exec),
        tag,
        path: "ask".into(),
        kind,
        name: "paid".into(),
        key: Some("k".into()),
        until: None,
        detail: None,
        opened_at: exec,
        state: WaitState::Open,
    }
}

fn fill(store: &impl Store) -> Result<(), StoreError> {
    let mut batch = vec![
        Write::Define(definition("flow", 'a')),
        Write::Define(definition("flow", 'b')),
        Write::Define(definition("own", 'c')),
    ];
    for exec in 1..=6 {
        // Only acme has begun executions of the second version, and of `own`.
        let (workflow, mark) = match exec {
            3 => ("flow", 'b'),
            5 => ("own", 'c'),
            _ => ("flow", 'a'),
        };
        let mut new = execution(exec, &super::id(exec), workflow, mark);
        new.organization = owner(exec).into();
        batch.push(Write::Start(new));
    }
    for exec in 1..=2 {
        batch.push(Write::OpenWait(wait(exec, 1, WaitKind::Callback)));
        batch.push(Write::OpenWait(wait(exec, 2, WaitKind::Event)));
        batch.push(Write::Park {
            exec: ExecNo(exec),
            status: Status::Waiting,
            wake_at: None,
        });
        batch.push(Write::ClaimKey {
            organization: owner(exec).into(),
            workflow: "flow".into(),
            key: "k".into(),
            exec: ExecNo(exec),
            input_hash: Bytes::from_static(b"h"),
            replaces: None,
        });
        batch.push(Write::Keep(Delivery {
            id: 0,
            organization: owner(exec).into(),
            exec: None,
            tag: None,
            name: "paid".into(),
            key: Some("k".into()),
            answer: Bytes::from(owner(exec)),
            received_at: 0,
            expires_at: 100,
        }));
    }
    batch.push(Write::Finish(finish(4, Status::Failed)));
    batch.push(Write::Finish(finish(5, Status::Succeeded)));
    let pause = |organization: &str| Write::PauseWorkflow {
        organization: organization.into(),
        workflow: "flow".into(),
    };
    batch.extend([pause("acme"), pause("idle")]);
    store.writer()?.commit(&batch)
}

pub(super) fn apart<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    fill(&store)?;
    assert_eq!(store.organizations()?, ["acme", "emca", "idle"]);
    for (exec, organization) in [(1, "acme"), (2, "emca")] {
        let row = store.execution(&super::id(exec))?.ok_or("not found")?;
        assert_eq!(row.organization, organization);
        let key = store.start_key(organization, "flow", "k")?.ok_or("no key")?;
        assert_eq!(key.exec, ExecNo(exec));
        for kind in [WaitKind::Callback, WaitKind::Event] {
            let found = store.waits_by_key(organization, kind, "paid", "k")?;
            assert_eq!(found.iter().map(|wait| wait.exec).collect::<Vec<_>>(), [ExecNo(exec)]);
        }
        let told = store.event_waits(organization, "paid", Some("k"))?;
        assert_eq!(told, [(ExecNo(exec), 2, "ask".into())]);
        let waits = store.waits(&WaitFilter {
            organization: Some(organization.into()),
            state: Some(WaitState::Open),
            ..WaitFilter::default()
        })?;
        assert_eq!(
            waits.iter().map(|wait| (wait.exec.0, wait.tag)).collect::<Vec<_>>(),
            [(exec, 1), (exec, 2)]
        );
        let kept = store.deliveries(&DeliveryFilter {
            organization: Some(organization.into()),
            ..DeliveryFilter::default()
        })?;
        assert_eq!(
            kept.iter().map(|kept| &kept.answer[..]).collect::<Vec<_>>(),
            [organization.as_bytes()]
        );
        assert_eq!(store.deliveries_for(ExecNo(exec), 1, "paid", Some("k"))?, kept);
    }
    assert_eq!(
        store.definitions("acme", "flow")?,
        [definition("flow", 'a'), definition("flow", 'b')]
    );
    assert_eq!(store.definitions("emca", "flow")?, [definition("flow", 'a')]);
    assert_eq!(store.workflows("acme")?, ["flow", "own"]);
    assert_eq!(store.workflows("emca")?, ["flow"]);
    assert_eq!(store.paused_workflows("acme")?, ["flow"]);
    assert_eq!(store.paused_workflows("emca")?, Vec::<String>::new());
    assert_eq!(store.paused_workflows("idle")?, ["flow"]);
    assert_eq!(store.finished("emca", "flow", i64::MAX, 10)?.len(), 1);
    assert_eq!(store.finished("acme", "flow", i64::MAX, 10)?.len(), 0);
    assert_eq!(store.kept_from("emca", "flow", 0)?, Some(3_005));
    assert_eq!(store.kept_from("acme", "flow", 0)?, None);

    // Whoever is named otherwise has nothing.
    let nobody = DEFAULT_ORGANIZATION;
    assert_eq!(store.start_key(nobody, "flow", "k")?, None);
    assert_eq!(store.waits_by_key(nobody, WaitKind::Callback, "paid", "k")?, []);
    assert_eq!(store.event_waits(nobody, "paid", Some("k"))?, []);
    assert_eq!(
        (store.workflows(nobody)?, store.definitions(nobody, "flow")?),
        (vec![], vec![])
    );
    Ok(())
}

pub(super) fn events<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    fill(&store)?;
    let emit = |organization: &str| {
        Write::Emit(EventRow {
            id: 0,
            organization: organization.into(),
            event: "paid".into(),
            key: Some("k".into()),
            data: Bytes::from(organization.to_owned()),
            source: "x".into(),
            at: 50,
        })
    };
    store.writer()?.commit(&[emit("emca"), emit("other")])?;
    let wakes = |exec: i64| -> Result<Option<i64>, StoreError> {
        Ok(store.execution_by_no(ExecNo(exec))?.and_then(|row| row.wake_at))
    };
    assert_eq!((wakes(1)?, wakes(2)?), (None, Some(50)));
    for key in [None, Some("k")] {
        let found = |organization: &str| store.events_after(organization, "paid", key, 0, 0, 10);
        assert_eq!(found("acme")?, []);
        let [event] = &found("emca")?[..] else {
            return Err("not one event".into());
        };
        assert_eq!((event.organization.as_str(), &event.data[..]), ("emca", &b"emca"[..]));
    }
    Ok(())
}

pub(super) fn lists<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    fill(&store)?;
    let numbers = |filter: &ExecutionFilter| -> Result<Vec<i64>, StoreError> {
        Ok(store.executions(filter)?.into_iter().map(|row| row.exec.0).collect())
    };
    let of = |organization: &str| ExecutionFilter {
        organization: Some(organization.into()),
        ..ExecutionFilter::default()
    };
    assert_eq!(numbers(&ExecutionFilter::default())?, [6, 5, 4, 3, 2, 1]);
    assert_eq!(numbers(&of("acme"))?, [5, 3, 1]);
    assert_eq!(numbers(&of("emca"))?, [6, 4, 2]);
    assert_eq!(numbers(&of("none"))?, []);
    for filter in [
        ExecutionFilter {
            id_prefix: Some(super::id(2)),
            ..of("acme")
        },
        ExecutionFilter {
            id_prefix: Some(format!("{}x", super::id(2))),
            ..of("emca")
        },
        ExecutionFilter {
            status: Some(Status::Failed),
            ..of("acme")
        },
        ExecutionFilter {
            error: Some("oops".into()),
            ..of("acme")
        },
        ExecutionFilter {
            workflow: Some("own".into()),
            ..of("emca")
        },
        ExecutionFilter {
            definition: Some("b".repeat(64)),
            ..of("emca")
        },
    ] {
        assert_eq!(numbers(&filter)?, [], "{filter:?}");
    }
    assert_eq!(
        numbers(&ExecutionFilter {
            status: Some(Status::Running),
            ..of("acme")
        })?,
        [3]
    );
    // A child of another one's execution is not there, and what goes on on another version stays whose it was.
    store.writer()?.commit(&[Write::Redefine {
        exec: ExecNo(6),
        definition: "b".repeat(64),
    }])?;
    assert_eq!(numbers(&of("emca"))?, [6, 4, 2]);
    assert_eq!(store.definitions("emca", "flow")?.len(), 2);
    assert_eq!(store.check()?, Vec::<String>::new());
    Ok(())
}
