//! `bowline simulate`.

use clap::Args;

/// `bowline simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// So many seeds are simulated.
    #[arg(long, value_name = "N", default_value_t = 1000, conflicts_with = "seed", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,

    /// The first of them.
    #[arg(long, value_name = "SEED", default_value_t = 0, conflicts_with = "seed")]
    pub(crate) from: u64,

    /// Simulate this seed only.
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u64>,

    /// With --seed: print everything that happened, a line each.
    #[arg(long, requires = "seed")]
    pub(crate) trace: bool,

    /// So many at a time. Default: as many as there are processors.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
}
