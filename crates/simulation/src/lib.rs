//! The whole engine in simulated time, with random workflows, crashes and answers.
//!
//! One number, the *seed*, determines everything: which workflows there are, how steps go, who answers what and
//! when, how long commits take, when the process dies. So a run that breaks a rule can be run again. Start at
//! [`run`]; the rules are in `ledger.rs` (of each commit), `world.rs` (of each call of a step), `outside.rs` (of what
//! is acknowledged) and `check.rs` (of what a journal replays to).
//!
//! The engine is the one that ships. Its committer is a task, its clock is that of a runtime whose time is paused,
//! and its store is [`MemoryStore`](bowline_store::MemoryStore), which keeps what a disk keeps and fails when told to.

mod actions;
mod check;
mod ledger;
mod life;
mod many;
mod others;
mod outside;
mod plan;
mod program;
mod random;
mod seed;
mod steps;
mod trace;
mod world;

pub use many::{Summary, run_many};
pub use seed::run;

/// What happened in a simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Executions that were begun, children included.
    pub executions: u64,
    /// Executions that ended, each as often as it did.
    pub ended: u64,
    /// Starts that were acknowledged.
    pub starts: u64,
    /// Starts that were refused, because what they came with had come before.
    pub repeated: u64,
    /// Attempts of steps.
    pub calls: u64,
    /// Callbacks that were acknowledged.
    pub callbacks: u64,
    /// Those of them that came before anybody waited for them.
    pub early: u64,
    /// How often the process died or was stopped.
    pub crashes: u64,
    /// Commits that became durable.
    pub commits: u64,
    /// Records of journals.
    pub records: u64,
    /// Simulated time, in milliseconds.
    pub simulated_ms: u64,
}

impl Stats {
    fn add(&mut self, other: &Self) {
        let Self {
            executions,
            ended,
            starts,
            repeated,
            calls,
            callbacks,
            early,
            crashes,
            commits,
            records,
            simulated_ms,
        } = self;
        *executions += other.executions;
        *ended += other.ended;
        *starts += other.starts;
        *repeated += other.repeated;
        *calls += other.calls;
        *callbacks += other.callbacks;
        *early += other.early;
        *crashes += other.crashes;
        *commits += other.commits;
        *records += other.records;
        *simulated_ms += other.simulated_ms;
    }
}

/// How the simulation of one seed went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// The rule that is broken, and how; none where all hold.
    pub broken: Option<String>,
    /// What happened, a line each: the last part of it, or all of it where that was asked for.
    pub trace: Vec<String>,
    /// A number that two runs have in common if the same happened in both.
    pub fingerprint: u64,
    /// What it came to.
    pub stats: Stats,
}

impl Report {
    /// What a broken rule looks like to people, with the command that runs the seed again; none where all hold.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let broken = self.broken.as_ref()?;
        Some(format!(
            "{}\n\nseed {} breaks a rule: {broken}\nrun it again: bowline simulate --seed {}",
            self.trace.join("\n"),
            self.seed,
            self.seed
        ))
    }
}
