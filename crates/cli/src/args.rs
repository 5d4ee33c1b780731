//! What may be written on the command line.

mod access;
mod deployed;
mod executions;
mod outside;
mod server;
mod simulation;
mod upkeep;
mod versions;

use std::path::PathBuf;

use crate::wiring::environment;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use access::{
    KeyCreateArgs, KeyListArgs, KeysCommand, OrganizationArgs, OrganizationListArgs, OrganizationsCommand,
};
pub(crate) use deployed::{DeployArgs, OfServer, SchedulesCommand, WorkflowsCommand};
pub(crate) use executions::{
    CancelArgs, ExecutionsCommand, ListArgs, OneArgs, PauseArgs, PruneArgs, QueryArgs, RerunArgs, ResumeArgs, RetryArgs,
};
pub(crate) use outside::{
    ApproveArgs, CallbackCommand, CallbackListArgs, CallbackTarget, DeliverArgs, DropArgs, FailArgs, HeartbeatArgs,
    SignalArgs, SucceedArgs, TargetDetails, WaitListArgs,
};
pub(crate) use server::{ConfigArgs, ConfigCommand, LogFormat, OpenApiArgs, ServeArgs};
pub(crate) use simulation::SimulateArgs;
pub(crate) use upkeep::{BackupArgs, DoctorArgs, RestoreArgs};
pub(crate) use versions::DiffArgs;

/// Runs integration workflows that must not lose their place.
///
/// Every step of a workflow is recorded in a journal before anything follows from it. After a crash the next
/// run goes on where the last one was: what is done is not done again.
#[derive(Debug, Parser)]
#[command(name = "bowline", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_long_help = "Start with:
  bowline init hello
  cd hello
  bowline run order.yaml --mocks mocks.yaml --input @input.json

Exit codes:
   0  success
   1  the execution failed; or executions cannot go along with a deployment (diff)
   2  wrong usage, workflow or input
   3  the execution was cancelled
   4  the data folder cannot be used, or something is wrong with it (doctor)
   5  interrupted; the execution goes on at the next run
  70  a fault in bowline")]
