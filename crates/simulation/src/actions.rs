//! What the world does to the engine, and when: it begins again until it is acknowledged.

use std::collections::BTreeMap;

use bowline_store::{CallbackAddress, DEFAULT_ORGANIZATION};

/// Whose executions there are.
pub(crate) const ORGANIZATIONS: [&str; 2] = [DEFAULT_ORGANIZATION, "other"];

/// Something that somebody outside does.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Start {
        workflow: usize,
        organization: String,
        id: String,
        key: Option<String>,
        /// The key of an entry that begins with it. Several starts may have the same: one of them begins.
        delivery: Option<String>,
    },
    /// An answer to a callback; a heartbeat where there is no text.
    Answer {
        address: CallbackAddress,
        text: Option<String>,
        fails: bool,
    },
    Signal {
        id: String,
        name: String,
        data: String,
        signal: String,
    },
    Cancel {
        id: String,
    },
    Pause {
        id: String,
    },
    Unpause {
        id: String,
    },
    Resume {
        id: String,
    },
}

/// What is to be done, by time.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: BTreeMap<(i64, u64), Action>,
    under_way: BTreeMap<u64, Action>,
    last: u64,
}

impl Queue {
    pub(crate) fn add(&mut self, at: i64, action: Action) {
        self.last += 1;
        self.waiting.insert((at, self.last), action);
    }

    pub(crate) fn next_at(&self) -> Option<i64> {
        self.waiting.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes the next that is due.
    pub(crate) fn take(&mut self, now: i64) -> Option<(u64, Action)> {
        let entry = self.waiting.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        let ((_, number), action) = entry.remove_entry();
        self.under_way.insert(number, action.clone());
        Some((number, action))
    }

    /// It is acknowledged.
    pub(crate) fn done(&mut self, number: u64) {
        self.under_way.remove(&number);
    }

    /// Nobody said what became of these: they are done again from this time on.
    pub(crate) fn again(&mut self, at: i64) {
        for (number, action) in std::mem::take(&mut self.under_way) {
            self.waiting.insert((at, number), action);
        }
    }

    /// What is not done, for people.
    pub(crate) fn left(&self) -> String {
        let left: Vec<&Action> = self.waiting.values().chain(self.under_way.values()).collect();
        format!("{left:?}")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way.is_empty()
    }
}
