//! `bowline callback`, `signal`, `approve`, `approvals`.

use clap::{Args, Subcommand};

use super::{DataArgs, EngineArgs};

/// What there is to do with callbacks.
#[derive(Debug, Subcommand)]
pub(crate) enum CallbackCommand {
    /// Deliver what was waited for.
    #[command(
        after_help = "Example: bowline callback succeed --reference V-4711 --payload '{\"propertyValue\": 250000}'"
    )]
    Succeed(SucceedArgs),

    /// Report that the other side failed. The step fails with this error.
    #[command(
        after_help = "Example: bowline callback fail --reference V-4711 --error valuation.refused --cause 'no access'"
    )]
    Fail(FailArgs),

    /// Report that the other side is still at work, so that the callback's heartbeat starts anew.
    #[command(after_help = "Example: bowline callback heartbeat bw_AYcs0b9F...")]
    Heartbeat(HeartbeatArgs),

    /// List the callbacks that executions wait for, or those that came and nobody waits for.
    #[command(visible_alias = "ls", after_help = "Example: bowline callback list --kept")]
    List(CallbackListArgs),

    /// Try a kept callback again, or deliver it to another callback than the one it was sent to.
    #[command(after_help = "Example: bowline callback deliver 12 --reference V-4711")]
    Deliver(DeliverArgs),

    /// Forget a kept callback.
    #[command(after_help = "Example: bowline callback drop 12")]
    Drop(DropArgs),
}

/// Which callback is meant.
#[derive(Clone, Debug, Args)]
#[group(id = "target", required = true, multiple = false)]
pub(crate) struct CallbackTarget {
    /// The callback's token, as `callback.token` gave it.
    pub(crate) token: Option<String>,

    /// The other side's own reference, as `correlate` made it.
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) reference: Option<String>,

    /// The execution that waits: its id, or its beginning.
    #[arg(long, value_name = "ID")]
    pub(crate) execution: Option<String>,
}

/// `bowline callback succeed`.
#[derive(Debug, Args)]
pub(crate) struct SucceedArgs {
    #[command(flatten)]
    pub(crate) target: CallbackTarget,

    #[command(flatten)]
    pub(crate) more: TargetDetails,

    /// What the callback brings: JSON text, `@FILE`, or `-` for stdin. Default: null.
    #[arg(long, short, value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) payload: Option<String>,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// `bowline callback fail`.
#[derive(Debug, Args)]
pub(crate) struct FailArgs {
    #[command(flatten)]
    pub(crate) target: CallbackTarget,

    #[command(flatten)]
    pub(crate) more: TargetDetails,

    /// The error's code, which `catch` and `retry` go by.
    #[arg(long, value_name = "CODE", default_value = "callback.failed")]
    pub(crate) error: String,

    /// What happened, in words.
    #[arg(long, value_name = "TEXT", default_value = "the other side reported a failure")]
    pub(crate) cause: String,

    /// What the error carries: JSON text, `@FILE`, or `-` for stdin.
    #[arg(long, short, value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) payload: Option<String>,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// `bowline callback heartbeat`.
#[derive(Debug, Args)]
pub(crate) struct HeartbeatArgs {
    #[command(flatten)]
    pub(crate) target: CallbackTarget,

    #[command(flatten)]
    pub(crate) more: TargetDetails,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// What tells callbacks apart that the target alone does not.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TargetDetails {
    /// With `--reference`: the channel that the reference belongs to, as the callback's `name` says.
    #[arg(long, value_name = "NAME", requires = "reference")]
    pub(crate) name: Option<String>,

    /// With `--execution`: the step's path. Needed where it waits for several callbacks.
    #[arg(long, value_name = "PATH", requires = "execution")]
    pub(crate) path: Option<String>,
}

/// `bowline callback list`.
#[derive(Debug, Args)]
pub(crate) struct CallbackListArgs {
    /// Those that came and nobody waits for, instead.
    #[arg(long)]
    pub(crate) kept: bool,

    #[command(flatten)]
    pub(crate) list: WaitListArgs,
}

/// What narrows a list of waits.
#[derive(Debug, Args)]
pub(crate) struct WaitListArgs {
    /// Only those of this execution: its id, or its beginning.
    #[arg(long, value_name = "ID")]
    pub(crate) execution: Option<String>,

    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,

    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `bowline callback deliver`.
#[derive(Debug, Args)]
pub(crate) struct DeliverArgs {
    /// The number under which it is kept.
    pub(crate) number: i64,

    /// Deliver it to the callback with this token.
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["reference", "execution"])]
    pub(crate) to: Option<String>,

    /// Deliver it to the callback with this reference.
    #[arg(long, value_name = "REFERENCE", conflicts_with = "execution")]
    pub(crate) reference: Option<String>,

    /// Deliver it to the callback of this execution.
    #[arg(long, value_name = "ID")]
    pub(crate) execution: Option<String>,

    #[command(flatten)]
    pub(crate) more: TargetDetails,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// `bowline callback drop`.
#[derive(Debug, Args)]
pub(crate) struct DropArgs {
    /// The number under which it is kept.
    pub(crate) number: i64,

    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// `bowline signal`.
#[derive(Debug, Args)]
pub(crate) struct SignalArgs {
    /// The execution's id, or its beginning.
    pub(crate) id: String,

    /// The signal's name.
    pub(crate) name: String,

    /// What it carries: JSON text, `@FILE`, or `-` for stdin. Default: null.
    #[arg(long, short, value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) payload: Option<String>,

    /// What tells this signal apart: a second one with the same is no other. Default: each counts.
    #[arg(long, value_name = "ID")]
    pub(crate) signal_id: Option<String>,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// `bowline approve`.
#[derive(Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The execution's id, or its beginning.
    pub(crate) id: String,

    /// The step's path. Needed where it waits for several approvals.
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<String>,

    /// Reject instead.
    #[arg(long)]
    pub(crate) reject: bool,

    /// Who answers.
    #[arg(long, value_name = "WHO")]
    pub(crate) by: Option<String>,

    /// Why, in words.
    #[arg(long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,

    /// The fields of the approval's form: JSON text, `@FILE`, or `-` for stdin.
    #[arg(long, short, value_name = "JSON", allow_hyphen_values = true)]
    pub(crate) form: Option<String>,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}
