//! What all drivers of an engine share: the store, the programs, the clock, and who has which execution.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bowline_core::{Event, Outcome, Path, Program, StepError, decode};
use bowline_store::{
    Definition, ExecNo, ExecutionRow, JournalRecord, OpenExecution, RequestKind, SharedStore, Status, Store, StoreError,
};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use crate::driver::Message;
use crate::engine::EngineError;
use crate::{Options, Programs};

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
    pub(crate) loaded: Mutex<HashMap<String, Loaded>>,
    pub(crate) in_memory: AtomicUsize,
    pub(crate) empty: Notify,
    pub(crate) stopped: OnceLock<Arc<str>>,
    /// Executions that a driver of this process has, and earlier processes' executions that one has had.
    pub(crate) driven: Mutex<(HashSet<ExecNo>, HashSet<ExecNo>)>,
    /// Executions from this number on are this process's own.
    pub(crate) first_own: ExecNo,
    pub(crate) drivers: OnceLock<Vec<UnboundedSender<Message>>>,
}

impl Env {
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

    /// A definition and its program, if it has been loaded before.
    pub(crate) fn cached(&self, hash: &str) -> Option<Loaded> {
        self.loaded
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(hash)
            .cloned()
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

    pub(crate) fn child_program(&self, parent: &Definition, workflow: &str) -> Result<Loaded, StepError> {
        self.program(self.programs.child(parent, workflow)?)
    }

    /// Takes the driving of an execution; false where a driver has it. What is known of it must be read
    /// after this, or it may be what was before another driver's end.
    pub(crate) fn claim(&self, exec: ExecNo) -> bool {
        self.driven
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .insert(exec)
    }

    /// As [`Env::claim`], for an execution whose journal was read before: false also where a driver has
    /// had it since the engine began.
    pub(crate) fn claim_as_read(&self, exec: ExecNo) -> bool {
        let mut driven = self.driven.lock().unwrap_or_else(PoisonError::into_inner);
        !driven.1.contains(&exec) && driven.0.insert(exec)
    }

    pub(crate) fn release(&self, exec: ExecNo) {
        let mut driven = self.driven.lock().unwrap_or_else(PoisonError::into_inner);
        driven.0.remove(&exec);
        if exec < self.first_own {
            driven.1.insert(exec);
        }
    }

    /// What is to be done about a child that a recovered parent waits for.
    pub(crate) fn stored_child(&self, id: &str) -> Result<Stored, EngineError> {
        let Some(mut row) = self.store.execution(id)? else {
            return Ok(Stored::Unknown);
        };
        if row.status == Status::Running {
            if !self.claim(row.exec) {
                return Ok(Stored::Driven);
            }
            match self.take_up(&row) {
                Ok(Some(open)) => return Ok(open),
                // It has ended since.
                Ok(None) => self.release(row.exec),
                Err(error) => {
                    self.release(row.exec);
                    return Err(error);
                }
            }
            if let Some(again) = self.store.execution(id)? {
                row = again;
            }
        }
        let outcome = outcome_of(self.store.as_ref(), &row)?;
        Ok(outcome.map_or(Stored::Unknown, Stored::Ended))
    }

    /// A claimed execution as it is now; none where it has ended.
    fn take_up(&self, row: &ExecutionRow) -> Result<Option<Stored>, EngineError> {
        match self.store.execution(&row.id)? {
            Some(row) if row.status == Status::Running => {
                let journal = whole_journal(self.store.as_ref(), row.exec)?;
                let definition = self
                    .stored_definition(&row.definition)?
                    .map_err(EngineError::Definition)?;
                Ok(Some(Stored::Open(Box::new(OpenExecution { row, journal }), definition)))
            }
            _ => Ok(None),
        }
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
    }
}

/// What a store knows of a child.
pub(crate) enum Stored {
    /// It has not begun.
    Unknown,
    /// It runs in this process.
    Driven,
    /// It was waiting to be taken up, and is claimed.
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
pub(crate) fn outcome_of(store: &dyn Store, row: &ExecutionRow) -> Result<Option<Outcome>, StoreError> {
    let last = whole_journal(store, row.exec)?.pop();
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

/// Passes requests on. One is forgotten only when what it asks for has come about, so that none is lost
/// by a crash; passing it on twice does no harm.
pub(crate) fn take_requests(env: &Env, drivers: &[UnboundedSender<Message>]) -> Result<(), StoreError> {
    for request in env.store.requests(0)? {
        let RequestKind::Cancel { id, reason } = &request.kind;
        let open = env
            .store
            .execution(id)?
            .is_some_and(|row| row.status == Status::Running);
        if open {
            for driver in drivers {
                // A driver that has gone has no executions.
                let _ = driver.send(Message::Cancel {
                    id: id.as_str().into(),
                    reason: reason.clone(),
                });
            }
        } else if let Some(driver) = drivers.first() {
            let _ = driver.send(Message::DropRequest(request.id));
        }
    }
    Ok(())
}

/// The requests that are about an execution.
pub(crate) fn requests_about(store: &dyn Store, wanted: &str) -> Result<Vec<i64>, StoreError> {
    let about = store.requests(0)?.into_iter().filter(|request| {
        let RequestKind::Cancel { id, .. } = &request.kind;
        id == wanted
    });
    Ok(about.map(|request| request.id).collect())
}
