//! Branches of which those that are not needed any more are cancelled, and waited for.
//!
//! Dropping a loser would be shorter, but what it has done would stay done: nothing in it would run any more that
//! undoes it. So what a loser waits for ends as cancelled, and it is polled to its end.
//!
//! Branches are ordinary futures, made with whatever context. What is asked for while one is polled belongs to its
//! contest; a context that was shielded after the contest began is out of its reach.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};

use crate::combine::{Branch, Branches};
use crate::polling;
use crate::state::{Shared, State};

/// How often a loser may ask for something after it has lost. One that asks on and on would keep the program busy for
/// ever.
const PATIENCE: u32 = 1000;

/// What branches that run side by side have in common, and the contest around them.
pub(crate) struct Contest {
    over: AtomicBool,
    began: u64,
    refused: AtomicU32,
    outer: Option<Arc<Contest>>,
}

impl Contest {
    /// Whether what was shielded at `shield` is cancelled by it.
    pub(crate) fn is_over(&self, shield: u64) -> bool {
        self.began > shield && self.over.load(Ordering::Relaxed)
            || self.outer.as_ref().is_some_and(|outer| outer.is_over(shield))
    }

    /// Counts something that is refused; whether there have been too many.
    pub(crate) fn refuse(&self) -> bool {
        self.refused.fetch_add(1, Ordering::Relaxed) >= PATIENCE
    }

    fn is_in(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.outer.as_ref().is_some_and(|outer| outer.is_in(other))
    }
}

/// Branches that run side by side; those that are left can be cancelled. To be made while the program is polled.
pub struct Contestants<'a, T> {
    branches: Branches<'a, Option<T>>,
    /// None outside of a program, such as in the body of a step.
    home: Option<(Arc<Shared>, Arc<Contest>)>,
}

impl<T> Default for Contestants<'_, T> {
    fn default() -> Self {
        let home = polling::polled().map(|shared| {
            let mut state = shared.lock();
            let contest = Contest {
                over: AtomicBool::new(false),
                began: state.mark(),
                refused: AtomicU32::new(0),
                outer: state.contest.clone(),
            };
            drop(state);
            (shared, Arc::new(contest))
        });
        Self {
            branches: Branches::default(),
            home,
        }
    }
}

impl<'a, T: Send + 'a> Contestants<'a, T> {
    /// Adds a branch; `number` tells it apart.
    pub fn push(&mut self, number: usize, branch: impl Future<Output = T> + Send + 'a) {
        let contestant = Contestant {
            branch: Box::pin(branch),
            home: self.home.clone(),
            began: false,
        };
        self.branches.push(number, contestant);
    }

    /// The next branch that ends, with its number; none when all have.
    pub async fn next(&mut self) -> Option<(usize, T)> {
        while let Some((number, ended)) = self.branches.next().await {
            if let Some(ended) = ended {
                return Some((number, ended));
            }
        }
        None
    }

    /// Cancels what the branches that are left wait for, and whatever they ask for from now on, and polls them to
    /// their ends; what they came to. A branch that has not begun does not begin, and one that waits for something that
    /// is no operation is dropped.
    pub async fn cancel(mut self) -> Vec<T> {
        let mut ended = Vec::new();
        let Some((shared, contest)) = &self.home else {
            return ended;
        };
        if self.branches.is_empty() {
            return ended;
        }
        contest.over.store(true, Ordering::Relaxed);
        shared.lock().cancel_losers();
        poll_fn(|cx| {
            loop {
                match self.branches.poll_next(cx) {
                    Poll::Ready(Some((_, result))) => ended.extend(result),
                    Poll::Pending if shared.lock().is_waited_for_in(contest) => return Poll::Pending,
                    Poll::Ready(None) | Poll::Pending => return Poll::Ready(()),
                }
            }
        })
        .await;
        ended
    }
}

impl State {
    /// Whether a branch of the contest waits for an operation.
    fn is_waited_for_in(&self, contest: &Contest) -> bool {
        let is_in = |inner: &Arc<Contest>| inner.is_in(contest);
        self.open.values().any(|open| open.contest.as_ref().is_some_and(is_in))
    }
}

struct Contestant<'a, T> {
    branch: Branch<'a, T>,
    home: Option<(Arc<Shared>, Arc<Contest>)>,
    began: bool,
}

/// Puts the contest around back.
struct Leave<'a> {
    shared: &'a Shared,
    around: Option<Arc<Contest>>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.shared.lock().contest = self.around.take();
    }
}

impl<T> Future for Contestant<'_, T> {
    /// None for one that had not begun when it lost.
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Self { branch, home, began } = &mut *self;
        let Some((shared, contest)) = home else {
            return branch.as_mut().poll(cx).map(Some);
        };
        if !*began && contest.over.load(Ordering::Relaxed) {
            return Poll::Ready(None);
        }
        *began = true;
        let around = shared.lock().contest.replace(Arc::clone(contest));
        let _leave = Leave { shared, around };
        branch.as_mut().poll(cx).map(Some)
    }
}
