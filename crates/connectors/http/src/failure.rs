//! What a failed call means: its code, and whether it may be repeated.
//!
//! The kind follows from two facts. Did the request leave? A refused connection, an unknown host or a
//! failed handshake changed nothing, so it is transient. Could it have changed something? When the answer
//! to a GET is lost, nothing is; when the answer to a POST is lost, its outcome is unknown.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use bowline_connector::{BlobError, ErrorKind, StepError, retry_after};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use rustls::{AlertDescription, CertificateError};

use crate::method::Method;

/// `config.invalid`: `field` cannot be used as it is. `what` never quotes a value.
pub(crate) fn invalid(field: &str, what: &str) -> StepError {
    StepError::permanent("config.invalid", format!("{field}: {what}"))
}

/// The call that failed, as far as it matters and may be shown.
#[derive(Clone)]
pub(crate) struct Attempted {
    /// The method that the step asked for; a redirect may have changed it since.
    pub(crate) method: Method,
    /// Scheme, host and path of the request that failed.
    pub(crate) place: String,
    /// Whether the service has acted already and this was only to fetch the result (303).
    pub(crate) acted: bool,
}

impl Attempted {
    /// The kind of a failure after which the answer is lost.
    fn lost(&self) -> ErrorKind {
        if self.method.is_safe() {
            ErrorKind::Transient
        } else {
            ErrorKind::OutcomeUnknown
        }
    }

    /// The kind of a failure before the request left.
    fn unsent(&self) -> ErrorKind {
        if self.acted { self.lost() } else { ErrorKind::Transient }
    }

    /// An error whose message begins with the method and the place.
    pub(crate) fn error(&self, code: impl Into<String>, kind: ErrorKind, what: &str) -> StepError {
        StepError::new(code, kind, format!("{} {} {what}", self.method, self.place))
    }

    /// An answer whose status is no success.
    pub(crate) fn status(&self, status: StatusCode, headers: &HeaderMap, reason: Option<&str>) -> StepError {
        let wait = || {
            let header = headers.get(RETRY_AFTER)?.to_str().ok()?;
            retry_after(header, SystemTime::now())
        };
        let kind = match status.as_u16() {
            408 | 425 | 429 | 503 => wait().map_or(self.unsent(), ErrorKind::After),
            500 | 502 | 504 => self.lost(),
            _ => ErrorKind::Permanent,
        };
        let name = status
            .canonical_reason()
            .map(|name| format!(" {name}"))
            .unwrap_or_default();
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        self.error(
            format!("http.{}", status.as_u16()),
            kind,
            &format!("answered {}{name}{reason}", status.as_u16()),
        )
    }

    /// No answer within the limit that `setting` names.
    pub(crate) fn too_slow(&self, setting: &str, limit: Duration) -> StepError {
        self.error(
            "http.timeout",
            ErrorKind::Timeout,
            &format!("gave no whole answer within {setting} ({limit:?})"),
        )
        .alias("ETIMEDOUT")
    }

    /// An answer that came and could not be kept as a blob.
    pub(crate) fn not_kept(&self, error: BlobError) -> StepError {
        let mut failure = StepError::from(error);
        if failure.kind == ErrorKind::Transient {
            failure.kind = self.lost();
        }
        failure.message = format!("{} {} answered, but {}", self.method, self.place, failure.message);
        failure
    }

    /// No answer, or one that broke off.
    pub(crate) fn no_answer(&self, error: reqwest::Error) -> StepError {
        let error = error.without_url();
        let failure = if error.is_connect() {
            self.unreachable(&error)
        } else {
            self.broken_off(&error)
        };
        match error.source() {
            Some(source) => failure.caused_by(source),
            None => failure.caused_by(&error),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> StepError {
        let kind = self.unsent();
        if let Some(error) = find::<rustls::Error>(error) {
            return self.tls(error);
        }
        if error.is_timeout() {
            return self
                .error(
                    "http.connect-timeout",
                    kind,
                    "could not be reached within connectTimeout",
                )
                .alias("ETIMEDOUT");
        }
        if error.is_dns() {
            return self
                .error("http.dns", kind, "names a host that cannot be found")
                .alias("ENOTFOUND")
                .alias("EAI_AGAIN");
        }
        if says(error, "proxy authorization required") {
            return self.error(
                "http.407",
                ErrorKind::Permanent,
                "was refused by the proxy, which asks for credentials",
            );
        }
        if says(error, "tunnel error") {
            return self.error("http.proxy", kind, "was not put through by the proxy");
        }
        match io_kind(error) {
            Some(io::ErrorKind::ConnectionRefused) => self
                .error("http.connect", kind, "was refused: nothing listens there")
                .alias("ECONNREFUSED"),
            Some(io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted) => self
                .error("http.connect", kind, "was cut while connecting")
                .alias("ECONNRESET"),
            Some(io::ErrorKind::UnexpectedEof) => self
                .error("http.tls", kind, "was cut in the TLS handshake")
                .alias("ECONNRESET"),
            Some(io::ErrorKind::HostUnreachable) => {
                self.error("http.connect", kind, "has no route").alias("EHOSTUNREACH")
            }
            Some(io::ErrorKind::NetworkUnreachable) => {
                self.error("http.connect", kind, "has no route").alias("ENETUNREACH")
            }
            _ => self.error("http.connect", kind, "could not be reached"),
        }
    }

    fn tls(&self, error: &rustls::Error) -> StepError {
        let permanent = |what: &str| self.error("http.tls", ErrorKind::Permanent, what);
        match error {
            rustls::Error::InvalidCertificate(certificate) => match certificate {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    permanent("shows a certificate that has expired").alias("CERT_HAS_EXPIRED")
                }
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    permanent("shows a certificate for another host name").alias("ERR_TLS_CERT_ALTNAME_INVALID")
                }
                CertificateError::UnknownIssuer => permanent(
                    "shows a certificate of an authority that is not trusted; tls.ca names authorities of your own",
                )
                .alias("UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
                _ => permanent("shows a certificate that is not valid"),
            },
            rustls::Error::AlertReceived(alert) if refuses_certificate(*alert) => {
                permanent("refuses our certificate; see tls.clientCertificate")
            }
            _ => self.error("http.tls", self.unsent(), "did not complete the TLS handshake"),
        }
    }

    fn broken_off(&self, error: &reqwest::Error) -> StepError {
        if let Some(error @ rustls::Error::AlertReceived(alert)) = find::<rustls::Error>(error)
            && refuses_certificate(*alert)
        {
            // In TLS 1.3 the server looks at our certificate after we have begun to send.
            return self.tls(error);
        }
        if error.is_timeout() {
            return self
                .error("http.timeout", ErrorKind::Timeout, "stopped answering")
                .alias("ETIMEDOUT");
        }
        if let Some(error @ (BlobError::Damaged { .. } | BlobError::Missing(_))) = find::<BlobError>(error) {
            // The service has not had the last piece of the body, so it has nothing whole.
            let code = match error {
                BlobError::Missing(_) => "blob.missing",
                _ => "blob.damaged",
            };
            return self.error(code, ErrorKind::Permanent, "was not sent whole");
        }
        let hyper = find::<hyper::Error>(error);
        if hyper.is_some_and(hyper::Error::is_user) {
            return self.error(
                "http.body-unreadable",
                self.lost(),
                "was not sent whole: the body could not be read",
            );
        }
        if hyper.is_some_and(|error| error.is_parse() || error.is_parse_too_large()) {
            return self.error("http.protocol", self.lost(), "answered with something that is not HTTP");
        }
        match io_kind(error) {
            Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
                self.error("http.protocol", self.lost(), "answered with something that is not HTTP")
            }
            Some(io::ErrorKind::BrokenPipe) => self
                .error("http.reset", self.lost(), "closed the connection early")
                .alias("ECONNRESET")
                .alias("EPIPE"),
            _ => self
                .error(
                    "http.reset",
                    self.lost(),
                    "closed the connection before the answer was whole",
                )
                .alias("ECONNRESET"),
        }
    }
}

