//! GitHub: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA-256 over the body.
//!
//! `X-Hub-Signature` (SHA-1) comes beside it and is not enough. Gitea and others send the same.

use super::{Signature, Verified};
use crate::mac::{self, Algorithm, Encoding};
use crate::refusal::{Reason, Refusal};
use crate::request::Received;

const HEADER: &str = "X-Hub-Signature-256";

pub(super) fn verify(signature: &Signature, request: &Received<'_>) -> Result<Verified, Refusal> {
    let header = match request.header(HEADER) {
        Err(_) if request.headers.contains_key("X-Hub-Signature") && !request.headers.contains_key(HEADER) => {
            return Err(Refusal::new(
                Reason::WrongAlgorithm,
                format!("it is signed with SHA-1 only (X-Hub-Signature); {HEADER} is needed"),
            ));
        }
        header => header?,
    };
    let Some((algorithm, digits)) = header.split_once('=') else {
        return Err(Refusal::malformed(HEADER, "sha256= and hexadecimal digits"));
    };
    if algorithm != Algorithm::Sha256.name() {
        return Err(Refusal::new(
            Reason::WrongAlgorithm,
            format!("{HEADER} is not sha256, and no other is taken"),
        ));
    }
    let given = Encoding::Hex
        .decode(digits)
        .ok_or_else(|| Refusal::malformed(HEADER, "sha256= and hexadecimal digits"))?;
    if !mac::fits(
        Algorithm::Sha256,
        &signature.texts(request.at),
        &[request.body],
        &[given],
    ) {
        return Err(Refusal::wrong(HEADER));
    }
    Ok(Verified {
        id: request.header_if("X-GitHub-Delivery").map(ToOwned::to_owned),
        signed_at: None,
        proof: signature.proof(false, &[request.body]),
    })
}
