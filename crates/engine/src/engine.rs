//! The engine as its users hold it: start, recover, cancel, wait, stop.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bowline_core::{Event, Outcome, Path, Payload, Program, StepError, decode};
use bowline_store::{
    Definition, ExecNo, ExecutionRow, JournalRecord, OpenExecution, RequestKind, SharedStore, Status, Store, StoreError,
};
use tokio::sync::{Notify, Semaphore, oneshot};

use crate::committer::{self, Inbox};
use crate::driver::{Answer, Begin, Driver, Message};
use crate::{Options, Programs};

/// Why the engine could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// The store refused.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// The definition cannot be run.
    #[error("the definition cannot be run: {0}")]
    Definition(StepError),
    /// The engine has stopped or is about to. What was acknowledged is in the store; what was not may be.
    #[error("the engine has stopped: {0}")]
    Stopped(Arc<str>),
    /// No execution has this id.
    #[error("no execution has the id {0}")]
    Unknown(String),
    /// It cannot be taken up again.
    #[error("execution {id} cannot be resumed: {why}")]
    NotResumable {
        /// Its id.
        id: String,
        /// Why.
        why: String,
    },
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(String),
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// An execution to start.
#[derive(Clone)]
pub struct StartRequest {
    /// Its id; a new UUIDv7 if none is given. One that exists is refused.
    pub id: Option<String>,
    /// What it runs.
    pub definition: Definition,
    /// What it is started with.
    pub input: Payload,
}

/// An execution that was started or taken up, durably.
#[derive(Debug)]
pub struct Handle {
    id: String,
    ended: Answer<Outcome>,
}

impl Handle {
    pub(crate) fn new(id: String, ended: Answer<Outcome>) -> Self {
        Self { id, ended }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Where the engine stops before; the execution then goes on at the next start.
    pub async fn outcome(self) -> Result<Outcome, EngineError> {
        self.ended.await.unwrap_or_else(|_| Err(EngineError::Stopped("before the execution ended".into())))
    }
}

/// A definition and what it runs.
pub(crate) type Loaded = (Arc<Definition>, Arc<dyn Program>);

/// What all drivers share.
pub(crate) struct Env {
    pub(crate) store: SharedStore,
    programs: Arc<dyn Programs>,
    pub(crate) options: Options,
    pub(crate) runtime: tokio::runtime::Handle,
    next_exec: AtomicI64,
    defined: Mutex<HashSet<String>>,
    loaded: Mutex<HashMap<String, Loaded>>,
    in_memory: AtomicUsize,
    empty: Notify,
    stopped: OnceLock<Arc<str>>,
    /// Executions that a driver of this process has.
    driven: Mutex<HashSet<ExecNo>>,
    drivers: OnceLock<Vec<Sender<Message>>>,
}

impl Env {
    pub(crate) fn take_exec(&self) -> ExecNo {
        ExecNo(self.next_exec.fetch_add(1, Ordering::SeqCst))
    }

    /// Whether this definition has not been written by this process yet.
    pub(crate) fn must_define(&self, hash: &str) -> bool {
        let mut defined = self.defined.lock().unwrap_or_else(PoisonError::into_inner);
        !defined.contains(hash) && defined.insert(hash.to_owned())
    }

