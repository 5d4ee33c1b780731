//! Seeds that CI runs, and that a seed determines what happens.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::num::NonZero;
use std::time::{Duration, Instant};

use bowline_simulation::{run, run_many};

/// How many seeds there are, and which is the first: `BOWLINE_SEEDS`, `BOWLINE_SEED_FROM`.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

#[test]
fn every_rule_holds_for_ten_thousand_seeds() {
    let count = number("BOWLINE_SEEDS", 10_000);
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let began = Instant::now();
    let summary = run_many(number("BOWLINE_SEED_FROM", 0), count, threads, &|_| {});
    if let Some(failure) = summary.failed.and_then(|failed| failed.failure()) {
        panic!("{failure}");
    }
    println!("{count} seeds in {:?}: {:?}", began.elapsed(), summary.stats);
    assert!(began.elapsed() < Duration::from_secs(600), "took {:?}", began.elapsed());
    // What is not tried is not held to anything.
    let stats = summary.stats;
    if count >= 1000 {
        for (what, seen) in [
            ("crashes", stats.crashes),
            ("callbacks", stats.callbacks),
            ("early callbacks", stats.early),
            ("starts", stats.starts),
            ("repeated deliveries", stats.repeated),
        ] {
            assert!(seen > count / 10, "there were only {seen} {what}");
        }
    }
}

#[test]
fn a_seed_determines_what_happens() {
    for seed in 0..300 {
        let (one, two) = (run(seed, false), run(seed, true));
        assert_eq!(one.fingerprint, two.fingerprint, "seed {seed}");
        assert_eq!(one.stats, two.stats, "seed {seed}");
    }
    assert_ne!(run(1, false).fingerprint, run(2, false).fingerprint);
}

#[test]
fn the_trace_of_a_seed_can_be_seen() {
    let report = run(number("BOWLINE_SEED", 3), true);
    for line in &report.trace {
        println!("{line}");
    }
    assert!(report.trace.len() > 10);
    assert_eq!(report.failure(), None);
}
