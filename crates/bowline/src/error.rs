//! The one error of workflows and steps: made of any error, with what may be done about it.
//!
//! `?` turns every `std::error::Error` into an [`Error`] that is retried, with the name of its type as an
//! alias, so that retry lists can name it. [`Classify`] says more: a code, and whether another attempt
//! makes sense.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use bowline_core::{ErrorKind, StepError};
use bowline_engine::EngineError;
use serde::Serialize;

/// The result of workflows and steps.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a step or a workflow failed: a stable code, what may be done about it, and a sentence.
///
/// Any `std::error::Error` becomes one with `?`. It then has the code `error` and is retried as the options
/// of the step say; the name of its type is an alias, which retry lists can name.
///
/// ```
/// use bowline::{Error, ErrorKind};
///
/// fn port(text: &str) -> bowline::Result<u16> {
///     Ok(text.parse()?)
/// }
/// let error = port("seven").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Transient);
/// assert!(error.is("ParseIntError"));
///
/// let declined = Error::permanent("card.declined", "the card was declined");
/// assert!(declined.is("card.*"));
/// ```
///
/// It is no `std::error::Error` itself, because then `?` could not take every other error; for places that
/// want one there is [`Error::into_step_error`].
#[derive(Clone, PartialEq)]
pub struct Error(Box<StepError>);

impl Error {
    /// An error with a code (lower case, dots between levels, such as `card.declined`), what may be done
    /// about it, and one sentence.
    ///
    /// ```
    /// use bowline::{Error, ErrorKind};
    /// let error = Error::new("stock.locked", ErrorKind::After(5_000), "the stock is being counted");
    /// assert_eq!(error.code(), "stock.locked");
    /// ```
    pub fn new(code: impl Into<String>, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(StepError::new(code, kind, message)))
    }

    /// The same request will fail again, so there are no further attempts.
    ///
    /// ```
    /// assert!(!bowline::Error::permanent("card.declined", "no").kind().is_retryable());
    /// ```
    pub fn permanent(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(code, ErrorKind::Permanent, message)
    }

    /// Nothing happened on the other side; another attempt may succeed.
    ///
    /// ```
    /// assert!(bowline::Error::transient("stock.busy", "try later").kind().is_retryable());
    /// ```
    pub fn transient(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(code, ErrorKind::Transient, message)
    }

    /// An error with a code and a kind, made of another error and its sources. For errors that are no
    /// `std::error::Error` themselves but can show one, such as `anyhow`'s.
    ///
    /// ```
    /// use bowline::{Error, ErrorKind};
    /// let io = std::io::Error::other("the disk is gone");
    /// let error = Error::caused_by("backup.failed", ErrorKind::Permanent, &io);
    /// assert_eq!(error.to_string(), "the disk is gone [backup.failed]");
    /// ```
    pub fn caused_by(code: impl Into<String>, kind: ErrorKind, error: &dyn std::error::Error) -> Self {
        let mut step_error = StepError::new(code, kind, error.to_string());
        if let Some(source) = error.source() {
            step_error = step_error.caused_by(source);
        }
        Self(Box::new(step_error))
    }

    /// Its code, such as `card.declined`, or `error` for one that was only passed on.
    ///
    /// ```
    /// assert_eq!(bowline::Error::permanent("card.declined", "no").code(), "card.declined");
    /// ```
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// One sentence, without the causes below it.
    ///
    /// ```
    /// assert_eq!(bowline::Error::permanent("card.declined", "no money").message(), "no money");
    /// ```
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What may be done about it.
    ///
    /// ```
    /// use bowline::{Error, ErrorKind};
    /// assert_eq!(Error::permanent("x", "x").kind(), ErrorKind::Permanent);
    /// ```
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether `pattern` names it: its code or an alias, without regard to case, `*` for any run of
    /// characters. `*` alone does not match a cancellation.
    ///
    /// ```
    /// let error = bowline::Error::transient("http.503", "busy");
    /// assert!(error.is("http.5*") && !error.is("http.4*"));
    /// ```
    #[must_use]
    pub fn is(&self, pattern: &str) -> bool {
        self.0.matches(pattern)
    }

    /// Whether the step, or the whole execution, was cancelled rather than failed.
    ///
    /// ```
    /// assert!(!bowline::Error::permanent("x", "x").is_cancelled());
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.kind == ErrorKind::Cancelled
    }

    /// Attaches something for machines, such as what the service said. Nothing is attached where the
    /// value has no JSON form.
    ///
    /// ```
    /// let error = bowline::Error::permanent("card.declined", "no").with_data(&[1, 2]);
    /// assert_eq!(error.data().unwrap()[0], 1);
    /// ```
    #[must_use]
    pub fn with_data(mut self, data: &(impl Serialize + ?Sized)) -> Self {
        self.0.data = serde_json::to_value(data).ok().map(Box::new);
        self
    }

    /// What was attached.
    ///
    /// ```
    /// assert!(bowline::Error::permanent("x", "x").data().is_none());
    /// ```
    #[must_use]
    pub fn data(&self) -> Option<&serde_json::Value> {
        self.0.data.as_deref()
    }

    /// Says what was being done: the message then begins with it.
    ///
    /// ```
    /// let error = bowline::Error::permanent("card.declined", "no money").context("the fee was not paid");
    /// assert_eq!(error.message(), "the fee was not paid: no money");
    /// ```
    #[must_use]
    pub fn context(mut self, doing: &str) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message);
        self
    }

    /// Adds a name under which [`Error::is`] and retry lists find it too.
    ///
    /// ```
    /// assert!(bowline::Error::permanent("x", "x").alias("Declined").is("declined"));
    /// ```
    #[must_use]
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.0.aliases.push(name.into());
        self
    }

    /// The same as the journal keeps it. It is a `std::error::Error`.
    ///
    /// ```
    /// let error = bowline::Error::permanent("x", "no").into_step_error();
    /// let boxed: Box<dyn std::error::Error> = Box::new(error);
    /// assert_eq!(boxed.to_string(), "no [x]");
    /// ```
    #[must_use]
    pub fn into_step_error(self) -> StepError {
        *self.0
    }

    /// Adds a cause below the others.
    pub(crate) fn push_cause(&mut self, cause: String) {
        self.0.causes.push(cause);
    }

    /// Adds what went wrong in something that was cancelled because of this error.
    pub(crate) fn push_late(&mut self, late: Self) {
        if late.is_cancelled() {
            self.0.causes.extend(late.0.causes);
        } else {
            self.push_cause(late.to_string());
        }
    }

    fn reclassified(mut self, code: &str, kind: ErrorKind) -> Self {
        let was = std::mem::replace(&mut self.0.code, code.to_owned());
        if was != PASSED_ON && was != code {
            self.0.aliases.push(was);
        }
        self.0.kind = kind;
        self
    }
}

