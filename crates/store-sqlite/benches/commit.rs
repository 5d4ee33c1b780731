//! What commits cost on this disk: `cargo bench -p bowline-store-sqlite`.
//!
//! Executions of ten records of 300 bytes, as many in flight as a commit has records. `BENCH_FOLDER` says where the
//! databases go (default: a temporary folder), `BENCH_SECONDS` about how long each row takes (default 3).

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bowline_store::Store as _;
use bowline_store::load::{self, LoadReport};
use bowline_store_sqlite::{Options, SqliteStore};

const STEPS: usize = 10;
const PAYLOAD: usize = 300;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = match std::env::var_os("BENCH_FOLDER") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::temp_dir(),
    };
    let seconds = match std::env::var("BENCH_SECONDS") {
        Ok(text) => text.parse()?,
        Err(_) => 3.0,
    };
    print("| in flight | steps/s | commits | p50 of a commit | p99 | bytes on disk per step |");
    print("|---:|---:|---:|---:|---:|---:|");
    for in_flight in [1, 16, 256, 4_096] {
        let (report, bytes) = measure(&folder, in_flight, Duration::from_secs_f64(seconds))?;
        print(&format!(
            "| {in_flight} | {:.0} | {} | {:.2} ms | {:.2} ms | {bytes:.0} |",
            report.steps_per_second(),
            report.commits,
            report.p50.as_secs_f64() * 1e3,
            report.p99.as_secs_f64() * 1e3,
        ));
    }
    Ok(())
}

/// A short run to find out how many executions fill the time, then the run that counts, in a store of its own.
fn measure(folder: &std::path::Path, in_flight: usize, time: Duration) -> Result<(LoadReport, f64), Box<dyn Error>> {
    let mut executions = in_flight * 2;
    let begun = Instant::now();
    let rate = loop {
        let (report, _) = run(folder, executions, in_flight)?;
        if begun.elapsed() > time / 3 || report.elapsed > time / 10 {
            break executions as f64 / report.elapsed.as_secs_f64();
        }
        executions *= 4;
    };
    let executions = ((rate * time.as_secs_f64()) as usize).max(in_flight * 2);
    let (report, bytes) = run(folder, executions, in_flight)?;
    Ok((report, bytes as f64 / report.steps as f64))
}

/// One load on a new store; the size of what it leaves, closed.
fn run(folder: &std::path::Path, executions: usize, in_flight: usize) -> Result<(LoadReport, u64), Box<dyn Error>> {
    let home = tempfile::tempdir_in(folder)?;
    let store = SqliteStore::open(home.path(), Options::default())?;
    let mut writer = store.writer()?;
    let report = load::drive(&mut *writer, executions, in_flight, STEPS, PAYLOAD)?;
    drop(writer);
    let bytes = fs::metadata(store.path())?.len();
    Ok((report, bytes))
}

#[expect(clippy::print_stdout, reason = "a table is what a bench is for")]
fn print(line: &str) {
    println!("{line}");
}
