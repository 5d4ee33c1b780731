//! Who may write: an advisory lock of the operating system on a file beside the database.
//!
//! The system releases it when the process ends, however it ends. The file is never deleted (whoever had it open
//! would lock a file that nobody else sees); it holds the writer's process number while it is locked.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use bowline_store::StoreError;

use crate::errors;
use crate::files::Files;

/// The lock, held until this is dropped.
#[derive(Debug)]
pub(crate) struct WriterLock {
    file: File,
}

impl WriterLock {
    /// Takes the lock, or says who has it.
    pub(crate) fn take(files: &Files) -> Result<Self, StoreError> {
        let failed = |error: io::Error| errors::io(&files.lock, "taking the writer's lock", error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&files.lock)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Locked {
                    path: files.database.clone(),
                    holder: holder(files),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut lock = Self { file };
        lock.sign().map_err(failed)?;
        Ok(lock)
    }

    /// Takes the lock as soon as it is free, for those who need it for a moment at the start.
    pub(crate) fn wait(files: &Files, patience: Duration) -> Result<Self, StoreError> {
        let deadline = Instant::now() + patience;
        loop {
            match Self::take(files) {
                Err(StoreError::Locked { .. }) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                outcome => return outcome,
            }
        }
    }

    fn sign(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        writeln!(self.file, "pid {}", std::process::id())
    }
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // Whoever reads it only when it is locked does not need this; people who look do.
        if let Err(error) = self.file.set_len(0) {
            tracing::debug!(%error, "the lock file keeps the number of this process");
        }
        // Closing the file would not do: a process that is being started by another thread has a copy of it for a
        // moment, and the lock is the copy's too.
        if let Err(error) = self.file.unlock() {
            tracing::debug!(%error, "the lock is released with the file");
        }
    }
}

/// What the lock file says of who holds it. Nothing while the holder is about to write it.
fn holder(files: &Files) -> Option<String> {
    let text = fs::read_to_string(&files.lock).ok()?;
    let number = text.trim().strip_prefix("pid ")?;
    let plausible = !number.is_empty() && number.len() <= 10 && number.bytes().all(|byte| byte.is_ascii_digit());
    plausible.then(|| format!("pid {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    #[test]
    fn says_who_has_it_and_is_free_at_once_although_a_copy_of_the_file_is_open() {
        let home = tempfile::tempdir().unwrap();
        let files = Files::find(home.path(), &Options::default()).unwrap();
        let lock = WriterLock::take(&files).unwrap();
        let copy = lock.file.try_clone().unwrap();
        let Err(StoreError::Locked { path, holder }) = WriterLock::take(&files) else {
            panic!("locked twice")
        };
        assert_eq!(path, files.database);
        assert_eq!(holder, Some(format!("pid {}", std::process::id())));
        assert!(WriterLock::wait(&files, Duration::from_millis(30)).is_err());
        drop(lock);
        WriterLock::take(&files).unwrap();
        drop(copy);
    }

    #[test]
    fn waits_for_a_lock_that_is_released() {
        let home = tempfile::tempdir().unwrap();
        let files = Files::find(home.path(), &Options::default()).unwrap();
        let lock = WriterLock::take(&files).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| WriterLock::wait(&files, Duration::from_secs(20)));
            drop(lock);
            assert!(waiting.join().unwrap().is_ok());
        });
    }

    #[test]
    fn what_is_no_number_is_not_repeated() {
        let home = tempfile::tempdir().unwrap();
        let files = Files::find(home.path(), &Options::default()).unwrap();
        for (text, expected) in [
            ("pid 12\n", Some("pid 12")),
            ("pid \n", None),
            ("pid 1; rm", None),
            ("", None),
        ] {
            fs::write(&files.lock, text).unwrap();
            assert_eq!(holder(&files).as_deref(), expected, "{text:?}");
        }
    }
}
