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

pub(super) fn times_and_errors<P: Place>(place: &P) -> Result<(), Failure> {
    const ALL: i64 = 9_000;
    // A minute apart, and for a while a clock is an hour behind.
    let began = |exec: i64| exec * 60_000 - if (4_000..4_100).contains(&exec) { 3_600_000 } else { 0 };
    let error = |exec: i64| ["a", "b", "rare"][if exec % 1_000 == 7 { 2 } else { exec as usize % 2 }];
    let store = place.open()?;
    let mut writer = store.writer()?;
    for first in (1..=ALL).step_by(1_000) {
        let mut batch = Vec::new();
        for exec in first..first + 1_000 {
            let mut new = execution(exec, &format!("e-{exec}"), ["pay", "ship"][exec as usize % 2], 'a');
            new.started_at = began(exec);
            batch.push(Write::Start(new));
            let mut finish = finish(exec, Status::Failed);
            finish.error = Some(error(exec).into());
            batch.push(Write::Finish(finish));
        }
        writer.commit(&batch)?;
    }
    let all = ExecutionFilter {
        limit: ALL as usize,
        ..ExecutionFilter::default()
    };
    let expect = |filter: &ExecutionFilter, fits: &dyn Fn(i64) -> bool| -> Result<(), StoreError> {
        let expected: Vec<i64> = (1..=ALL).rev().filter(|exec| fits(*exec)).collect();
        assert_eq!(numbers(&store, filter)?, expected, "{filter:?}");
        Ok(())
    };
    for (since, until) in [
        (None, Some(60_000)),
        (Some(60_000), Some(60_001)),
        (Some(3_990 * 60_000), Some(4_000 * 60_000)),
        (Some(4_050 * 60_000 + 1), Some(4_060 * 60_000)),
        (Some(8_999 * 60_000), None),
        (Some(i64::MIN), Some(i64::MAX)),
        (Some(i64::MAX), None),
    ] {
        let at =
            |exec: i64| since.is_none_or(|since| began(exec) >= since) && until.is_none_or(|until| began(exec) < until);
        let in_time = ExecutionFilter {
            started: (since, until),
            ..all.clone()
        };
        expect(&in_time, &at)?;
        let of_workflow = ExecutionFilter {
            workflow: Some("ship".into()),
            ..in_time.clone()
        };
        expect(&of_workflow, &|exec| at(exec) && exec % 2 == 1)?;
        let rare = ExecutionFilter {
            error: Some("rare".into()),
            ..in_time
        };
        expect(&rare, &|exec| at(exec) && error(exec) == "rare")?;
    }
    let mut filter = ExecutionFilter {
        error: Some("a".into()),
        status: Some(Status::Failed),
        workflow: Some("pay".into()),
        limit: 700,
        ..all.clone()
    };
    let mut found = Vec::new();
    loop {
        let page = numbers(&store, &filter)?;
        let Some(last) = page.last() else { break };
        filter.before = Some(ExecNo(*last));
        found.extend(page);
    }
    assert_eq!(found, (1..=ALL).rev().filter(|exec| exec % 2 == 0).collect::<Vec<_>>());
    for nothing in [
        ExecutionFilter {
            error: Some("rar".into()),
            ..all.clone()
        },
        ExecutionFilter {
            error: Some("a".into()),
            status: Some(Status::Succeeded),
            ..all.clone()
        },
    ] {
        expect(&nothing, &|_| false)?;
    }
    // One that is taken up again has not failed.
    writer.commit(&[Write::Reopen(ExecNo(1_007))])?;
    let rare = ExecutionFilter {
        error: Some("rare".into()),
        ..all
    };
    expect(&rare, &|exec| error(exec) == "rare" && exec != 1_007)?;
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
