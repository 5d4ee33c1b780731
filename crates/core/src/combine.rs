//! Running several things at once: everything, the first, or as many at a time as one likes.
//!
//! What completes first is decided by the journal: an operation wakes only its own branch, branches are
//! polled in the order in which they were woken, and that order is the order of the journal's facts. The
//! cost of an event does not depend on how many branches there are.

use std::future::Future;
use std::pin::Pin;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

/// A branch of a program.
pub type Branch<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Branches that run side by side and are taken as they end, in the journal's order. Dropping it cancels
/// those that have not ended.
pub struct Branches<'a, T> {
    running: FuturesUnordered<Branch<'a, (usize, T)>>,
}

impl<T> Default for Branches<'_, T> {
    fn default() -> Self {
        Self {
            running: FuturesUnordered::new(),
        }
    }
}

impl<'a, T: Send + 'a> Branches<'a, T> {
    /// Adds a branch; `number` tells it apart.
    pub fn push(&mut self, number: usize, branch: impl Future<Output = T> + Send + 'a) {
        self.running.push(Box::pin(async move { (number, branch.await) }));
    }

    /// The next branch that ends, with its number; none when all have.
    pub async fn next(&mut self) -> Option<(usize, T)> {
        self.running.next().await
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
