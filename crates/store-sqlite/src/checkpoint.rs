//! Emptying the write-ahead log into the database file, beside the commits.
//!
//! A thread of its own copies pages whenever some thousand frames were added. A log can only be begun anew when a
//! transaction begins with nothing left to copy, which under a steady load hardly happens by itself; when the log
//! has grown to a multiple of that, the writer copies the little that the thread has left over, between two commits:
//! while the thread pauses if it does, and after it has waited for the thread if the log has doubled again.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use bowline_store::StoreError;
use rusqlite::{Connection, Result};

use crate::errors;

/// Frames from which on somebody is told: 1 GiB.
const TOO_LARGE: u64 = 262_144;

/// When the log is copied, in frames (pages of 4 KiB).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The thread works after so many more.
    every: u64,
    /// From so many on, the writer helps, so that the log is begun anew; from twice as many it waits to help.
    full_circle: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            every: 4_000,
            full_circle: 32_000,
        }
    }
}

/// The thread, and what is known of the log.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    limits: Limits,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Held by whoever copies.
    turn: Arc<Mutex<()>>,
    /// The log's length when the thread was last woken.
    woken_at: u64,
    /// The log's length when the writer last helped.
    helped_at: u64,
    warn_at: u64,
}

impl Checkpointer {
    /// Starts the thread, which owns `connection` from now on.
    pub(crate) fn start(
        connection: Connection,
        database: &Path,
        limits: Limits,
    ) -> std::result::Result<Self, StoreError> {
        // One call waits at most; more would ask for the same.
        let (wake, calls) = mpsc::sync_channel(1);
        let turn = Arc::new(Mutex::new(()));
        let of_thread = Arc::clone(&turn);
        let thread = std::thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || run(&connection, &calls, &of_thread))
            .map_err(|error| errors::io(database, "starting the checkpoint thread", error))?;
        Ok(Self {
            limits,
            wake: Some(wake),
            thread: Some(thread),
            turn,
            woken_at: 0,
            helped_at: 0,
            warn_at: TOO_LARGE,
        })
    }

    /// To be called after each commit with the log's length in frames and the writer's connection.
    pub(crate) fn committed(&mut self, frames: u64, writer: &Connection) {
        if frames < self.woken_at {
            // It was begun anew.
            self.woken_at = 0;
            self.helped_at = 0;
            self.warn_at = TOO_LARGE;
        }
        if frames >= self.woken_at + self.limits.every
            && let Some(wake) = &self.wake
        {
            self.woken_at = frames;
            // Full means that it has been called already.
            let _ = wake.try_send(());
        }
        if frames >= self.limits.full_circle && frames >= self.helped_at + self.limits.every {
            let turn = if frames >= self.limits.full_circle.saturating_mul(2) {
                Some(wait_for(&self.turn))
            } else {
                self.turn.try_lock().ok()
            };
            if turn.is_some() {
                self.helped_at = frames;
                copy(writer);
            }
        }
        if frames >= self.warn_at {
            self.warn_at = frames.saturating_mul(2);
            tracing::warn!(
                megabytes = frames / 256,
                "the write-ahead log grows: a process that reads the database does not let go of it"
            );
        }
    }

    /// Ends the thread, after the round that it is in.
    pub(crate) fn stop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the checkpoint thread panicked");
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(connection: &Connection, calls: &Receiver<()>, turn: &Mutex<()>) {
    while calls.recv().is_ok() {
        let _turn = wait_for(turn);
        copy(connection);
    }
}

/// The turn guards no data, so it does not matter how whoever had it before ended.
fn wait_for(turn: &Mutex<()>) -> MutexGuard<'_, ()> {
    turn.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Copies what can be copied without waiting for anybody. Where that fails, what was committed is safe in the log;
/// it only stays there longer.
pub(crate) fn copy(connection: &Connection) {
    let outcome: Result<()> = connection
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")
        .and_then(|mut statement| statement.query_row([], |_| Ok(())));
    if let Err(error) = outcome {
        tracing::warn!(%error, "the log could not be copied into the database; it is kept");
    }
}

/// Copies everything and empties the log, unless readers prevent it: at the end.
pub(crate) fn truncate(connection: &Connection) -> Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::connect::{self, Durability};
    use crate::files::Files;
    use crate::options::Options;

    struct Load {
        checkpointer: Checkpointer,
        writer: Connection,
        frames: Arc<AtomicU64>,
        longest: u64,
    }

    impl Load {
        fn new(files: &Files) -> Self {
            let open = || connect::writer(files, &Options::default(), Durability::Process, false).unwrap();
            let mut writer = open();
            let frames = Arc::new(AtomicU64::new(0));
            let seen = Arc::clone(&frames);
            let hook = move |_: &mut rusqlite::hooks::Wal, pages: i32| {
                seen.store(pages as u64, Ordering::Relaxed);
                Ok(())
            };
            writer.wal_hook(Some(hook)).unwrap();
            let limits = Limits {
                every: 20,
                full_circle: 100,
            };
            let checkpointer = Checkpointer::start(open(), &files.database, limits).unwrap();
            Self {
                checkpointer,
                writer,
                frames,
                longest: 0,
            }
        }

        /// Commits without a pause.
        fn run(&mut self, commits: usize) {
            let mut insert = self
                .writer
                .prepare_cached("INSERT INTO requests (kind) VALUES (zeroblob(3000))")
                .unwrap();
            for _ in 0..commits {
                insert.raw_execute().unwrap();
                let frames = self.frames.load(Ordering::Relaxed);
                self.longest = self.longest.max(frames);
                self.checkpointer.committed(frames, &self.writer);
            }
        }
    }

    fn home() -> (tempfile::TempDir, Files) {
        let home = tempfile::tempdir().unwrap();
        let files = Files::find(home.path(), &Options::default()).unwrap();
        crate::schema::prepare(&files, &Options::default(), Durability::Process).unwrap();
        let plain = Connection::open(&files.database).unwrap();
        plain
            .execute_batch("DROP TABLE requests; CREATE TABLE requests (id INTEGER PRIMARY KEY, kind)")
            .unwrap();
        (home, files)
    }

    #[test]
    fn the_log_stays_short_under_a_load_without_pauses() {
        let (_home, files) = home();
        let mut load = Load::new(&files);
        load.run(20_000);
        assert!(load.longest < 250, "{} frames", load.longest);
    }

    #[test]
    fn the_log_grows_while_somebody_reads_and_is_begun_anew_after() {
        let (_home, files) = home();
        let mut load = Load::new(&files);
        let reader = connect::reader(&files, &Options::default()).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM requests").unwrap();
        load.run(2_000);
        let pinned = load.frames.load(Ordering::Relaxed);
        assert!(pinned > 2_000, "{pinned}");
        reader.execute_batch("COMMIT").unwrap();
        load.run(200);
        assert!(load.frames.load(Ordering::Relaxed) < 250);

        load.checkpointer.stop();
        truncate(&load.writer).unwrap();
        assert!(!files.has_log());
    }
}
