//! What was read from the store a moment ago.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what was read is believed: another process that revokes a key is obeyed after this.
pub(crate) const FRESH: Duration = Duration::from_secs(1);

/// With so many things the memory is emptied; it is refilled as they are asked for.
const MOST: usize = 10_000;

/// Things by their names. Only things that are there: asking for others costs no memory.
pub(crate) struct Cache<T>(Mutex<HashMap<String, (Instant, Arc<T>)>>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Cache<T> {
    pub(crate) fn get(&self, name: &str) -> Option<Arc<T>> {
        let things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, thing) = things.get(name)?;
        (at.elapsed() < FRESH).then(|| Arc::clone(thing))
    }

    /// Keeps what was read at this time, unless something that was read later is there.
    pub(crate) fn put(&self, name: &str, at: Instant, thing: Arc<T>) {
        let mut things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if things.len() >= MOST {
            things.clear();
        }
        if things.get(name).is_none_or(|(before, _)| *before <= at) {
            things.insert(name.to_owned(), (at, thing));
        }
    }

    pub(crate) fn forget(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}
