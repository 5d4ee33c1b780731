//! Standard Webhooks: `webhook-id`, `webhook-timestamp`, and `webhook-signature`, a list of `v1,<base64>` (HMAC-SHA-256) and
//! `v1a,<base64>` (Ed25519) with spaces between, over `<id>.<timestamp>.<body>`.
//!
//! Svix and its customers send the same under `svix-id`, `svix-timestamp` and `svix-signature`.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use bowline_connector::Secret;
use zeroize::Zeroizing;

use super::{Signature, Verified};
use crate::mac::{self, Algorithm, Encoding};
use crate::refusal::{Reason, Refusal};
use crate::request::Received;
use crate::window;

/// More signatures than any rotation needs: each costs a computation.
const MOST: usize = 16;

/// A secret or a public key, by its prefix.
pub(super) enum Key {
    Shared(Zeroizing<Vec<u8>>),
    Public(Vec<u8>),
}

impl Key {
    pub(super) fn read(secret: &Secret) -> Result<Self, &'static str> {
        let text = secret.expose().trim();
        let wrong = "a secret of standard-webhooks is whsec_ and base64, a public key whpk_ and base64";
        if text.starts_with("whsk_") {
            return Err(
                "whsk_ is the private key, which only the sender needs; give the public one, which begins with whpk_",
            );
        }
        if let Some(key) = text.strip_prefix("whpk_") {
            let key = Encoding::Base64.decode(key).ok_or(wrong)?;
            return if key.len() == 32 {
                Ok(Self::Public(key))
            } else {
                Err("a public key of Ed25519 has 32 bytes")
            };
        }
        let key = Encoding::Base64
            .decode(text.strip_prefix("whsec_").unwrap_or(text))
            .filter(|key| !key.is_empty());
        key.map(|key| Self::Shared(key.into())).ok_or(wrong)
    }
}

pub(super) fn verify(signature: &Signature, request: &Received<'_>) -> Result<Verified, Refusal> {
    let svix = request.headers.contains_key("svix-signature") && !request.headers.contains_key("webhook-signature");
    let [id_header, time_header, header] = if svix {
        ["svix-id", "svix-timestamp", "svix-signature"]
    } else {
        ["webhook-id", "webhook-timestamp", "webhook-signature"]
    };
    let id = request.header(id_header)?;
    let time = request.header(time_header)?;
    let given = request.header(header)?;
    let signed_at = window::read(time_header, time)?;

    let (mut shared, mut public, mut others) = (Vec::new(), Vec::new(), 0);
    for (at, one) in given.split_ascii_whitespace().enumerate() {
        if at == MOST {
            return Err(Refusal::malformed(header, "a list of at most 16 signatures"));
        }
        match one.split_once(',') {
            Some(("v1", text)) => shared.extend(Encoding::Base64.decode(text)),
            Some(("v1a", text)) => public.extend(Encoding::Base64.decode(text)),
            _ => others += 1,
        }
    }
    if shared.is_empty() && public.is_empty() {
        return Err(if others > 0 {
            Refusal::new(
                Reason::WrongAlgorithm,
                format!("{header} has neither a v1 nor a v1a signature"),
            )
        } else {
            Refusal::wrong(header)
        });
    }
    let parts: [&[u8]; 5] = [id.as_bytes(), b".", time.as_bytes(), b".", request.body];
    let mut fits = false;
    let mut secrets = Vec::new();
    for secret in signature.secret.at(request.at) {
        match Key::read(secret) {
            Ok(Key::Shared(key)) => secrets.push(key),
            Ok(Key::Public(key)) if !public.is_empty() => {
                let message = parts.concat();
                let key = UnparsedPublicKey::new(&ED25519, key);
                fits |= public.iter().any(|one| key.verify(&message, one).is_ok());
            }
            // Refused when the configuration was checked.
            Ok(Key::Public(_)) | Err(_) => {}
        }
    }
    fits |= mac::fits(Algorithm::Sha256, &secrets, &parts, &shared);
    if !fits {
        return Err(Refusal::wrong(header));
    }
    Ok(Verified {
        id: Some(id.to_owned()),
        signed_at: Some(signed_at),
        proof: signature.proof(signature.id_header.is_none(), &parts),
    })
}
