//! `bowline executions`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use bowline_store::Status;

use super::{DataArgs, EngineArgs, OfArgs};

/// What there is to do with executions.
#[derive(Debug, Subcommand)]
pub(crate) enum ExecutionsCommand {
    /// List executions, newest first.
    #[command(
        visible_alias = "ls",
        after_help = "Example: bowline executions list --status failed --limit 20"
    )]
    List(ListArgs),

    /// Show where one execution stands: its steps, what it waits for, its result or error.
    #[command(after_help = "Example: bowline executions show 0192f3 (an id may be shortened while it is unique)")]
    Show(OneArgs),

    /// Show everything that happened in an execution, one event a line.
    #[command(after_help = "Example: bowline executions history 0192f3 --json")]
    History(OneArgs),

    /// Take up a failed, cancelled or unfinished execution: what is done and was not undone stays done.
    #[command(after_help = "Example: bowline executions resume 0192f3 --env-file .env")]
    Resume(ResumeArgs),

    /// Cancel an execution: what it waits for is given up, and its compensations run.
    ///
    /// Where another process runs the execution, that process is asked to cancel it.
    #[command(after_help = "Example: bowline executions cancel 0192f3 --reason 'ordered twice'")]
    Cancel(CancelArgs),

    /// Make an execution, or all executions of a workflow, stand still: calls under way end, nothing new begins.
    #[command(after_help = "Example: bowline executions pause --workflow order")]
    Pause(PauseArgs),

    /// Let what was paused go on.
    #[command(after_help = "Example: bowline executions unpause --workflow order")]
    Unpause(PauseArgs),

    /// Start a new execution that takes over what a failed or cancelled one has done, and goes on from there.
    #[command(after_help = "Example: bowline executions retry 0192f3 --from charge")]
    Retry(RetryArgs),

    /// Start a new execution that runs an ended one again, from the top or from a step, with another input if one is given.
    #[command(after_help = "Example: bowline executions rerun 0192f3 --from charge --input @mended.json")]
    Rerun(RerunArgs),

    /// Show the state of an execution: its steps and variables, or what an expression makes of them.
    #[command(after_help = "Example: bowline executions query 0192f3 'steps.charge.status'")]
    Query(QueryArgs),

    /// Delete finished executions with all that belongs to them.
    #[command(after_help = "Example: bowline executions prune --older-than 30d --keep 100")]
    Prune(PruneArgs),
}

/// `bowline executions list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// Only those with this status.
    #[arg(long, value_parser = status_parser())]
    pub(crate) status: Option<Status>,

    /// Only those of this workflow.
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,

    #[command(flatten)]
    pub(crate) of: OfArgs,

    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,

    /// Only those older than this execution: the last one of the page before.
    #[arg(long, value_name = "ID")]
    pub(crate) before: Option<String>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn status_parser() -> impl TypedValueParser<Value = Status> {
    let names = Status::ALL.map(Status::name);
    PossibleValuesParser::new(names).map(|name| Status::from_name(&name).unwrap_or(Status::Running))
}

/// One execution to look at.
#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// The execution's id, or its beginning.
    pub(crate) id: String,

    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `bowline executions resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The execution's id, or its beginning.
    pub(crate) id: String,

    /// Go on on this version of the workflow: what was done and is the same there keeps its result, everything else
    /// runs.
    #[arg(long, value_name = "FILE")]
    pub(crate) on: Option<PathBuf>,

    /// Why, for its history.
    #[arg(long, default_value = "resumed by hand")]
    pub(crate) reason: String,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// `bowline executions cancel`.
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// The execution's id, or its beginning.
    pub(crate) id: String,

    /// Why, for its history.
    #[arg(long, default_value = "cancelled by hand")]
    pub(crate) reason: String,

    /// Where another process runs it: ask that process and do not wait until it is done.
    #[arg(long)]
    pub(crate) no_wait: bool,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// `bowline executions pause` and `unpause`.
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// The execution's id, or its beginning.
    #[arg(required_unless_present = "workflow", conflicts_with = "workflow")]
    pub(crate) id: Option<String>,

    /// All executions of this workflow, also those that start later.
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,

    #[command(flatten)]
    pub(crate) of: OfArgs,

    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// Where another process runs executions: ask it and do not wait until it is done.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// `bowline executions retry`.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The execution's id, or its beginning.
    pub(crate) id: String,

    /// Do this step, and all that were asked for after it, again. Default: keep all that was done and not undone.
    #[arg(long, value_name = "STEP")]
    pub(crate) from: Option<String>,

    /// Make idempotency keys of the new execution's own id, so that services take its calls for new ones.
    #[arg(long)]
    pub(crate) new_keys: bool,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// `bowline executions rerun`.
#[derive(Debug, Args)]
pub(crate) struct RerunArgs {
    /// The execution's id, or its beginning.
    pub(crate) id: String,

    /// Do this step, and all that were asked for after it, again. Default: all of them.
    #[arg(long, value_name = "STEP")]
    pub(crate) from: Option<String>,

    /// Make idempotency keys of the new execution's own id, so that services take its calls for new ones. With another
    /// input that is done in any case: a service that knows the key would answer for the old one.
    #[arg(long)]
    pub(crate) new_keys: bool,

    /// Another input: JSON text, `@FILE`, or `-` for stdin. Default: that of the execution.
    #[arg(long, short, value_name = "INPUT", allow_hyphen_values = true)]
    pub(crate) input: Option<String>,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// `bowline executions query`.
#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// The execution's id, or its beginning.
    pub(crate) id: String,

    /// What to make of the state, in JSONata. Default: all of it.
    pub(crate) expression: Option<String>,

    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// A file with NAME=value lines for `${env.…}`. Variables that are set in the environment win.
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,

    /// A YAML or JSON file with what `${credentials.…}` reads. All of it is secret.
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,
}

/// `bowline executions prune`.
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Only those that ended longer ago than this, such as `30d` or `12h`. Without this and `--keep`: 30 days.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) older_than: Option<std::time::Duration>,

    /// Keep so many of each workflow, those that ended last.
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<usize>,

    /// Only those of this workflow.
    #[arg(long, value_name = "NAME")]
    pub(crate) workflow: Option<String>,

    #[command(flatten)]
    pub(crate) of: OfArgs,

    /// Delete nothing; say how many would be.
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) data: DataArgs,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    bowline_connector::Millis::parse(text).map(bowline_connector::Millis::duration)
}
