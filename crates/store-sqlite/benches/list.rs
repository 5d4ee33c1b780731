//! Lists of a million executions, and what the index that they use costs those who write.
//!
//! `cargo bench -p bowline-store-sqlite --bench list`. Three organizations with twenty workflows each, of two versions each.
#![expect(clippy::print_stdout, reason = "a bench tells its figures on stdout")]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use bowline_store::load::{APART, BEGAN, ORGANIZATIONS, WORKFLOWS, drive, many, mixed};
use bowline_store::{ExecNo, ExecutionFilter, Status, Store};
use bowline_store_sqlite::{Options, SqliteStore};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const EXECUTIONS: i64 = 1_000_000;
const RUNS: u64 = 200;
const PAGE: usize = 50;
/// What a page may take, and one of a workflow and a status through HTTP.
const LIMIT: Duration = Duration::from_millis(50);

fn main() -> Result<()> {
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let store = SqliteStore::open(folder.path(), Options::default())?;
    let begun = Instant::now();
    many(&mut *store.writer()?, EXECUTIONS)?;
    println!(
        "{EXECUTIONS} executions written in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let mut worst = Duration::ZERO;
    for (what, make) in lists() {
        worst = worst.max(measure(&store, what, make)?);
    }
    println!(
        "the slowest p99 is {worst:?}, the limit {LIMIT:?}: {}",
        if worst < LIMIT { "held" } else { "NOT HELD" }
    );
    drop(store);
    cost()
}

/// A list, made of a number that is another one each time.
type Make = fn(i64) -> ExecutionFilter;

fn of(run: i64) -> ExecutionFilter {
    ExecutionFilter {
        organization: Some(ORGANIZATIONS[run as usize % ORGANIZATIONS.len()].into()),
        limit: PAGE,
        ..ExecutionFilter::default()
    }
}

fn deep(run: i64, filter: ExecutionFilter) -> ExecutionFilter {
    ExecutionFilter {
        before: Some(ExecNo(1 + mixed(run) % EXECUTIONS)),
        ..filter
    }
}

fn of_workflow(run: i64) -> ExecutionFilter {
    let statuses = Status::ALL;
    ExecutionFilter {
        workflow: Some(format!("workflow-{}", mixed(run) % WORKFLOWS)),
        status: Some(statuses[run as usize % statuses.len()]),
        ..of(run)
    }
}

fn within(run: i64, filter: ExecutionFilter) -> ExecutionFilter {
    let since = BEGAN + mixed(run) % (EXECUTIONS * APART);
    ExecutionFilter {
        started: (Some(since), Some(since + 60_000)),
        ..filter
    }
}

fn lists() -> Vec<(&'static str, Make)> {
    vec![
        ("first page of everything", |_| ExecutionFilter {
            organization: None,
            ..of(0)
        }),
        ("first page of an organization", of),
        ("deep page of an organization", |run| deep(run, of(run))),
        ("first page of a status", |run| ExecutionFilter {
            status: of_workflow(run).status,
            ..of(run)
        }),
        ("deep page of a status", |run| {
            let status = of_workflow(run).status;
            deep(run, ExecutionFilter { status, ..of(run) })
        }),
        ("first page of a workflow and status", of_workflow),
        ("deep page of a workflow and status", |run| deep(run, of_workflow(run))),
        ("unfinished ones", |run| ExecutionFilter {
            unfinished: true,
            ..of(run)
        }),
        ("a frequent error", |run| ExecutionFilter {
            error: Some("http.status".into()),
            ..deep(run, of(run))
        }),
        ("a rare error", |run| ExecutionFilter {
            error: Some("rare.error".into()),
            ..of(run)
        }),
        ("a minute", |run| within(run, of(run))),
        ("a minute, of a workflow and status", |run| {
            within(run, of_workflow(run))
        }),
        ("the beginning of an id", |run| ExecutionFilter {
            id_prefix: Some(format!("{:08x}", (BEGAN + mixed(run) % (EXECUTIONS * APART)) >> 16)),
            ..of(run)
        }),
    ]
}

/// How long such a list takes; the 99th percentile.
fn measure(store: &SqliteStore, what: &str, make: Make) -> Result<Duration> {
    let mut times = Vec::new();
    let mut rows = 0;
    for run in 0..RUNS {
        let filter = make(run as i64);
        let begun = Instant::now();
        rows += store.executions(&filter)?.len();
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let percentile = |percent: usize| times.get(times.len() * percent / 100).copied().unwrap_or_default();
    let (p50, p99) = (percentile(50), percentile(99));
    println!(
        "{what:36} p50 {p50:>10.1?}  p99 {p99:>10.1?}  ({} rows a page)",
        rows / RUNS as usize
    );
    Ok(p99)
}

/// The same load with and without the index that lists are merged from.
fn cost() -> Result<()> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        with.push(load(false)?);
        without.push(load(true)?);
    }
    let best = |all: &[f64]| all.iter().copied().fold(0.0, f64::max);
    let (with, without) = (best(&with), best(&without));
    println!(
        "bare store, 4,096 in flight: {with:.0} steps/s with the index of lists, {without:.0} without: {:.0} %",
        with / without * 100.0
    );
    Ok(())
}

fn load(without: bool) -> Result<f64> {
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let store = SqliteStore::open(folder.path(), Options::default())?;
    if without {
        drop_index(store.path())?;
    }
    let report = drive(&mut *store.writer()?, 40_960, 4_096, 10, 300)?;
    Ok(report.steps_per_second())
}

fn drop_index(database: &Path) -> Result<()> {
    rusqlite::Connection::open(database)?.execute_batch("DROP INDEX execution_program")?;
    Ok(())
}
