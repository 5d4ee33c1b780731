//! Looking again at what was refused, when it is played.

use bowline_host::{ErrorKind, HostError};
use bowline_webhooks::{Carrier, Delivery, Endpoint, Reason, Received, Refusal, Verified};

use super::Inner;

/// Verifies what was refused, as of the moment when it came: by its signature; or because it had been verified then; or
/// by what is kept of its credential.
pub(super) fn verified(inner: &Inner, endpoint: &Endpoint, old: &Delivery, raw: &[u8]) -> Result<Verified, Refusal> {
    let headers = old.header_map();
    let method = old.method.parse().unwrap_or_default();
    let authentication = &endpoint.config.authentication;
    let again = endpoint.verify(&Received {
        method: &method,
        url: &old.url,
        path: &old.path,
        headers: &headers,
        body: raw,
        at: old.at,
    });
    let refusal = match again {
        Err(refusal) if refusal.reason != Reason::BodyTooLarge => refusal,
        done => return done,
    };
    if old.verified {
        return Ok(Verified {
            id: old.source_id.clone(),
            proof: old.proof.clone(),
            ..Verified::default()
        });
    }
    if authentication.carrier() == Carrier::Signature {
        return Err(refusal);
    }
    match &old.credential {
        Some(kept) if inner.seal.is_of(authentication, old.at, &old.id, kept) => Ok(Verified {
            id: old.header("idempotency-key").map(ToOwned::to_owned),
            ..Verified::default()
        }),
        Some(_) => Err(Refusal::new(
            Reason::WrongCredentials,
            "the credentials that it came with are none of the endpoint's",
        )),
        None => Err(Refusal::new(
            Reason::WrongCredentials,
            "it came without the credentials that the endpoint asks for, or nothing is kept of them",
        )),
    }
}

pub(super) fn still_refused(refusal: &Refusal) -> HostError {
    let error = HostError::new(
        ErrorKind::Refused,
        "delivery.refused",
        format!(
            "the delivery is still refused: {} [{}]",
            refusal.message,
            refusal.reason.name()
        ),
    );
    if refusal.reason.is_about_the_sender() {
        return error.hint(
            "mend the endpoint's secret; or, if you know that it is genuine, send {\"unverified\": true} as the body of \
             this request",
        );
    }
    error.hint("mend the endpoint or the workflow first")
}
