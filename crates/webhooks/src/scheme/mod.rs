//! How senders sign what they send.
//!
//! Each scheme says what is signed, where the signature stands, when it was made, and which id the sender gave the
//! delivery. All work on the raw bytes, try every secret that counts, and refuse what they cannot read. The
//! signature is looked at before the time: what is not signed says nothing.

mod github;
mod hmac;
mod shopify;
mod slack;
mod standard;
mod stripe;
mod twilio;

use std::time::Duration;

use bowline_connector::{Millis, Secret};
use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::mac::{self, Algorithm, Encoding};
use crate::refusal::{Reason, Refusal};
use crate::request::Received;
use crate::secrets::Secrets;
use crate::window;

pub use self::hmac::SecretEncoding;

/// Which scheme a sender uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// An HMAC whose parts are said by `algorithm`, `encoding`, `header`, `prefix`, `signed` and others (default).
    #[default]
    Hmac,
    /// Stripe: `Stripe-Signature: t=...,v1=...`; the secret begins with `whsec_`.
    Stripe,
    /// GitHub: `X-Hub-Signature-256: sha256=...`. It signs no time: `X-GitHub-Delivery` is what keeps a delivery from
    /// counting twice.
    Github,
    /// Slack: `X-Slack-Signature: v0=...` and `X-Slack-Request-Timestamp`; the secret is the signing secret.
    Slack,
    /// Shopify: `X-Shopify-Hmac-Sha256` in base64. It signs no time: `X-Shopify-Webhook-Id` is what keeps a delivery from
    /// counting twice.
    Shopify,
    /// Twilio: `X-Twilio-Signature` over the address and the form; the secret is the auth token. Behind a proxy the
    /// address that Twilio called has to be known: the trigger's `url`, or the server's public URL.
    Twilio,
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp` and `webhook-signature`; secrets begin with `whsec_` (`v1`),
    /// public keys with `whpk_` (`v1a`, Ed25519).
    StandardWebhooks,
}

/// By what a second delivery is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KnownBy {
    /// By the sender's id; where that is not signed, by what is signed as well, so that nobody who has seen a request can
    /// send it again under another id.
    Signature,
    /// By the sender's id only. Where the id is not signed (`{id}` in `signed`), whoever has seen a request can send it
    /// again under another one.
    Id,
}

/// A signature over the request.
///
/// ```yaml
/// authentication: { type: signature, scheme: stripe, secret: "${env.STRIPE_WEBHOOK_SECRET}" }
/// ```
///
/// ```yaml
/// authentication:
///   type: signature
///   secret: "${env.WEBHOOK_SECRET}"
///   header: X-Shop-Signature
///   timestampHeader: X-Shop-Time
///   signed: "{timestamp}.{body}"
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signature {
    /// Who signs in which way. Default: `hmac`.
    #[serde(default)]
    pub scheme: Scheme,
    /// The secret, or several while one is being replaced. Without one nothing is taken.
    pub secret: Secrets,
    /// How far the time of the signature may be from now, earlier or later. Default: 5 minutes.
    #[serde(default)]
    pub tolerance: Option<Millis>,
    /// `hmac` only: the hash. Default: `sha256`.
    #[serde(default)]
    pub algorithm: Option<Algorithm>,
    /// `hmac` only: how the signature is written. Default: `hex`.
    #[serde(default)]
    pub encoding: Option<Encoding>,
    /// `hmac` only: the header with the signature. Default: `X-Webhook-Signature`.
    #[serde(default)]
    pub header: Option<String>,
    /// `hmac` only: what stands before the signature, such as `v0=`. Without it, the name of the algorithm and an equals
    /// sign (`sha256=`) may stand there, and need not.
    #[serde(default)]
    pub prefix: Option<String>,
    /// `hmac` only: the name of the part of the header that is the signature, where the header is a list such as
    /// `t=1614265330,v1=abc`. Several of that name are all tried.
    #[serde(default)]
    pub signature_part: Option<String>,
    /// `hmac` only: the name of the part of the same header that is the time.
    #[serde(default)]
    pub timestamp_part: Option<String>,
    /// `hmac` only: the header with the time of the signature: seconds or milliseconds since 1970, or RFC 3339 text.
    #[serde(default)]
    pub timestamp_header: Option<String>,
    /// `hmac` only: what is signed, with `{body}`, `{timestamp}`, `{id}`, `{method}`, `{path}`, `{query}`, `{url}` and
    /// `{header:Name}` in their places. Default: `{body}`, or `{timestamp}.{body}` where there is a time. A time that is
    /// not signed proves nothing, so one that is named has to be in it.
    #[serde(default)]
    pub signed: Option<String>,
    /// The header with the sender's id of the delivery, by which a second one is known. Each scheme has its own; `hmac`
    /// has `Idempotency-Key`.
    #[serde(default)]
    pub id_header: Option<String>,
    /// By what a second delivery is known. Default: `signature`; `id` for `hmac` without a time, because its senders may
    /// send the very same body again as something new.
    #[serde(default)]
    pub known_by: Option<KnownBy>,
    /// `hmac` only: how the secret is written. Default: `text`, its characters as they are.
    #[serde(default)]
    pub secret_encoding: Option<SecretEncoding>,
}

