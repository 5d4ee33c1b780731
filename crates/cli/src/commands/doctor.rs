//! `bowline doctor`: what is wrong with a data folder, and what can be done about it.

use std::path::Path;
use std::time::Duration;

use bowline_blobs::{Blobs, Collected};
use bowline_store::{ExecNo, Status, Store, StoreError, WaitState, Write, Writer};
use bowline_store_sqlite::SqliteStore;
use serde_json::json;

use crate::args::DoctorArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal::{self, text, time};
use crate::wiring::beside::refuse_beside;
use crate::wiring::session::block_on;
use crate::wiring::store::{self, BLOBS};
use crate::wiring::{programs, registry, soundness};

/// Executions read at once.
const PAGE: usize = 1000;
/// Rows that one commit deletes.
const SLICE: u32 = 2000;
/// Blobs that nothing refers to go when they are older than this.
const DAY: Duration = Duration::from_secs(86_400);

/// What was found, and what was done about it.
#[derive(Default)]
struct Findings {
    /// What is wrong and stays so.
    problems: Vec<String>,
    /// What was mended.
    mended: Vec<String>,
    /// What is worth knowing.
    notes: Vec<String>,
}

pub(super) fn run(args: &DoctorArgs) -> Result {
    let folder = &args.data.folder;
    if args.repair {
        refuse_beside(folder, "--repair")?;
    }
    if args.compact {
        refuse_beside(folder, "--compact")?;
    }
    let mut findings = Findings::default();
    let opened = if args.repair || args.compact {
        // A folder without a store is refused here; opening it for writing would make one.
        store::existing(folder).and_then(|_| store::open(folder))
    } else {
        store::existing(folder)
    };
    let store = opened?;
    if args.repair {
        close_left(&store, &mut findings)?;
    }
    let damage = soundness::check(&store)?;
    let is_damaged = !damage.is_empty();
    findings.problems.extend(damage);
    if is_damaged {
        findings
            .notes
            .push("what is damaged is not changed: restore a backup with `bowline restore`".into());
        if !args.repair && !soundness::left_waits(&store)?.is_empty() {
            findings
                .notes
                .push("waits of executions that have ended are closed by --repair".into());
        }
    } else {
        audit(&store, folder, args.repair, &mut findings)?;
        tidy(&store, args.repair, &mut findings)?;
        blobs(&store, folder, args.repair, &mut findings)?;
        if args.compact {
            let before = store.housekeeping()?.total_bytes;
            store.compact()?;
            let after = store.housekeeping()?.total_bytes;
            findings.mended.push(format!(
                "the database is written anew: {} before, {} now",
                size(before),
                size(after)
            ));
        }
    }
    tell(args, &findings)
}

/// Waits of executions that have ended, which nobody is ever to answer.
fn close_left(store: &SqliteStore, findings: &mut Findings) -> Result<()> {
    let left = soundness::left_waits(store)?;
    let mut writer = store.writer()?;
    for some in left.chunks(PAGE) {
        let close = some.iter().map(|wait| Write::CloseWait {
            exec: wait.exec,
            tag: wait.tag,
            state: WaitState::Cancelled,
        });
        writer.commit(&close.collect::<Vec<_>>())?;
    }
    if !left.is_empty() {
        let count = text::count(left.len(), "wait");
        findings
            .mended
            .push(format!("{count} of executions that have ended closed"));
    }
    Ok(())
}