    /// A definition and its program, if it has been loaded before.
    pub(crate) fn cached(&self, hash: &str) -> Option<Loaded> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).get(hash).cloned()
    }

    /// The program of a definition, loaded once.
    pub(crate) fn program(&self, definition: Definition) -> Result<Loaded, StepError> {
        if let Some(loaded) = self.cached(&definition.hash) {
            return Ok(loaded);
        }
        let program = self.programs.load(&definition)?;
        let loaded = (Arc::new(definition), program);
        let mut all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(all.entry(loaded.0.hash.clone()).or_insert(loaded).clone())
    }

    pub(crate) fn child_program(
        &self,
        parent: &Definition,
        workflow: &str,
    ) -> Result<Loaded, StepError> {
        self.program(self.programs.child(parent, workflow)?)
    }

    /// Takes the driving of an execution; false where a driver has it already.
    pub(crate) fn claim(&self, exec: ExecNo) -> bool {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner).insert(exec)
    }

    pub(crate) fn release(&self, exec: ExecNo) {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner).remove(&exec);
    }

    fn is_driven(&self, exec: ExecNo) -> bool {
        self.driven.lock().unwrap_or_else(PoisonError::into_inner).contains(&exec)
    }

    /// What is to be done about a child that a recovered parent waits for.
    pub(crate) fn stored_child(&self, id: &str) -> Result<Stored, EngineError> {
        let Some(mut row) = self.store.execution(id)? else { return Ok(Stored::Unknown) };
        if row.status == Status::Running {
            if self.is_driven(row.exec) {
                return Ok(Stored::Driven);
            }
            // It may have ended between the two looks.
            match self.store.execution(id)? {
                Some(again) if again.status != Status::Running => row = again,
                _ => {
                    let journal = whole_journal(self.store.as_ref(), row.exec)?;
                    let definition = self.stored_definition(&row.definition)?.map_err(EngineError::Definition)?;
                    return Ok(Stored::Open(Box::new(OpenExecution { row, journal }), definition));
                }
            }
        }
        let outcome = outcome_of(self.store.as_ref(), &row)?;
        Ok(outcome.map_or(Stored::Unknown, Stored::Ended))
    }

    /// A definition of the store and its program.
    pub(crate) fn stored_definition(&self, hash: &str) -> Result<Result<Loaded, StepError>, StoreError> {
        if let Some(found) = self.cached(hash) {
            return Ok(Ok(found));
        }
        let Some(definition) = self.store.definition(hash)? else {
            let message = format!("the store has no definition {hash}");
            return Ok(Err(StepError::permanent("definition.missing", message)));
        };
        Ok(self.program(definition))
    }

    /// Tells the other drivers of the end of a child, one of which may have its parent.
    pub(crate) fn tell_others(&self, number: usize, parent: &Path, child: &Path, outcome: &Outcome) {
        for (other, driver) in self.drivers.get().into_iter().flatten().enumerate() {
            if other != number {
                let (parent, child, outcome) = (Arc::clone(parent), Arc::clone(child), outcome.clone());
                // A driver that has gone has no parent either.
                let _ = driver.send(Message::ChildEnded { parent, child, outcome });
            }
        }
    }

    pub(crate) fn entered(&self) {
        self.in_memory.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn left(&self) {
        if self.in_memory.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.empty.notify_waiters();
        }
    }

    pub(crate) fn stop(&self, why: &Arc<str>) {
        // Only the first reason is kept: the others follow from it.
        let _ = self.stopped.set(Arc::clone(why));
        self.empty.notify_waiters();
    }
}

/// What a store knows of a child.
pub(crate) enum Stored {
    /// It has not begun.
    Unknown,
    /// It runs in this process.
    Driven,
    /// It waits to be taken up.
    Open(Box<OpenExecution>, Loaded),
    /// It has ended.
    Ended(Outcome),
}

/// All records of an execution, in order.
pub(crate) fn whole_journal(store: &dyn Store, exec: ExecNo) -> Result<Vec<JournalRecord>, StoreError> {
    let mut journal = Vec::new();
    loop {
        let page = store.journal(exec, journal.len() as u64, 1000)?;
        if page.is_empty() {
            return Ok(journal);
        }
        journal.extend(page);
    }
}

/// How an execution ended, from the last record of its journal.
fn outcome_of(store: &dyn Store, row: &ExecutionRow) -> Result<Option<Outcome>, StoreError> {
    let last = whole_journal(store, row.exec)?.pop();
    let events = last.map(|record| decode(&record.events)).transpose().map_err(|source| StoreError::Other {
        context: format!("reading how execution {} ended", row.id),
        source: Box::new(source),
    })?;
    Ok(events.and_then(|events| {
        events.into_iter().rev().find_map(|event| match event {
            Event::Finished { outcome } => Some(outcome),
            _ => None,
        })
    }))
}

