//! The configuration: one type, whose defaults and descriptions are the reference.
//!
//! Values come from the `server:` of a `bowline.yaml`, go under those of the environment (`BOWLINE_SERVER_*`), and
//! those under the flags of the command line: see [`Sources`].

mod check;
mod merge;
mod problem;
mod settings;
#[cfg(test)]
mod tests;
mod words;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bowline_connector::Millis;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::guard::Limits;

pub use check::keys_needed;
pub use merge::{Loaded, Sources};
pub use problem::{ConfigError, ConfigProblem, Origin};
pub use settings::{Setting, settings};
pub(crate) use words::nearest;

/// What the names of variables begin with: `BOWLINE_SERVER_LISTEN`, `BOWLINE_SERVER_EVENTS_HEARTBEAT`.
pub const PREFIX: &str = "BOWLINE_SERVER_";

/// How the server runs. Without any setting it listens on loopback, on port 8080, and takes workflows from the folder
/// it is started in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Where to listen: an address (or `localhost`) and a port; port 0 takes a free one. Where the service manager hands
    /// over a socket (`LISTEN_FDS`), that is used instead. Addresses that others can reach need an API key or JWT first.
    #[serde(deserialize_with = "listen")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// The address under which others reach this server, such as `https://bowline.example.com`. It is what links in mails
    /// and callback addresses begin with. Default: `http://` and what it listens on.
    pub public_url: Option<String>,
    /// The folder with workflows. It is watched, and what changes is deployed. A relative path begins at the folder of
    /// the file that it stands in. Default: the folder that the server is started in.
    pub workflows: Option<PathBuf>,
    /// The folder that keeps executions and their journals. One process at a time runs executions in it. Default:
    /// `.bowline`.
    pub data: Option<PathBuf>,
    /// A YAML or JSON file with what `${credentials...}` reads. All of it is secret.
    pub credentials: Option<PathBuf>,
    /// A file with NAME=value lines for `${env...}`. Variables that are set in the environment win.
    pub env_file: Option<PathBuf>,
    /// How long requests and steps under way may take to end when the server stops. Steps that do not are done again
    /// by the next process, as after a crash.
    pub stop_grace: Millis,
    /// The longest that `?wait=` of a start may ask for. A longer wish gets this.
    pub max_wait: Millis,
    /// Connections of clients.
    pub connections: Connections,
    /// Streams of events.
    pub events: Events,
    /// What is logged, and how.
    pub logs: Logs,
    /// Who is let in.
    pub access: bowline_access::Config,
    /// Limits of requests.
    pub limits: Limits,
    /// Traces.
    pub traces: bowline_telemetry::Config,
}

/// Names need somebody who knows them; this one every machine knows.
fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let address = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}").parse(),
        None => text.parse(),
    };
    address.map_err(D::Error::custom)
}

/// Connections of clients. One that is slow is cut, so that it does not keep others out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Connections {
    /// So many at once. Others wait in the queue of the operating system.
    #[schemars(range(min = 1))]
    pub max: usize,
    /// So many at once from one address; more are closed. 0 means no bound. Default: 1,000, and no bound for this machine
    /// and for the addresses in `limits.proxies`, through which many come.
    pub per_address: Option<usize>,
    /// So many bytes may the bodies of webhooks and callbacks have in memory together while they come in and are taken;
    /// beyond it those of more than 16 KiB are refused with 503.
    #[schemars(range(min = 1))]
    pub body_bytes: u64,
    /// How long a request may take to send its headers. A connection without a request is closed after this too.
    pub header_timeout: Millis,
    /// So many bytes of request line and headers; more are refused with 431.
    #[schemars(range(min = 8192))]
    pub header_bytes: usize,
    /// So many headers; more are refused with 431.
    #[schemars(range(min = 1))]
    pub headers: usize,
    /// A client that takes nothing of an answer for this long is cut.
    pub stall_timeout: Millis,
}

/// Streams of events (server-sent events).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Events {
    /// After this long without an event a stream sends a comment, so that nobody between takes it for dead.
    pub heartbeat: Millis,
    /// What clients are told to wait before they connect again.
    pub retry: Millis,
    /// So many streams at once; more are refused with 503.
    #[schemars(range(min = 1))]
    pub max: usize,
}

/// What is logged to stderr, and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Logs {
    /// Lines for people, or one JSON object a line.
    pub format: LogFormat,
    /// `off`, `error`, `warn`, `info`, `debug`, `trace`, or filters such as `info,bowline_engine=debug`.
    pub filter: String,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: None,
            workflows: None,
            data: None,
            credentials: None,
            env_file: None,
            stop_grace: Millis(Duration::from_secs(10)),
            max_wait: Millis(Duration::from_secs(60)),
            connections: Connections::default(),
            events: Events::default(),
            logs: Logs::default(),
            access: bowline_access::Config::default(),
            limits: Limits::default(),
            traces: bowline_telemetry::Config::default(),
        }
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self {
            max: 20_000,
            per_address: None,
            body_bytes: 256 << 20,
            header_timeout: Millis(Duration::from_secs(30)),
            header_bytes: 16 * 1024,
            headers: 100,
            stall_timeout: Millis(Duration::from_secs(30)),
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self {
            heartbeat: Millis(Duration::from_secs(15)),
            retry: Millis(Duration::from_secs(1)),
            max: 20_000,
        }
    }
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info".to_owned(),
        }
    }
}
