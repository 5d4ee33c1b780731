//! What it costs to forget an execution with a long journal and to give its space back:
//! `cargo bench -p bowline-store-sqlite --bench delete`.
//!
//! One execution with `BENCH_RECORDS` records of 300 bytes (default 1,000,000) is deleted in slices, each in a commit
//! with the pages that it freed. `BENCH_FOLDER` says where the database goes (default: a temporary folder).

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bowline_store::{
    DEFAULT_ORGANIZATION, Definition, ExecNo, Finish, JournalRecord, NewExecution, Status, Store as _, Write, Writer,
};
use bowline_store_sqlite::{Options, SqliteStore};
use bytes::Bytes;

const SLICE: u32 = 1_000;
const PAGES: u32 = 120;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let folder = match std::env::var_os("BENCH_FOLDER") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::temp_dir(),
    };
    let records: u64 = match std::env::var("BENCH_RECORDS") {
        Ok(text) => text.parse()?,
        Err(_) => 1_000_000,
    };
    let home = tempfile::tempdir_in(&folder)?;
    let store = SqliteStore::open(home.path(), Options::default())?;
    let mut writer = store.writer()?;
    write(&mut *writer, records)?;
    drop(writer);
    let mut writer = store.writer()?;
    let size = || std::fs::metadata(store.path()).map(|found| found.len() as f64 / 1e6);
    let before = size()?;
    let slice = |exec| {
        [
            Write::DeleteSlice { exec, at_most: SLICE },
            Write::Shrink { pages: PAGES },
        ]
    };
    let begun = Instant::now();
    let mut times = Vec::new();
    let mut next = Some(ExecNo(1));
    while let Some(exec) = next {
        let commit = Instant::now();
        writer.commit(&slice(exec))?;
        times.push(commit.elapsed());
        next = store.deleting(1)?.first().copied();
    }
    let took = begun.elapsed();
    drop(writer);
    times.sort_unstable();
    let at = |percent: usize| -> Duration { times[(times.len() - 1) * percent / 100] };
    print("| records | slices | took | p50 of a slice | p99 | longest | file before | after |");
    print("|---:|---:|---:|---:|---:|---:|---:|---:|");
    print(&format!(
        "| {records} | {} | {:.1} s | {:.1} ms | {:.1} ms | {:.1} ms | {before:.0} MB | {:.1} MB |",
        times.len(),
        took.as_secs_f64(),
        at(50).as_secs_f64() * 1e3,
        at(99).as_secs_f64() * 1e3,
        at(100).as_secs_f64() * 1e3,
        size()?,
    ));
    Ok(())
}

fn write(writer: &mut dyn Writer, records: u64) -> Result<()> {
    let hash = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
    writer.commit(&[
        Write::Define(Definition {
            hash: hash.into(),
            workflow: "long".into(),
            content: Bytes::from_static(b"{}"),
        }),
        Write::Start(NewExecution {
            organization: DEFAULT_ORGANIZATION.into(),
            exec: ExecNo(1),
            id: "0198c0de-0000-7000-8000-000000000001".into(),
            workflow: "long".into(),
            definition: hash.into(),
            parent: None,
            origin: None,
            started_at: 0,
        }),
    ])?;
    let events = Bytes::from(vec![b'e'; 300]);
    for first in (0..records).step_by(5_000) {
        let batch: Vec<Write> = (first..(first + 5_000).min(records))
            .map(|seq| {
                Write::Append(JournalRecord {
                    exec: ExecNo(1),
                    seq,
                    at: seq as i64,
                    events: events.clone(),
                })
            })
            .collect();
        writer.commit(&batch)?;
    }
    writer.commit(&[Write::Finish(Finish {
        error: None,
        exec: ExecNo(1),
        status: Status::Succeeded,
        at: 1,
    })])?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a table is what a bench is for")]
fn print(line: &str) {
    println!("{line}");
}
