//! Slack: `X-Slack-Signature: v0=<hex>`, HMAC-SHA-256 over `v0:<X-Slack-Request-Timestamp>:<body>`.

use super::{Signature, Verified, id_in_body};
use crate::mac::{self, Algorithm, Encoding};
use crate::refusal::{Reason, Refusal};
use crate::request::Received;
use crate::window;

const HEADER: &str = "X-Slack-Signature";
const TIME: &str = "X-Slack-Request-Timestamp";

pub(super) fn verify(signature: &Signature, request: &Received<'_>) -> Result<Verified, Refusal> {
    let header = request.header(HEADER)?;
    let time = request.header(TIME)?;
    let signed_at = window::read(TIME, time)?;
    let Some(digits) = header.strip_prefix("v0=") else {
        return Err(Refusal::new(
            Reason::WrongAlgorithm,
            format!("{HEADER} is not of version v0, and no other is taken"),
        ));
    };
    let given = Encoding::Hex
        .decode(digits)
        .ok_or_else(|| Refusal::malformed(HEADER, "v0= and hexadecimal digits"))?;
    let parts: [&[u8]; 4] = [b"v0:", time.as_bytes(), b":", request.body];
    if !mac::fits(Algorithm::Sha256, &signature.texts(request.at), &parts, &[given]) {
        return Err(Refusal::wrong(HEADER));
    }
    let id = id_in_body(request.body, "event_id");
    Ok(Verified {
        proof: signature.proof(id.is_some() && signature.id_header.is_none(), &parts),
        id,
        signed_at: Some(signed_at),
    })
}
