//! Running several things at once: everything, the first, or as many at a time as one likes.
//!
//! What completes first is decided by the journal: an operation wakes only its own branch, branches are
//! polled in the order in which they were woken, and that order is the order of the journal's facts. The
//! cost of an event does not depend on how many branches there are.
//!
//! `FuturesUnordered` would do nearly the same, but it gives way to others after some polls, and how many those are
//! depends on what is inside of the branches. Where a scope has folded there is nothing inside on a replay, and the
//! order would be another one. These are polled until none is woken.

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// A branch of a program.
pub type Branch<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Branches that have been woken, and who polls them.
#[derive(Default)]
struct Ready {
    places: VecDeque<u64>,
    waker: Option<Waker>,
}

/// Wakes one branch.
struct BranchWaker {
    place: u64,
    woken: AtomicBool,
    ready: Arc<Mutex<Ready>>,
}

impl Wake for BranchWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.woken.swap(true, Ordering::Relaxed) {
            return;
        }
        let waker = {
            let mut ready = lock(&self.ready);
            ready.places.push_back(self.place);
            ready.waker.clone()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn lock(ready: &Mutex<Ready>) -> std::sync::MutexGuard<'_, Ready> {
    // Nothing panics while it is held.
    ready.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Running<'a, T> {
    number: usize,
    branch: Branch<'a, T>,
    woken: Arc<BranchWaker>,
    waker: Waker,
}

/// Branches that run side by side and are taken as they end, in the journal's order. Dropping it cancels
/// those that have not ended, the newest first.
pub struct Branches<'a, T> {
    /// In the order in which they were added.
    running: BTreeMap<u64, Running<'a, T>>,
    added: u64,
    ready: Arc<Mutex<Ready>>,
}

impl<T> Default for Branches<'_, T> {
    fn default() -> Self {
        Self {
            running: BTreeMap::new(),
            added: 0,
            ready: Arc::default(),
        }
    }
}

impl<'a, T: Send + 'a> Branches<'a, T> {
    /// Adds a branch; `number` tells it apart.
    pub fn push(&mut self, number: usize, branch: impl Future<Output = T> + Send + 'a) {
        let place = self.added;
        self.added += 1;
        let woken = Arc::new(BranchWaker {
            place,
            woken: AtomicBool::new(false),
            ready: Arc::clone(&self.ready),
        });
        let waker = Waker::from(Arc::clone(&woken));
        woken.wake_by_ref();
        let running = Running {
            number,
            branch: Box::pin(branch),
            woken,
            waker,
        };
        self.running.insert(place, running);
    }

    /// The next branch that ends, with its number; none when all have.
    pub async fn next(&mut self) -> Option<(usize, T)> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    pub(crate) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<(usize, T)>> {
        if self.is_empty() {
            return Poll::Ready(None);
        }
        lock(&self.ready).waker = Some(cx.waker().clone());
        loop {
            let Some(place) = lock(&self.ready).places.pop_front() else {
                return Poll::Pending;
            };
            // One that has ended may have been woken all the same.
            let Some(running) = self.running.get_mut(&place) else {
                continue;
            };
            running.woken.woken.store(false, Ordering::Relaxed);
            if let Poll::Ready(result) = running.branch.as_mut().poll(&mut Context::from_waker(&running.waker)) {
                let number = running.number;
                self.running.remove(&place);
                return Poll::Ready(Some((number, result)));
            }
        }
    }

    /// How many have not ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// Whether all have ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }
}

impl<T> Drop for Branches<'_, T> {
    fn drop(&mut self) {
        while self.running.pop_last().is_some() {}
    }
}

/// Runs all branches and returns their results in the order given.
pub async fn join_all<'a, T: Send + 'a>(branches: impl IntoIterator<Item = Branch<'a, T>>) -> Vec<T> {
    let mut running = Branches::default();
    for (number, branch) in branches.into_iter().enumerate() {
        running.push(number, branch);
    }
    let mut results: Vec<Option<T>> = Vec::new();
    results.resize_with(running.len(), || None);
    while let Some((number, result)) = running.next().await {
        results[number] = Some(result);
    }
    results.into_iter().flatten().collect()
}

/// Runs all branches, returns the first result with its branch's place, and cancels the others. None if
/// there are no branches.
pub async fn race<'a, T: Send + 'a>(branches: impl IntoIterator<Item = Branch<'a, T>>) -> Option<(usize, T)> {
    let mut running = Branches::default();
    for (number, branch) in branches.into_iter().enumerate() {
        running.push(number, branch);
    }
    running.next().await
}
