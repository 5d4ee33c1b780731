//! `email-send`: puts the message together, hands it over, says who gets it.

use bowline_connector::{StepContext, StepError};
use schemars::JsonSchema;
use serde::Serialize;

use super::attachment::load;
use super::config::{Config, Partial};
use super::message::assemble;
use crate::smtp::{Letter, Smtp};

/// What `email-send` returns.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The message's `Message-ID`, with its angle brackets.
    pub message_id: String,
    /// Addresses that the server took the message for.
    pub accepted: Vec<String>,
    /// Addresses that it refused; only with `partial: send`.
    pub rejected: Vec<Rejected>,
    /// What the server answered to the message, such as `250 OK: queued as 12345`.
    pub response: String,
}

/// A recipient that the server refused.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// The recipient.
    pub address: String,
    /// The server's status, such as 550.
    pub status: u16,
    /// What it said.
    pub message: String,
}

/// Runs one attempt.
pub(crate) async fn run(ctx: StepContext, config: Config) -> Result<Output, StepError> {
    let smtp = ctx.connection::<Smtp>(&config.connection)?;
    let attachments = load(&config.attachments, config.max_size, &ctx, smtp.attachment_folders()).await?;
    let made = assemble(&config, attachments, &ctx.idempotency_key)?;
    let letter = Letter {
        from: made.from,
        to: made.recipients,
        message: made.bytes,
        allow_refusals: config.partial == Partial::Send,
    };
    let delivery = smtp.deliver(&letter).await?;
    Ok(Output {
        message_id: made.message_id,
        accepted: delivery.accepted.iter().map(ToString::to_string).collect(),
        rejected: delivery
            .refused
            .into_iter()
            .map(|refusal| Rejected {
                address: refusal.address.to_string(),
                status: refusal.reply.code,
                message: refusal.reply.text,
            })
            .collect(),
        response: delivery.response,
    })
}
