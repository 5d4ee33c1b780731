//! Stopping a statement that runs on another thread.
//!
//! `sqlite3_interrupt` alone is not enough: it is lost between two statements of a transaction, and a session
//! that waits for a lock does not hear it. So there is a flag as well, which the progress handler, the busy
//! handler and the executor look at. And because sessions are used again, a stop names the piece of work it
//! is for: one that comes late, when the session serves somebody else, does nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::InterruptHandle;

/// Why a statement was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The step's future was dropped.
    Cancelled,
    /// The request's timeout, of this length, has passed.
    TimedOut(Duration),
}

/// The stop switch of one session.
pub(super) struct Stop {
    handle: InterruptHandle,
    flag: Arc<AtomicBool>,
    work: Mutex<Work>,
}

#[derive(Default)]
struct Work {
    number: u64,
    running: bool,
    reason: Option<Reason>,
}

impl Stop {
    /// A switch that interrupts through `handle` and raises `flag`.
    pub(super) fn new(handle: InterruptHandle, flag: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self {
            handle,
            flag,
            work: Mutex::default(),
        })
    }

    /// Begins a piece of work, which the returned ticket can stop.
    pub(super) fn start(self: &Arc<Self>) -> Ticket {
        let mut work = self.lock();
        *work = Work {
            number: work.number + 1,
            running: true,
            reason: None,
        };
        self.flag.store(false, Ordering::SeqCst);
        Ticket {
            number: work.number,
            stop: Arc::clone(self),
        }
    }

    /// Ends the piece of work: from here on its ticket does nothing.
    pub(super) fn finish(&self) {
        self.lock().running = false;
        self.flag.store(false, Ordering::SeqCst);
    }

    /// Why the work shall end, if it shall.
    pub(super) fn reason(&self) -> Option<Reason> {
        self.lock().reason
    }

    /// Lowers the flag so that a rollback can run; the reason stays.
    pub(super) fn allow_cleanup(&self) {
        self.flag.store(false, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to stop one piece of work.
pub(super) struct Ticket {
    number: u64,
    stop: Arc<Stop>,
}

impl Ticket {
    /// Stops the work if it still runs. The first reason counts.
    pub(super) fn stop(&self, reason: Reason) {
        let mut work = self.stop.lock();
        if work.running && work.number == self.number && work.reason.is_none() {
            work.reason = Some(reason);
            self.stop.flag.store(true, Ordering::SeqCst);
            // Under the lock, so that the work cannot end and another begin before the interrupt arrives.
            self.stop.handle.interrupt();
        }
    }
}

/// Stops the work when the future that waits for it is dropped.
pub(super) struct StopOnDrop(pub(super) Ticket);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop(Reason::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn a_late_stop_does_not_reach_the_next_work() {
        let connection = Connection::open_in_memory().expect("open");
        let flag = Arc::new(AtomicBool::new(false));
        let stop = Stop::new(connection.get_interrupt_handle(), Arc::clone(&flag));
        let first = stop.start();
        stop.finish();
        first.stop(Reason::Cancelled);
        assert!(!flag.load(Ordering::SeqCst));
        let second = stop.start();
        first.stop(Reason::Cancelled);
        assert_eq!(stop.reason(), None);
        second.stop(Reason::TimedOut(Duration::from_secs(1)));
        second.stop(Reason::Cancelled);
        assert_eq!(stop.reason(), Some(Reason::TimedOut(Duration::from_secs(1))));
        assert!(flag.load(Ordering::SeqCst));
    }
}
