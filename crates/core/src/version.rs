//! Changing a program while executions of it run.
//!
//! A program asks for the [version](Context::version) of a change and goes the way that it is told. Executions that
//! passed the place before the change was made go the old way (0) on every replay, because their journals have
//! nothing there; those that reach it later go the newest way, and their journals say so.

use std::collections::HashMap;

use crate::context::Context;
use crate::event::{Event, Path};
use crate::execution::Record;

/// Which way a program went at each change.
#[derive(Default)]
pub(crate) struct Versions {
    /// In this life, so far.
    chosen: HashMap<Path, u32>,
    /// In the records that are being replayed.
    coming: HashMap<Path, u32>,
    /// In earlier lives.
    before: HashMap<Path, u32>,
    replaying: bool,
}

impl Versions {
    /// A replay of the records of this life begins.
    pub(crate) fn expect(&mut self, before: &[Record], life: &[Record]) {
        self.before = chosen_in(before);
        self.coming = chosen_in(life);
        self.replaying = true;
    }

    /// A new life begins.
    pub(crate) fn remember(&mut self, before: &[Record]) {
        self.before = chosen_in(before);
    }

    /// The replay is over: what comes now is new.
    pub(crate) fn replayed(&mut self) {
        self.coming.clear();
        self.replaying = false;
    }

    /// Nothing comes to this place any more.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.chosen.remove(path);
    }

    /// The way to go, and whether that is to be recorded.
    fn choose(&mut self, path: &Path, newest: u32) -> (u32, bool) {
        if let Some(version) = self.chosen.get(path) {
            return (*version, false);
        }
        let known = self
            .coming
            .get(path)
            .or_else(|| self.before.get(path).filter(|_| !self.replaying));
        let (version, records) = match known {
            Some(version) => (*version, true),
            None if self.replaying => (0, false),
            None => (newest, true),
        };
        self.chosen.insert(path.clone(), version);
        (version, records)
    }
}

fn chosen_in(records: &[Record]) -> HashMap<Path, u32> {
    let events = records.iter().flat_map(|record| &record.events);
    events
        .filter_map(|event| match event {
            Event::VersionChosen { path, version } => Some((path.clone(), *version)),
            _ => None,
        })
        .collect()
}

impl Context {
    /// Which way to go where the program was changed: `newest` in executions that come here for the first time, 0 in
    /// those that passed here before there was this call, and for each execution always the same. `change` names
    /// the change within the scope.
    #[must_use]
    pub fn version(&self, change: &str, newest: u32) -> u32 {
        let path = self.join(change);
        let mut state = self.shared.lock();
        // A folded scope that is entered again is another place.
        let path: Path = match state.folds.base() {
            0 => path.into(),
            before => format!("{path}#{}", before + 1).into(),
        };
        if !state.versions.chosen.contains_key(&path) {
            state.folds.count_version(&path);
        }
        let (version, records) = state.versions.choose(&path, newest);
        if records {
            state.issued.push_back(Event::VersionChosen { path, version });
        }
        version
    }

    /// Whether the program now repeats what it did before, so that it has been logged before. Nothing but logging
    /// may depend on it.
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        self.shared.lock().versions.replaying
    }
}