fn refuses_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

/// The first error of type `T` in the chain. An `io::Error` hides the error it wraps from
/// [`Error::source`], so it is opened.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
            && let Some(found) = find::<T>(inner)
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// The kind of the first `io::Error` in the chain that says more than that it wraps another error.
fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut next = find::<io::Error>(error);
    while let Some(error) = next {
        if error.kind() != io::ErrorKind::Other {
            return Some(error.kind());
        }
        next = error
            .get_ref()
            .and_then(|inner| find::<io::Error>(inner))
            .or_else(|| find::<io::Error>(error.source()?));
    }
    None
}

/// Whether any error of the chain says `text`. For errors whose types are private to a library; a test
/// against a real proxy holds us to the words.
fn says(error: &(dyn Error + 'static), text: &str) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.to_string().contains(text) {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use reqwest::header::RETRY_AFTER;

    use super::*;

    fn attempted(method: Method, acted: bool) -> Attempted {
        Attempted {
            method,
            place: "https://a.example/x".into(),
            acted,
        }
    }

    #[test]
    fn statuses_are_classified() {
        use ErrorKind::{After, OutcomeUnknown, Permanent, Transient};
        for (status, method, wait, expected) in [
            (503, Method::Post, None, Transient),
            (503, Method::Post, Some("7"), After(7000)),
            (429, Method::Get, Some("0"), After(0)),
            (425, Method::Get, Some("soon"), Transient),
            (408, Method::Delete, None, Transient),
            (500, Method::Get, None, Transient),
            (502, Method::Head, Some("7"), Transient),
            (500, Method::Post, None, OutcomeUnknown),
            (502, Method::Put, None, OutcomeUnknown),
            (504, Method::Patch, None, OutcomeUnknown),
            (504, Method::Delete, None, OutcomeUnknown),
            (501, Method::Post, None, Permanent),
            (404, Method::Get, Some("7"), Permanent),
            (422, Method::Post, None, Permanent),
            (304, Method::Get, None, Permanent),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(wait) = wait {
                headers.insert(RETRY_AFTER, wait.parse().unwrap());
            }
            let status = StatusCode::from_u16(status).unwrap();
            let error = attempted(method, false).status(status, &headers, None);
            assert_eq!(error.kind, expected, "{method} {status}");
            assert_eq!(error.code, format!("http.{}", status.as_u16()));
        }
    }

    #[test]
    fn messages_name_place_status_and_reason() {
        let error = attempted(Method::Post, false).status(StatusCode::CONFLICT, &HeaderMap::new(), Some("twice"));
        assert_eq!(error.message, "POST https://a.example/x answered 409 Conflict: twice");
    }

    #[test]
    fn what_was_done_before_a_303_is_not_forgotten() {
        let fetch = attempted(Method::Post, true);
        let error = fetch.status(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new(), None);
        assert_eq!(error.kind, ErrorKind::OutcomeUnknown);
    }

    #[test]
    fn errors_are_found_inside_io_errors() {
        let error = io::Error::other(io::Error::other(rustls::Error::DecryptError));
        assert!(find::<rustls::Error>(&error).is_some());
        assert!(find::<hyper::Error>(&error).is_none());
        let error = io::Error::other(io::Error::other(io::Error::from(io::ErrorKind::BrokenPipe)));
        assert_eq!(io_kind(&error), Some(io::ErrorKind::BrokenPipe));
    }
}