/// The code of an error that was only passed on.
const PASSED_ON: &str = "error";

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        let known = &error as &dyn Any;
        if let Some(error) = known.downcast_ref::<StepError>() {
            return Self(Box::new(error.clone()));
        }
        if let Some(error) = known.downcast_ref::<EngineError>() {
            return of_engine(error);
        }
        Self::caused_by(PASSED_ON, ErrorKind::Transient, &error).alias(short_name(std::any::type_name::<E>()))
    }
}

/// `ParseError` of `url::parser::ParseError`, without what is generic about it.
fn short_name(full: &str) -> &str {
    let whole = full.split('<').next().unwrap_or(full);
    whole.rsplit("::").next().unwrap_or(whole)
}

fn of_engine(error: &EngineError) -> Error {
    let code = match error {
        EngineError::Store(store) => match store.as_ref() {
            bowline_store::StoreError::Duplicate { .. } => "engine.duplicate",
            _ => "engine.store",
        },
        EngineError::Definition(error) => return Error(Box::new(error.clone())),
        EngineError::Stopped(_) => "engine.stopped",
        EngineError::Busy(_) => "engine.busy",
        EngineError::Unknown(_) => "engine.unknown-execution",
        EngineError::Ended { .. } => "engine.ended",
        EngineError::BadToken => "engine.bad-token",
        EngineError::TooManyKept(_) => "engine.too-many-kept",
        EngineError::TooLarge { .. } => "engine.too-large",
        EngineError::Stuck(_) => "engine.stuck",
        EngineError::KeyTaken { .. } => "engine.key-taken",
        EngineError::EntryExists { .. } => "engine.entry-exists",
        EngineError::EntryChanged { .. } => "engine.entry-changed",
        EngineError::AlreadyRunning(_) => "engine.already-running",
        EngineError::NotResumable { .. } => "engine.not-resumable",
        EngineError::Blob(_) => "engine.blob",
        EngineError::Invalid(_) | EngineError::Thread(_) => "engine",
    };
    Error::caused_by(code, ErrorKind::Permanent, error)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Error {
    /// As text, so that a test that ends with it can be read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.0, self.0.kind)
    }
}

