//! What the server and its configuration are asked for.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Where the configuration comes from.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The folder with workflows. It is watched: what changes is deployed, and a file with a mistake keeps its last good
    /// version. Default: the folder the server is started in.
    pub(crate) workflows: Option<PathBuf>,

    /// The file whose `server:` configures the server. Default: bowline.yaml in the folder with workflows, if it is
    /// there. Variables (BOWLINE_SERVER_...) go over it, and flags over both.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Where to listen: an address (or `localhost`) and a port; port 0 takes a free one. Default: 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,

    /// The address under which others reach this server, such as https://bowline.example.com.
    #[arg(long, value_name = "URL")]
    pub(crate) public_url: Option<String>,

    /// The folder that keeps executions and their journals. Default: .bowline.
    #[arg(long, value_name = "DIR", env = "BOWLINE_DATA", hide_env_values = true)]
    pub(crate) data: Option<PathBuf>,

    /// A YAML or JSON file with what `${credentials.…}` reads. All of it is secret.
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,

    /// A file with NAME=value lines for `${env.…}`. Variables that are set in the environment win.
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,

    /// The form of log lines.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `bowline serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Start the mock services of this file first. What it sets under `env` goes over the environment. For rehearsals.
    #[arg(long, value_name = "FILE")]
    pub(crate) mocks: Option<PathBuf>,
}

/// `bowline config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check the configuration of the server, and tell every setting with where it comes from.
    #[command(after_help = "Example: bowline config check workflows/")]
    Check {
        #[command(flatten)]
        config: ConfigArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },

    /// Print the reference of all settings as Markdown.
    #[command(after_help = "Example: bowline config reference")]
    Reference,
}

/// `bowline openapi`.
#[derive(Debug, Args)]
pub(crate) struct OpenApiArgs {
    /// Where to write it. Default: stdout.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}
