//! Who drives which execution. An execution has one owner at most, from the moment that somebody claims it
//! until it has ended or has left memory.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bowline_store::ExecNo;
use tokio::sync::Notify;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    driver: usize,
    /// The driver has it; until then it is being read.
    ready: bool,
}

/// What somebody who wants to reach an execution finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// On this driver.
    Driven(usize),
    /// Somebody is bringing it in. Wait for a [`Owners::change`] and look again.
    Arriving,
    /// In nobody's memory.
    Absent,
}

#[derive(Default)]
struct Table {
    owners: HashMap<ExecNo, Owner>,
    /// Executions of earlier processes that this one has had.
    had: HashSet<ExecNo>,
}

/// The table of owners.
pub(crate) struct Owners {
    table: Mutex<Table>,
    changed: Notify,
    /// Executions from this number on are this process's own.
    first_own: ExecNo,
}

impl Owners {
    pub(crate) fn new(first_own: ExecNo) -> Self {
        Self {
            table: Mutex::default(),
            changed: Notify::new(),
            first_own,
        }
    }

    /// Takes the driving of an execution for a driver; none where somebody has it. What is known of it must be
    /// read after this, or it may be what was before another owner's end.
    pub(crate) fn claim(self: &Arc<Self>, exec: ExecNo, driver: usize) -> Option<Claim> {
        let mut table = self.lock();
        if table.owners.contains_key(&exec) {
            return None;
        }
        table.owners.insert(exec, Owner { driver, ready: false });
        drop(table);
        Some(self.guard(exec))
    }

    /// As [`Owners::claim`], for an execution whose journal was read before: none also where a driver has had
    /// it since the engine began.
    pub(crate) fn claim_as_read(self: &Arc<Self>, exec: ExecNo, driver: usize) -> Option<Claim> {
        let mut table = self.lock();
        if table.had.contains(&exec) || table.owners.contains_key(&exec) {
            return None;
        }
        table.owners.insert(exec, Owner { driver, ready: false });
        drop(table);
        Some(self.guard(exec))
    }

    fn guard(self: &Arc<Self>, exec: ExecNo) -> Claim {
        Claim {
            owners: Arc::clone(self),
            exec,
            kept: false,
        }
    }

    /// A driver has it in its memory from now on.
    pub(crate) fn admit(&self, exec: ExecNo, driver: usize) {
        self.lock().owners.insert(exec, Owner { driver, ready: true });
        self.changed.notify_waiters();
    }

    /// Nobody has it any more.
    pub(crate) fn release(&self, exec: ExecNo) {
        let mut table = self.lock();
        table.owners.remove(&exec);
        if exec < self.first_own {
            table.had.insert(exec);
        }
        drop(table);
        self.changed.notify_waiters();
    }

    pub(crate) fn find(&self, exec: ExecNo) -> Whereabouts {
        match self.lock().owners.get(&exec) {
            Some(Owner { driver, ready: true }) => Whereabouts::Driven(*driver),
            Some(_) => Whereabouts::Arriving,
            None => Whereabouts::Absent,
        }
    }

    /// Resolves at the next change after it was enabled.
    pub(crate) fn change(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An execution that somebody is about to bring in. Dropped, it is let go of.
#[must_use = "a claim that is dropped is given up"]
pub(crate) struct Claim {
    owners: Arc<Owners>,
    exec: ExecNo,
    kept: bool,
}

impl Claim {
    /// The driver has it now: whoever drives it lets go of it at its end.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.kept {
            self.owners.release(self.exec);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_at_a_time_and_a_dropped_claim_is_given_up() {
        let owners = Arc::new(Owners::new(ExecNo(10)));
        let claim = owners.claim(ExecNo(3), 1).unwrap();
        assert!(owners.claim(ExecNo(3), 2).is_none());
        assert_eq!(owners.find(ExecNo(3)), Whereabouts::Arriving);
        drop(claim);
        assert_eq!(owners.find(ExecNo(3)), Whereabouts::Absent);
        assert!(
            owners.claim_as_read(ExecNo(3), 1).is_none(),
            "what was read of it may be old"
        );
        let claim = owners.claim(ExecNo(3), 2).unwrap();
        owners.admit(ExecNo(3), 2);
        claim.keep();
        assert_eq!(owners.find(ExecNo(3)), Whereabouts::Driven(2));
    }
}
