//! The configuration of `email-send`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Sends an e-mail.
///
/// ```yaml
/// type: email-send
/// config:
///   connection: mail
///   from: "Shop <shop@example.com>"
///   to: "${input.email}"
///   subject: "Your order ${input.orderId}"
///   text: "Thank you."
/// ```
///
/// Every attempt of a step sends the same `Message-ID`, made from the step's idempotency key. Where the answer
/// to a message that was handed over is lost, the error is `smtp.unknown` with an unknown outcome: it is repeated,
/// so the message is sent once at least; with `smtp.unknown` in `nonRetryableErrors` it is sent once at most.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Name of a connection of type `smtp`.
    pub connection: String,
    /// Sender: `shop@example.com` or `Shop <shop@example.com>`.
    pub from: String,
    /// Recipients: one address or a list.
    #[serde(default)]
    pub to: Addresses,
    /// Recipients of a copy.
    #[serde(default)]
    pub cc: Addresses,
    /// Recipients of a copy that the others do not see.
    #[serde(default)]
    pub bcc: Addresses,
    /// Where answers shall go.
    #[serde(default)]
    pub reply_to: Addresses,
    /// Subject line.
    #[serde(default)]
    pub subject: String,
    /// The message as plain text.
    #[serde(default)]
    pub text: Option<String>,
    /// The message as HTML. With `text` too, the recipient's program chooses.
    #[serde(default)]
    pub html: Option<String>,
    /// Files to attach, or to show within the HTML.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
    /// Further headers, such as `X-Order-Id` or `List-Unsubscribe`. Those that have a field here, or that the
    /// message's form needs, are refused.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Most bytes that all attachments together may have, as they are before encoding. More is the error
    /// `email.too-large`. Default 26,214,400 (25 MiB).
    #[serde(default = "default_max_size")]
    pub max_size: u64,
    /// What happens when the server refuses some recipients but not all. Default `fail`.
    #[serde(default)]
    pub partial: Partial,
}

/// No, one or several addresses, each `ann@example.com` or `Ann <ann@example.com>`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Addresses {
    /// One.
    One(String),
    /// Several, or none.
    Many(Vec<String>),
}

impl Default for Addresses {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Addresses {
    /// All of them.
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(address) => std::slice::from_ref(address),
            Self::Many(addresses) => addresses,
        }
    }
}

/// What happens when the server refuses some recipients but not all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Partial {
    /// The step fails and nobody gets the message.
    #[default]
    Fail,
    /// The others get it; the refused ones are listed in `rejected`.
    Send,
}

/// A file that goes with the message. Exactly one of `content`, `contentBase64`, `path` and `blob` says what is in it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attachment {
    /// Name that the recipient sees. Default with `path`: the file's own name.
    #[serde(default)]
    pub filename: Option<String>,
    /// Media type. Default: `text/plain; charset=utf-8` with `content`, with `blob` the one that it came with, and
    /// `application/octet-stream` otherwise.
    #[serde(default)]
    pub content_type: Option<String>,
    /// The content as text.
    #[serde(default)]
    pub content: Option<String>,
    /// The content as base64.
    #[serde(default)]
    pub content_base64: Option<String>,
    /// A file with the content, in the workflow's folder or below it, or in one of the connection's
    /// `attachmentFolders`.
    #[serde(default)]
    pub path: Option<String>,
    /// A reference to a blob with the content, such as `${download.body}`.
    #[serde(default)]
    pub blob: Option<Value>,
    /// Name under which the HTML shows it: `<img src="cid:logo">`. It is not listed as an attachment then.
    #[serde(default)]
    pub cid: Option<String>,
}

fn default_max_size() -> u64 {
    25 * 1024 * 1024
}
