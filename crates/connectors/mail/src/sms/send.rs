//! `sms-send`: posts the message, reads what became of it.

use std::time::SystemTime;

use bowline_connector::{StepContext, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::Config;
use super::error::{no_answer, refused, unknown};
use super::twilio::{Sender, Twilio};

/// Far above any answer of the service; more is not an answer.
const MAX_ANSWER: usize = 1024 * 1024;

/// What `sms-send` returns.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The service's id of the message; its status callbacks name it.
    pub sid: String,
    /// How far the message is: `accepted`, `scheduled`, `queued`, `sending`, `sent` or `delivered`.
    pub status: String,
    /// Recipient, as the service reads it.
    pub to: String,
    /// Sender; null while a messaging service has not chosen one.
    pub from: Option<String>,
    /// Into how many parts the text is split, each of which is paid; null while it is not known.
    pub segments: Option<u64>,
}

/// The part of the service's answer that is used.
#[derive(Deserialize)]
struct Answer {
    sid: String,
    status: String,
    to: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    num_segments: Value,
    #[serde(default)]
    error_code: Option<u32>,
    #[serde(default)]
    error_message: Option<String>,
}

/// Runs one attempt.
pub(crate) async fn run(ctx: StepContext, config: Config) -> Result<Output, StepError> {
    let twilio = ctx.connection::<Twilio>(&config.connection)?;
    let form = form(&config, twilio.sender.as_ref())?;
    let response = twilio
        .client
        .post(twilio.messages.clone())
        .basic_auth(&twilio.user, Some(twilio.password.expose()))
        .header("Idempotency-Key", ctx.idempotency_key.as_ref())
        .form(&form)
        .send()
        .await
        .map_err(no_answer)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read(response).await;
    if !status.is_success() {
        return Err(refused(
            status.as_u16(),
            &headers,
            &body.unwrap_or_default(),
            SystemTime::now(),
        ));
    }
    let answer: Answer =
        serde_json::from_slice(&body?).map_err(|error| unknown("its answer cannot be read").caused_by(&error))?;
    if matches!(answer.status.as_str(), "failed" | "undelivered" | "canceled") {
        let code = answer
            .error_code
            .map_or_else(|| format!("sms.{}", answer.status), |code| format!("sms.{code}"));
        let why = answer.error_message.unwrap_or_else(|| "no reason given".to_owned());
        return Err(StepError::permanent(
            code,
            format!("the message is {}: {why}", answer.status),
        ));
    }
    Ok(Output {
        sid: answer.sid,
        status: answer.status,
        to: answer.to,
        from: answer.from,
        segments: match answer.num_segments {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        },
    })
}

fn form(config: &Config, sender: Option<&Sender>) -> Result<Vec<(&'static str, String)>, StepError> {
    if !is_number(&config.to) {
        return Err(invalid(&format!(
            "`to`: `{}` is not a number in E.164 form, such as +4915112345678",
            config.to
        )));
    }
    if config.body.is_empty() {
        return Err(invalid("`body` is empty"));
    }
    let mut form = vec![("To", config.to.clone()), ("Body", config.body.clone())];
    match (&config.from, sender) {
        (Some(from), _) | (None, Some(Sender::From(from))) if from.trim().is_empty() => {
            return Err(invalid("`from` is empty"));
        }
        (Some(from), _) | (None, Some(Sender::From(from))) => form.push(("From", from.clone())),
        (None, Some(Sender::MessagingService(service))) => form.push(("MessagingServiceSid", service.clone())),
        (None, None) => {
            return Err(invalid(
                "there is no sender: give `from`, or `messagingServiceSid` in the connection",
            ));
        }
    }
    if let Some(callback) = &config.status_callback {
        if !url::Url::parse(callback).is_ok_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err(invalid("`statusCallback` is not a URL of http or https"));
        }
        form.push(("StatusCallback", callback.clone()));
    }
    Ok(form)
}

/// E.164: a plus sign and up to 15 digits, the first of which is not 0. Shorter than 7 is no subscriber.
fn is_number(written: &str) -> bool {
    let number = written.strip_prefix("whatsapp:").unwrap_or(written);
    number.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|digit| digit.is_ascii_digit())
    })
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, StepError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(unknown("its answer is larger than 1 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn invalid(message: &str) -> StepError {
    StepError::permanent("config.invalid", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_in_e164_form() {
        for (number, valid) in [
            ("+4915112345678", true),
            ("whatsapp:+14155552671", true),
            ("4915112345678", false),
            ("+0915112345678", false),
            ("+49 151 12345678", false),
            ("+1234567890123456", false),
            ("+123", false),
            ("", false),
            ("+", false),
            ("+49151١٢٣٤٥", false),
        ] {
            assert_eq!(is_number(number), valid, "{number}");
        }
    }
}
