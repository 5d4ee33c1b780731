//! What is read of executions, journals and requests.

use std::collections::BTreeSet;
use std::ops::{Bound, RangeBounds};

use super::State;
use crate::{
    AuditPage, Definition, ExecNo, ExecutionFilter, ExecutionRow, JournalRecord, OpenExecution, Request, RequestKind,
    StartKeyRow, Status, WaitState,
};

impl State {
    pub(in crate::memory) fn execution(&self, id: &str) -> Option<&ExecutionRow> {
        self.numbers.get(id).and_then(|exec| self.executions.get(exec))
    }

    pub(in crate::memory) fn list(&self, filter: &ExecutionFilter) -> Vec<ExecutionRow> {
        let end = filter.before.unwrap_or(ExecNo(i64::MAX));
        self.executions
            .range(..end)
            .rev()
            .map(|(_, row)| row)
            .filter(|row| filter.fits(row))
            .take(filter.page())
            .cloned()
            .collect()
    }

    pub(in crate::memory) fn journal(&self, exec: ExecNo, from: u64, limit: usize) -> Vec<JournalRecord> {
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

    pub(in crate::memory) fn open(&self, after: ExecNo, limit: usize) -> Vec<OpenExecution> {
        self.executions
            .range((Bound::Excluded(after), Bound::Unbounded))
            .map(|(_, row)| row)
            .filter(|row| row.status == Status::Running)
            .take(limit)
            .map(|row| self.with_journal(row))
            .collect()
    }

    pub(in crate::memory) fn open_execution(&self, exec: ExecNo) -> Option<OpenExecution> {
        self.executions.get(&exec).map(|row| self.with_journal(row))
    }

    fn with_journal(&self, row: &ExecutionRow) -> OpenExecution {
        let mut journal = Vec::new();
        let mut from = 0;
        for (first, (to, record)) in self.segments.get(&row.exec).into_iter().flatten() {
            journal.extend(self.records(row.exec, from..*first));
            journal.push(record.clone());
            from = *to;
        }
        journal.extend(self.records(row.exec, from..));
        OpenExecution {
            row: row.clone(),
            journal,
            next_seq: self.last_record(row.exec).map_or(0, |last| last.seq + 1),
        }
    }

    fn records(&self, exec: ExecNo, range: impl RangeBounds<u64>) -> impl Iterator<Item = JournalRecord> {
        let journal = self.journals.get(&exec);
        journal
            .into_iter()
            .flat_map(move |journal| journal.range((range.start_bound().cloned(), range.end_bound().cloned())))
            .map(|(_, record)| record.clone())
    }

    pub(in crate::memory) fn last_record(&self, exec: ExecNo) -> Option<JournalRecord> {
        let (_, record) = self.journals.get(&exec)?.last_key_value()?;
        Some(record.clone())
    }

    pub(in crate::memory) fn by_number(&self, exec: ExecNo) -> Option<ExecutionRow> {
        self.executions.get(&exec).cloned()
    }

    pub(in crate::memory) fn start_key(&self, organization: &str, workflow: &str, key: &str) -> Option<StartKeyRow> {
        let place = (organization.to_owned(), workflow.to_owned(), key.to_owned());
        let (exec, input_hash) = self.start_keys.get(&place)?;
        let row = self.executions.get(exec)?;
        Some(StartKeyRow {
            exec: *exec,
            id: row.id.clone(),
            input_hash: input_hash.clone(),
        })
    }

    pub(in crate::memory) fn definitions_of(&self, organization: &str, workflow: &str) -> Vec<Definition> {
        let of = |(owner, name, _): &&(String, String, String)| owner == organization && name == workflow;
        let programs = self.programs.iter().filter(of);
        programs
            .filter_map(|(_, _, hash)| self.definitions.get(hash))
            .cloned()
            .collect()
    }

    pub(in crate::memory) fn organizations(&self) -> Vec<String> {
        let owners = self.executions.values().map(|row| &row.organization);
        let names: BTreeSet<_> = owners.chain(self.paused.iter().map(|(owner, _)| owner)).collect();
        names.into_iter().cloned().collect()
    }

    pub(in crate::memory) fn workflows(&self, organization: &str) -> Vec<String> {
        let own = self.executions.values().filter(|row| row.organization == organization);
        let names: BTreeSet<_> = own.map(|row| row.workflow.clone()).collect();
        names.into_iter().collect()
    }

    pub(in crate::memory) fn paused_workflows(&self, organization: &str) -> Vec<String> {
        let own = self.paused.iter().filter(|(owner, _)| owner == organization);
        own.map(|(_, workflow)| workflow.clone()).collect()
    }

    pub(in crate::memory) fn due(&self, after: (i64, ExecNo), limit: usize) -> Vec<(i64, ExecNo)> {
        let waiting = self.executions.values().filter(|row| row.status == Status::Waiting);
        let mut due: Vec<_> = waiting
            .filter_map(|row| Some((row.wake_at?, row.exec)))
            .filter(|due| *due > after)
            .collect();
        due.sort_unstable();
        due.truncate(limit);
        due
    }

    pub(in crate::memory) fn audit(&self, after: ExecNo, limit: usize) -> AuditPage {
        let mut page = AuditPage::default();
        for row in self
            .executions
            .range((Bound::Excluded(after), Bound::Unbounded))
            .map(|(_, row)| row)
        {
            if page.found.len() >= limit {
                page.next = page.found.last().map(|row| row.exec).or(Some(after));
                break;
            }
            if row.status == Status::Running || (row.status == Status::Waiting && !self.is_woken(row)) {
                page.found.push(row.clone());
            }
        }
        page
    }

    /// Whether anything wakes a waiting execution.
    fn is_woken(&self, row: &ExecutionRow) -> bool {
        let waits = self.waits.range((row.exec, 0)..=(row.exec, u64::MAX));
        row.wake_at.is_some()
            || waits.into_iter().any(|(_, wait)| wait.state == WaitState::Open)
            || self
                .executions
                .values()
                .any(|child| child.parent.as_ref() == Some(&row.id) && !child.status.is_finished())
    }

    pub(in crate::memory) fn requests(&self, after: i64) -> Vec<Request> {
        self.requests
            .iter()
            .filter(|request| request.id > after)
            .cloned()
            .collect()
    }

    pub(in crate::memory) fn request(&mut self, kind: &RequestKind) {
        self.last_request += 1;
        self.requests.push(Request {
            id: self.last_request,
            kind: kind.clone(),
        });
    }

    pub(in crate::memory) fn check(&self) -> Vec<String> {
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
        for wait in self
            .waits
            .values()
            .filter(|wait| !self.executions.contains_key(&wait.exec) && !self.deleting.contains(&wait.exec))
        {
            found.push(format!(
                "there is a wait of an execution number {}, but no such execution",
                wait.exec.0
            ));
        }
        found
    }
}
