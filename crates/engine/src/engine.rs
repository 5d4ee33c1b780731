//! The engine as its users hold it: start, recover, cancel, wait, stop.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bowline_core::{Input, Outcome, Payload, StepError};
use bowline_store::{DEFAULT_ORGANIZATION, Definition, EntryWrite, SharedStore, Status, StoreError, Write};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::committer::{self, Inbox};
use crate::driver::{Answer, Begin, Driver, Message};
use crate::env::{Env, Parts};
use crate::keys::{Beginning, StartKey};
use crate::places::Places;
use crate::recovery::Stuck;
use crate::routing::Routed;
use crate::{Options, Programs, audit, blobs, requests, waker};

/// Why the engine could not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EngineError {
    /// The store refused.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// As many executions are in memory as may be, and none left it in time: nothing was done.
    #[error(
        "as many executions are under way as may be at once ({0} in all, and a part of them of one organization), and none \
         of them made room in time"
    )]
    Busy(usize),
    /// An entry that was to be added is there: nothing was written.
    #[error("there is an entry {} in {space} already", key.replace('\0', "/"))]
    EntryExists {
        /// The space.
        space: String,
        /// The key.
        key: String,
    },
    /// An entry is not what whoever changes it took it for: nothing was written.
    #[error("the entry {} in {space} has been changed", key.replace('\0', "/"))]
    EntryChanged {
        /// The space.
        space: String,
        /// The key.
        key: String,
    },
    /// The definition cannot be run.
    #[error("the definition cannot be run: {0}")]
    Definition(StepError),
    /// The engine has stopped or is about to. What was acknowledged is in the store; what was not may be.
    #[error("the engine has stopped: {0}")]
    Stopped(Arc<str>),
    /// There is no such execution, or callback.
    #[error("there is no execution {0}")]
    Unknown(String),
    /// It has ended, so it takes nothing any more.
    #[error("execution {id} has ended: {}", status.name())]
    Ended {
        /// Its id.
        id: String,
        /// How.
        status: Status,
    },
    /// An answer or a signal is larger than [`Options::max_answer_bytes`](crate::Options). Nothing of it was kept.
    #[error("it has {size} bytes, and at most {limit} are taken; send a reference to the content instead")]
    TooLarge {
        /// How many bytes it has.
        size: usize,
        /// How many it may have.
        limit: usize,
    },
    /// So much is kept that nobody waits for that this is not. Once some of it was taken, dropped or has expired, there is
    /// room again.
    #[error("the answer cannot be kept: {0}")]
    TooManyKept(String),
    /// A token that this store did not make.
    #[error("this is not a callback token of this data folder")]
    BadToken,
    /// A large payload could not be kept, or not be had.
    #[error("a large payload: {0}")]
    Blob(Arc<bowline_core::BlobError>),
    /// What was given, or what is stored, cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// The execution cannot go on as it is.
    #[error("execution {} cannot go on: {}", .0.id, .0.error)]
    Stuck(Stuck),
    /// An execution was started with this key before.
    #[error("the key `{key}` of workflow {workflow} belongs to execution {execution}: {why}")]
    KeyTaken {
        /// The workflow.
        workflow: String,
        /// The key.
        key: String,
        /// The execution that has it.
        execution: String,
        /// Why that one is not the answer.
        why: String,
    },
    /// It is in memory here, so it cannot be taken up; [`Engine::watch`] tells how it ends.
    #[error("execution {0} is running already")]
    AlreadyRunning(String),
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
        Self::of(Arc::new(error))
    }
}

impl EngineError {
    pub(crate) fn of(error: Arc<StoreError>) -> Self {
        match &*error {
            StoreError::EntryExists { space, key } => Self::EntryExists {
                space: space.clone(),
                key: key.clone(),
            },
            StoreError::EntryChanged { space, key } => Self::EntryChanged {
                space: space.clone(),
                key: key.clone(),
            },
            _ => Self::Store(error),
        }
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
    /// Makes starting it idempotent.
    pub key: Option<StartKey>,
    /// Whose it is. Children, retries and reruns have the same. Default: [`DEFAULT_ORGANIZATION`].
    pub organization: Arc<str>,
    /// Entries that are written in the commit that starts it, all or none. An entry that keeps the start from
    /// being written is [`EngineError::EntryExists`] or [`EngineError::EntryChanged`]. Where a key leads to an
    /// execution that exists, none is written.
    pub with: Vec<EntryWrite>,
    /// The trace that it belongs to, and its children do: the text of a W3C `traceparent` header. It is handed to
    /// every step.
    pub trace: Option<String>,
}

impl StartRequest {
    /// Starts `definition` with `input` under a new id.
    #[must_use]
    pub fn new(definition: Definition, input: Payload) -> Self {
        Self {
            id: None,
            definition,
            input,
            key: None,
            organization: DEFAULT_ORGANIZATION.into(),
            with: Vec::new(),
            trace: None,
        }
    }
}

/// An execution that was started or taken up, durably.
#[derive(Debug)]
pub struct Handle {
    id: String,
    ended: Answer<Outcome>,
    created: bool,
}

impl Handle {
    pub(crate) fn new(id: String, ended: Answer<Outcome>) -> Self {
        Self {
            id,
            ended,
            created: true,
        }
    }