/// Every unfinished execution has to have something that takes it up.
fn audit(store: &SqliteStore, folder: &Path, repair: bool, findings: &mut Findings) -> Result<()> {
    let holder = store::holder(folder);
    let (mut running, mut lost) = (0, Vec::new());
    let mut after = ExecNo(0);
    loop {
        let page = store.audit(after, PAGE)?;
        for row in page.found {
            match row.status {
                Status::Running => running += 1,
                _ => lost.push(row),
            }
        }
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    match (&holder, running) {
        (Some(holder), _) => findings.notes.push(format!("{holder} runs executions in this folder")),
        (None, 0) => {}
        (None, running) => {
            let count = text::count(running, "execution");
            findings
                .notes
                .push(format!("{count} go on at the next `bowline run` with this data folder"));
        }
    }
    if !lost.is_empty() {
        let ids: Vec<&str> = lost.iter().take(5).map(|row| row.id.as_str()).collect();
        let more = if lost.len() > ids.len() { ", ..." } else { "" };
        let told = format!(
            "{} with nothing that wakes: {}{more}",
            text::count(lost.len(), "execution"),
            ids.join(", ")
        );
        if repair {
            let at = time::now();
            let writes: Vec<Write> = lost
                .iter()
                .map(|row| Write::Park {
                    exec: row.exec,
                    status: Status::Waiting,
                    wake_at: Some(at),
                })
                .collect();
            store.writer()?.commit(&writes)?;
            findings
                .mended
                .push(format!("{told}; they are woken at the next start"));
        } else {
            findings.problems.push(told);
        }
    }
    stuck(store, findings)
}

/// Unfinished executions whose definition this version does not take.
fn stuck(store: &SqliteStore, findings: &mut Findings) -> Result<()> {
    let registry = registry();
    for organization in store.organizations()? {
        stuck_of(store, &organization, &registry, findings)?;
        let paused = store.paused_workflows(&organization)?;
        if !paused.is_empty() {
            findings.notes.push(format!("paused: {}", paused.join(", ")));
        }
    }
    Ok(())
}

/// The same, of one organization.
fn stuck_of(
    store: &SqliteStore,
    organization: &str,
    registry: &bowline_connector::Registry,
    findings: &mut Findings,
) -> Result<()> {
    for workflow in store.workflows(organization)? {
        for definition in store.definitions(organization, &workflow)? {
            let Err(error) = programs::read(&definition, registry) else {
                continue;
            };
            let filter = bowline_store::ExecutionFilter {
                organization: Some(organization.to_owned()),
                unfinished: true,
                definition: Some(definition.hash.clone()),
                limit: 1,
                ..bowline_store::ExecutionFilter::default()
            };
            let rows = store.executions(&filter)?;
            let Some(row) = rows.first() else { continue };
            if error.code == programs::IN_RUST {
                findings.notes.push(format!(
                    "unfinished executions of {workflow} go on when their Rust program runs"
                ));
            } else {
                findings.problems.push(format!(
                    "execution {} of {workflow} and others of its version are stuck: {}",
                    row.id,
                    text::message(&error)
                ));
            }
        }
    }
    Ok(())
}

/// What was cut short, and what has expired.
fn tidy(store: &SqliteStore, repair: bool, findings: &mut Findings) -> Result<()> {
    let deleting = store.deleting(PAGE)?;
    if !deleting.is_empty() {
        let told = format!("{} deleted in part", text::count(deleting.len(), "execution"));
        if repair {
            finish_deleting(store, store.writer()?.as_mut())?;
            findings.mended.push(format!("{told}; the rest is deleted now"));
        } else {
            findings
                .notes
                .push(format!("{told}; the next run or --repair finishes that"));
        }
    }
    let house = store.housekeeping()?;
    let now = time::now();
    if house.first_expiry.is_some_and(|at| at <= now) {
        if repair {
            let mut writer = store.writer()?;
            while store.housekeeping()?.first_expiry.is_some_and(|at| at <= now) {
                writer.commit(&[Write::DropExpired {
                    before: now,
                    at_most: SLICE,
                }])?;
            }
            findings
                .mended
                .push("kept callbacks that have expired are forgotten".into());
        } else {
            findings.notes.push("there are kept callbacks that have expired".into());
        }
    }
    if house.free_bytes > house.total_bytes / 4 && house.free_bytes > 1 << 20 {
        let (free, total) = (size(house.free_bytes), size(house.total_bytes));
        findings.notes.push(format!(
            "{free} of the database's {total} are free; --compact gives them back"
        ));
    }
    Ok(())
}

fn finish_deleting(store: &SqliteStore, writer: &mut dyn Writer) -> std::result::Result<(), StoreError> {
    loop {
        let left = store.deleting(PAGE)?;
        if left.is_empty() {
            return Ok(());
        }
        for exec in left {
            writer.commit(&[Write::DeleteSlice { exec, at_most: SLICE }])?;
        }
    }
}

/// Blobs that nothing refers to.
fn blobs(store: &SqliteStore, folder: &Path, repair: bool, findings: &mut Findings) -> Result<()> {
    let home = folder.join(BLOBS);
    if !home.is_dir() || !repair {
        return Ok(());
    }
    let of_task = store.clone();
    let collected: Collected = block_on(async move {
        let blobs = Blobs::local(&home).map_err(unusable)?;
        let referenced = move |blob: &bowline_core::BlobId| bowline_store::is_blob_kept(&of_task, blob.as_str());
        blobs.collect(referenced, DAY).await.map_err(unusable)
    })?;
    if collected.deleted > 0 || collected.leftovers > 0 {
        findings.mended.push(format!(
            "{} that nothing refers to deleted ({}), and {}",
            text::count(collected.deleted as usize, "blob"),
            size(collected.deleted_bytes),
            text::count(collected.leftovers as usize, "remain of an interrupted write")
        ));
    }
    Ok(())
}

fn unusable(error: bowline_core::BlobError) -> Failure {
    Failure::new(Exit::Store, error)
}

/// `12 KiB`, `3.4 MiB`.
fn size(bytes: u64) -> String {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    if mebibytes < 1.0 {
        format!("{} KiB", bytes.div_ceil(1024))
    } else {
        format!("{mebibytes:.1} MiB")
    }
}

fn tell(args: &DoctorArgs, findings: &Findings) -> Result {
    if args.json {
        terminal::print_json(&json!({
            "problems": findings.problems,
            "mended": findings.mended,
            "notes": findings.notes,
        }))?;
    } else {
        let lines = |word: &str, all: &[String]| -> Vec<String> {
            all.iter()
                .map(|one| format!("{word}: {}", text::one_line(one)))
                .collect()
        };
        let mut told = lines("problem", &findings.problems);
        told.extend(lines("mended", &findings.mended));
        told.extend(lines("note", &findings.notes));
        if findings.problems.is_empty() {
            told.push(format!("{} is sound", args.data.folder.display()));
        }
        terminal::print(&told.join("\n"))?;
    }
    Ok(if findings.problems.is_empty() {
        Exit::Success
    } else {
        Exit::Store
    })
}
