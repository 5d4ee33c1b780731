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

use bowline_core::mutants::{Mutant, on};
use bowline_store::{ExecNo, StoreError, Write, Writer};

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, oneshot};

use crate::Simulation;
use crate::driver::Message;
use crate::engine::EngineError;

/// Who is told of writes that are durable, or refused.
pub(crate) enum Told {
    /// A driver, about one execution.
    Driver(usize, ExecNo),
    /// A task that waits.
    Task(oneshot::Sender<Result<(), Arc<StoreError>>>),
}

/// Writes that are written or refused together, and who is told.
pub(crate) struct Ack {
    pub(crate) told: Told,
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

    /// Empties it; what is left are those who are to be told.
    fn take_acks(&mut self) -> Vec<Ack> {
        self.writes.clear();
        std::mem::take(&mut self.acks)
    }
}

/// What waits to be written, and who may write.
#[derive(Default)]
struct Waiting {
    queue: Queue,
    /// No more will come.
    closed: bool,
    /// Nothing is written any more: who waits for it would wait for ever.
    ended: bool,
    /// The committer has taken a batch that is not written yet: nothing may overtake it.
    busy: bool,
}

struct Shared {
    queue: Mutex<Waiting>,
    ready: Condvar,
    /// The same signal for a committer that is a task.
    ready_task: Notify,
    /// None once the committer has ended.
    writer: Mutex<Option<Box<dyn Writer>>>,
}

impl Shared {
    fn store(&self, writes: &[Write]) -> Result<(), StoreError> {
        let mut held = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_mut().map_or(Ok(()), |writer| writer.commit(writes))
    }
}

/// The drivers' end of the committer.
#[derive(Clone)]
pub(crate) struct Inbox(Arc<Shared>);

