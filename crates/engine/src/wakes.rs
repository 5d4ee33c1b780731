//! When what has left memory is to come back.
//!
//! Wake-up times are rows of the store. The next ones are kept here, read in pages in the order in which they
//! are due, so that a million of them cost no memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bowline_store::{ExecNo, Store, StoreError};
use tokio::sync::Notify;

/// So many are read at once.
const PAGE: usize = 10_000;
/// With more than so many, those that are due last are left to the store again.
const MOST: usize = 40_000;

type Place = (i64, ExecNo);

const END: Place = (i64::MAX, ExecNo(i64::MAX));

struct Window {
    heap: BinaryHeap<Reverse<Place>>,
    /// Everything in the store up to here is in the heap; what is due later is not.
    read_to: Place,
}

/// The next wake-ups.
pub(crate) struct Wakes {
    window: Mutex<Window>,
    pub(crate) changed: Notify,
}

impl Wakes {
    pub(crate) fn new() -> Self {
        Self {
            window: Mutex::new(Window {
                heap: BinaryHeap::new(),
                read_to: (i64::MIN, ExecNo(i64::MIN)),
            }),
            changed: Notify::new(),
        }
    }

    /// An execution has left memory and is to be woken at this time: durably said.
    pub(crate) fn add(&self, at: i64, exec: ExecNo) {
        let mut window = self.lock();
        if (at, exec) > window.read_to {
            return;
        }
        let first = window.heap.peek().map_or(i64::MAX, |Reverse((at, _))| *at);
        window.heap.push(Reverse((at, exec)));
        if window.heap.len() > MOST {
            window.shrink();
        }
        drop(window);
        if at < first {
            self.changed.notify_one();
        }
    }

    /// One that was taken and could not be woken is due again at this time, whatever the store says.
    pub(crate) fn again(&self, at: i64, exec: ExecNo) {
        self.lock().heap.push(Reverse((at, exec)));
        self.changed.notify_one();
    }

    /// When the next one is due, as far as is known; none where there is none.
    pub(crate) fn next_at(&self, store: &dyn Store) -> Result<Option<i64>, StoreError> {
        let mut window = self.lock();
        while window.heap.is_empty() && window.read_to < END {
            window.read(store)?;
        }
        Ok(window.heap.peek().map(|Reverse((at, _))| *at))
    }

    /// Takes up to `limit` that are due by `now`, the earliest first.
    pub(crate) fn due(&self, store: &dyn Store, now: i64, limit: usize) -> Result<Vec<Place>, StoreError> {
        let mut window = self.lock();
        let mut due = Vec::new();
        while due.len() < limit {
            if window.heap.is_empty() && window.read_to < END {
                window.read(store)?;
                continue;
            }
            match window.heap.peek() {
                Some(Reverse(place)) if place.0 <= now => {
                    due.push(*place);
                    window.heap.pop();
                }
                _ => break,
            }
        }
        Ok(due)
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// The next page. Held under the lock, so that nothing that is added meanwhile falls between.
    fn read(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let page = store.due(self.read_to, PAGE)?;
        self.read_to = if page.len() < PAGE {
            END
        } else {
            page.last().copied().unwrap_or(END)
        };
        self.heap.extend(page.into_iter().map(Reverse));
        Ok(())
    }

    /// Keeps the earlier half.
    fn shrink(&mut self) {
        let mut all = std::mem::take(&mut self.heap).into_sorted_vec();
        // Reverse order: the earliest are at the end.
        let later = all.len() / 2;
        all.drain(..later);
        if let Some(Reverse(last)) = all.first() {
            self.read_to = *last;
        }
        self.heap = all.into();
    }
}
