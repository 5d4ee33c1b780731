//! `bowline diff`.

use clap::Args;

use super::{DataArgs, OfArgs};

/// `bowline diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The old version: a file, the beginning of a version's hash, or a workflow's name for the version that came
    /// last.
    pub(crate) old: String,

    /// The new version, in the same ways.
    pub(crate) new: String,

    #[command(flatten)]
    pub(crate) of: OfArgs,

    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