/// Runs executions on one store.
pub struct Engine {
    pub(crate) env: Arc<Env>,
    pub(crate) drivers: Vec<Sender<Message>>,
    pub(crate) places: Arc<Semaphore>,
    pub(crate) first_own: ExecNo,
    inbox: Inbox,
    threads: Mutex<Vec<JoinHandle<()>>>,
    committer: Mutex<Option<JoinHandle<()>>>,
    ended: Arc<AtomicBool>,
    next_driver: AtomicUsize,
    draining: AtomicBool,
}

impl Engine {
    /// Takes the store's writer and starts the threads. Step bodies run on `runtime`.
    ///
    /// # Errors
    /// Where another process has the writer, the store cannot be read, or a thread cannot be started.
    pub fn open(
        store: SharedStore,
        programs: Arc<dyn Programs>,
        runtime: tokio::runtime::Handle,
        mut options: Options,
    ) -> Result<Self, EngineError> {
        options.drivers = if options.clock.is_virtual() { 1 } else { options.drivers.max(1) };
        let mut writer = store.writer()?;
        let first_own = writer.next_exec()?;
        let places = Arc::new(Semaphore::new(options.max_in_flight.clamp(1, Semaphore::MAX_PERMITS)));
        let env = Arc::new(Env {
            store,
            programs,
            runtime,
            next_exec: AtomicI64::new(first_own.0),
            defined: Mutex::default(),
            loaded: Mutex::default(),
            in_memory: AtomicUsize::new(0),
            empty: Notify::new(),
            stopped: OnceLock::new(),
            driven: Mutex::default(),
            drivers: OnceLock::new(),
            options,
        });
        let inbox = Inbox::default();
        let channels: Vec<_> = (0..env.options.drivers).map(|_| channel()).collect();
        let drivers: Vec<Sender<Message>> = channels.iter().map(|(sender, _)| sender.clone()).collect();
        // Set once, here.
        let _ = env.drivers.set(drivers.clone());
        let thread_error = |error: std::io::Error| EngineError::Thread(error.to_string());
        let committer = committer::spawn(inbox.clone(), writer, drivers.clone(), env.options.commit_patience)
            .map_err(thread_error)?;
        let mut threads = Vec::with_capacity(channels.len());
        for (number, (sender, receiver)) in channels.into_iter().enumerate() {
            let mut driver = Driver::new(number, Arc::clone(&env), sender, inbox.clone());
            let thread = std::thread::Builder::new().name(format!("bowline-driver-{number}"));
            threads.push(thread.spawn(move || driver.run(&receiver)).map_err(thread_error)?);
        }
        let engine = Self {
            env,
            drivers,
            places,
            first_own,
            inbox,
            threads: Mutex::new(threads),
            committer: Mutex::new(Some(committer)),
            ended: Arc::default(),
            next_driver: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
        };
        engine.watch_requests();
        Ok(engine)
    }

    /// Starts an execution and returns once that is durable. Waits while too many are in flight.
    ///
    /// # Errors
    /// Where the definition cannot be run, the id exists, or the engine has stopped.
    pub async fn start(&self, request: StartRequest) -> Result<Handle, EngineError> {
        let (definition, program) = self.env.program(request.definition).map_err(EngineError::Definition)?;
        let permit = self.place().await?;
        let id = request.id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let (accepted, is_accepted) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        self.send(Message::Begin(Box::new(Begin {
            id: id.as_str().into(),
            definition,
            program,
            input: request.input,
            accepted,
            ended,
            permit,
        })))?;
        is_accepted.await.unwrap_or_else(|_| Err(self.stopped()))?;
        Ok(Handle::new(id, has_ended))
    }

    /// Asks an execution of this engine to stop: what it waits for ends as cancelled, and its
    /// compensations run. Does nothing if it is not running here.
    pub fn cancel(&self, id: &str, reason: &str) {
        for driver in &self.drivers {
            // A driver that has gone has no executions.
            let _ = driver.send(Message::Cancel { id: id.into(), reason: reason.to_owned() });
        }
    }

