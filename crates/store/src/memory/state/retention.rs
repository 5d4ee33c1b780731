//! What makes a store smaller: condensed segments and deletion. And what belongs to executions beside journals.

use std::path::Path;

use super::{State, Undo};
use crate::{ExecNo, ExecutionRow, Housekeeping, JournalRecord, StoreError};

impl State {
    pub(super) fn claim_key(
        &mut self,
        place: (String, String, String),
        exec: ExecNo,
        input_hash: &bytes::Bytes,
        replaces: Option<ExecNo>,
    ) -> Result<Undo, StoreError> {
        self.known(exec)?;
        let before = self.start_keys.get(&place).cloned();
        let holder = before.as_ref().map(|(holder, _)| *holder);
        if holder != replaces {
            let id = holder
                .and_then(|holder| self.executions.get(&holder))
                .map_or_else(|| "(deleted)".to_owned(), |row| row.id.clone());
            return Err(StoreError::Duplicate { id });
        }
        self.start_keys.insert(place.clone(), (exec, input_hash.clone()));
        Ok(Undo::by(move |state| {
            match before {
                Some(before) => state.start_keys.insert(place, before),
                None => state.start_keys.remove(&place),
            };
        }))
    }

    pub(super) fn reference(&mut self, exec: ExecNo, blob: &str) -> Result<Undo, StoreError> {
        self.known(exec)?;
        let place = (exec, blob.to_owned());
        if !self.blobs.insert(place.clone()) {
            return Ok(Undo::Nothing);
        }
        Ok(Undo::by(move |state| {
            state.blobs.remove(&place);
        }))
    }

    pub(super) fn condense(&mut self, record: JournalRecord, to: u64) -> Result<Undo, StoreError> {
        let (exec, from) = (record.exec, record.seq);
        self.known(exec)?;
        if from >= to {
            return Err(StoreError::Refused(format!(
                "a segment from record {from} to {to} stands for nothing"
            )));
        }
        let segments = self.segments.entry(exec).or_default();
        let before = segments.clone();
        let within = |first: u64, end: u64| first >= from && end <= to;
        if let Some((first, (end, _))) = before
            .iter()
            .find(|(first, (end, _))| **first < to && *end > from && !within(**first, *end))
        {
            return Err(StoreError::Refused(format!(
                "a segment from record {from} to {to} overlaps one from {first} to {end}"
            )));
        }
        segments.retain(|first, (end, _)| !within(*first, *end));
        segments.insert(from, (to, record));
        Ok(Undo::by(move |state| {
            state.segments.insert(exec, before);
        }))
    }

    /// Deletes the row of a finished execution, if it is there, and so many of the rows that belong to it.
    pub(super) fn delete(&mut self, exec: ExecNo, at_most: usize) -> Result<Undo, StoreError> {
        let mut undo = Vec::new();
        match self.executions.get(&exec) {
            Some(row) if !row.status.is_finished() => {
                return Err(StoreError::Refused(format!(
                    "execution {} has not finished and is not deleted",
                    row.id
                )));
            }
            Some(row) => {
                let (row, high_water) = (row.clone(), self.high_water);
                self.executions.remove(&exec);
                self.numbers.remove(&row.id);
                self.high_water = high_water.max(exec.0);
                undo.push(Undo::by(move |state| {
                    state.numbers.insert(row.id.clone(), exec);
                    state.executions.insert(exec, row);
                    state.high_water = high_water;
                }));
            }
            None if !self.deleting.contains(&exec) => return Ok(Undo::Nothing),
            None => {}
        }
        let whole = self.delete_rows(exec, at_most, &mut undo);
        let was_there = self.deleting.contains(&exec);
        if whole {
            self.deleting.remove(&exec);
        } else {
            self.deleting.insert(exec);
        }
        undo.push(Undo::by(move |state| {
            if was_there {
                state.deleting.insert(exec);
            } else {
                state.deleting.remove(&exec);
            }
        }));
        Ok(Undo::all(undo))
    }

