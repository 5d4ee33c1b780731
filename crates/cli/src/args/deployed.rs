//! `bowline workflows`, `bowline schedules`: what a running server has.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DataArgs;

/// `bowline workflows ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowsCommand {
    /// List the workflows that are deployed, with what is wrong with them.
    #[command(visible_alias = "ls", after_help = "Example: bowline workflows list")]
    List(ManyArgs),
    /// Show a workflow: its versions, its triggers, what is wrong with it.
    #[command(after_help = "Example: bowline workflows show order")]
    Show(NamedArgs),
    /// Deploy files. All of them or none; the same content again is the same version.
    #[command(after_help = "Example: bowline workflows deploy order.yaml --dry-run")]
    Deploy(DeployArgs),
    /// Take a workflow that was deployed this way out of use. Its executions and versions stay.
    #[command(after_help = "Example: bowline workflows remove order")]
    Remove(NamedArgs),
    /// Make all executions of a workflow stand still, also those that start from now on.
    #[command(after_help = "Example: bowline workflows pause order")]
    Pause(NamedArgs),
    /// Let the executions of a workflow go on.
    #[command(after_help = "Example: bowline workflows unpause order")]
    Unpause(NamedArgs),
}

/// `bowline schedules ...`.
#[derive(Debug, Subcommand)]
pub(crate) enum SchedulesCommand {
    /// List the schedules, with when they are due next.
    #[command(visible_alias = "ls", after_help = "Example: bowline schedules list")]
    List(ManyArgs),
    /// Show a schedule.
    #[command(after_help = "Example: bowline schedules show report.daily")]
    Show(NamedArgs),
    /// Let a schedule start nothing.
    #[command(after_help = "Example: bowline schedules pause report.daily --note 'the bank is closed'")]
    Pause(SchedulePauseArgs),
    /// Let a paused schedule go on. What was due in between is dropped.
    #[command(after_help = "Example: bowline schedules unpause report.daily")]
    Unpause(NamedArgs),
    /// Make a schedule due now, also while it is paused.
    #[command(after_help = "Example: bowline schedules run report.daily")]
    Run(ScheduleRunArgs),
    /// Start what a schedule should have started in a range of time that is over.
    #[command(
        after_help = "Example: bowline schedules backfill report.daily --from 2026-11-01T00:00:00Z --until 2026-11-07T23:59:59Z"
    )]
    Backfill(BackfillArgs),
    /// List what became of each time a schedule was due, the latest first.
    #[command(after_help = "Example: bowline schedules fires report.daily --fate missed")]
    Fires(FiresArgs),
}

/// Of which server.
#[derive(Debug, Clone, Args)]
pub(crate) struct OfServer {
    /// The organization.
    #[arg(long, value_name = "NAME", default_value = bowline_store::DEFAULT_ORGANIZATION)]
    pub(crate) organization: String,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// All of them.
#[derive(Debug, Args)]
pub(crate) struct ManyArgs {
    #[command(flatten)]
    pub(crate) of: OfServer,
}

/// One of them.
#[derive(Debug, Args)]
pub(crate) struct NamedArgs {
    /// Its name.
    pub(crate) name: String,

    #[command(flatten)]
    pub(crate) of: OfServer,
}

/// `bowline workflows deploy`.
#[derive(Debug, Args)]
pub(crate) struct DeployArgs {
    /// The files. A bowline.yaml beside the first one goes with them.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Deploy nothing; say what would be.
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) of: OfServer,
}

/// `bowline schedules pause`.
#[derive(Debug, Args)]
pub(crate) struct SchedulePauseArgs {
    /// Its name.
    pub(crate) name: String,

    /// Why, for those who wonder.
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,

    #[command(flatten)]
    pub(crate) of: OfServer,
}

/// `bowline schedules run`.
#[derive(Debug, Args)]
pub(crate) struct ScheduleRunArgs {
    /// Its name.
    pub(crate) name: String,

    /// What to do where an execution of it has not ended: skip, bufferOne, bufferAll, cancelOther, terminateOther or
    /// allow. Default: what the schedule says.
    #[arg(long, value_name = "HOW")]
    pub(crate) overlap: Option<String>,

    #[command(flatten)]
    pub(crate) of: OfServer,
}

/// `bowline schedules backfill`.
#[derive(Debug, Args)]
pub(crate) struct BackfillArgs {
    /// Its name.
    pub(crate) name: String,

    /// The first time, such as 2026-11-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(crate) from: String,

    /// The last time.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: String,

    /// What to do where an execution of the schedule has not ended, as of `run`. Default: bufferAll.
    #[arg(long, value_name = "HOW")]
    pub(crate) overlap: Option<String>,

    #[command(flatten)]
    pub(crate) of: OfServer,
}

/// `bowline schedules fires`.
#[derive(Debug, Args)]
pub(crate) struct FiresArgs {
    /// Its name.
    pub(crate) name: String,

    /// Only those with this fate: started, skipped, missed, buffered, dropped, filtered or failed.
    #[arg(long, value_name = "FATE")]
    pub(crate) fate: Option<String>,

    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub(crate) limit: u32,

    #[command(flatten)]
    pub(crate) of: OfServer,
}
