//! Stripe: `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>][,v0=<hex>]`, HMAC-SHA-256 over `<t>.<body>`.
//!
//! While a secret is rolled Stripe sends one `v1` for each. `v0` is of test events and proves nothing.

use super::{Signature, Verified, id_in_body};
use crate::mac::{self, Algorithm, Encoding};
use crate::refusal::{Reason, Refusal};
use crate::request::Received;
use crate::window;

const HEADER: &str = "Stripe-Signature";

pub(super) fn verify(signature: &Signature, request: &Received<'_>) -> Result<Verified, Refusal> {
    let header = request.header(HEADER)?;
    let mut time = None;
    let mut given = Vec::new();
    let mut schemes = 0;
    for part in header.split(',') {
        let Some((name, value)) = part.trim().split_once('=') else {
            return Err(Refusal::malformed(HEADER, "a list such as t=1614265330,v1=abc"));
        };
        match name {
            "t" if time.is_none() => time = Some(value),
            "t" => return Err(Refusal::malformed(HEADER, "with one time")),
            "v1" => given.extend(Encoding::Hex.decode(value)),
            _ => schemes += 1,
        }
    }
    let time = time.ok_or_else(|| Refusal::malformed(HEADER, "with a time (t=...)"))?;
    let signed_at = window::read(HEADER, time)?;
    if given.is_empty() {
        return Err(if schemes > 0 {
            Refusal::new(
                Reason::WrongAlgorithm,
                format!("{HEADER} has no v1 signature, and others are not taken"),
            )
        } else {
            Refusal::wrong(HEADER)
        });
    }
    let parts: [&[u8]; 3] = [time.as_bytes(), b".", request.body];
    if !mac::fits(Algorithm::Sha256, &signature.texts(request.at), &parts, &given) {
        return Err(Refusal::wrong(HEADER));
    }
    let id = id_in_body(request.body, "id");
    Ok(Verified {
        proof: signature.proof(id.is_some() && signature.id_header.is_none(), &parts),
        id,
        signed_at: Some(signed_at),
    })
}
