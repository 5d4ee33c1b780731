//! `bowline executions prune`: finished executions are deleted, by age and by count.
//!
//! By the process that runs executions, or here. Here this needs no engine, and has none, so that nothing goes on that
//! is due meanwhile.

use std::time::Duration;

use bowline_store::{ExecNo, RequestKind, Store, Write, Writer};
use bowline_store_sqlite::SqliteStore;

use crate::args::PruneArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal::{self, text, time};
use crate::wiring::beside::{Asked, ask};
use crate::wiring::session::block_on;
use crate::wiring::store;

/// Where neither an age nor a count is given.
const DEFAULT_AGE: Duration = Duration::from_secs(30 * 86_400);
/// Executions that are looked up at once.
const PAGE: usize = 200;
/// Executions whose deletion one commit begins, and rows of each that it deletes.
const TOGETHER: (usize, u32) = (20, 100);
/// Rows that other commits delete.
const SLICE: u32 = 2000;
/// Pages that one commit gives back to the system.
const PAGES: u32 = 2000;

pub(super) fn run(args: &PruneArgs) -> Result {
    let folder = &args.data.folder;
    // Looked at first, so that nothing is made where there is nothing.
    let organization = &args.of.organization;
    let known = store::existing(folder)?.workflows(organization)?;
    if let Some(name) = args.workflow.as_ref().filter(|name| !known.contains(name)) {
        let message = format!("no execution of a workflow {name} was ever started here");
        return Err(Failure::usage(message).hint(format!("there are: {}", known.join(", "))));
    }
    let workflows = args.workflow.clone().map_or(known, |one| vec![one]);
    let store = store::existing(folder)?;
    let mut count = 0;
    for workflow in &workflows {
        if let Some(before) = before(&store, args, workflow)? {
            count += store.finished(organization, workflow, before, usize::MAX)?.len();
        }
    }
    if !args.dry_run {
        let request = RequestKind::Prune {
            organization: Some(organization.clone()),
            workflow: args.workflow.clone(),
            after_ms: age(args).map(milliseconds),
            keep: args.keep,
        };
        match block_on(ask(folder, &request, "delete them", true))? {
            Asked::Done => {}
            Asked::Left => return Ok(Exit::Success),
            Asked::Nobody => count = here(args, &workflows)?,
        }
    }
    let count = text::count(count, "finished execution");
    let told = if args.dry_run { "would be deleted" } else { "deleted" };
    terminal::note(&format!("{count} {told}"));
    Ok(Exit::Success)
}

/// Nobody runs executions.
fn here(args: &PruneArgs, workflows: &[String]) -> Result<usize> {
    let store = store::open(&args.data.folder)?;
    let mut writer = store.writer()?;
    let mut count = 0;
    for workflow in workflows {
        if let Some(before) = before(&store, args, workflow)? {
            count += delete(&store, writer.as_mut(), (&args.of.organization, workflow), before)?;
        }
    }
    finish(&store, writer.as_mut())?;
    give_back(&store, writer.as_mut())?;
    Ok(count)
}

fn age(args: &PruneArgs) -> Option<Duration> {
    match (args.older_than, args.keep) {
        (None, None) => Some(DEFAULT_AGE),
        (given, _) => given,
    }
}

fn milliseconds(age: Duration) -> i64 {
    i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
}

/// Those that ended before this time go; none keeps all.
fn before(store: &SqliteStore, args: &PruneArgs, workflow: &str) -> Result<Option<i64>> {
    let by_age = age(args).map(|age| time::now().saturating_sub(milliseconds(age)));
    let by_count = match args.keep {
        Some(keep) => store.kept_from(&args.of.organization, workflow, keep)?,
        None => None,
    };
    Ok(by_age.max(by_count))
}

/// Deletes those of a workflow of an organization.
fn delete(
    store: &SqliteStore,
    writer: &mut dyn Writer,
    (organization, workflow): (&str, &str),
    before: i64,
) -> Result<usize> {
    let mut count = 0;
    loop {
        let page = store.finished(organization, workflow, before, PAGE)?;
        if page.is_empty() {
            return Ok(count);
        }
        count += page.len();
        let (together, rows) = TOGETHER;
        for some in page.chunks(together) {
            let slices: Vec<Write> = some.iter().map(|row| slice(row.exec, rows)).collect();
            writer.commit(&slices)?;
        }
        finish(store, writer)?;
    }
}

/// Deletes what is left of executions whose rows are gone.
fn finish(store: &SqliteStore, writer: &mut dyn Writer) -> Result<()> {
    loop {
        let left = store.deleting(PAGE)?;
        if left.is_empty() {
            return Ok(());
        }
        for exec in left {
            writer.commit(&[slice(exec, SLICE)])?;
        }
    }
}

fn slice(exec: ExecNo, at_most: u32) -> Write {
    Write::DeleteSlice { exec, at_most }
}

fn give_back(store: &SqliteStore, writer: &mut dyn Writer) -> Result<()> {
    loop {
        let found = store.housekeeping()?;
        // A little room is used again sooner than it is given back.
        if found.free_bytes <= found.total_bytes / 8 {
            return Ok(());
        }
        writer.commit(&[Write::Shrink { pages: PAGES }])?;
        if store.housekeeping()?.free_bytes >= found.free_bytes {
            return Ok(());
        }
    }
}