pub(crate) struct Cli {
    /// Colours: auto, always or never. `auto` means on terminals, unless NO_COLOR is set.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        help_heading = "General options"
    )]
    pub(crate) color: ColorWhen,

    /// What is logged to stderr: off, error, warn, info, debug, trace, or filters such as `bowline_engine=debug`.
    /// Default: warn.
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        env = "BOWLINE_LOG",
        hide_env_values = true,
        help_heading = "General options"
    )]
    pub(crate) log: Option<String>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    /// On terminals.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a workflow to its end and print its result.
    ///
    /// First goes on with what an earlier run left unfinished in the data folder. The result is printed to
    /// stdout as JSON; progress goes to stderr.
    #[command(after_help = "Example: bowline run order.yaml --input '{\"customer\": \"ada\", \"amount\": 12}'")]
    Run(RunArgs),

    /// Serve: an API, triggers, callbacks from outside, schedules, and an inspector to look at.
    ///
    /// Workflows of the folder are deployed, and again when their files change. What the data folder has is gone on
    /// with. Without an API key it answers on this machine only.
    #[command(after_help = "Example: bowline serve workflows/")]
    Serve(ServeArgs),

    /// Look at the configuration of the server.
    #[command(arg_required_else_help = true)]
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },

    /// Print the description of the server's API (OpenAPI 3.1).
    #[command(name = "openapi", after_help = "Example: bowline openapi -o openapi.json")]
    OpenApi(OpenApiArgs),

    /// Check workflows without running them, and tell everything that is wrong.
    #[command(after_help = "Example: bowline validate workflows/ order.yaml")]
    Validate(ValidateArgs),

    /// Draw a workflow.
    #[command(after_help = "Example: bowline graph order.yaml --format svg -o order.svg")]
    Graph(GraphArgs),

    /// Look at executions, resume or cancel them.
    #[command(visible_alias = "exec", arg_required_else_help = true)]
    Executions {
        #[command(subcommand)]
        command: ExecutionsCommand,
    },

    /// Look at the workflows of a running server, deploy and remove them.
    ///
    /// Asks the server that has the data folder. Who may write there needs no key.
    #[command(arg_required_else_help = true)]
    Workflows {
        #[command(subcommand)]
        command: WorkflowsCommand,
    },

    /// Look at the schedules of a running server, pause them, start what they start.
    ///
    /// Asks the server that has the data folder. Who may write there needs no key.
    #[command(arg_required_else_help = true)]
    Schedules {
        #[command(subcommand)]
        command: SchedulesCommand,
    },

    /// Answer what executions wait for: by token, by the other side's reference, or by execution.
    ///
    /// Where another process runs executions in the data folder, that process is asked to deliver the answer.
    /// Otherwise this one does, and goes on with the execution until it ends or waits for something else.
    #[command(arg_required_else_help = true)]
    Callback {
        #[command(subcommand)]
        command: CallbackCommand,
    },

    /// Send a signal to an execution. It is kept until the execution waits for it.
    #[command(after_help = "Example: bowline signal 0192f3 priceChanged --payload '{\"price\": 12}'")]
    Signal(SignalArgs),

    /// Answer an approval that an execution waits for.
    #[command(after_help = "Example: bowline approve 0192f3 --by ada@example.com --comment 'looks right'")]
    Approve(ApproveArgs),

    /// List the approvals that executions wait for.
    #[command(after_help = "Example: bowline approvals")]
    Approvals(WaitListArgs),

    /// Say in one line what an execution waits for, and what makes it go on.
    #[command(after_help = "Example: bowline why 0192f3")]
    Why(OneArgs),

    /// Compare two versions of a workflow, and say which executions a deployment touches.
    ///
    /// For each unfinished execution of the old version it is tried whether it would replay on the new one, and
    /// whether `executions resume --on` can move it. The exit code is 1 where one can do neither.
    #[command(after_help = "Example: bowline diff order order.yaml")]
    Diff(DiffArgs),

    /// Run the engine in simulated time, with random workflows, crashes and answers, and check that its rules hold.
    ///
    /// A seed determines everything that happens. The first one that breaks a rule is told, with its last events and
    /// the command that runs it again.
    #[command(after_help = "Example: bowline simulate --seeds 10000")]
    Simulate(SimulateArgs),

    /// Check the data folder, and mend what can be mended.
    #[command(after_help = "Example: bowline doctor --repair")]
    Doctor(DoctorArgs),

    /// Copy the data folder while executions run. The copy is opened and checked before it gets its name.
    #[command(after_help = "Example: bowline backup /backups/orders-monday")]
    Backup(BackupArgs),

    /// Put a backup where there is no data yet.
    #[command(after_help = "Example: bowline restore /backups/orders-monday --data .bowline")]
    Restore(RestoreArgs),

    /// Make, list, rotate and revoke API keys, beside a running server or without one.
    #[command(arg_required_else_help = true)]
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },

    /// Make, list and disable organizations, beside a running server or without one.
    #[command(arg_required_else_help = true)]
    Organizations {
        #[command(subcommand)]
        command: OrganizationsCommand,
    },

    /// Write a small example that runs: a workflow, mocks for its services, an input.
    #[command(
        after_help = "Example: bowline init hello && cd hello && bowline run order.yaml --mocks mocks.yaml --input @input.json"
    )]
    Init(InitArgs),

    /// Print the JSON Schema of workflow files, for completion and checks in editors.
    #[command(after_help = "Example: bowline schema -o workflow.schema.json")]
    Schema(SchemaArgs),

    /// Explain an error code, or list all of them.
    #[command(after_help = "Example: bowline explain BOW0107")]
    Explain {
        /// The code, such as BOW0107. Without one, all codes are listed.
        code: Option<String>,
    },

    /// List connectors and connection types, or print the reference of one as Markdown.
    #[command(after_help = "Example: bowline connectors http-request")]
    Connectors {
        /// A connector such as `http-request`, or a connection type such as `sqlite`.
        name: Option<String>,
        /// Print JSON: the list, or the JSON Schema of the one that is named.
        #[arg(long)]
        json: bool,
    },

    /// Print a completion script for a shell.
    #[command(after_help = "Example: bowline completions bash > ~/.local/share/bash-completion/completions/bowline")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },

    /// Write the generated pages of docs/ (for those who work on bowline itself).
    #[command(hide = true)]
    Generate {
        /// Change nothing; fail and list what is out of date.
        #[arg(long)]
        check: bool,
        /// The folder that holds docs/.
        #[arg(long, value_name = "DIR", default_value = ".")]
        root: PathBuf,
    },
}

