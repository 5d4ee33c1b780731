//! Cases about lists of executions.

use super::{Failure, Place, execution, finish};
use crate::{ExecNo, ExecutionFilter, Status, Store, StoreError, Write};

fn numbers(store: &impl Store, filter: &ExecutionFilter) -> Result<Vec<i64>, StoreError> {
    Ok(store.executions(filter)?.into_iter().map(|row| row.exec.0).collect())
}

pub(super) fn lists<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let mut writer = store.writer()?;
    let mut batch = Vec::new();
    for exec in 1..=240 {
        let mut new = execution(
            exec,
            &format!("{}-{exec:03}", exec % 2),
            ["pay", "ship", "mail"][exec as usize % 3],
            'a',
        );
        new.parent = (exec > 1 && exec % 10 == 1).then(|| "0-002".into());
        batch.push(Write::Start(new));
        match exec % 4 {
            0 => batch.push(Write::Finish(finish(exec, Status::Succeeded))),
            1 => batch.push(Write::Finish(finish(exec, Status::Failed))),
            2 if exec % 8 == 2 => batch.push(Write::Finish(finish(exec, Status::Cancelled))),
            _ => {}
        }
    }
    writer.commit(&batch)?;

    let all = ExecutionFilter::default();
    assert_eq!(
        numbers(&store, &all)?,
        (141..=240).rev().collect::<Vec<_>>(),
        "100 newest by default"
    );
    assert_eq!(
        numbers(
            &store,
            &ExecutionFilter {
                limit: 3,
                ..all.clone()
            }
        )?,
        [240, 239, 238]
    );
    let rest = ExecutionFilter {
        before: Some(ExecNo(3)),
        ..all.clone()
    };
    assert_eq!(numbers(&store, &rest)?, [2, 1]);
    assert_eq!(
        numbers(
            &store,
            &ExecutionFilter {
                before: Some(ExecNo(1)),
                ..all.clone()
            }
        )?,
        []
    );

    let status = |exec: i64| match exec % 4 {
        0 => Status::Succeeded,
        1 => Status::Failed,
        2 if exec % 8 == 2 => Status::Cancelled,
        _ => Status::Running,
    };
    for wanted in [Status::Running, Status::Succeeded, Status::Failed, Status::Cancelled] {
        let filter = ExecutionFilter {
            status: Some(wanted),
            limit: 1000,
            ..all.clone()
        };
        let expected: Vec<i64> = (1..=240).rev().filter(|exec| status(*exec) == wanted).collect();
        assert_eq!(numbers(&store, &filter)?, expected, "{wanted:?}");
    }
    let filter = ExecutionFilter {
        workflow: Some("ship".into()),
        limit: 1000,
        ..all.clone()
    };
    assert_eq!(
        numbers(&store, &filter)?,
        (1..=240).rev().filter(|exec| exec % 3 == 1).collect::<Vec<_>>()
    );
    let filter = ExecutionFilter {
        parent: Some("0-002".into()),
        limit: 1000,
        ..all.clone()
    };
    assert_eq!(
        numbers(&store, &filter)?,
        (2..=240).rev().filter(|exec| exec % 10 == 1).collect::<Vec<_>>()
    );
    let filter = ExecutionFilter {
        id_prefix: Some("1-".into()),
        limit: 1000,
        ..all.clone()
    };
    assert_eq!(
        numbers(&store, &filter)?,
        (1..=240).rev().filter(|exec| exec % 2 == 1).collect::<Vec<_>>()
    );

    // All at once, in pages.
    let mut filter = ExecutionFilter {
        status: Some(Status::Running),
        workflow: Some("ship".into()),
        id_prefix: Some("1-".into()),
        limit: 4,
        ..all
    };
    let mut found = Vec::new();
    loop {
        let page = numbers(&store, &filter)?;
        assert!(page.len() <= 4);
        let Some(last) = page.last() else { break };
        filter.before = Some(ExecNo(*last));
        found.extend(page);
    }
    let expected: Vec<i64> = (1..=240)
        .rev()
        .filter(|exec| exec % 3 == 1 && exec % 2 == 1 && status(*exec) == Status::Running)
        .collect();
    assert!(expected.len() > 8);
    assert_eq!(found, expected);
    Ok(())
}

pub(super) fn literal<P: Place>(place: &P) -> Result<(), Failure> {
    let store = place.open()?;
    let ids = ["ab", "aB", "a%", "a_", "a*", "a", "é1", "é"];
    let batch: Vec<Write> = ids
        .iter()
        .zip(1..)
        .map(|(id, exec)| Write::Start(execution(exec, id, id, 'a')))
        .collect();
    store.writer()?.commit(&batch)?;
    for (prefix, expected) in [
        ("a", vec![6, 5, 4, 3, 2, 1]),
        ("ab", vec![1]),
        ("a%", vec![3]),
        ("a_", vec![4]),
        ("a*", vec![5]),
        ("é", vec![8, 7]),
        ("", vec![8, 7, 6, 5, 4, 3, 2, 1]),
        ("abcdefghijklmnop", vec![]),
        ("' OR 1", vec![]),
    ] {
        let filter = ExecutionFilter {
            id_prefix: Some(prefix.into()),
            ..Default::default()
        };
        assert_eq!(numbers(&store, &filter)?, expected, "{prefix}");
    }
    let filter = ExecutionFilter {
        workflow: Some("a%".into()),
        ..Default::default()
    };
    assert_eq!(numbers(&store, &filter)?, [3]);
    Ok(())
}
