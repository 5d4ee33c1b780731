//! What all drivers of an engine share: the store, the programs, the clock, and who has which execution.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use bowline_core::{Event, Outcome, Program, StepError, TokenKey, decode};
use bowline_store::{
    Definition, DeliveryFilter, ExecNo, ExecutionRow, OpenExecution, RequestKind, SharedStore, Status, Store,
    StoreError,
};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, Semaphore};

use crate::audit::Audit;
use crate::backlog::{Backlog, Placed};
use crate::committer::Inbox;
use crate::driver::Message;
use crate::engine::EngineError;
use crate::owners::{Claim, Owners};
use crate::places::{Place, Places};
use crate::recovery::Stuck;
use crate::running::Ended;
use crate::wakes::Wakes;
use crate::{Options, Programs};

/// So many threads read the store at the same time.
const READERS: usize = 4;

/// After so long without a place for any child of an organization one goes on without.
const BEYOND: Duration = Duration::from_secs(60);

/// A definition and what it runs.
pub(crate) type Loaded = (Arc<Definition>, Arc<dyn Program>);

/// What all drivers share.
pub(crate) struct Env {
    pub(crate) store: SharedStore,
    pub(crate) programs: Arc<dyn Programs>,
    pub(crate) options: Options,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) next_exec: AtomicI64,
    pub(crate) defined: Mutex<HashSet<String>>,
    /// By organization and hash: what a program reads of this process is its organization's.
    pub(crate) loaded: Mutex<HashMap<String, HashMap<String, Loaded>>>,
    pub(crate) in_memory: AtomicUsize,
    pub(crate) empty: Notify,
    pub(crate) stopped: OnceLock<Arc<str>>,
    /// Who drives what.
    pub(crate) owners: Arc<Owners>,
    /// Executions from this number on are this process's own.
    pub(crate) first_own: ExecNo,
    pub(crate) drivers: Vec<UnboundedSender<Message>>,
    next_driver: AtomicUsize,
    /// The way to the committer.
    pub(crate) inbox: Inbox,
    /// Places in flight.
    pub(crate) places: Places,
    /// As many again for children, so that they wait for no parent. None where nothing leaves memory: there a child that waits
    /// for a place could keep its parent, and so others, waiting for ever.
    pub(crate) child_places: Option<Places>,
    /// What is to run and has no place yet.
    pub(crate) backlog: Backlog,
    /// Reads at the same time.
    readers: Semaphore,
    /// When what has left memory comes back.
    pub(crate) wakes: Wakes,
    /// About how many callbacks are kept that nobody waited for: with none, nobody has to look.
    pub(crate) kept: AtomicUsize,
    /// How much each organization has kept.
    pub(crate) kept_of: crate::kept::KeptCounts,
    /// The number that the next kept callback gets.
    pub(crate) next_delivery: AtomicI64,
    /// What token texts are made with.
    pub(crate) tokens: TokenKey,
    /// Who waits for the end of an execution that is not in memory.
    watchers: Mutex<HashMap<ExecNo, Vec<Ended>>>,
    /// Workflows that stand still, each with its organization.
    pub(crate) paused: RwLock<HashSet<(String, String)>>,
    /// The names of organizations, so that executions share them.
    organizations: Mutex<HashSet<Arc<str>>>,
    /// Up to which number waits for events have been offered them.
    pub(crate) offered: Mutex<HashMap<(ExecNo, u64), i64>>,
    /// What the self-audit has seen.
    pub(crate) audit: Audit,
    /// What earlier processes left has been taken up, so whatever has no owner is lost.
    pub(crate) recovered: AtomicBool,
    /// Looks for answers and events that are under way: a virtual clock stands still while there are any.
    pub(crate) errands: AtomicUsize,
    /// Executions that cannot go on.
    pub(crate) stuck: Mutex<BTreeMap<ExecNo, Stuck>>,
}

/// A look for something that may have been missed; see [`Env::errands`].
pub(crate) struct Errand(Arc<Env>);

impl Drop for Errand {
    fn drop(&mut self) {
        if self.0.errands.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.empty.notify_waiters();
        }
        if self.0.options.clock.is_virtual() {
            // Whoever waited for the clock may go on. A driver that has ended needs to know nothing.
            self.0
                .drivers
                .iter()
                .for_each(|driver| drop(driver.send(Message::Nudge)));
        }
    }
}

