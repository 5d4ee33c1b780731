//! `bowline executions pause` and `unpause`: by the process that runs executions, or here.

use std::path::Path;

use bowline_store::{ExecutionFilter, PauseTarget, RequestKind, Status, Store, Write, Writer};

use crate::args::PauseArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal;
use crate::wiring::beside::{Asked, ask};
use crate::wiring::session::block_on;
use crate::wiring::{store, why};

/// Executions that are let go on at once.
const PAGE: usize = 500;

pub(super) fn run(args: &PauseArgs, on: bool) -> Result {
    let folder = &args.data.folder;
    let store = store::existing(folder)?;
    let target = match (&args.id, &args.workflow) {
        (Some(id), _) => PauseTarget::Execution(one(&store, id, on)?),
        (None, Some(workflow)) => PauseTarget::Workflow {
            organization: args.of.organization.clone(),
            workflow: known(&store, &args.of.organization, workflow)?,
        },
        (None, None) => return Err(Failure::usage("neither an execution nor a workflow is named")),
    };
    let (request, what) = if on {
        (RequestKind::Pause(target.clone()), "pause it")
    } else {
        (RequestKind::Unpause(target.clone()), "let it go on")
    };
    match block_on(ask(folder, &request, what, !args.no_wait))? {
        Asked::Left => return Ok(Exit::Success),
        Asked::Done => {}
        Asked::Nobody => here(folder, &target, on)?,
    }
    tell(folder, &target, on)
}

fn one(store: &dyn Store, id: &str, on: bool) -> Result<String> {
    let row = store::find(store, id)?;
    if row.status.is_finished() {
        let message = format!("execution {} has {} and cannot be paused", row.id, row.status.name());
        return Err(Failure::usage(message));
    }
    if !on && row.status != Status::Paused {
        let message = format!("execution {} is not paused", row.id);
        return Err(Failure::usage(message).hint(format!("see `bowline why {}`", row.id)));
    }
    Ok(row.id)
}

fn known(store: &dyn Store, organization: &str, workflow: &str) -> Result<String> {
    let all = store.workflows(organization)?;
    if all.iter().any(|name| name == workflow) {
        return Ok(workflow.to_owned());
    }
    Err(
        Failure::usage(format!("no execution of a workflow {workflow} was ever started here"))
            .hint(format!("there are: {}", all.join(", "))),
    )
}

/// Nobody runs executions, so that what the rows say is all there is.
fn here(folder: &Path, target: &PauseTarget, on: bool) -> Result<()> {
    let store = store::open(folder)?;
    let mut writer = store.writer()?;
    match target {
        PauseTarget::Execution(id) => {
            let row = store::find(&store, id)?;
            writer.commit(&[park(row.exec, on)])?;
        }
        PauseTarget::Workflow { organization, workflow } => {
            let (organization, workflow) = (organization.clone(), workflow.clone());
            if on {
                return Ok(writer.commit(&[Write::PauseWorkflow { organization, workflow }])?);
            }
            let all = ExecutionFilter {
                organization: Some(organization.clone()),
                workflow: Some(workflow.clone()),
                status: Some(Status::Paused),
                limit: PAGE,
                ..ExecutionFilter::default()
            };
            writer.commit(&[Write::UnpauseWorkflow { organization, workflow }])?;
            let_go(&store, writer.as_mut(), all)?;
        }
    }
    Ok(())
}

/// Pauses an execution that nobody has in memory, or lets it go on.
pub(super) fn park(exec: bowline_store::ExecNo, on: bool) -> Write {
    Write::Park {
        exec,
        status: if on { Status::Paused } else { Status::Waiting },
        // What is due is found out when it is brought back.
        wake_at: (!on).then(terminal::time::now),
    }
}

/// Those that were parked because their workflow was paused.
fn let_go(store: &dyn Store, writer: &mut dyn Writer, mut filter: ExecutionFilter) -> Result<()> {
    loop {
        let page = store.executions(&filter)?;
        let Some(last) = page.last() else { return Ok(()) };
        filter.before = Some(last.exec);
        let parked: Vec<Write> = page.iter().map(|row| park(row.exec, false)).collect();
        writer.commit(&parked)?;
    }
}

fn tell(folder: &Path, target: &PauseTarget, on: bool) -> Result {
    match target {
        PauseTarget::Workflow { workflow: name, .. } if on => {
            terminal::note(&format!(
                "workflow {name} is paused: its executions stand still, also those that start later"
            ));
        }
        PauseTarget::Workflow { workflow: name, .. } => terminal::note(&format!("workflow {name} goes on")),
        PauseTarget::Execution(id) => {
            let store = store::existing(folder)?;
            let row = store::find(&store, id)?;
            terminal::note(&why::explain(&store, folder, &row)?.line);
            if on && row.status != Status::Paused {
                return Err(Failure::usage(format!(
                    "execution {id} was not paused: it is {}",
                    row.status.name()
                )));
            }
        }
    }
    Ok(Exit::Success)
}
