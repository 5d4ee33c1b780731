//! The engine as its users hold it: start, recover, cancel, wait, stop.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bowline_core::{Outcome, Payload, StepError};
use bowline_store::{Definition, SharedStore, StoreError};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::committer::{self, Inbox};
use crate::driver::{Answer, Begin, Driver, Message};
use crate::env::{Env, take_requests};
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
        self.ended
            .await
            .unwrap_or_else(|_| Err(EngineError::Stopped("before the execution ended".into())))
    }
}

/// Runs executions on one store.
pub struct Engine {
    pub(crate) env: Arc<Env>,
    pub(crate) drivers: Vec<UnboundedSender<Message>>,
    pub(crate) places: Arc<Semaphore>,
    inbox: Inbox,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    committer: Mutex<Option<std::thread::JoinHandle<()>>>,
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
        options.drivers = if options.clock.is_virtual() {
            1
        } else {
            options.drivers.max(1)
        };
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
            first_own,
            drivers: OnceLock::new(),
            options,
        });
        let inbox = Inbox::new(writer);
        let channels: Vec<_> = (0..env.options.drivers).map(|_| unbounded_channel()).collect();
        let drivers: Vec<UnboundedSender<Message>> = channels.iter().map(|(sender, _)| sender.clone()).collect();
        // Set once, here.
        let _ = env.drivers.set(drivers.clone());
        let thread_error = |error: std::io::Error| EngineError::Thread(error.to_string());
        let committer =
            committer::spawn(inbox.clone(), drivers.clone(), env.options.commit_patience).map_err(thread_error)?;
        let mut tasks = Vec::with_capacity(channels.len());
        for (number, (sender, receiver)) in channels.into_iter().enumerate() {
            let driver = Driver::new(number, Arc::clone(&env), sender, inbox.clone());
            tasks.push(env.runtime.spawn(driver.run(receiver)));
        }
        let engine = Self {
            env,
            drivers,
            places,
            inbox,
            tasks: Mutex::new(tasks),
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
            let _ = driver.send(Message::Cancel {
                id: id.into(),
                reason: reason.to_owned(),
            });
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
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        let ended = tokio::time::timeout(grace, async {
            for task in &mut tasks {
                // A driver that panicked has been reported by its panic.
                let _ = task.await;
            }
        });
        if ended.await.is_err() {
            for driver in &self.drivers {
                let _ = driver.send(Message::Leave);
            }
            for task in tasks.iter_mut().filter(|task| !task.is_finished()) {
                let _ = task.await;
            }
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
        Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(|_| self.stopped())
    }

    pub(crate) fn stopped(&self) -> EngineError {
        EngineError::Stopped(
            self.env
                .stopped
                .get()
                .cloned()
                .unwrap_or_else(|| "it was asked to".into()),
        )
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

impl Drop for Engine {
    /// Leaves at once, as a crash would, but for telling the drivers. What they still send is not written.
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        for driver in &self.drivers {
            // A driver that has gone needs no telling.
            let _ = driver.send(Message::Leave);
        }
        self.inbox.close();
        if let Some(committer) = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = committer.join();
        }
    }
}
