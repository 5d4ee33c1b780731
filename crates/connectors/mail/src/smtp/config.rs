//! The configuration of a connection of type `smtp`.

use std::time::Duration;

use bowline_connector::{Millis, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

/// A mail server that takes messages over SMTP.
///
/// ```yaml
/// connections:
///   mail:
///     type: smtp
///     host: smtp.example.com
///     security: starttls
///     username: shop
///     password: "${env.SMTP_PASSWORD}"
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SmtpConfig {
    /// Name or address of the server.
    pub host: String,
    /// Its port. Default by `security`: 465 with `tls`, 587 with `starttls`, 25 with `none`.
    #[serde(default)]
    pub port: Option<u16>,
    /// How the conversation is encrypted. Default `tls`. Never lowered: a server without it gets no mail.
    #[serde(default)]
    pub security: Security,
    /// User name. Without one, nobody logs in.
    #[serde(default)]
    pub username: Option<String>,
    /// Password, or the access token with `mechanism: xoauth2`. It is sent encrypted only: with `security: none`
    /// it is refused unless the server is on this machine.
    #[serde(default)]
    pub password: Option<Secret>,
    /// How to log in. Default: `plain`, or `login` where the server offers only that.
    #[serde(default)]
    pub mechanism: Option<Mechanism>,
    /// What to call this machine in EHLO. Default: its loopback address, `[127.0.0.1]`.
    #[serde(default)]
    pub helo_name: Option<String>,
    /// Longest wait for the connection and for each answer. Default 30 seconds.
    #[serde(default)]
    pub timeout: Option<Millis>,
    /// Longest wait for the answer to the message itself, its transfer included. What the server does with the
    /// message until then is unknown, so this is generous. Default 5 minutes.
    #[serde(default)]
    pub data_timeout: Option<Millis>,
    /// Open conversations that are kept.
    #[serde(default)]
    pub pool: Option<PoolConfig>,
    /// TLS settings.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Folders, besides the workflow's own, from which attachments may be read. Relative ones start at the
    /// workflow's folder.
    #[serde(default)]
    pub attachment_folders: Vec<String>,
}

impl SmtpConfig {
    /// The port, with its default.
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.security {
            Security::Tls => 465,
            Security::Starttls => 587,
            Security::None => 25,
        })
    }
}

/// How a conversation is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Security {
    /// TLS from the first byte.
    #[default]
    Tls,
    /// Begins in clear and must become TLS before anything else is said.
    Starttls,
    /// In clear.
    None,
}

/// How to log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Mechanism {
    /// User name and password at once.
    Plain,
    /// User name and password one after the other.
    Login,
    /// An OAuth 2 access token instead of a password.
    Xoauth2,
}

/// How many conversations are kept open.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PoolConfig {
    /// Most conversations at once; further messages wait for one. Default 4.
    pub max: u32,
    /// How long a conversation stays open unused. Default 30 seconds.
    #[serde(alias = "idle", alias = "idleTimeoutMillis")]
    pub idle_timeout: Millis,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            max: 4,
            idle_timeout: Millis(Duration::from_secs(30)),
        }
    }
}

/// TLS settings.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// Certificates of the authorities to trust instead of the system's: PEM text or the path of a PEM file.
    #[serde(default)]
    pub ca: Option<String>,
    /// Accepts any certificate, so that anybody in between can read the mail. For tests only. Default false.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}