/// Whose workflow a name means.
#[derive(Debug, Clone, Args)]
pub(crate) struct OfArgs {
    /// The organization whose workflows are meant.
    #[arg(long, value_name = "NAME", default_value = bowline_store::DEFAULT_ORGANIZATION)]
    pub(crate) organization: String,
}

/// The folder with the executions.
#[derive(Clone, Debug, Args)]
pub(crate) struct DataArgs {
    /// The folder that keeps executions and their journals. One process at a time runs executions in it.
    #[arg(
        long = "data",
        value_name = "DIR",
        default_value_os_t = environment::data(),
        env = "BOWLINE_DATA",
        hide_env_values = true
    )]
    pub(crate) folder: PathBuf,
}

/// What running executions need.
#[derive(Clone, Debug, Args)]
pub(crate) struct EngineArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// Start the mock services of this file first. What it sets under `env` goes over the environment, so that
    /// `${env.PAYMENT_URL}` is the address of a mock.
    #[arg(long, value_name = "FILE")]
    pub(crate) mocks: Option<PathBuf>,

    /// A YAML or JSON file with what `${credentials.…}` reads. All of it is secret.
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,

    /// A file with NAME=value lines for `${env.…}`. Variables that are set in the environment win.
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,

    /// Let time jump to the next due moment whenever everything waits: a pause of two days takes no time. For
    /// rehearsals.
    #[arg(long)]
    pub(crate) virtual_time: bool,

    /// Print events to stdout as JSON, one a line; the last line is the result.
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) json: bool,

    /// Show no progress, only the result and errors.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// `bowline run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The workflow's file. Workflows that it starts are looked up in the same folder.
    pub(crate) file: PathBuf,

    /// The input: JSON text, `@FILE` (or a path that ends in .json, .yaml or .yml), or `-` for stdin. Without it
    /// the input is `{}`.
    #[arg(long, short, value_name = "INPUT", allow_hyphen_values = true)]
    pub(crate) input: Option<String>,

    /// The id of the new execution, so that it is started once only: where it exists and is unfinished, the run
    /// goes on with it. Default: a new UUID.
    #[arg(long)]
    pub(crate) id: Option<String>,

    /// A name of your own for this start, such as an order's number: with the same key and input, the execution
    /// that was started first is the answer, running or ended.
    #[arg(long, conflicts_with = "id")]
    pub(crate) key: Option<String>,

    /// What to do where the execution with this key has ended.
    #[arg(long, requires = "key", default_value = "return-existing")]
    pub(crate) reuse: ReuseWhen,

    /// What to do where the execution with this key has not ended.
    #[arg(long, requires = "key", default_value = "use-existing")]
    pub(crate) conflict: ConflictWhen,

    /// Leave what earlier runs did not finish as it is.
    #[arg(long)]
    pub(crate) no_recover: bool,

    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}

/// What a key does whose execution has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReuseWhen {
    /// Give its result, if the input is the same.
    ReturnExisting,
    /// Start another one, which has the key from then on.
    AllowDuplicate,
    /// The same where it failed or was cancelled.
    AllowDuplicateFailedOnly,
    /// Refuse.
    Reject,
}

/// What a key does whose execution has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConflictWhen {
    /// Follow it, if the input is the same.
    UseExisting,
    /// Refuse.
    Fail,
    /// Cancel it, wait until its compensations have run, and start another one.
    TerminateExisting,
}

/// `bowline validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// Files, and folders whose workflows are all checked (bowline.yaml, mocks*, input* and *.test.yaml are left out).
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Print the problems as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// `bowline graph`.
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// The workflow's file.
    pub(crate) file: PathBuf,

    /// What to write.
    #[arg(long, default_value = "mermaid")]
    pub(crate) format: GraphFormat,

    /// Where to write it. Default: stdout.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// How a workflow is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// Mermaid text, which Markdown viewers draw.
    Mermaid,
    /// An SVG picture.
    Svg,
}

/// `bowline init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The folder to write to; it is made if it is missing.
    #[arg(value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,

    /// The name of the workflow and of its file.
    #[arg(long, default_value = "order")]
    pub(crate) name: String,
}

/// `bowline schema`.
#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// The schema of mocks files instead.
    #[arg(long)]
    pub(crate) mocks: bool,

    /// Where to write it. Default: stdout.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[cfg(test)]
mod tests;
