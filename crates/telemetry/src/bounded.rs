//! Labels whose values come from users, so that there is no end to them: the first ones have a series of their own.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{PoisonError, RwLock};

/// So many values have a series of their own; more of them are told together.
const MOST: usize = 1000;

/// What the rest is called.
pub(crate) const OTHER: &str = "(other)";

/// The values that have a series.
pub(crate) struct Bounded<T>(RwLock<HashSet<T>>);

impl<T> Default for Bounded<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T: Hash + Eq> Bounded<T> {
    /// Whether a value has a series of its own: it has one already, or there is room.
    pub(crate) fn has_room(&self, value: T) -> bool {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if known.contains(&value) {
            return true;
        }
        if known.len() >= MOST {
            return false;
        }
        drop(known);
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        known.len() < MOST && known.insert(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ones_stay() {
        let bounded = Bounded::default();
        assert!((0..MOST).all(|value| bounded.has_room(value)));
        assert!(!bounded.has_room(MOST));
        assert!(bounded.has_room(0));
    }
}
