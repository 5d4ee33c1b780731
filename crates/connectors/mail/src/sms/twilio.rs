//! The connection type `twilio`: an account, and the client that calls the service.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bowline_connector::{Secret, StepContext, StepError};
use reqwest::redirect::Policy;
use url::Url;

use super::config::TwilioConfig;

/// What a connection of type `twilio` is built to.
pub(crate) struct Twilio {
    pub(super) client: reqwest::Client,
    /// Where messages are posted to.
    pub(super) messages: Url,
    pub(super) user: String,
    pub(super) password: Secret,
    pub(super) sender: Option<Sender>,
}

/// Who sends.
#[derive(Clone)]
pub(super) enum Sender {
    From(String),
    MessagingService(String),
}

/// Builds a connection of type `twilio`. Opens nothing yet.
pub(crate) fn build(ctx: &StepContext, config: TwilioConfig) -> Result<Twilio, StepError> {
    let written = config.base_url.as_deref().unwrap_or("https://api.twilio.com");
    let mut messages = Url::parse(written).map_err(|error| invalid("`baseUrl` is not a URL").caused_by(&error))?;
    if !matches!(messages.scheme(), "http" | "https") || !messages.has_host() {
        return Err(invalid("`baseUrl` is not a URL of http or https"));
    }
    if !messages.username().is_empty() || messages.password().is_some() || messages.query().is_some() {
        return Err(invalid("`baseUrl` holds more than where the service is"));
    }
    if config.account_sid.is_empty() || !config.account_sid.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(invalid("`accountSid` is not an account's id (letters and digits)"));
    }
    messages
        .path_segments_mut()
        .map_err(|()| invalid("`baseUrl` is not a URL of http or https"))?
        .pop_if_empty()
        .extend(["2010-04-01", "Accounts", &config.account_sid, "Messages.json"]);
    let (user, password) = match (config.auth_token, config.api_key, config.api_secret) {
        (Some(token), None, None) => (config.account_sid, token),
        (None, Some(key), Some(secret)) => (key, secret),
        _ => return Err(invalid("give either `authToken`, or `apiKey` and `apiSecret`")),
    };
    let sender = match (config.from, config.messaging_service_sid) {
        (Some(_), Some(_)) => return Err(invalid("give either `from` or `messagingServiceSid`")),
        (Some(from), None) => Some(Sender::From(from)),
        (None, Some(service)) => Some(Sender::MessagingService(service)),
        (None, None) => None,
    };
    // What goes into the Authorization header is another form of the secret.
    ctx.masker.add(&BASE64.encode(format!("{user}:{}", password.expose())));
    let client = client(config.timeout.map_or(Duration::from_secs(30), |limit| limit.0))?;
    Ok(Twilio {
        client,
        messages,
        user,
        password,
        sender,
    })
}

/// A machine without certificate authorities can still call a service without TLS; one with TLS is refused
/// by the handshake then.
fn client(timeout: Duration) -> Result<reqwest::Client, StepError> {
    let builder = || reqwest::Client::builder().timeout(timeout).redirect(Policy::none());
    builder()
        .build()
        .or_else(|error| {
            tracing::warn!(%error, "this machine has no certificate authorities; https calls will fail");
            builder().tls_certs_only([]).build()
        })
        .map_err(|error| invalid("the HTTP client cannot be made").caused_by(&error))
}

fn invalid(message: &str) -> StepError {
    StepError::permanent("config.invalid", message)
}
