//! Everything that is due later, of one driver, in one ordered queue.
//!
//! An entry is a row of some journal first and an entry here second, so a crash loses nothing. An entry
//! that nobody waits for any more is forgotten when it comes to the head; the core would ignore it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use bowline_core::Path;
use bowline_store::ExecNo;

/// What is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    /// A timer of the program.
    Timer(Path),
    /// The next attempt of a step.
    Attempt(Path, u32),
    /// The next attempt of a step that is noted before it begins.
    Begin(Path, u32),
    /// To see whether it has rested long enough to leave memory.
    Rest,
}

#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(i64, u64, ExecNo, Due)>>,
    entries: u64,
}

impl Timers {
    pub(crate) fn add(&mut self, at: i64, exec: ExecNo, due: Due) {
        // Those due at the same time fire in the order in which they were added.
        self.entries += 1;
        self.heap.push(Reverse((at, self.entries, exec, due)));
    }

    /// Forgets what belongs to executions that are no longer here, when that is most of what there is.
    pub(crate) fn sweep(&mut self, here: usize, is_here: impl Fn(ExecNo) -> bool) {
        if self.heap.len() > here.saturating_mul(4).saturating_add(4096) {
            self.heap.retain(|Reverse((_, _, exec, _))| is_here(*exec));
        }
    }

    /// When the next entry is due. Forgets those at the head that nobody waits for any more.
    pub(crate) fn next_at(&mut self, wanted: impl Fn(ExecNo, &Due) -> bool) -> Option<i64> {
        while let Some(Reverse((at, _, exec, due))) = self.heap.peek() {
            if wanted(*exec, due) {
                return Some(*at);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes the next entry that is due by `now`.
    pub(crate) fn pop(&mut self, now: i64) -> Option<(ExecNo, Due)> {
        let Reverse((at, ..)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, _, exec, due))| (exec, due))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_ties_keep_their_order() {
        let mut timers = Timers::default();
        for (at, name) in [(5, "b"), (3, "a"), (5, "c")] {
            timers.add(at, ExecNo(1), Due::Timer(name.into()));
        }
        timers.add(1, ExecNo(2), Due::Timer("stale".into()));
        assert_eq!(timers.next_at(|exec, _| exec == ExecNo(1)), Some(3));
        assert_eq!(timers.pop(2), None);
        let order: Vec<_> = std::iter::from_fn(|| timers.pop(5)).map(|(_, due)| due).collect();
        assert_eq!(order, ["a", "b", "c"].map(|name| Due::Timer(name.into())));
    }
}