/// What an engine's parts are made of.
pub(crate) struct Parts {
    pub(crate) store: SharedStore,
    pub(crate) programs: Arc<dyn Programs>,
    pub(crate) options: Options,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) first_own: ExecNo,
    pub(crate) drivers: Vec<UnboundedSender<Message>>,
    pub(crate) inbox: Inbox,
}

impl Env {
    pub(crate) fn new(parts: Parts) -> Result<Self, StoreError> {
        let Parts {
            store,
            programs,
            options,
            runtime,
            first_own,
            drivers,
            inbox,
        } = parts;
        let kept = store.deliveries(&DeliveryFilter::default())?.len();
        let mut paused = HashSet::new();
        let organizations = store.organizations()?;
        let places = Places::new(options.max_in_flight, options.organization_share);
        let leaves_memory = options.park_beyond.is_some() && !options.clock.is_virtual();
        let child_places = leaves_memory.then(|| Places::new(options.max_in_flight, options.organization_share));
        if organizations.len() > 1 {
            for places in std::iter::once(&places).chain(&child_places) {
                places.share_out();
            }
        }
        for organization in organizations {
            let workflows = store.paused_workflows(&organization)?.into_iter();
            paused.extend(workflows.map(|workflow| (organization.clone(), workflow)));
        }
        Ok(Self {
            tokens: TokenKey::new(store.token_key()?),
            next_delivery: AtomicI64::new(store.last_delivery()?.saturating_add(1)),
            store,
            programs,
            options,
            runtime,
            next_exec: AtomicI64::new(first_own.0),
            defined: Mutex::default(),
            loaded: Mutex::default(),
            in_memory: AtomicUsize::new(0),
            empty: Notify::new(),
            stopped: OnceLock::new(),
            owners: Arc::new(Owners::new(first_own)),
            first_own,
            drivers,
            next_driver: AtomicUsize::new(0),
            inbox,
            places,
            child_places,
            backlog: Backlog::default(),
            readers: Semaphore::new(READERS),
            wakes: Wakes::new(),
            kept: AtomicUsize::new(kept),
            kept_of: crate::kept::KeptCounts::default(),
            watchers: Mutex::default(),
            paused: RwLock::new(paused),
            organizations: Mutex::default(),
            offered: Mutex::default(),
            audit: Audit::default(),
            recovered: AtomicBool::new(false),
            errands: AtomicUsize::new(0),
            stuck: Mutex::default(),
        })
    }

    /// Begins an errand, which lasts until what is returned is dropped.
    pub(crate) fn errand(self: &Arc<Self>) -> Errand {
        self.errands.fetch_add(1, Ordering::SeqCst);
        Errand(Arc::clone(self))
    }

    /// How far away what an execution waits for must be for it to leave memory; none where nothing does.
    pub(crate) fn park_beyond_ms(&self) -> Option<i64> {
        if self.options.clock.is_virtual() {
            return None;
        }
        let beyond = self.options.park_beyond?;
        Some(i64::try_from(beyond.as_millis()).unwrap_or(i64::MAX))
    }

    pub(crate) fn is_paused(&self, organization: &str, workflow: &str) -> bool {
        let paused = self.paused.read().unwrap_or_else(PoisonError::into_inner);
        !paused.is_empty() && paused.contains(&(organization.to_owned(), workflow.to_owned()))
    }

    /// The name of an organization, of which there is one copy.
    pub(crate) fn organization(&self, name: &str) -> Arc<str> {
        let mut known = self.organizations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(name) {
            return Arc::clone(known);
        }
        let name: Arc<str> = name.into();
        known.insert(Arc::clone(&name));
        name
    }

    /// Takes note of an execution that cannot go on, so that nobody tries again and again.
    pub(crate) fn stuck(&self, stuck: &Stuck, exec: ExecNo) {
        self.stuck
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(exec, stuck.clone());
    }

    pub(crate) fn is_stuck(&self, exec: ExecNo) -> bool {
        self.stuck
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(&exec)
    }

    pub(crate) fn all_stuck(&self) -> Vec<Stuck> {
        let stuck = self.stuck.lock().unwrap_or_else(PoisonError::into_inner);
        stuck.values().cloned().collect()
    }

    /// Keeps whoever waits for the end of an execution that is not in memory.
    pub(crate) fn watch_parked(&self, exec: ExecNo, told: Ended) {
        self.watchers().entry(exec).or_default().push(told);
    }

