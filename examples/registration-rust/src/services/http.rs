//! What calls over HTTP have in common: what an answer means for the next attempt.

use std::time::Duration;

use bowline::{Error, ErrorKind};
use reqwest::{RequestBuilder, Response, StatusCode, header};

/// Longer answers are cut in error messages.
const EXCERPT: usize = 200;

/// Sends a request and makes an error of every answer but 2xx.
pub(super) async fn send(request: RequestBuilder) -> bowline::Result<Response> {
    let response = request.send().await.map_err(|error| no_answer(&error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let pause = retry_after(&response);
    // What cannot be read is not shown; the status says enough.
    let text = response.text().await.unwrap_or_default();
    let excerpt: String = text.chars().take(EXCERPT).collect();
    let message = format!("the service answered {status}: {excerpt}");
    Err(Error::new(
        format!("http.{}", status.as_u16()),
        kind(status, pause),
        message,
    ))
}

/// What may follow an answer.
fn kind(status: StatusCode, pause: Option<Duration>) -> ErrorKind {
    match status.as_u16() {
        408 | 429 | 503 => pause.map_or(ErrorKind::Transient, |pause| {
            ErrorKind::After(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
        }),
        // The gateway's word, not the service's: it may have done it.
        500 | 502 | 504 => ErrorKind::OutcomeUnknown,
        _ => ErrorKind::Permanent,
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    value.parse().ok().map(Duration::from_secs)
}

fn no_answer(error: &reqwest::Error) -> Error {
    if error.is_builder() {
        return Error::caused_by("http.request", ErrorKind::Permanent, error);
    }
    if error.is_connect() {
        return Error::caused_by("http.connect", ErrorKind::Transient, error);
    }
    Error::caused_by("http.no-answer", ErrorKind::OutcomeUnknown, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_to_try_again() {
        let ten = Some(Duration::from_secs(10));
        for (status, pause, expected) in [
            (402, None, ErrorKind::Permanent),
            (422, ten, ErrorKind::Permanent),
            (429, ten, ErrorKind::After(10_000)),
            (503, None, ErrorKind::Transient),
            (504, None, ErrorKind::OutcomeUnknown),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(kind(status, pause), expected, "{status}");
        }
    }
}
