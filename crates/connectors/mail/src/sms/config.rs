//! The configurations of `sms-send` and of the connection type `twilio`.

use bowline_connector::{Millis, Secret};
use schemars::JsonSchema;
use serde::Deserialize;

/// Sends a text message.
///
/// ```yaml
/// type: sms-send
/// config: { connection: sms, to: "${input.phone}", body: "Your code is ${code.body.value}" }
/// ```
///
/// Twilio knows no idempotency key. The step's key is sent as `Idempotency-Key` all the same, because compatible
/// services honour it. Where an answer is lost the error has an unknown outcome, and the step is repeated unless
/// its `nonRetryableErrors` name the error.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// Name of a connection of type `twilio`.
    pub connection: String,
    /// The recipient's number in E.164 form, such as `+4915112345678`; `whatsapp:+4915112345678` for WhatsApp.
    pub to: String,
    /// The text.
    pub body: String,
    /// Sender instead of the connection's: a number, a short code or a name of the account.
    #[serde(default)]
    pub from: Option<String>,
    /// URL that the service tells what became of the message (queued, sent, delivered, undelivered, failed).
    #[serde(default)]
    pub status_callback: Option<String>,
}

/// An account at Twilio, or at a service with the same interface.
///
/// ```yaml
/// connections:
///   sms:
///     type: twilio
///     accountSid: "${env.TWILIO_ACCOUNT_SID}"
///     authToken: "${env.TWILIO_AUTH_TOKEN}"
///     from: "+4915112345678"
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TwilioConfig {
    /// Where the service is. Default `https://api.twilio.com`.
    #[serde(default)]
    pub base_url: Option<String>,
    /// The account, `AC` and 32 digits.
    pub account_sid: String,
    /// The account's token. Instead of it, `apiKey` and `apiSecret`.
    #[serde(default)]
    pub auth_token: Option<Secret>,
    /// An API key, `SK` and 32 digits.
    #[serde(default)]
    pub api_key: Option<String>,
    /// The API key's secret.
    #[serde(default)]
    pub api_secret: Option<Secret>,
    /// Sender of the messages. Either this or `messagingServiceSid` may be given.
    #[serde(default)]
    pub from: Option<String>,
    /// Messaging service that chooses the sender.
    #[serde(default)]
    pub messaging_service_sid: Option<String>,
    /// Longest wait for an answer. Default 30 seconds.
    #[serde(default)]
    pub timeout: Option<Millis>,
}