/// Says what may be done about an error: gives it a code for people and retry lists, and a kind for the
/// retry policy. What code the error had before becomes an alias.
///
/// ```
/// use bowline::{Classify as _, ErrorKind};
/// let read = std::fs::read("/no/such/file").permanent("template.missing");
/// let error = read.unwrap_err();
/// assert_eq!((error.code(), error.kind()), ("template.missing", ErrorKind::Permanent));
/// ```
pub trait Classify<T> {
    /// The same request will fail again.
    ///
    /// # Errors
    /// The error with that code and [`ErrorKind::Permanent`].
    fn permanent(self, code: &str) -> Result<T>;

    /// Nothing happened on the other side; try again.
    ///
    /// # Errors
    /// The error with that code and [`ErrorKind::Transient`].
    fn transient(self, code: &str) -> Result<T>;

    /// The other side said when to come back.
    ///
    /// # Errors
    /// The error with that code and [`ErrorKind::After`].
    fn retry_after(self, code: &str, pause: Duration) -> Result<T>;

    /// It may have been carried out; the answer was lost. Tried again with the same idempotency key, unless
    /// the step says otherwise.
    ///
    /// # Errors
    /// The error with that code and [`ErrorKind::OutcomeUnknown`].
    fn outcome_unknown(self, code: &str) -> Result<T>;
}

impl<T, E: Into<Error>> Classify<T> for std::result::Result<T, E> {
    fn permanent(self, code: &str) -> Result<T> {
        self.map_err(|error| error.into().reclassified(code, ErrorKind::Permanent))
    }

    fn transient(self, code: &str) -> Result<T> {
        self.map_err(|error| error.into().reclassified(code, ErrorKind::Transient))
    }

    fn retry_after(self, code: &str, pause: Duration) -> Result<T> {
        let ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.map_err(|error| error.into().reclassified(code, ErrorKind::After(ms)))
    }

    fn outcome_unknown(self, code: &str) -> Result<T> {
        self.map_err(|error| error.into().reclassified(code, ErrorKind::OutcomeUnknown))
    }
}

/// Best effort: goes on after a failure, but not after a cancellation.
///
/// ```
/// use bowline::{Caught as _, Error};
///
/// fn welcome(sent: bowline::Result<()>) -> bowline::Result<Vec<String>> {
///     let mut errors = Vec::new();
///     // A failure is collected; a cancellation ends the workflow here.
///     if let Err(error) = sent.caught()? {
///         errors.push(error.to_string());
///     }
///     Ok(errors)
/// }
/// assert_eq!(welcome(Err(Error::transient("smtp.busy", "busy"))).unwrap(), ["busy [smtp.busy]"]);
/// ```
pub trait Caught<T> {
    /// The result as a value.
    ///
    /// # Errors
    /// Where the step or the execution was cancelled.
    fn caught(self) -> Result<Result<T>>;
}

impl<T> Caught<T> for Result<T> {
    fn caught(self) -> Result<Self> {
        match self {
            Err(error) if error.is_cancelled() => Err(error),
            other => Ok(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_error_is_passed_on_with_its_chain_and_the_name_of_its_type() {
        let outer = std::io::Error::other(StepError::permanent("inner", "below"));
        let error = Error::from(outer);
        assert_eq!(error.code(), "error");
        assert!(error.is("error") && error.is("Error"), "{error:?}");
        assert!(Error::from("x".parse::<u8>().unwrap_err()).is("ParseIntError"));
    }

    #[test]
    fn what_is_classified_already_stays_as_it_is() {
        let inner = StepError::permanent("card.declined", "no");
        assert_eq!(Error::from(inner.clone()).into_step_error(), inner);
    }

    #[test]
    fn a_new_code_keeps_the_old_one_as_an_alias() {
        let failed: Result<()> = Err(Error::permanent("http.402", "pay"));
        let error = failed.outcome_unknown("charge.lost").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
        assert!(error.is("charge.lost") && error.is("http.402"));
        let failed: std::result::Result<u8, _> = "x".parse();
        assert!(!failed.transient("bad").unwrap_err().is("error"));
    }

    #[test]
    fn best_effort_stops_at_a_cancellation() {
        let cancelled: Result<()> = Err(StepError::cancelled().into());
        assert!(cancelled.caught().is_err());
        assert_eq!(short_name("a::b::Held<alloc::string::String>"), "Held");
    }
}
