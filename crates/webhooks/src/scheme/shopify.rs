//! Shopify: `X-Shopify-Hmac-Sha256`, HMAC-SHA-256 over the body, in base64.

use super::{Signature, Verified};
use crate::mac::{self, Algorithm, Encoding};
use crate::refusal::Refusal;
use crate::request::Received;

const HEADER: &str = "X-Shopify-Hmac-Sha256";

pub(super) fn verify(signature: &Signature, request: &Received<'_>) -> Result<Verified, Refusal> {
    let header = request.header(HEADER)?;
    let given = Encoding::Base64
        .decode(header)
        .ok_or_else(|| Refusal::malformed(HEADER, "base64"))?;
    if !mac::fits(
        Algorithm::Sha256,
        &signature.texts(request.at),
        &[request.body],
        &[given],
    ) {
        return Err(Refusal::wrong(HEADER));
    }
    Ok(Verified {
        id: request.header_if("X-Shopify-Webhook-Id").map(ToOwned::to_owned),
        signed_at: None,
        proof: signature.proof(false, &[request.body]),
    })
}