    /// Waits until no execution is in memory, or the engine has stopped.
    ///
    /// # Errors
    /// Where the engine stopped on an error of the store.
    pub async fn idle(&self) -> Result<(), EngineError> {
        loop {
            let notified = self.env.empty.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if let Some(why) = self.env.stopped.get() {
                return Err(EngineError::Stopped(Arc::clone(why)));
            }
            if self.env.in_memory.load(Ordering::SeqCst) == 0 {
                return Ok(());
            }
            notified.await;
        }
    }

    /// How many executions are in memory.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.env.in_memory.load(Ordering::SeqCst)
    }

    /// Stops gently: no new attempts begin, those under way get `grace` to end and be recorded; then
    /// they are cut off. What is unfinished goes on at the next start.
    pub async fn stop(&self, grace: Duration) {
        self.draining.store(true, Ordering::SeqCst);
        self.places.close();
        for driver in &self.drivers {
            // A driver that has gone needs no telling.
            let _ = driver.send(Message::Drain);
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let mut joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A panicked driver has been reported by its panic.
                let _ = thread.join();
            }
        });
        if tokio::time::timeout(grace, &mut joined).await.is_err() {
            for driver in &self.drivers {
                let _ = driver.send(Message::Leave);
            }
            let _ = joined.await;
        }
        self.close_committer().await;
    }

    async fn close_committer(&self) {
        self.inbox.close();
        let committer = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.ended.store(true, Ordering::SeqCst);
        if let Some(committer) = committer {
            // The writer is dropped with the thread, which lets go of the store.
            let _ = tokio::task::spawn_blocking(move || committer.join()).await;
        }
    }

    pub(crate) async fn place(&self) -> Result<tokio::sync::OwnedSemaphorePermit, EngineError> {
        Arc::clone(&self.places).acquire_owned().await.map_err(|_| self.stopped())
    }

    pub(crate) fn stopped(&self) -> EngineError {
        EngineError::Stopped(self.env.stopped.get().cloned().unwrap_or_else(|| "it was asked to".into()))
    }

    fn send(&self, message: Message) -> Result<(), EngineError> {
        let number = self.pick();
        self.drivers[number].send(message).map_err(|_| self.stopped())
    }

    pub(crate) fn pick(&self) -> usize {
        self.next_driver.fetch_add(1, Ordering::Relaxed) % self.drivers.len()
    }

    /// Looks for what other processes ask of this one.
    fn watch_requests(&self) {
        let (env, drivers, ended) = (Arc::clone(&self.env), self.drivers.clone(), Arc::clone(&self.ended));
        let interval = env.options.request_interval;
        self.env.runtime.spawn(async move {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if ended.load(Ordering::SeqCst) || env.stopped.get().is_some() {
                    return;
                }
                let (env, drivers) = (Arc::clone(&env), drivers.clone());
                let looked = tokio::task::spawn_blocking(move || take_requests(&env, &drivers)).await;
                if let Ok(Err(error)) = looked {
                    tracing::warn!(%error, "requests of other processes cannot be read");
                }
            }
        });
    }
}

/// Passes requests on. One is forgotten only when what it asks for has come about, so that none is lost
/// by a crash; passing it on twice does no harm.
fn take_requests(env: &Env, drivers: &[Sender<Message>]) -> Result<(), StoreError> {
    let mut settled = None;
    let mut all_settled = true;
    for request in env.store.requests(0)? {
        let RequestKind::Cancel { id, reason } = &request.kind;
        let open = env.store.execution(id)?.is_some_and(|row| row.status == Status::Running);
        if open {
            for driver in drivers {
                // A driver that has gone has no executions.
                let _ = driver.send(Message::Cancel { id: id.as_str().into(), reason: reason.clone() });
            }
            all_settled = false;
        } else if all_settled {
            settled = Some(request.id);
        }
    }
    if let (Some(upto), Some(driver)) = (settled, drivers.first()) {
        let _ = driver.send(Message::DropRequests(upto));
    }
    Ok(())
}

impl Drop for Engine {
    /// Leaves at once, as a crash would, but for telling the threads.
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        for driver in &self.drivers {
            // A driver that has gone needs no telling.
            let _ = driver.send(Message::Leave);
        }
        for thread in std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner)) {
            let _ = thread.join();
        }
        self.inbox.close();
        if let Some(committer) = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = committer.join();
        }
    }
}
