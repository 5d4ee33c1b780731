//! The one place that writes.
//!
//! Drivers append what they want written to the queue; the committer takes all of it, writes it as one
//! transaction, and tells the drivers. While it syncs, the next batch gathers: there is no timer and no
//! batching window, so one execution alone waits for one sync, and thousands share one.
//!
//! Where next to nothing is in flight, a driver writes its one record itself ([`Inbox::write_now`]): waking
//! another thread and being woken by it would cost as much as the sync. It takes the same writer, one
//! transaction at a time, so the order of records and what is told of them are the same.
//!
//! Whatever ends the committer (a store that fails for good, a panic) is told to every driver, so that
//! nobody waits for an answer that does not come.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bowline_store::{ExecNo, StoreError, Write, Writer};

use tokio::sync::mpsc::UnboundedSender;

use crate::driver::Message;

/// What one driver wants to know about one execution's writes.
#[derive(Clone, Copy)]
pub(crate) struct Ack {
    pub(crate) driver: usize,
    pub(crate) exec: ExecNo,
    /// How many of the queue's writes it stands for.
    pub(crate) writes: usize,
    /// Written or refused together with the one before: a child with the record that starts it.
    pub(crate) with_previous: bool,
}

#[derive(Default)]
pub(crate) struct Queue {
    pub(crate) writes: Vec<Write>,
    pub(crate) acks: Vec<Ack>,
}

impl Queue {
    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    fn append(&mut self, other: &mut Self) {
        self.writes.append(&mut other.writes);
        self.acks.append(&mut other.acks);
    }

    fn clear(&mut self) {
        self.writes.clear();
        self.acks.clear();
    }
}

/// What waits to be written, and who may write.
#[derive(Default)]
struct Waiting {
    queue: Queue,
    /// No more will come.
    closed: bool,
    /// The committer has taken a batch that is not written yet: nothing may overtake it.
    busy: bool,
}

struct Shared {
    queue: Mutex<Waiting>,
    ready: Condvar,
    /// None once the committer has ended.
    writer: Mutex<Option<Box<dyn Writer>>>,
}

/// The drivers' end of the committer.
#[derive(Clone)]
pub(crate) struct Inbox(Arc<Shared>);

impl Inbox {
    pub(crate) fn new(writer: Box<dyn Writer>) -> Self {
        Self(Arc::new(Shared {
            queue: Mutex::default(),
            ready: Condvar::new(),
            writer: Mutex::new(Some(writer)),
        }))
    }

    /// Writes what a driver has gathered at once, on the caller's thread, if nobody else is writing or
    /// wants to. What could not be written stays gathered, for the committer to deal with.
    pub(crate) fn write_now(&self, gathered: &mut Queue) -> Option<Vec<Ack>> {
        let mut writer = self.0.writer.try_lock().ok()?;
        let queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if !queue.queue.is_empty() || queue.closed || queue.busy {
            return None;
        }
        drop(queue);
        writer.as_mut()?.commit(&gathered.writes).ok()?;
        gathered.writes.clear();
        Some(std::mem::take(&mut gathered.acks))
    }

    /// Hands over what a driver has gathered; leaves it empty.
    pub(crate) fn submit(&self, gathered: &mut Queue) {
        if gathered.is_empty() {
            return;
        }
        let mut guard = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = guard.queue.is_empty();
        guard.queue.append(gathered);
        drop(guard);
        if idle {
            self.0.ready.notify_one();
        }
    }

    /// No more will come: the committer writes what it has and ends.
    pub(crate) fn close(&self) {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.0.ready.notify_one();
    }

    /// Waits for something to write; false when there is nothing and nothing will come.
    fn take(&self, into: &mut Queue) -> bool {
        let mut guard = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        guard.busy = false;
        while guard.queue.is_empty() && !guard.closed {
            guard = self.0.ready.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        into.append(&mut guard.queue);
        guard.busy = !into.is_empty();
        guard.busy
    }
}

/// Starts the committer's thread.
pub(crate) fn spawn(
    inbox: Inbox,
    drivers: Vec<UnboundedSender<Message>>,
    patience: Duration,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("bowline-committer".into())
        .spawn(move || {
            let mut committer = Committer {
                shared: Arc::clone(&inbox.0),
                drivers,
                patience,
            };
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| committer.run(&inbox)));
            // Lets go of the store.
            *committer.shared.writer.lock().unwrap_or_else(PoisonError::into_inner) = None;
            let why = match ended {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(panic) => bowline_core::panicked(panic.as_ref()).message,
            };
            tracing::error!(error = %why, "the committer stopped");
            let why: Arc<str> = why.into();
            for driver in &committer.drivers {
                // A driver that is gone needs no telling.
                let _ = driver.send(Message::CommitterStopped(Arc::clone(&why)));
            }
        })
}

struct Committer {
    shared: Arc<Shared>,
    drivers: Vec<UnboundedSender<Message>>,
    patience: Duration,
}

impl Committer {
    fn run(&mut self, inbox: &Inbox) -> Result<(), StoreError> {
        let mut batch = Queue::default();
        while inbox.take(&mut batch) {
            match self.write(&batch.writes) {
                Ok(()) => self.acknowledge(&batch.acks),
                Err(error) if concerns_one_execution(&error) => self.one_by_one(&batch)?,
                Err(error) => return Err(error),
            }
            batch.clear();
        }
        Ok(())
    }

    /// Writes, and while the store has no space or cannot reach its disk tries again for a while.
    fn write(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let began = Instant::now();
        loop {
            let mut held = self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(store) = held.as_mut() else { return Ok(()) };
            match store.commit(writes) {
                Err(error) if may_pass(&error) && began.elapsed() < self.patience => {
                    tracing::warn!(%error, "a commit failed and is tried again");
                    // Space comes back or not; there is no signal to wait for.
                    std::thread::park_timeout(Duration::from_millis(200).min(self.patience));
                }
                result => return result,
            }
        }
    }

    /// One execution of a batch is refused (its id exists, or its journal is no longer ours): the others
    /// must not suffer for it.
    fn one_by_one(&mut self, batch: &Queue) -> Result<(), StoreError> {
        let mut rest = batch.writes.as_slice();
        for group in batch.acks.chunk_by(|_, next| next.with_previous) {
            let count: usize = group.iter().map(|ack| ack.writes).sum();
            let (writes, after) = rest.split_at(count.min(rest.len()));
            rest = after;
            match self.write(writes) {
                Ok(()) => self.acknowledge(group),
                Err(error) if concerns_one_execution(&error) => {
                    let error = Arc::new(error);
                    for ack in group {
                        // A driver that is gone needs no telling.
                        let _ = self.drivers[ack.driver].send(Message::Refused(ack.exec, Arc::clone(&error)));
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn acknowledge(&self, acks: &[Ack]) {
        for (number, driver) in self.drivers.iter().enumerate() {
            let durable: Vec<ExecNo> = acks
                .iter()
                .filter(|ack| ack.driver == number)
                .map(|ack| ack.exec)
                .collect();
            if !durable.is_empty() {
                // A driver that is gone needs no telling.
                let _ = driver.send(Message::Durable(durable));
            }
        }
    }
}

fn concerns_one_execution(error: &StoreError) -> bool {
    matches!(error, StoreError::Duplicate { .. } | StoreError::Conflict { .. })
}

fn may_pass(error: &StoreError) -> bool {
    matches!(error, StoreError::Full { .. } | StoreError::Other { .. })
}
