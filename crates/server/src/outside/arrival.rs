//! A request for an endpoint, whole: what both webhooks and callback endpoints do with it before they know anything of it,
//! and what becomes of it where it is refused.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bowline_webhooks::{
    Carrier, Delivery, Fate, INLINE_BODY, KeptBody, Reason, Received, Refusal, kept_headers, kept_url, too_large,
};
use uuid::Uuid;

use super::incoming::{self, Address, Incoming, NoBody};
use super::{Inner, answer};

/// A request that came to an endpoint.
pub(super) struct Arrival {
    pub(super) incoming: Incoming,
    /// What will be kept of it.
    pub(super) delivery: Delivery,
    address: Address,
    carrier: Carrier,
    /// How many bytes its body may have, where it has more: then it is not here.
    exceeded: Option<u64>,
}

/// What an endpoint takes, and by what it knows who sends.
pub(super) struct Terms<'a> {
    /// Most bytes of a body.
    pub(super) limit: u64,
    /// The name of the authentication.
    pub(super) authentication: &'a str,
    /// Where a request carries what proves its sender.
    pub(super) carrier: Carrier,
}

impl Arrival {
    /// Reads a request.
    ///
    /// # Errors
    /// The answer to one whose body did not come.
    pub(super) async fn read(
        inner: &Inner,
        terms: Terms<'_>,
        params: BTreeMap<String, String>,
        address: Address,
        request: Request,
    ) -> Result<Self, Response> {
        let method = request.method().clone();
        let (incoming, exceeded) = match incoming::read(request, terms.limit, &inner.bodies).await {
            Ok(incoming) => (incoming, None),
            Err(NoBody::TooLarge(headers)) => {
                let incoming = Incoming {
                    method,
                    headers,
                    body: Bytes::new(),
                    _share: None,
                };
                (incoming, Some(terms.limit))
            }
            Err(NoBody::TooSlow) => return Err(answer::too_slow().into_response()),
            Err(NoBody::NoRoom) => return Err(answer::no_room().into_response()),
            Err(NoBody::Broken) => return Err(answer::broken().into_response()),
        };
        let hidden = terms.carrier.hidden();
        let delivery = Delivery {
            id: Uuid::now_v7().to_string(),
            at: address.at,
            method: incoming.method.to_string(),
            url: kept_url(&address.url, hidden),
            path: address.path.clone(),
            params,
            headers: kept_headers(&incoming.headers, hidden),
            size: incoming.body.len() as u64,
            body: KeptBody::Dropped,
            from: address.from.clone(),
            authentication: terms.authentication.to_owned(),
            source_id: None,
            proof: None,
            replay_of: None,
            replay_key: None,
            refused_as: None,
            verified: false,
            credential: None,
            fate: Fate::Filtered,
        };
        Ok(Self {
            incoming,
            delivery,
            address,
            carrier: terms.carrier,
            exceeded,
        })
    }

    /// What is verified.
    ///
    /// # Errors
    /// The body has too many bytes.
    pub(super) fn received(&self) -> Result<Received<'_>, Refusal> {
        if let Some(limit) = self.exceeded {
            return Err(too_large(limit));
        }
        Ok(Received {
            method: &self.incoming.method,
            url: &self.address.url,
            path: &self.address.path,
            headers: &self.incoming.headers,
            body: &self.incoming.body,
            at: self.address.at,
        })
    }

    /// Counts, logs and keeps a request that is refused, its body only where it is small; and the answer to it.
    pub(super) async fn refuse(self, inner: &Inner, organization: &str, endpoint: &str, refusal: Refusal) -> Response {
        // Of what was not verified the credential is remembered, so that it can be when the endpoint is mended.
        let credential = match (self.delivery.verified, self.received()) {
            (false, Ok(received)) => inner.seal.of(&self.carrier, &received, &self.delivery.id),
            _ => None,
        };
        let Self {
            incoming, mut delivery, ..
        } = self;
        delivery.credential = credential;
        inner.count(organization, endpoint, refusal.reason.name());
        tracing::info!(
            %organization, %endpoint, delivery = %delivery.id, reason = refusal.reason.name(),
            "a webhook delivery was refused"
        );
        let problem = answer::refused(&refusal, &delivery.authentication);
        let is_here = refusal.reason != Reason::BodyTooLarge && incoming.body.len() <= INLINE_BODY;
        delivery.body = if is_here {
            KeptBody::inline(&incoming.body)
        } else {
            KeptBody::Dropped
        };
        delivery.fate = Fate::Refused { refusal };
        inner
            .quarantine
            .keep(&inner.host, organization, endpoint, &delivery)
            .await;
        problem.into_response()
    }
}

/// Takes a request for an endpoint whose configuration cannot be had, or whose workflow is out of use: it is kept as a
/// refused one, so that it can be played when that is mended.
pub(super) async fn take_unconfigured(
    inner: &Inner,
    (organization, endpoint): (&str, &str),
    carrier: Carrier,
    params: BTreeMap<String, String>,
    address: Address,
    request: Request,
) -> Response {
    let terms = Terms {
        limit: bowline_webhooks::DEFAULT_BODY_BYTES,
        authentication: "unknown",
        carrier,
    };
    match Arrival::read(inner, terms, params, address, request).await {
        Ok(arrival) => {
            // How to mend it is in the log and on the pages, not for senders.
            let refusal = Refusal::new(
                Reason::NotConfigured,
                "this endpoint is not configured yet, so nothing can be verified; try again later",
            );
            arrival.refuse(inner, organization, endpoint, refusal).await
        }
        Err(answer) => answer,
    }
}