/// A request whose sender is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// The sender's own id of the delivery, by which a second one is known.
    pub id: Option<String>,
    /// When it was signed, in milliseconds since the Unix epoch, where that is signed too.
    pub signed_at: Option<i64>,
    /// A hash of what was signed, by which the same request is known when it comes again under another id. None where
    /// the id itself is signed, and where nothing is.
    pub proof: Option<String>,
}

impl Signature {
    /// What makes this unusable, beyond its form.
    ///
    /// # Errors
    /// One text for each thing, naming the field.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        problems.extend(self.secret.check("authentication.secret").err());
        match self.scheme {
            Scheme::Hmac => problems.extend(self.check_hmac().err().into_iter().flatten()),
            _ => problems.extend(self.only_for_hmac().map(|field| {
                format!("authentication.{field}: it is for the scheme hmac only; this scheme says it itself")
            })),
        }
        if self.scheme == Scheme::StandardWebhooks {
            problems.extend(
                self.secret
                    .0
                    .iter()
                    .filter_map(|dated| standard::Key::read(&dated.value).err())
                    .map(|what| format!("authentication.secret: {what}")),
            );
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    fn only_for_hmac(&self) -> impl Iterator<Item = &'static str> {
        [
            ("algorithm", self.algorithm.is_some()),
            ("encoding", self.encoding.is_some()),
            ("header", self.header.is_some()),
            ("prefix", self.prefix.is_some()),
            ("signaturePart", self.signature_part.is_some()),
            ("timestampPart", self.timestamp_part.is_some()),
            ("timestampHeader", self.timestamp_header.is_some()),
            ("signed", self.signed.is_some()),
            ("secretEncoding", self.secret_encoding.is_some()),
        ]
        .into_iter()
        .filter_map(|(field, set)| set.then_some(field))
    }

    /// Whether the request is from somebody who knows a secret, and new.
    ///
    /// # Errors
    /// Why it is refused. Whatever cannot be read is a refusal.
    pub fn verify(&self, request: &Received<'_>) -> Result<Verified, Refusal> {
        if self.secret.at(request.at).next().is_none() {
            return Err(Refusal::new(
                Reason::NoSecretCounts,
                "none of the endpoint's secrets counts at this moment; see notBefore and notAfter",
            ));
        }
        let mut verified = match self.scheme {
            Scheme::Hmac => self.verify_hmac(request),
            Scheme::Stripe => stripe::verify(self, request),
            Scheme::Github => github::verify(self, request),
            Scheme::Slack => slack::verify(self, request),
            Scheme::Shopify => shopify::verify(self, request),
            Scheme::Twilio => twilio::verify(self, request),
            Scheme::StandardWebhooks => standard::verify(self, request),
        }?;
        if let Some(signed_at) = verified.signed_at {
            window::check(signed_at, request.at, self.tolerance())?;
        }
        if let Some(header) = &self.id_header {
            verified.id = Some(request.header(header)?.to_owned());
        }
        Ok(verified)
    }

    /// The hash of what was signed, where a second delivery is to be known by it.
    fn proof(&self, has_signed_id: bool, signed: &[&[u8]]) -> Option<String> {
        let usual = if self.scheme == Scheme::Hmac && !self.has_time() {
            KnownBy::Id
        } else {
            KnownBy::Signature
        };
        let is_needed = self.known_by.unwrap_or(usual) == KnownBy::Signature && !has_signed_id;
        is_needed.then(|| mac::fingerprint("signed", signed))
    }

    /// Whether it says when it was made.
    pub(crate) fn signs_time(&self) -> bool {
        match self.scheme {
            Scheme::Hmac => self.has_time(),
            Scheme::Stripe | Scheme::Slack | Scheme::StandardWebhooks => true,
            Scheme::Github | Scheme::Shopify | Scheme::Twilio => false,
        }
    }

    pub(crate) fn tolerance(&self) -> Duration {
        self.tolerance.map_or(window::DEFAULT_TOLERANCE, Millis::duration)
    }

    /// The secrets that count, as their characters are.
    fn texts(&self, at: i64) -> Vec<&[u8]> {
        self.secret.at(at).map(|secret| secret.expose().as_bytes()).collect()
    }

    /// The secrets that count, as bytes; those that cannot be read are left out, and were refused by [`Self::check`].
    fn keys(&self, at: i64, read: impl Fn(&Secret) -> Option<Zeroizing<Vec<u8>>>) -> Vec<Zeroizing<Vec<u8>>> {
        self.secret.at(at).filter_map(read).collect()
    }
}

/// A text at a path of a JSON body, such as the event's id. The signature fits, so this is the sender's.
fn id_in_body(body: &[u8], field: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    value.get(field)?.as_str().map(ToOwned::to_owned)
}
