//! The rows of a [`MemoryStore`](super::MemoryStore). A batch is applied write by write, each leaving how it is
//! undone; the first that is refused undoes those before it.

use std::collections::{BTreeMap, HashMap};

use super::faults::{Fault, Plan, refused};
use crate::{
    Definition, ExecNo, ExecutionFilter, ExecutionRow, JournalRecord, NewExecution, OpenExecution, Request,
    RequestKind, Status, StoreError, Write,
};

#[derive(Default)]
pub(super) struct State {
    pub(super) definitions: HashMap<String, Definition>,
    executions: BTreeMap<ExecNo, ExecutionRow>,
    numbers: HashMap<String, ExecNo>,
    journals: HashMap<ExecNo, BTreeMap<u64, JournalRecord>>,
    requests: Vec<Request>,
    last_request: i64,
    /// Counts crashes: a writer belongs to the generation in which it was taken.
    generation: u64,
    writer_taken: bool,
    pub(super) commits: u64,
    pub(super) plan: Option<Plan>,
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
        ExecNo(self.executions.last_key_value().map_or(0, |(last, _)| last.0) + 1)
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
            Write::Finish(finish) => self.set_status(finish.exec, finish.status, Some(finish.at)),
            Write::Reopen(exec) => self.set_status(*exec, Status::Running, None),
            Write::DropRequest(id) => {
                let before = self.requests.clone();
                self.requests.retain(|request| request.id != *id);
                Ok(Undo::Requests(before))
            }
        }
    }

    fn start(&mut self, new: &NewExecution) -> Result<Undo, StoreError> {
        if self.numbers.contains_key(&new.id) {
            return Err(StoreError::Duplicate { id: new.id.clone() });
        }
        if self.executions.contains_key(&new.exec) {
            return Err(refused(&format!("the execution number {} is taken", new.exec.0)));
        }
        self.numbers.insert(new.id.clone(), new.exec);
        self.executions.insert(
            new.exec,
            ExecutionRow {
                exec: new.exec,
                id: new.id.clone(),
                workflow: new.workflow.clone(),
                definition: new.definition.clone(),
                parent: new.parent.clone(),
                status: Status::Running,
                started_at: new.started_at,
                finished_at: None,
            },
        );
        Ok(Undo::Execution(new.exec))
    }

    fn set_status(&mut self, exec: ExecNo, status: Status, finished_at: Option<i64>) -> Result<Undo, StoreError> {
        let row = self.executions.get_mut(&exec).ok_or_else(|| unknown(exec))?;
        let before = row.clone();
        row.status = status;
        row.finished_at = finished_at;
        Ok(Undo::Row(before))
    }

    fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Nothing => {}
            Undo::Definition(hash) => {
                self.definitions.remove(&hash);
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
        }
    }

    pub(super) fn execution(&self, id: &str) -> Option<&ExecutionRow> {
        self.numbers.get(id).and_then(|exec| self.executions.get(exec))
    }

    pub(super) fn list(&self, filter: &ExecutionFilter) -> Vec<ExecutionRow> {
        let end = filter.before.unwrap_or(ExecNo(i64::MAX));
        self.executions
            .range(..end)
            .rev()
            .map(|(_, row)| row)
            .filter(|row| filter.status.is_none_or(|status| row.status == status))
            .filter(|row| {
                filter
                    .workflow
                    .as_ref()
                    .is_none_or(|workflow| row.workflow == *workflow)
            })
            .filter(|row| filter.parent.is_none() || row.parent == filter.parent)
            .filter(|row| {
                filter
                    .id_prefix
                    .as_ref()
                    .is_none_or(|prefix| row.id.starts_with(prefix.as_str()))
            })
            .take(filter.page())
            .cloned()
            .collect()
    }

    pub(super) fn journal(&self, exec: ExecNo, from: u64, limit: usize) -> Vec<JournalRecord> {
        self.journals
            .get(&exec)
            .map(|journal| {
                journal
                    .range(from..)
                    .take(limit)
                    .map(|(_, record)| record.clone())
                    .collect()
            })
            .unwrap_or_default()
    }

    pub(super) fn open(&self, after: ExecNo, limit: usize) -> Vec<OpenExecution> {
        self.executions
            .range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded))
            .map(|(_, row)| row)
            .filter(|row| row.status == Status::Running)
            .take(limit)
            .map(|row| OpenExecution {
                row: row.clone(),
                journal: self.journal(row.exec, 0, usize::MAX),
            })
            .collect()
    }

    pub(super) fn requests(&self, after: i64) -> Vec<Request> {
        self.requests
            .iter()
            .filter(|request| request.id > after)
            .cloned()
            .collect()
    }

    pub(super) fn request(&mut self, kind: &RequestKind) {
        self.last_request += 1;
        self.requests.push(Request {
            id: self.last_request,
            kind: kind.clone(),
        });
    }

    pub(super) fn check(&self) -> Vec<String> {
        let mut found = Vec::new();
        for row in self.executions.values() {
            let journal = self.journals.get(&row.exec);
            let gap = journal.is_some_and(|journal| {
                journal
                    .last_key_value()
                    .is_some_and(|(last, _)| *last != journal.len() as u64 - 1)
            });
            if gap {
                found.push(format!("the journal of execution {} has gaps", row.id));
            }
            if !self.definitions.contains_key(&row.definition) {
                found.push(format!(
                    "the definition {} of execution {} is missing",
                    row.definition, row.id
                ));
            }
        }
        found
    }
}

fn unknown(exec: ExecNo) -> StoreError {
    refused(&format!("there is no execution with the number {}", exec.0))
}
