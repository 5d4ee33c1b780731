//! Asking the process that runs executions to do something.
//!
//! A request is left in the store, and is gone from there when that process has carried it out, durably. Where
//! no process runs executions, or the one that did has gone meanwhile, whoever asks does it by itself.

use std::path::Path;
use std::time::{Duration, Instant};

use bowline_store::{ExecutionRow, RequestKind, Store, StoreError, Write};

use super::{programs, store};
use crate::exit::{Failure, Result};
use crate::terminal;

/// How often it is looked whether the other process is done.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long is waited for that.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The other process has carried it out.
    Done,
    /// The other process has it and has not carried it out so far.
    Left,
    /// No process runs executions in the folder.
    Nobody,
}

/// Asks for something and waits until it is done, or not if `wait` is false. `what` completes "is asked to".
pub(crate) async fn ask(folder: &Path, request: &RequestKind, what: &str, wait: bool) -> Result<Asked> {
    let store = store::open(folder)?;
    // The number that the request got; none where it was taken before anybody could see that.
    let mut left: Option<Option<i64>> = None;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match store.writer() {
            Ok(mut writer) => {
                if let Some(Some(number)) = left {
                    // Nobody took it, and nobody is to take it beside what is now done here.
                    let is_there = store.requests(0)?.iter().any(|request| request.id == number);
                    writer.commit(&[Write::DropRequest(number)])?;
                    return Ok(if is_there { Asked::Nobody } else { Asked::Done });
                }
                return Ok(if left.is_some() { Asked::Done } else { Asked::Nobody });
            }
            Err(StoreError::Locked { holder, .. }) if left.is_none() => {
                let before = store.requests(0)?.last().map_or(0, |request| request.id);
                store.request(request)?;
                let mine = store
                    .requests(before)?
                    .into_iter()
                    .rfind(|other| other.kind == *request);
                left = Some(mine.map(|mine| mine.id));
                let holder = holder.unwrap_or_else(|| "another process".into());
                terminal::note(&format!("{holder} runs executions here and is asked to {what}"));
                if !wait {
                    return Ok(Asked::Left);
                }
            }
            Err(StoreError::Locked { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let is_taken = match left {
            Some(Some(number)) => !store.requests(0)?.iter().any(|request| request.id == number),
            Some(None) => true,
            None => false,
        };
        if is_taken {
            return Ok(Asked::Done);
        }
        if Instant::now() > deadline {
            let holder = store::holder(folder).unwrap_or_else(|| "a process".into());
            let seconds = PATIENCE.as_secs();
            terminal::note(&format!(
                "not done within {seconds} s and still queued: it is carried out when {holder} goes on"
            ));
            return Ok(Asked::Left);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Leaves a request about an execution for the Rust program that runs it, where it is one of such a program and no
/// process has the folder. False where this process can do it by itself.
pub(crate) fn leave_to_rust(folder: &Path, row: &ExecutionRow, request: &RequestKind) -> Result<bool> {
    let store = store::open(folder)?;
    let definition = store.definition(&row.definition)?;
    if definition.as_ref().and_then(programs::in_rust).is_none() {
        return Ok(false);
    }
    store.request(request)?;
    terminal::note(&format!(
        "execution {} of {} runs in a Rust program: this is queued, and is carried out when that program works on the folder",
        row.id, row.workflow
    ));
    Ok(true)
}

/// Refuses what only one process at a time can do, while another one runs executions.
pub(crate) fn refuse_beside(folder: &Path, what: &str) -> Result<()> {
    match store::holder(folder) {
        None => Ok(()),
        Some(holder) => Err(Failure::usage(format!(
            "{what} needs the data folder for itself, and {holder} runs executions in {}",
            folder.display()
        ))
        .hint("stop that process first; what it was doing goes on at its next start")),
    }
}
