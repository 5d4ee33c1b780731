//! What is to run and has no place in memory yet. It waits here by its number, for each organization in the order in which it
//! came, and is brought in as places come free. All of it is in the store as it was: what a crash leaves here is found again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bowline_core::Path;
use bowline_store::{ExecNo, ExecutionRow};

use crate::engine::EngineError;
use crate::env::Env;
use crate::owners::Whereabouts;
use crate::places::Place;
use crate::waker;

/// What somebody else is about to bring in is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Whether there is a place for an execution now.
pub(crate) enum Placed {
    /// This one, or it needs none.
    Is(Option<Place>),
    /// All are taken that it may have.
    None,
}

/// Children of an organization, or those that somebody started.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Whose {
    organization: Path,
    is_child: bool,
}

#[derive(Default)]
pub(crate) struct Backlog(Mutex<Table>);

#[derive(Default)]
struct Table {
    /// Where there is a queue, somebody feeds it.
    queues: HashMap<Whose, VecDeque<ExecNo>>,
    /// What is in the queues.
    all: HashSet<ExecNo>,
    /// How many were taken out of them and are not in memory yet.
    coming: usize,
}

impl Backlog {
    /// Whether an execution is here.
    pub(crate) fn contains(&self, exec: ExecNo) -> bool {
        self.lock().all.contains(&exec)
    }

    pub(crate) fn len(&self) -> usize {
        let table = self.lock();
        table.all.len() + table.coming
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds one at the end; true where nobody feeds its queue yet.
    fn add(&self, whose: &Whose, exec: ExecNo) -> bool {
        let mut table = self.lock();
        if !table.all.insert(exec) {
            return false;
        }
        if let Some(queue) = table.queues.get_mut(whose) {
            queue.push_back(exec);
            return false;
        }
        table.queues.insert(whose.clone(), VecDeque::from([exec]));
        true
    }

    /// Whether there is any; where there is none, the queue is gone.
    fn has_any(&self, whose: &Whose) -> bool {
        let mut table = self.lock();
        let has_any = table.queues.get(whose).is_some_and(|queue| !queue.is_empty());
        if !has_any {
            table.queues.remove(whose);
        }
        has_any
    }

    /// Takes the first one, which is coming from now on. It may be put off again meanwhile.
    fn take(&self, whose: &Whose) -> Option<ExecNo> {
        let mut table = self.lock();
        let exec = table.queues.get_mut(whose)?.pop_front()?;
        table.all.remove(&exec);
        table.coming += 1;
        Some(exec)
    }

    /// One that was taken is there, or, where that is said, has to be brought in again.
    fn came(&self, whose: &Whose, again: Option<ExecNo>) {
        let mut table = self.lock();
        table.coming -= 1;
        if let Some(exec) = again
            && table.all.insert(exec)
            && let Some(queue) = table.queues.get_mut(whose)
        {
            queue.push_back(exec);
        }
    }

    fn forget(&self, whose: &Whose) {
        let mut table = self.lock();
        for exec in table.queues.remove(whose).unwrap_or_default() {
            table.all.remove(&exec);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Env {
    /// Brings an execution in when there is a place for it.
    pub(crate) fn put_off(self: &Arc<Self>, row: &ExecutionRow) {
        let organization = self.organization(&row.organization);
        self.put_off_one(organization, row.parent.is_some(), row.exec);
    }

    pub(crate) fn put_off_one(self: &Arc<Self>, organization: Path, is_child: bool, exec: ExecNo) {
        let whose = Whose { organization, is_child };
        if self.backlog.add(&whose, exec) {
            let env = Arc::clone(self);
            self.runtime.spawn(async move {
                if env.feed(&whose).await.is_err() {
                    // The engine stops; the next start finds them.
                    env.backlog.forget(&whose);
                }
                env.empty.notify_waiters();
            });
        }
    }

    /// Brings in what an organization has here, one after the other as places come free.
    async fn feed(self: &Arc<Self>, whose: &Whose) -> Result<(), EngineError> {
        while self.backlog.has_any(whose) {
            let change = self.owners.change();
            tokio::pin!(change);
            change.as_mut().enable();
            let place = if whose.is_child {
                self.child_place(&whose.organization, None).await?
            } else {
                Some(self.place(&whose.organization, None).await?)
            };
            let Some(exec) = self.backlog.take(whose) else {
                continue;
            };
            let brought = self.bring_in(exec, place).await;
            let is_elsewhere = matches!(brought, Ok(false));
            self.backlog.came(whose, is_elsewhere.then_some(exec));
            if is_elsewhere {
                // Whoever is about to do something with it may not get a place for it. Looked at again also where nobody says so,
                // as when the engine stops.
                let _ = tokio::time::timeout(LOOK_AGAIN, change).await;
            }
            match brought {
                Ok(_) => {}
                Err(error @ EngineError::Stopped(_)) => return Err(error),
                Err(error) => {
                    tracing::warn!(exec = exec.0, %error, "an execution cannot be brought in; it is tried again");
                    let again = self.options.clock.now().saturating_add(waker::AGAIN);
                    self.wakes.again(again, exec);
                }
            }
        }
        Ok(())
    }

    /// Returns when it is in memory, or need not be; false where somebody else is at it.
    async fn bring_in(self: &Arc<Self>, exec: ExecNo, place: Option<Place>) -> Result<bool, EngineError> {
        let driver = self.pick();
        let Some(claim) = self.owners.claim(exec, driver) else {
            return Ok(self.owners.find(exec) != Whereabouts::Arriving);
        };
        let open = self.blocking(move |env| env.store.open_execution(exec)).await??;
        // With a virtual clock what is due later is in memory as well.
        let is_virtual = self.options.clock.is_virtual();
        let now = if is_virtual { i64::MAX } else { self.options.clock.now() };
        let Some(open) = open.filter(|open| waker::is_due(open, now)) else {
            // It has ended, or waits again for something else: that wakes it.
            return Ok(true);
        };
        if let Err(stuck) = self.recover_on(driver, open, claim, place).await? {
            tracing::warn!(id = stuck.id, workflow = stuck.workflow, error = %stuck.error, "an execution cannot go on");
            self.stuck(&stuck, exec);
        }
        Ok(true)
    }

    /// Waits until there is nothing here.
    pub(crate) async fn backlog_is_empty(&self) -> Result<(), EngineError> {
        loop {
            let notified = self.empty.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if self.backlog.is_empty() {
                return Ok(());
            }
            if self.stopped.get().is_some() {
                return Err(self.stopped_error());
            }
            notified.await;
        }
    }
}
