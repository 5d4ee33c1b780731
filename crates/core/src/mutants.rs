//! Mistakes that an engine could make, to be switched on by the tests of the simulator.
//!
//! A simulator that finds nothing is worth something only if it finds these. Without the feature `mutants`,
//! which nothing but that test asks for, none can be switched on and all of this is compiled away.

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Effects are performed, and starters told, before the commit.
    AcknowledgeBeforeCommit,
    /// A timer that was set is forgotten in a crash.
    DropTimerAtCrash,
    /// A callback that comes before its wait is lost.
    LoseEarlyCallbacks,
    /// Steps of one execution share idempotency keys.
    ReuseIdempotencyKey,
    /// A compensation is left out.
    SkipCompensation,
    /// What ended in one order is journaled in another.
    JournalRaceInWrongOrder,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::AcknowledgeBeforeCommit,
        Self::DropTimerAtCrash,
        Self::LoseEarlyCallbacks,
        Self::ReuseIdempotencyKey,
        Self::SkipCompensation,
        Self::JournalRaceInWrongOrder,
    ];
}

#[cfg(feature = "mutants")]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Switches a mistake on for what runs on this thread, or all off.
    pub fn switch(mutant: Option<Mutant>) {
        ON.with(|on| on.set(mutant));
    }

    /// Whether the engine is to make this mistake.
    #[must_use]
    pub fn on(mutant: Mutant) -> bool {
        ON.with(|on| on.get() == Some(mutant))
    }
}

#[cfg(feature = "mutants")]
pub use switch::{on, switch};

/// Whether the engine is to make this mistake: never, without the feature `mutants`.
#[cfg(not(feature = "mutants"))]
#[must_use]
#[inline]
pub const fn on(mutant: Mutant) -> bool {
    let _ = mutant;
    false
}
