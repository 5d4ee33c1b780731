//! What a refusal or a missing answer means for trying again.

use std::time::SystemTime;

use bowline_connector::{ErrorKind, StepError, retry_after};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde::Deserialize;
use serde_json::json;

/// What the service says to a request that it refuses.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refusal {
    code: Option<u32>,
    message: Option<String>,
    more_info: Option<String>,
}

/// An answer that is not a success: `sms.<code>` with the service's own code, else `sms.http-<status>`.
pub(super) fn refused(status: u16, headers: &HeaderMap, body: &[u8], now: SystemTime) -> StepError {
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let kind = match status {
        429 => headers
            .get(RETRY_AFTER)
            .and_then(|wait| retry_after(wait.to_str().ok()?, now))
            .map_or(ErrorKind::Transient, ErrorKind::After),
        408 => ErrorKind::Transient,
        // The service may have taken the message and failed afterwards, and has no key to know it by.
        500.. => ErrorKind::OutcomeUnknown,
        _ => ErrorKind::Permanent,
    };
    let code = refusal
        .code
        .map_or_else(|| format!("sms.http-{status}"), |code| format!("sms.{code}"));
    let said = refusal.message.as_deref().unwrap_or("no reason given");
    StepError::new(code, kind, format!("the SMS service answered {status}: {said}"))
        .alias(format!("http.{status}"))
        .with_data(json!({ "status": status, "code": refusal.code, "message": refusal.message, "moreInfo": refusal.more_info }))
}

/// No answer at all.
pub(super) fn no_answer(error: reqwest::Error) -> StepError {
    // Its URL names the account.
    let error = error.without_url();
    if error.is_builder() {
        return StepError::permanent("config.invalid", "the request to the SMS service cannot be made")
            .caused_by(&error);
    }
    if error.is_connect() {
        return StepError::transient("sms.connect", "the SMS service cannot be reached").caused_by(&error);
    }
    unknown("its answer is missing").caused_by(&error)
}

/// The message may have been sent.
pub(super) fn unknown(why: &str) -> StepError {
    StepError::new(
        "sms.unknown",
        ErrorKind::OutcomeUnknown,
        format!("the SMS service got the message but {why}; it may have been sent"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_classified() {
        let now = SystemTime::UNIX_EPOCH;
        let invalid_number = br#"{"code":21211,"message":"Invalid 'To' Phone Number","status":400}"#;
        for (status, wait, body, code, kind) in [
            (400, None, &invalid_number[..], "sms.21211", ErrorKind::Permanent),
            (401, None, br#"{"code":20003}"#, "sms.20003", ErrorKind::Permanent),
            (404, None, b"<html>", "sms.http-404", ErrorKind::Permanent),
            (429, None, br#"{"code":20429}"#, "sms.20429", ErrorKind::Transient),
            (429, Some("7"), b"", "sms.http-429", ErrorKind::After(7000)),
            (
                429,
                Some("Thu, 01 Jan 1970 00:00:30 GMT"),
                b"",
                "sms.http-429",
                ErrorKind::After(30_000),
            ),
            (429, Some("soon"), b"", "sms.http-429", ErrorKind::Transient),
            (500, None, b"", "sms.http-500", ErrorKind::OutcomeUnknown),
            (503, Some("7"), b"", "sms.http-503", ErrorKind::OutcomeUnknown),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(wait) = wait {
                headers.insert(RETRY_AFTER, wait.parse().expect("a header"));
            }
            let error = refused(status, &headers, body, now);
            assert_eq!((error.code.as_str(), error.kind), (code, kind), "{status}");
            assert!(error.matches(&format!("http.{status}")));
        }
    }
}
