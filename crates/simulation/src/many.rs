//! Many seeds, on all processors.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::{Report, Stats, run};

/// How many seeds went.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Seeds that were run.
    pub seeds: u64,
    /// What they came to together.
    pub stats: Stats,
    /// The first that broke a rule, if one did; no further ones are begun after it.
    pub failed: Option<Report>,
}

/// Runs `count` seeds from `from` on, on so many threads. `progress` is told after each how many have been run.
pub fn run_many(from: u64, count: u64, threads: usize, progress: &(dyn Fn(u64) + Sync)) -> Summary {
    let next = AtomicU64::new(0);
    let enough = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !enough.load(Ordering::Relaxed) {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        return;
                    }
                    let report = run(from.wrapping_add(place), false);
                    let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
                    summary.seeds += 1;
                    summary.stats.add(&report.stats);
                    let seeds = summary.seeds;
                    if report.broken.is_some() {
                        enough.store(true, Ordering::Relaxed);
                        if summary.failed.as_ref().is_none_or(|failed| report.seed < failed.seed) {
                            summary.failed = Some(report);
                        }
                    }
                    drop(summary);
                    progress(seeds);
                }
            });
        }
    });
    summary.into_inner().unwrap_or_else(PoisonError::into_inner)
}
