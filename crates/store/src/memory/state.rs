//! The rows of a [`MemoryStore`](super::MemoryStore). A batch is applied write by write, each leaving how it is
//! undone; the first that is refused undoes those before it.

mod entries;
mod reads;
mod retention;
mod waits;

use std::collections::{BTreeMap, BTreeSet, HashMap};

pub(super) use retention::no_backup;

use super::faults::{Fault, Plan, Witness, Witnessing, refused};
use crate::{
    Definition, Delivery, EventRow, ExecNo, ExecutionRow, JournalRecord, NewExecution, Request, Status, StoreError,
    WaitRow, Write,
};

#[derive(Default)]
pub(super) struct State {
    pub(super) definitions: HashMap<String, Definition>,
    /// The hashes in the order in which they came.
    defined: Vec<String>,
    /// What organizations have started: organization, workflow and definition, in the order in which they came.
    programs: Vec<(String, String, String)>,
    executions: BTreeMap<ExecNo, ExecutionRow>,
    numbers: HashMap<String, ExecNo>,
    journals: HashMap<ExecNo, BTreeMap<u64, JournalRecord>>,
    /// Condensed segments by their first record: the record after the last, and what recovery reads.
    segments: HashMap<ExecNo, BTreeMap<u64, (u64, JournalRecord)>>,
    /// The highest number of a deleted execution.
    high_water: i64,
    /// Executions of which something is left.
    deleting: BTreeSet<ExecNo>,
    blobs: BTreeSet<(ExecNo, String)>,
    /// Who has a key of a workflow (by organization, workflow and key), and the hash of its input.
    start_keys: BTreeMap<(String, String, String), (ExecNo, bytes::Bytes)>,
    /// By organization and workflow.
    paused: BTreeSet<(String, String)>,
    waits: BTreeMap<(ExecNo, u64), WaitRow>,
    deliveries: BTreeMap<i64, Delivery>,
    last_delivery: i64,
    events: BTreeMap<i64, EventRow>,
    last_event: i64,
    /// By space and key.
    entries: BTreeMap<(String, String), bytes::Bytes>,
    requests: Vec<Request>,
    last_request: i64,
    /// Counts crashes: a writer belongs to the generation in which it was taken.
    generation: u64,
    writer_taken: bool,
    pub(super) commits: u64,
    pub(super) plan: Option<Plan>,
    pub(super) witness: Option<Witnessing>,
    /// How many [`Hold`](super::Hold)s live.
    pub(super) held: usize,
    /// How many commits wait for them.
    pub(super) waiting: usize,
}

/// How one write is undone.
enum Undo {
    Nothing,
    Definition(String),
    Execution(ExecNo),
    Record(ExecNo, u64),
    Row(ExecutionRow),
    Requests(Vec<Request>),
    /// What is rare is undone by whatever it says.
    By(Box<dyn FnOnce(&mut State) + Send>),
}

impl Undo {
    fn by(undo: impl FnOnce(&mut State) + Send + 'static) -> Self {
        Self::By(Box::new(undo))
    }

    /// The last of these first.
    fn all(all: Vec<Self>) -> Self {
        Self::by(|state| all.into_iter().rev().for_each(|undo| state.undo(undo)))
    }
}

impl State {
    pub(super) fn take_writer(&mut self) -> Result<u64, StoreError> {
        if self.writer_taken {
            return Err(StoreError::Locked {
                path: "memory".into(),
                holder: Some(format!("pid {}", std::process::id())),
            });
        }
        self.writer_taken = true;
        Ok(self.generation)
    }

    pub(super) fn release_writer(&mut self, generation: u64) {
        if generation == self.generation {
            self.writer_taken = false;
        }
    }

    pub(super) fn crash(&mut self) {
        self.generation += 1;
        self.writer_taken = false;
    }

    pub(super) fn alive(&self, generation: u64) -> Result<(), StoreError> {
        if generation == self.generation {
            Ok(())
        } else {
            Err(refused("this writer was lost in a crash"))
        }
    }

    pub(super) fn next_exec(&self) -> ExecNo {
        let last = self.executions.last_key_value().map_or(0, |(last, _)| last.0);
        ExecNo(last.max(self.high_water) + 1)
    }

