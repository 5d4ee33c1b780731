//! An engine that makes a mistake is caught: each of six, within a thousand seeds.
#![cfg(feature = "mutants")]
#![expect(clippy::print_stdout, reason = "what it took is worth knowing")]

use bowline_core::mutants::{Mutant, switch};
use bowline_simulation::run;

const SEEDS: u64 = 1000;

fn caught(mutant: Mutant) {
    // Programs that panic on purpose are caught; the mistakes make none of their own.
    switch(Some(mutant));
    let found = (0..SEEDS)
        .map(|seed| run(seed, false))
        .find(|report| report.broken.is_some());
    switch(None);
    let Some(report) = found else {
        unreachable!("{mutant:?} is not caught within {SEEDS} seeds");
    };
    let broken = report.broken.as_deref().unwrap_or_default();
    println!("{mutant:?} is caught by seed {}: {broken}", report.seed);
    // It is the mistake that was caught.
    assert_eq!(
        run(report.seed, false).broken,
        None,
        "seed {} fails without it",
        report.seed
    );
}

#[test]
fn acknowledging_before_the_commit() {
    caught(Mutant::AcknowledgeBeforeCommit);
}

#[test]
fn dropping_a_timer_at_a_crash() {
    caught(Mutant::DropTimerAtCrash);
}

#[test]
fn losing_early_callbacks() {
    caught(Mutant::LoseEarlyCallbacks);
}

#[test]
fn reusing_an_idempotency_key() {
    caught(Mutant::ReuseIdempotencyKey);
}

#[test]
fn skipping_a_compensation() {
    caught(Mutant::SkipCompensation);
}

#[test]
fn journaling_a_race_in_the_wrong_order() {
    caught(Mutant::JournalRaceInWrongOrder);
}
