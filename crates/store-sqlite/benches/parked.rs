//! What executions cost that are parked on a callback: `cargo bench -p bowline-store-sqlite --bench parked`.
//!
//! Each has two records (its start and a step; the step's result and the wait), 300 bytes of events together, and one
//! wait with a key of 12 characters. `BENCH_EXECUTIONS` says how many (default 1,000,000), `BENCH_FOLDER` where the
//! database goes (default: a temporary folder).

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use bowline_store::{DEFAULT_ORGANIZATION, ExecNo, Store as _, WaitKind, load};
use bowline_store_sqlite::{Options, SqliteStore};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let folder = match std::env::var_os("BENCH_FOLDER") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::temp_dir(),
    };
    let executions: i64 = match std::env::var("BENCH_EXECUTIONS") {
        Ok(text) => text.parse()?,
        Err(_) => 1_000_000,
    };
    print("| parked executions | bytes each | with a timeout | written in |");
    print("|---:|---:|---|---:|");
    for timeout in [false, true] {
        let home = tempfile::tempdir_in(&folder)?;
        let begun = Instant::now();
        let store = SqliteStore::open(home.path(), Options::default())?;
        load::park(&mut *store.writer()?, executions, timeout)?;
        let took = begun.elapsed();
        let bytes = std::fs::metadata(store.path())?.len() as f64 / executions as f64;
        print(&format!(
            "| {executions} | {bytes:.0} | {timeout} | {:.1} s |",
            took.as_secs_f64()
        ));
        if !timeout {
            tables(&store, executions)?;
        }
        start_up(home.path())?;
    }
    Ok(())
}

/// Bytes by table and index.
fn tables(store: &SqliteStore, executions: i64) -> Result<()> {
    let connection = rusqlite::Connection::open(store.path())?;
    let mut statement = connection
        .prepare("SELECT name, sum(pgsize), sum(unused) FROM dbstat GROUP BY name ORDER BY 2 DESC LIMIT 12")?;
    print("  | table or index | bytes each | of that unused |");
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    })?;
    for row in rows {
        let (name, bytes, unused) = row?;
        let each = |bytes: i64| bytes as f64 / executions as f64;
        print(&format!("  | {name} | {:.1} | {:.1} |", each(bytes), each(unused)));
    }
    Ok(())
}

/// What a process does before it can work, and what it does when an answer comes.
fn start_up(home: &std::path::Path) -> Result<()> {
    let begun = Instant::now();
    let store = SqliteStore::open(home, Options::default())?;
    let _writer = store.writer()?;
    let open = store.open_executions(ExecNo(0), 100)?.len();
    let due = store.due((i64::MIN, ExecNo(0)), 1000)?.len();
    store.requests(0)?;
    let ready = begun.elapsed();
    let begun = Instant::now();
    let found = store.waits_by_key(
        DEFAULT_ORGANIZATION,
        WaitKind::Callback,
        load::CHANNEL,
        &load::key(ExecNo(77)),
    )?;
    let by_key = begun.elapsed();
    let begun = Instant::now();
    let open_again = store.open_execution(ExecNo(77))?.map_or(0, |open| open.journal.len());
    let loaded = begun.elapsed();
    let begun = Instant::now();
    let (mut after, mut pages, mut longest) = (Some(ExecNo(0)), 0, 0.0_f64);
    while let Some(from) = after {
        let page = Instant::now();
        after = store.audit(from, 100)?.next;
        longest = longest.max(page.elapsed().as_secs_f64());
        pages += 1;
    }
    print(&format!(
        "  ready in {:.1} ms ({open} open, {due} due on the first page); wait by key {:.2} ms ({} found); loaded in {:.2} ms \
         ({open_again} records); audited in {:.2} s, {pages} pages, the longest {:.0} ms",
        ready.as_secs_f64() * 1e3,
        by_key.as_secs_f64() * 1e3,
        found.len(),
        loaded.as_secs_f64() * 1e3,
        begun.elapsed().as_secs_f64(),
        longest * 1e3,
    ));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a table is what a bench is for")]
fn print(line: &str) {
    println!("{line}");
}