    pub(super) fn tell(&self, what: Witness<'_>) {
        if let Some(witness) = &self.witness {
            witness(what);
        }
    }

    pub(super) fn next_fault(&mut self) -> Option<Fault> {
        let plan = self.plan.as_mut()?;
        if plan.after > 0 {
            plan.after -= 1;
            return None;
        }
        let fault = plan.fault;
        if !plan.lasting {
            self.plan = None;
        }
        Some(fault)
    }

    pub(super) fn apply(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        let mut done = Vec::with_capacity(batch.len());
        for write in batch {
            match self.write(write) {
                Ok(undo) => done.push(undo),
                Err(error) => {
                    done.into_iter().rev().for_each(|undo| self.undo(undo));
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, write: &Write) -> Result<Undo, StoreError> {
        match write {
            Write::Define(definition) => {
                if self.definitions.contains_key(&definition.hash) {
                    return Ok(Undo::Nothing);
                }
                self.definitions.insert(definition.hash.clone(), definition.clone());
                self.defined.push(definition.hash.clone());
                Ok(Undo::Definition(definition.hash.clone()))
            }
            Write::Start(new) => self.start(new),
            Write::Append(record) => {
                if !self.executions.contains_key(&record.exec) {
                    return Err(unknown(record.exec));
                }
                let journal = self.journals.entry(record.exec).or_default();
                if journal.contains_key(&record.seq) {
                    return Err(StoreError::Conflict {
                        exec: record.exec.0,
                        seq: record.seq,
                    });
                }
                journal.insert(record.seq, record.clone());
                Ok(Undo::Record(record.exec, record.seq))
            }
            Write::Finish(finish) => self.set_status(finish.exec, |row| {
                row.status = finish.status;
                row.finished_at = Some(finish.at);
                row.error.clone_from(&finish.error);
            }),
            Write::Reopen(exec) | Write::Unpark(exec) => self.set_status(*exec, |row| row.status = Status::Running),
            Write::Park { exec, status, wake_at } => self.set_status(*exec, |row| {
                row.status = *status;
                row.wake_at = *wake_at;
            }),
            Write::WakeParent { id, at } => Ok(self.wake_parent(id, *at)),
            Write::Redefine { exec, definition } => {
                let row = self.executions.get_mut(exec).ok_or_else(|| unknown(*exec))?;
                let before = row.clone();
                row.definition.clone_from(definition);
                self.run(&before.organization, &before.workflow, definition);
                Ok(Undo::Row(before))
            }
            Write::Request(kind) => {
                let before = self.requests.clone();
                self.request(kind);
                Ok(Undo::Requests(before))
            }
            Write::DropRequest(id) => {
                let before = self.requests.clone();
                self.requests.retain(|request| request.id != *id);
                Ok(Undo::Requests(before))
            }
            Write::OpenWait(row) => self.open_wait(row),
            Write::CloseWait { exec, tag, state } => Ok(self.close_wait(*exec, *tag, *state)),
            Write::Keep(delivery) => self.keep(delivery),
            Write::DropDelivery(id) => Ok(self.drop_deliveries(vec![*id])),
            Write::DropExpired { before, at_most } => Ok(self.drop_expired(*before, *at_most)),
            Write::Emit(event) => self.emit(event),
            Write::DropEvents { before, at_most } => Ok(self.drop_events(*before, *at_most)),
            Write::ClaimKey {
                organization,
                workflow,
                key,
                exec,
                input_hash,
                replaces,
            } => {
                let place = (organization.clone(), workflow.clone(), key.clone());
                self.claim_key(place, *exec, input_hash, *replaces)
            }
            Write::PauseWorkflow { organization, workflow } => {
                let place = (organization.clone(), workflow.clone());
                Ok(if self.paused.insert(place.clone()) {
                    Undo::by(move |state| {
                        state.paused.remove(&place);
                    })
                } else {
                    Undo::Nothing
                })
            }
            Write::UnpauseWorkflow { organization, workflow } => {
                let place = (organization.clone(), workflow.clone());
                Ok(if self.paused.remove(&place) {
                    Undo::by(move |state| {
                        state.paused.insert(place);
                    })
                } else {
                    Undo::Nothing
                })
            }
            Write::Condense {
                exec,
                from,
                to,
                at,
                events,
            } => {
                let record = JournalRecord {
                    exec: *exec,
                    seq: *from,
                    at: *at,
                    events: events.clone(),
                };
                self.condense(record, *to)
            }
            Write::Reference { exec, blob } => self.reference(*exec, blob),
            Write::Entry(write) => self.write_entry(write),
            Write::Delete(exec) => self.delete(*exec, usize::MAX),
            Write::DeleteSlice { exec, at_most } => self.delete(*exec, *at_most as usize),
            // Memory is given back as it is freed.
            Write::Shrink { .. } => Ok(Undo::Nothing),
        }
    }

    fn start(&mut self, new: &NewExecution) -> Result<Undo, StoreError> {
        if self.numbers.contains_key(&new.id) {
            return Err(StoreError::Duplicate { id: new.id.clone() });
        }
        if self.executions.contains_key(&new.exec) {
            return Err(StoreError::Refused(format!(
                "the execution number {} is taken",
                new.exec.0
            )));
        }
        self.numbers.insert(new.id.clone(), new.exec);
        self.executions.insert(
            new.exec,
            ExecutionRow {
                exec: new.exec,
                id: new.id.clone(),
                organization: new.organization.clone(),
                workflow: new.workflow.clone(),
                definition: new.definition.clone(),
                parent: new.parent.clone(),
                origin: new.origin.clone(),
                status: Status::Running,
                started_at: new.started_at,
                finished_at: None,
                error: None,
                wake_at: None,
            },
        );
        let known = self.programs.len();
        self.run(&new.organization, &new.workflow, &new.definition);
        Ok(Undo::all(vec![
            Undo::Execution(new.exec),
            Undo::by(move |state| state.programs.truncate(known)),
        ]))
    }

    fn run(&mut self, organization: &str, workflow: &str, definition: &str) {
        let program = (organization.to_owned(), workflow.to_owned(), definition.to_owned());
        if !self.programs.contains(&program) {
            self.programs.push(program);
        }
    }

    /// What `set` does not say is that it neither has an end nor is to be woken.
    fn set_status(&mut self, exec: ExecNo, set: impl FnOnce(&mut ExecutionRow)) -> Result<Undo, StoreError> {
        let row = self.executions.get_mut(&exec).ok_or_else(|| unknown(exec))?;
        let before = row.clone();
        (row.finished_at, row.error, row.wake_at) = (None, None, None);
        set(row);
        Ok(Undo::Row(before))
    }

    fn wake_parent(&mut self, id: &str, at: i64) -> Undo {
        let exec = self.numbers.get(id).copied();
        exec.map_or(Undo::Nothing, |exec| self.wake(exec, at))
    }

    /// Wakes an execution at this time or before, if it is waiting.
    fn wake(&mut self, exec: ExecNo, at: i64) -> Undo {
        match self.executions.get_mut(&exec) {
            Some(row) if row.status == Status::Waiting => {
                let before = row.clone();
                row.wake_at = Some(row.wake_at.map_or(at, |earlier| earlier.min(at)));
                Undo::Row(before)
            }
            _ => Undo::Nothing,
        }
    }

    /// The number of an execution that has to exist.
    fn known(&self, exec: ExecNo) -> Result<(), StoreError> {
        if self.executions.contains_key(&exec) {
            Ok(())
        } else {
            Err(unknown(exec))
        }
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Nothing => {}
            Undo::Definition(hash) => {
                self.definitions.remove(&hash);
                self.defined.pop();
            }
            Undo::Execution(exec) => {
                if let Some(row) = self.executions.remove(&exec) {
                    self.numbers.remove(&row.id);
                }
            }
            Undo::Record(exec, seq) => {
                if let Some(journal) = self.journals.get_mut(&exec) {
                    journal.remove(&seq);
                }
            }
            Undo::Row(row) => {
                self.executions.insert(row.exec, row);
            }
            Undo::Requests(requests) => self.requests = requests,
            Undo::By(undo) => undo(self),
        }
    }
}

fn unknown(exec: ExecNo) -> StoreError {
    StoreError::Refused(format!("there is no execution with the number {}", exec.0))
}
