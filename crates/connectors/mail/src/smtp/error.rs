//! What went wrong in a conversation, as step errors.

use std::error::Error as _;
use std::io;

use bowline_connector::{ErrorKind, StepError};
use lettre::transport::smtp;
use serde_json::json;

/// What the server said no with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// Three digits, such as 550.
    pub(crate) code: u16,
    /// Its text.
    pub(crate) text: String,
}

impl Reply {
    /// The reply that `error` is about, if the server answered.
    pub(crate) fn of(error: &smtp::Error) -> Option<Self> {
        let code = error.status()?;
        Some(Self {
            code: code.into(),
            text: error.source().map(ToString::to_string).unwrap_or_default(),
        })
    }

    /// Whether trying again later can help.
    pub(crate) fn is_transient(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// The error `smtp.<code>`. `what` says what was refused, such as "the sender".
    pub(crate) fn error(&self, what: &str) -> StepError {
        let kind = if self.is_transient() {
            ErrorKind::Transient
        } else {
            ErrorKind::Permanent
        };
        let Self { code, text } = self;
        StepError::new(
            format!("smtp.{code}"),
            kind,
            format!("the mail server refused {what}: {code} {text}"),
        )
        .with_data(json!({ "status": code, "message": text }))
    }
}

/// An error before the message was handed over: nothing was sent.
pub(crate) fn before_data(error: &smtp::Error, what: &str, server: &str) -> StepError {
    match Reply::of(error) {
        Some(reply) => reply.error(what),
        None => connection(error, server),
    }
}

/// No conversation, or one that broke before the message was handed over.
pub(crate) fn connection(error: &smtp::Error, server: &str) -> StepError {
    if let Some(tls) = find::<rustls::Error>(error) {
        return StepError::permanent("smtp.tls", format!("no TLS with {server}: {tls}"));
    }
    let mut made =
        StepError::transient("smtp.connect", format!("no conversation with {server}")).caused_by(cause(error));
    if let Some(alias) = find::<io::Error>(error).and_then(|error| alias(error.kind())) {
        made = made.alias(alias);
    }
    made
}

/// What is below the library's error, whose own text repeats it.
pub(crate) fn cause(error: &smtp::Error) -> &dyn std::error::Error {
    error.source().map_or(error, |source| source)
}

/// No answer in time, before the message was handed over.
pub(crate) fn timed_out(server: &str, limit: std::time::Duration) -> StepError {
    StepError::transient("smtp.connect", format!("{server} did not answer within {limit:?}")).alias("ETIMEDOUT")
}

/// The message was handed over, at least in part, and no answer came.
pub(crate) fn unknown(server: &str, why: &str) -> StepError {
    StepError::new(
        "smtp.unknown",
        ErrorKind::OutcomeUnknown,
        format!("{server} got the message but its answer is missing ({why}); it may have been sent"),
    )
}

fn alias(kind: io::ErrorKind) -> Option<&'static str> {
    match kind {
        io::ErrorKind::ConnectionRefused => Some("ECONNREFUSED"),
        io::ErrorKind::ConnectionReset => Some("ECONNRESET"),
        io::ErrorKind::TimedOut => Some("ETIMEDOUT"),
        _ => None,
    }
}

/// The error of type `E` in the chain below `error`; an I/O error may hold one inside.
fn find<E: std::error::Error + 'static>(error: &smtp::Error) -> Option<&E> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(found) = inside.and_then(|inside| inside.downcast_ref::<E>()) {
            return Some(found);
        }
        next = error.source();
    }
    None
}