    /// Whether nothing is left.
    fn delete_rows(&mut self, exec: ExecNo, at_most: usize, undo: &mut Vec<Undo>) -> bool {
        let mut left = at_most;
        let keys: Vec<_> = self
            .start_keys
            .iter()
            .filter(|(_, (holder, _))| *holder == exec)
            .map(|(place, _)| place.clone())
            .take(left)
            .collect();
        left -= keys.len();
        let keys: Vec<_> = keys
            .into_iter()
            .filter_map(|place| self.start_keys.remove_entry(&place))
            .collect();
        undo.push(Undo::by(|state| state.start_keys.extend(keys)));

        let waits: Vec<_> = self
            .waits
            .range((exec, 0)..=(exec, u64::MAX))
            .map(|(place, _)| *place)
            .take(left)
            .collect();
        left -= waits.len();
        let waits: Vec<_> = waits
            .into_iter()
            .filter_map(|place| self.waits.remove_entry(&place))
            .collect();
        undo.push(Undo::by(|state| state.waits.extend(waits)));

        let deliveries: Vec<_> = self
            .deliveries
            .values()
            .filter(|row| row.exec == Some(exec))
            .map(|row| row.id)
            .take(left)
            .collect();
        left -= deliveries.len();
        undo.push(self.drop_deliveries(deliveries));

        let blobs: Vec<_> = self
            .blobs
            .iter()
            .filter(|(of, _)| *of == exec)
            .take(left)
            .cloned()
            .collect();
        left -= blobs.len();
        self.blobs.retain(|place| !blobs.contains(place));
        undo.push(Undo::by(|state| state.blobs.extend(blobs)));

        if left > 0
            && let Some(segments) = self.segments.remove(&exec)
        {
            left -= 1;
            undo.push(Undo::by(move |state| {
                state.segments.insert(exec, segments);
            }));
        }
        if let Some(journal) = self.journals.get_mut(&exec) {
            let gone: Vec<_> = journal.values().take(left).cloned().collect();
            for record in &gone {
                journal.remove(&record.seq);
            }
            let empty = journal.is_empty();
            if empty {
                self.journals.remove(&exec);
            }
            undo.push(Undo::by(move |state| {
                let gone = gone.into_iter().map(|record| (record.seq, record));
                state.journals.entry(exec).or_default().extend(gone);
            }));
        }
        !self.journals.contains_key(&exec)
            && !self.segments.contains_key(&exec)
            && self.waits.range((exec, 0)..=(exec, u64::MAX)).next().is_none()
            && !self.deliveries.values().any(|row| row.exec == Some(exec))
            && !self.start_keys.values().any(|(holder, _)| *holder == exec)
            && !self.blobs.iter().any(|(of, _)| *of == exec)
    }

    fn finished_of<'s>(&'s self, organization: &'s str, workflow: &'s str) -> Vec<&'s ExecutionRow> {
        let rows = self
            .executions
            .values()
            .filter(|row| row.status.is_finished() && row.organization == organization && row.workflow == workflow);
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by_key(|row| (row.finished_at, row.exec));
        rows
    }

    pub(in crate::memory) fn finished(
        &self,
        organization: &str,
        workflow: &str,
        before: i64,
        limit: usize,
    ) -> Vec<ExecutionRow> {
        let rows = self.finished_of(organization, workflow).into_iter();
        rows.filter(|row| row.finished_at.is_some_and(|at| at < before))
            .take(limit)
            .cloned()
            .collect()
    }

    pub(in crate::memory) fn kept_from(&self, organization: &str, workflow: &str, keep: usize) -> Option<i64> {
        let rows = self.finished_of(organization, workflow);
        let first_to_go = rows.len().checked_sub(keep)?.checked_sub(1)?;
        match rows.get(first_to_go + 1) {
            Some(kept) => kept.finished_at,
            None => rows
                .last()
                .and_then(|row| row.finished_at)
                .map(|at| at.saturating_add(1)),
        }
    }

    pub(in crate::memory) fn deleting(&self, limit: usize) -> Vec<ExecNo> {
        self.deleting.iter().take(limit).copied().collect()
    }

    pub(in crate::memory) fn housekeeping(&self) -> Housekeeping {
        Housekeeping {
            oldest_event: self.events.first_key_value().map(|(_, event)| event.at),
            deliveries: self.deliveries.len() as u64,
            first_expiry: self.deliveries.values().map(|delivery| delivery.expires_at).min(),
            ..Housekeeping::default()
        }
    }

    pub(in crate::memory) fn blobs_of(&self, exec: ExecNo) -> Vec<String> {
        self.blobs
            .iter()
            .filter(|(of, _)| *of == exec)
            .map(|(_, blob)| blob.clone())
            .collect()
    }

    pub(in crate::memory) fn blob_referenced(&self, blob: &str) -> bool {
        self.blobs.iter().any(|(_, referenced)| referenced == blob)
    }
}

/// A store in memory is not copied to a disk.
pub(in crate::memory) fn no_backup(dest: &Path) -> StoreError {
    StoreError::Refused(format!(
        "a store in memory has no backup, so there is none at {}",
        dest.display()
    ))
}
