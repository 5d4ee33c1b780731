//! `bowline doctor`, `backup`, `restore`.

use std::path::PathBuf;

use clap::Args;

use super::DataArgs;

/// `bowline doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// Mend what can be mended: wake what nothing wakes, finish deletions that were cut short, drop what has
    /// expired and blobs that nothing refers to. No other process may run executions meanwhile.
    #[arg(long)]
    pub(crate) repair: bool,

    /// Write the database anew, as small as it can be. No other process may run executions meanwhile, and there
    /// must be room for a second copy.
    #[arg(long)]
    pub(crate) compact: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `bowline backup`.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The folder to write to. It must not hold a store.
    #[arg(value_name = "DEST")]
    pub(crate) dest: PathBuf,

    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// `bowline restore`.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The folder that `bowline backup` wrote.
    #[arg(value_name = "SRC")]
    pub(crate) source: PathBuf,

    #[command(flatten)]
    pub(crate) data: DataArgs,
}
