//! A world in memory for tests: entries, executions that end when they are told to, and crashes between any two things.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bowline_host::Problem;
use bowline_store::{EntryRange, EntryWrite};
use bytes::Bytes;
use serde_json::Value;

use crate::place::{Begin, Begun, Ended, Place, Trouble};

/// One execution.
#[derive(Clone, Debug, Default)]
pub(crate) struct Execution {
    pub(crate) id: String,
    pub(crate) input: Value,
    pub(crate) ended: Option<&'static str>,
    pub(crate) cancelled: bool,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) entries: BTreeMap<(String, String), Bytes>,
    pub(crate) executions: Vec<Execution>,
    keys: BTreeMap<String, String>,
    /// How many calls from now on the process dies; before or after what the call does.
    pub(crate) dies: Option<(usize, bool)>,
    /// Every start is refused with this.
    pub(crate) refuses: Option<String>,
}

#[derive(Default)]
pub(crate) struct Model(Mutex<State>);

impl Model {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn end(&self, id: &str, status: &'static str) {
        let mut state = self.state();
        let execution = state
            .executions
            .iter_mut()
            .find(|execution| execution.id == id)
            .unwrap();
        execution.ended = Some(status);
    }
}

impl State {
    /// Whether the process dies in this call; and if so, whether what it does is done.
    fn dies(&mut self) -> Option<bool> {
        let (left, after) = self.dies?;
        if left > 0 {
            self.dies = Some((left - 1, after));
            return None;
        }
        self.dies = None;
        Some(after)
    }

    fn write(&mut self, writes: &[EntryWrite]) -> Result<(), Trouble> {
        let mut next = self.entries.clone();
        for write in writes {
            let place = |(space, key): (&str, &str)| (space.to_owned(), key.to_owned());
            let at = place(write.place());
            match write {
                EntryWrite::Add(entry) if !next.contains_key(&at) => next.insert(at, entry.value.clone()),
                EntryWrite::Put(entry) => next.insert(at, entry.value.clone()),
                EntryWrite::Swap { entry, was } if next.get(&at) == was.as_ref() => {
                    next.insert(at, entry.value.clone())
                }
                EntryWrite::Add(_) | EntryWrite::Swap { .. } => return Err(Trouble::Changed),
                EntryWrite::Remove { .. } => next.remove(&at),
            };
        }
        self.entries = next;
        Ok(())
    }
}

fn died() -> Trouble {
    Trouble::Later("the process died".to_owned())
}

#[async_trait]
impl Place for Model {
    async fn entry(&self, space: &'static str, key: String) -> Result<Option<Bytes>, Trouble> {
        let mut state = self.state();
        if state.dies().is_some() {
            return Err(died());
        }
        Ok(state.entries.get(&(space.to_owned(), key)).cloned())
    }

    async fn entries(&self, range: EntryRange) -> Result<Vec<(String, Bytes)>, Trouble> {
        let state = self.state();
        let found = state.entries.iter().filter(|((space, key), _)| {
            *space == *range.space
                && key.starts_with(&range.prefix)
                && range
                    .after
                    .as_ref()
                    .is_none_or(|after| if range.reverse { key < after } else { key > after })
        });
        let found = found.map(|((_, key), value)| (key.clone(), value.clone()));
        if range.reverse {
            return Ok(found.rev().take(range.page()).collect());
        }
        Ok(found.take(range.page()).collect())
    }

    async fn record(&self, writes: Vec<EntryWrite>) -> Result<(), Trouble> {
        let mut state = self.state();
        match state.dies() {
            Some(false) => Err(died()),
            Some(true) => state.write(&writes).and(Err(died())),
            None => state.write(&writes),
        }
    }

    async fn startable(&self, _: &str, _: &str) -> bool {
        self.state().refuses.is_none()
    }

    async fn start(&self, _: &str, begin: Begin) -> Result<Begun, Trouble> {
        let mut state = self.state();
        let dies = state.dies();
        if dies == Some(false) {
            return Err(died());
        }
        if let Some(why) = &state.refuses {
            return Err(Trouble::Refused(why.clone()));
        }
        if let Some(id) = begin.key.as_ref().and_then(|key| state.keys.get(key)) {
            return Ok(Begun {
                id: id.clone(),
                created: false,
            });
        }
        state.write(&begin.with)?;
        if let Some(key) = begin.key {
            state.keys.insert(key, begin.id.clone());
        }
        state.executions.push(Execution {
            id: begin.id.clone(),
            input: begin.input,
            ..Execution::default()
        });
        if dies.is_some() {
            return Err(died());
        }
        Ok(Begun {
            id: begin.id,
            created: true,
        })
    }

    async fn ended(&self, _: &str, id: &str) -> Result<Option<Ended>, Trouble> {
        let state = self.state();
        let execution = state.executions.iter().find(|execution| execution.id == id);
        let status = execution.map_or(Some("deleted"), |execution| execution.ended);
        Ok(status.map(|status| Ended {
            status: status.to_owned(),
            completed: status == "completed",
            failed: status == "failed",
        }))
    }

    async fn wait(&self, _: &str, _: &str) {
        std::future::pending::<()>().await;
    }

    fn note(&self, _: &str, _: &str, _: &str, _: Vec<Problem>) {}

    async fn cancel(&self, _: &str, id: &str, _: &str) -> Result<(), Trouble> {
        let mut state = self.state();
        if state.dies().is_some() {
            return Err(died());
        }
        if let Some(execution) = state.executions.iter_mut().find(|execution| execution.id == id) {
            execution.cancelled = true;
        }
        Ok(())
    }
}
