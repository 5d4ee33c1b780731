//! Many executions of several organizations, workflows and versions, for benches of lists and searches.

use crate::{Definition, ExecNo, Finish, NewExecution, Status, StoreError, Write, Writer};

/// The organizations that [`many`] writes executions of; the last has one of a hundred.
pub const ORGANIZATIONS: [&str; 3] = ["default", "acme", "small"];
/// Each organization has so many workflows, `workflow-0` and so on, of two versions each.
pub const WORKFLOWS: i64 = 20;
/// When the first began, in ms since 1970.
pub const BEGAN: i64 = 1_798_761_600_000;
/// One begins each 40 ms, so that a million take half a day.
pub const APART: i64 = 40;

/// Written in one commit.
const TOGETHER: i64 = 5_000;

/// Writes `executions` of them. Four of five have succeeded; the others failed, were cancelled, wait or are paused.
///
/// # Errors
/// The first error of the writer.
pub fn many(writer: &mut dyn Writer, executions: i64) -> Result<(), StoreError> {
    let definitions = (0..WORKFLOWS * 2).map(|number| {
        Write::Define(Definition {
            hash: hash(number / 2, number % 2),
            workflow: format!("workflow-{}", number / 2),
            content: b"{}".to_vec().into(),
        })
    });
    writer.commit(&definitions.collect::<Vec<_>>())?;
    let mut first = 1;
    while first <= executions {
        let end = (first + TOGETHER).min(executions + 1);
        let batch: Vec<Write> = (first..end).flat_map(|exec| execution(exec, executions)).collect();
        writer.commit(&batch)?;
        first = end;
    }
    Ok(())
}

/// Numbers that are spread, and the same each time.
#[must_use]
pub fn mixed(number: i64) -> i64 {
    (number.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33).cast_signed()
}

fn hash(workflow: i64, version: i64) -> String {
    format!("{:064x}", workflow * 2 + version)
}

fn execution(exec: i64, all: i64) -> Vec<Write> {
    let random = mixed(exec);
    let workflow = random % WORKFLOWS;
    let organization = match random / WORKFLOWS % 100 {
        0 => "small",
        1..=60 => "default",
        _ => "acme",
    };
    let at = BEGAN + exec * APART;
    let finish = |status, error: Option<&str>| {
        Write::Finish(Finish {
            exec: ExecNo(exec),
            status,
            at: at + 1_000,
            error: error.map(str::to_owned),
        })
    };
    let park = |status| Write::Park {
        exec: ExecNo(exec),
        status,
        wake_at: None,
    };
    let start = Write::Start(NewExecution {
        exec: ExecNo(exec),
        id: format!("{:08x}-{:04x}-7000-8000-{exec:012x}", at >> 16, at & 0xffff),
        organization: organization.into(),
        workflow: format!("workflow-{workflow}"),
        definition: hash(workflow, i64::from(exec > all / 2)),
        parent: None,
        origin: None,
        started_at: at,
    });
    let then = match random / 7 % 1_000 {
        0..=3 => park(Status::Paused),
        4..=99 => park(Status::Waiting),
        100..=109 => finish(Status::Cancelled, None),
        110 if exec % 100 == 0 => finish(Status::Failed, Some("rare.error")),
        110..=199 => finish(Status::Failed, Some("http.status")),
        _ => finish(Status::Succeeded, None),
    };
    vec![start, then]
}