    /// Of an execution that was there before it was asked for.
    pub(crate) fn existing(self) -> Self {
        Self { created: false, ..self }
    }

    /// Whether it began with the call that this is the answer to; false where a start key led to one that was there.
    #[must_use]
    pub fn created(&self) -> bool {
        self.created
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

/// How long a stop waits for what is on its way from one execution to another.
const ARRIVAL: Duration = Duration::from_secs(2);

/// Runs executions on one store.
pub struct Engine {
    pub(crate) env: Arc<Env>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    committer: Mutex<Option<std::thread::JoinHandle<()>>>,
    /// Set when the engine has ended: its tasks end too.
    ended: tokio::sync::watch::Sender<bool>,
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
        let inbox = Inbox::new(writer);
        let channels: Vec<_> = (0..options.drivers).map(|_| unbounded_channel()).collect();
        let drivers: Vec<UnboundedSender<Message>> = channels.iter().map(|(sender, _)| sender.clone()).collect();
        let env = Arc::new(Env::new(Parts {
            store,
            programs,
            options,
            runtime,
            first_own,
            drivers: drivers.clone(),
            inbox: inbox.clone(),
        })?);
        let patience = env.options.commit_patience;
        let committer = match &env.options.simulation {
            Some(simulation) => {
                committer::spawn_simulated(inbox.clone(), drivers, patience, &env.runtime, simulation.clone());
                None
            }
            None => Some(
                committer::spawn(inbox.clone(), drivers, patience)
                    .map_err(|error| EngineError::Thread(error.to_string()))?,
            ),
        };
        let mut tasks = Vec::with_capacity(channels.len());
        for (number, (sender, receiver)) in channels.into_iter().enumerate() {
            let driver = Driver::new(number, Arc::clone(&env), sender, inbox.clone());
            tasks.push(env.runtime.spawn(driver.run(receiver)));
        }
        let (ended, has_ended) = tokio::sync::watch::channel(false);
        requests::watch(&env, has_ended.clone());
        if !env.options.clock.is_virtual() {
            waker::run(&env, has_ended.clone());
        }
        audit::run(&env, has_ended.clone());
        audit::run_retention(&env, has_ended.clone());
        blobs::run_collector(&env, has_ended);
        Ok(Self {
            env,
            tasks: Mutex::new(tasks),
            committer: Mutex::new(committer),
            ended,
        })
    }

    /// Starts an execution and returns once that is durable. Waits while too many are in flight.
    ///
    /// # Errors
    /// Where the definition cannot be run, the id exists, the key is taken, or the engine has stopped.
    pub async fn start(&self, request: StartRequest) -> Result<Handle, EngineError> {
        match &request.key {
            None => self.begin(request, Beginning::default()).await,
            Some(_) => self.start_with_key(request, None).await,
        }
    }

    /// As [`Engine::start`], and waits for a place at most so long.
    ///
    /// # Errors
    /// As [`Engine::start`]; [`EngineError::Busy`] where there was no place in that time: nothing was started.
    pub async fn start_within(&self, request: StartRequest, patience: Duration) -> Result<Handle, EngineError> {
        let beginning = Beginning {
            patience: Some(patience),
            ..Beginning::default()
        };
        match &request.key {
            None => self.begin(request, beginning).await,
            Some(_) => self.start_with_key(request, beginning.patience).await,
        }
    }

    pub(crate) async fn begin(&self, request: StartRequest, mut beginning: Beginning) -> Result<Handle, EngineError> {
        let (definition, program) = self
            .env
            .program(&request.organization, request.definition)
            .map_err(EngineError::Definition)?;
        let input = self.env.externalize(request.input).await?;
        let permit = self.env.place(&request.organization, beginning.patience).await?;
        beginning.entries = request.with;
        beginning.trace = request.trace.map(Into::into);
        let id = request.id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let (accepted, is_accepted) = oneshot::channel();
        let (ended, has_ended) = oneshot::channel();
        let begin = Begin {
            id: id.as_str().into(),
            organization: request.organization,
            definition,
            program,
            input,
            beginning,
            accepted,
            ended,
            permit,
        };
        self.env.send(self.env.pick(), Message::Begin(Box::new(begin)))?;
        is_accepted.await.unwrap_or_else(|_| Err(self.env.stopped_error()))?;
        Ok(Handle::new(id, has_ended))
    }

    /// Keeps definitions and changes entries, all or nothing, and returns when that is durable.
    ///
    /// # Errors
    /// [`EngineError::EntryExists`] and [`EngineError::EntryChanged`] where an entry is not as it was taken to be;
    /// nothing is written then. Where the store cannot be written, or the engine has stopped.
    pub async fn record(&self, definitions: Vec<Definition>, entries: Vec<EntryWrite>) -> Result<(), EngineError> {
        let definitions = definitions.into_iter().map(Write::Define);
        let entries = entries.into_iter().map(Write::Entry);
        self.env.inbox.write(definitions.chain(entries).collect()).await
    }

    /// Waits for the end of an execution, whether it is in memory, waits, or has ended.
    ///
    /// # Errors
    /// [`EngineError::Unknown`] where it does not exist.
    pub async fn watch(&self, id: &str) -> Result<Handle, EngineError> {
        let row = self.env.row(id).await?;
        let (ended, has_ended) = oneshot::channel();
        self.env.watch(row.exec, ended).await?;
        Ok(Handle::new(id.to_owned(), has_ended))
    }

    /// Asks an execution to stop, bringing it into memory if need be: what it waits for ends as cancelled, and
    /// its compensations run. Returns when the wish is recorded; false where it has ended or was asked before.
    ///
    /// # Errors
    /// [`EngineError::Unknown`] where it does not exist.
    pub async fn cancel(&self, id: &str, reason: &str) -> Result<bool, EngineError> {
        let row = self.env.row(id).await?;
        let reason = reason.to_owned();
        let patience = self.env.options.outside_patience;
        let routed = self
            .env
            .route_within(row.exec, Input::Cancel { reason }, patience)
            .await?;
        Ok(routed == Routed::Recorded)
    }

    /// Waits until no execution is in memory or about to be, or the engine has stopped.
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
            let is_empty = self.env.backlog.is_empty();
            if is_empty
                && self.env.in_memory.load(Ordering::SeqCst) == 0
                && self.env.errands.load(Ordering::SeqCst) == 0
            {
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

    /// How many of the places in memory the executions of each organization take up, without children.
    #[must_use]
    pub fn places(&self) -> Vec<(Arc<str>, usize)> {
        self.env.places.taken()
    }

    /// How many executions are to run and wait in the store for a place in memory.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.env.backlog.len()
    }

    /// There are several organizations, though not all of them may have started anything yet: from now on none takes all places.
    pub fn share_out(&self) {
        self.env.all_places().for_each(Places::share_out);
    }

    /// Stops gently: no new attempts begin, those under way get `grace` to end and be recorded; then
    /// they are cut off. What is unfinished goes on at the next start.
    pub async fn stop(&self, grace: Duration) {
        // What is on its way to others arrives first.
        let arrived = async {
            loop {
                let notified = self.env.empty.notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                if self.env.errands.load(Ordering::SeqCst) == 0 {
                    return;
                }
                notified.await;
            }
        };
        // What takes longer is looked for again at the next start.
        let _ = tokio::time::timeout(grace.min(ARRIVAL), arrived).await;
        // Whoever has gone needs no telling.
        let _ = self.ended.send(true);
        self.env.all_places().for_each(Places::close);
        for driver in &self.env.drivers {
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
            for driver in &self.env.drivers {
                let _ = driver.send(Message::Leave);
            }
            for task in tasks.iter_mut().filter(|task| !task.is_finished()) {
                let _ = task.await;
            }
        }
        self.close_committer().await;
        self.env.forget_watchers();
    }

    async fn close_committer(&self) {
        self.env.inbox.close();
        let committer = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(committer) = committer {
            // The writer is dropped with the thread, which lets go of the store.
            let _ = tokio::task::spawn_blocking(move || committer.join()).await;
        }
    }
}

impl Drop for Engine {
    /// Leaves at once, as a crash would, but for telling the drivers. What they still send is not written.
    fn drop(&mut self) {
        // Whoever has gone needs no telling.
        let _ = self.ended.send(true);
        self.env.all_places().for_each(Places::close);
        for driver in &self.env.drivers {
            let _ = driver.send(Message::Leave);
        }
        self.env.inbox.close();
        if let Some(committer) = self.committer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = committer.join();
        }
        self.env.forget_watchers();
    }
}