    /// Takes those who wait for the end of an execution.
    pub(crate) fn watchers_of(&self, exec: ExecNo) -> Vec<Ended> {
        self.watchers().remove(&exec).unwrap_or_default()
    }

    /// Nobody will tell them any more; they hear of it by this.
    pub(crate) fn forget_watchers(&self) {
        self.watchers().clear();
    }

    fn watchers(&self) -> MutexGuard<'_, HashMap<ExecNo, Vec<Ended>>> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn pick(&self) -> usize {
        self.next_driver.fetch_add(1, Ordering::Relaxed) % self.drivers.len()
    }

    pub(crate) fn send(&self, driver: usize, message: Message) -> Result<(), EngineError> {
        self.drivers[driver].send(message).map_err(|_| self.stopped_error())
    }

    /// Waits for a place, for so long at most where that is said.
    pub(crate) async fn place(&self, organization: &str, patience: Option<Duration>) -> Result<Place, EngineError> {
        let taken = match patience {
            None => self.places.take(organization).await,
            Some(patience) => tokio::time::timeout(patience, self.places.take(organization))
                .await
                .map_err(|_| EngineError::Busy(self.options.max_in_flight))?,
        };
        taken.map_err(|_| self.stopped_error())
    }

    /// A place that is free now; none where there is none.
    pub(crate) fn place_now(&self, organization: &str) -> Result<Option<Place>, EngineError> {
        self.places.take_now(organization).map_err(|_| self.stopped_error())
    }

    /// A place for a child that is free now, or that it needs none.
    pub(crate) fn child_place_now(&self, organization: &str) -> Result<Placed, EngineError> {
        let Some(places) = &self.child_places else {
            return Ok(Placed::Is(None));
        };
        let place = places.take_now(organization).map_err(|_| self.stopped_error())?;
        Ok(place.map_or(Placed::None, |place| Placed::Is(Some(place))))
    }

    /// Waits for a place for a child, for so long at most where that is said. Without that one goes on without a place where
    /// none comes free for a minute.
    pub(crate) async fn child_place(
        &self,
        organization: &str,
        patience: Option<Duration>,
    ) -> Result<Option<Place>, EngineError> {
        let Some(places) = &self.child_places else {
            return Ok(None);
        };
        let taken = match patience {
            None => places.take_or_go_beyond(organization, BEYOND).await,
            Some(patience) => tokio::time::timeout(patience, places.take(organization))
                .await
                .map_err(|_| EngineError::Busy(self.options.max_in_flight))?
                .map(Some),
        };
        taken.map_err(|_| self.stopped_error())
    }

    /// Those of executions that somebody started, and those of children.
    pub(crate) fn all_places(&self) -> impl Iterator<Item = &Places> {
        std::iter::once(&self.places).chain(&self.child_places)
    }

    pub(crate) fn stopped_error(&self) -> EngineError {
        EngineError::Stopped(self.stopped.get().cloned().unwrap_or_else(|| "it was asked to".into()))
    }

    pub(crate) fn take_exec(&self) -> ExecNo {
        ExecNo(self.next_exec.fetch_add(1, Ordering::SeqCst))
    }

    /// Whether it is not known that the store has this definition. Writing it twice does no harm; a start
    /// without it would be an execution that nobody can take up.
    pub(crate) fn must_define(&self, hash: &str) -> bool {
        !self
            .defined
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(hash)
    }

    /// The store has this definition, durably.
    pub(crate) fn defined(&self, hash: &str) {
        self.defined
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(hash.to_owned());
    }

    /// A definition and its program, if it has been loaded for this organization before.
    pub(crate) fn cached(&self, organization: &str, hash: &str) -> Option<Loaded> {
        self.loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(organization)?
            .get(hash)
            .cloned()
    }

    /// The program of a definition in an organization, loaded once.
    pub(crate) fn program(&self, organization: &str, definition: Definition) -> Result<Loaded, StepError> {
        if let Some(loaded) = self.cached(organization, &definition.hash) {
            return Ok(loaded);
        }
        let program = self.programs.load(organization, &definition)?;
        let loaded = (Arc::new(definition), program);
        let mut all = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let of_organization = all.entry(organization.to_owned()).or_default();
        Ok(of_organization.entry(loaded.0.hash.clone()).or_insert(loaded).clone())
    }

    /// As [`Env::stored_definition`], for callers that must not block.
    pub(crate) async fn definition_of(
        self: &Arc<Self>,
        organization: &str,
        hash: &str,
    ) -> Result<Result<Loaded, StepError>, EngineError> {
        if let Some(found) = self.cached(organization, hash) {
            return Ok(Ok(found));
        }
        let (organization, wanted) = (organization.to_owned(), hash.to_owned());
        Ok(self
            .blocking(move |env| env.stored_definition(&organization, &wanted))
            .await??)
    }

    pub(crate) fn child_program(
        &self,
        organization: &str,
        parent: &Definition,
        workflow: &str,
    ) -> Result<Loaded, StepError> {
        self.program(organization, self.programs.child(organization, parent, workflow)?)
    }

    /// Runs what blocks (reading the store) where it may.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        if self.options.simulation.is_some() {
            return Ok(work(self));
        }
        // More would not be faster, and each has a connection of its own with its own memory.
        let Ok(_turn) = self.readers.acquire().await else {
            return Err(self.stopped_error());
        };
        let env = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&env))
            .await
            .map_err(|error| EngineError::Stopped(error.to_string().into()))
    }

    /// What is to be done about a child that a recovered parent waits for.
    pub(crate) fn stored_child(&self, id: &str, driver: usize) -> Result<Stored, EngineError> {
        let Some(mut row) = self.store.execution(id)? else {
            return Ok(Stored::Unknown);
        };
        // Its end wakes its parent.
        if matches!(row.status, Status::Waiting | Status::Paused) {
            return Ok(Stored::Driven);
        }
        if row.status == Status::Running {
            let Some(claim) = self.owners.claim(row.exec, driver) else {
                return Ok(Stored::Driven);
            };
            // Where it has ended since, the claim is given up.
            if let Some(open) = self.take_up(&row, claim)? {
                return Ok(open);
            }
            if let Some(again) = self.store.execution(id)? {
                row = again;
            }
        }
        let outcome = outcome_of(self.store.as_ref(), &row)?;
        Ok(outcome.map_or(Stored::Unknown, Stored::Ended))
    }

    /// A claimed execution as it is now; none where it has ended.
    fn take_up(&self, row: &ExecutionRow, claim: Claim) -> Result<Option<Stored>, EngineError> {
        let open = self.store.open_execution(row.exec)?;
        let Some(open) = open.filter(|open| open.row.status == Status::Running) else {
            return Ok(None);
        };
        let definition = self
            .stored_definition(&open.row.organization, &open.row.definition)?
            .map_err(EngineError::Definition)?;
        Ok(Some(Stored::Open(Box::new(open), definition, claim)))
    }

    /// A definition of the store and its program in an organization.
    pub(crate) fn stored_definition(
        &self,
        organization: &str,
        hash: &str,
    ) -> Result<Result<Loaded, StepError>, StoreError> {
        if let Some(found) = self.cached(organization, hash) {
            return Ok(Ok(found));
        }
        let Some(definition) = self.store.definition(hash)? else {
            let message = format!("the store has no definition {hash}");
            return Ok(Err(StepError::permanent("definition.missing", message)));
        };
        Ok(self.program(organization, definition))
    }

    pub(crate) fn entered(&self) {
        self.in_memory.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn in_memory(&self) -> usize {
        self.in_memory.load(Ordering::SeqCst)
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
        self.forget_watchers();
    }
}

/// What a store knows of a child.
pub(crate) enum Stored {
    /// It has not begun.
    Unknown,
    /// It runs in this process, or waits: its end will be told.
    Driven,
    /// It was waiting to be taken up, and is claimed.
    Open(Box<OpenExecution>, Loaded, Claim),
    /// It has ended.
    Ended(Outcome),
}

/// How an execution ended, from the last record of its journal.
pub(crate) fn outcome_of(store: &dyn Store, row: &ExecutionRow) -> Result<Option<Outcome>, StoreError> {
    let last = store.last_record(row.exec)?;
    let events = last
        .map(|record| decode(&record.events))
        .transpose()
        .map_err(|source| StoreError::Other {
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

/// The requests that are about an execution.
pub(crate) fn requests_about(store: &dyn Store, wanted: &str) -> Result<Vec<i64>, StoreError> {
    let about = store
        .requests(0)?
        .into_iter()
        .filter(|request| matches!(&request.kind, RequestKind::Cancel { id, .. } if id == wanted));
    Ok(about.map(|request| request.id).collect())
}
