//! Entries.

use std::ops::Bound;

use bytes::Bytes;

use super::{State, Undo};
use crate::{Entry, EntryRange, EntryWrite, StoreError};

impl State {
    pub(super) fn write_entry(&mut self, write: &EntryWrite) -> Result<Undo, StoreError> {
        let (space, key) = write.place();
        let place = (space.to_owned(), key.to_owned());
        let is = self.entries.get(&place);
        match write {
            EntryWrite::Add(_) if is.is_some() => {
                let (space, key) = place;
                Err(StoreError::EntryExists { space, key })
            }
            EntryWrite::Swap { was, .. } if is != was.as_ref() => {
                let (space, key) = place;
                Err(StoreError::EntryChanged { space, key })
            }
            EntryWrite::Put(Entry { value, .. })
            | EntryWrite::Add(Entry { value, .. })
            | EntryWrite::Swap {
                entry: Entry { value, .. },
                ..
            } => {
                let before = self.entries.insert(place.clone(), value.clone());
                Ok(put_back(place, before))
            }
            EntryWrite::Remove { .. } => {
                let before = self.entries.remove(&place);
                Ok(put_back(place, before))
            }
        }
    }

    pub(in crate::memory) fn entry(&self, space: &str, key: &str) -> Option<Bytes> {
        self.entries.get(&(space.to_owned(), key.to_owned())).cloned()
    }

    pub(in crate::memory) fn list_entries(&self, range: &EntryRange) -> Vec<(String, Bytes)> {
        let place = |key: &str| (range.space.clone().into_owned(), key.to_owned());
        let first = Bound::Included(place(&range.prefix));
        let all = self.entries.range((first, Bound::Unbounded));
        let all = all.take_while(|((space, key), _)| *space == range.space && key.starts_with(&range.prefix));
        let fits = |key: &str| match &range.after {
            None => true,
            Some(after) if range.reverse => key < after.as_str(),
            Some(after) => key > after.as_str(),
        };
        let mut found: Vec<_> = all
            .filter(|((_, key), _)| fits(key))
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect();
        if range.reverse {
            found.reverse();
        }
        found.truncate(range.page());
        found
    }
}

fn put_back(place: (String, String), before: Option<Bytes>) -> Undo {
    Undo::by(move |state| {
        match before {
            Some(value) => state.entries.insert(place, value),
            None => state.entries.remove(&place),
        };
    })
}