impl Inbox {
    pub(crate) fn new(writer: Box<dyn Writer>) -> Self {
        Self(Arc::new(Shared {
            queue: Mutex::default(),
            ready: Condvar::new(),
            ready_task: Notify::new(),
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
        if guard.ended {
            // Those who wait hear of it by this.
            *gathered = Queue::default();
            return;
        }
        let idle = guard.queue.is_empty();
        guard.queue.append(gathered);
        drop(guard);
        if idle {
            self.0.ready.notify_one();
            self.0.ready_task.notify_one();
        }
    }

    /// Writes, and returns when that is durable.
    pub(crate) async fn write(&self, writes: Vec<Write>) -> Result<(), EngineError> {
        if writes.is_empty() {
            return Ok(());
        }
        let (told, done) = oneshot::channel();
        let ack = Ack {
            told: Told::Task(told),
            writes: writes.len(),
            with_previous: false,
        };
        self.submit(&mut Queue {
            writes,
            acks: vec![ack],
        });
        match done.await {
            Ok(written) => written.map_err(EngineError::of),
            Err(_) => Err(EngineError::Stopped("nothing can be written any more".into())),
        }
    }

    /// No more will come: the committer writes what it has and ends.
    pub(crate) fn close(&self) {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.0.ready.notify_one();
        self.0.ready_task.notify_one();
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

    /// As [`Inbox::take`], without waiting; none when nothing will come.
    fn try_take(&self, into: &mut Queue) -> Option<bool> {
        let mut guard = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        into.append(&mut guard.queue);
        guard.busy = !into.is_empty();
        (guard.busy || !guard.closed).then_some(guard.busy)
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
            committer.ended(ended.unwrap_or_else(|panic| Err(bowline_core::panicked(panic.as_ref()).message)));
        })
}

/// Starts the committer as a task, for simulation.
pub(crate) fn spawn_simulated(
    inbox: Inbox,
    drivers: Vec<UnboundedSender<Message>>,
    patience: Duration,
    runtime: &tokio::runtime::Handle,
    simulation: Simulation,
) {
    runtime.spawn(async move {
        let committer = Committer {
            shared: Arc::clone(&inbox.0),
            drivers,
            patience,
        };
        let ended = committer.simulate(&inbox, &simulation).await;
        committer.ended(ended);
    });
}

struct Committer {
    shared: Arc<Shared>,
    drivers: Vec<UnboundedSender<Message>>,
    patience: Duration,
}

impl Committer {
    fn run(&mut self, inbox: &Inbox) -> Result<(), String> {
        let mut batch = Queue::default();
        while inbox.take(&mut batch) {
            self.commit(&mut batch).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The same in simulated time.
    async fn simulate(&self, inbox: &Inbox, simulation: &Simulation) -> Result<(), String> {
        let mut batch = Queue::default();
        loop {
            match inbox.try_take(&mut batch) {
                None => return Ok(()),
                Some(false) => inbox.0.ready_task.notified().await,
                Some(true) => {
                    let (before, after) = (simulation.commit)();
                    if on(Mutant::AcknowledgeBeforeCommit) {
                        self.acknowledge(std::mem::take(&mut batch.acks));
                    }
                    tokio::time::sleep(before).await;
                    let written = self.shared.store(&batch.writes);
                    tokio::time::sleep(after).await;
                    match written {
                        Ok(()) => self.acknowledge(batch.take_acks()),
                        // Tries again, or finds out whom it concerns.
                        Err(_) => self.commit(&mut batch).map_err(|error| error.to_string())?,
                    }
                }
            }
        }
    }

    /// Writes a batch, tells everybody, and empties it.
    fn commit(&self, batch: &mut Queue) -> Result<(), StoreError> {
        match self.write(&batch.writes) {
            Ok(()) => self.acknowledge(batch.take_acks()),
            Err(error) if concerns_one_execution(&error) => self.one_by_one(batch)?,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Lets go of the store, and tells everybody where it did not end as it should.
    fn ended(&self, ended: Result<(), String>) {
        *self.shared.writer.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let mut waiting = self.shared.queue.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.ended = true;
        waiting.queue = Queue::default();
        drop(waiting);
        let Err(why) = ended else { return };
        tracing::error!(error = %why, "the committer stopped");
        let why: Arc<str> = why.into();
        for driver in &self.drivers {
            // A driver that is gone needs no telling.
            let _ = driver.send(Message::CommitterStopped(Arc::clone(&why)));
        }
    }

    /// Writes, and while the store has no space or cannot reach its disk tries again for a while.
    fn write(&self, writes: &[Write]) -> Result<(), StoreError> {
        let began = Instant::now();
        loop {
            match self.shared.store(writes) {
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
    fn one_by_one(&self, batch: &mut Queue) -> Result<(), StoreError> {
        let all = std::mem::take(&mut batch.writes);
        let mut rest = all.as_slice();
        let mut acks = batch.take_acks().into_iter().peekable();
        while let Some(first) = acks.next() {
            let mut group = vec![first];
            while let Some(next) = acks.next_if(|ack| ack.with_previous) {
                group.push(next);
            }
            let count: usize = group.iter().map(|ack| ack.writes).sum();
            let (writes, after) = rest.split_at(count.min(rest.len()));
            rest = after;
            match self.write(writes) {
                Ok(()) => self.acknowledge(group),
                Err(error) if concerns_one_execution(&error) => {
                    let error = Arc::new(error);
                    for ack in group {
                        // Who is gone needs no telling.
                        match ack.told {
                            Told::Driver(driver, exec) => {
                                let _ = self.drivers[driver].send(Message::Refused(exec, Arc::clone(&error)));
                            }
                            Told::Task(told) => drop(told.send(Err(Arc::clone(&error)))),
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn acknowledge(&self, acks: Vec<Ack>) {
        let mut durable: Vec<Vec<ExecNo>> = vec![Vec::new(); self.drivers.len()];
        for ack in acks {
            match ack.told {
                Told::Driver(driver, exec) => durable[driver].push(exec),
                // Who is gone needs no telling.
                Told::Task(told) => drop(told.send(Ok(()))),
            }
        }
        for (driver, execs) in self.drivers.iter().zip(durable) {
            if !execs.is_empty() {
                // A driver that is gone needs no telling.
                let _ = driver.send(Message::Durable(execs));
            }
        }
    }
}

fn concerns_one_execution(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Duplicate { .. }
            | StoreError::Conflict { .. }
            | StoreError::EntryExists { .. }
            | StoreError::EntryChanged { .. }
            | StoreError::Refused(_)
    )
}

fn may_pass(error: &StoreError) -> bool {
    matches!(error, StoreError::Full { .. } | StoreError::Other { .. })
}
