//! Twilio: `X-Twilio-Signature`, HMAC-SHA-1 over the called address and the form's fields, in base64.
//!
//! The fields are sorted by name, and each is added as its name and its value; of a name with several values each
//! different one once. A body that is no form is not signed itself: the address then has its hash as `bodySHA256`.
//! Twilio signs the address with or without the default port, so both are tried, as its own libraries do.

use std::collections::BTreeSet;

use url::form_urlencoded;

use super::{Signature, Verified};
use crate::mac::{self, Algorithm, Encoding};
use crate::refusal::Refusal;
use crate::request::Received;

const HEADER: &str = "X-Twilio-Signature";
const HASH: &str = "bodySHA256";

pub(super) fn verify(signature: &Signature, request: &Received<'_>) -> Result<Verified, Refusal> {
    let header = request.header(HEADER)?;
    let given = [Encoding::Base64
        .decode(header)
        .ok_or_else(|| Refusal::malformed(HEADER, "base64"))?];
    let hash = form_urlencoded::parse(request.query().as_bytes()).find(|(name, _)| name == HASH);
    let fields = match &hash {
        // Lengths and digits of a hash are no secret.
        Some((_, hash)) if *hash == mac::sha256_hex(request.body) => String::new(),
        Some(_) => return Err(Refusal::wrong(HEADER)),
        None => fields(request.body),
    };
    let keys = signature.texts(request.at);
    let mut fits = false;
    for url in addresses(request.url) {
        fits |= mac::fits(Algorithm::Sha1, &keys, &[url.as_bytes(), fields.as_bytes()], &given);
    }
    if !fits {
        return Err(Refusal::wrong(HEADER));
    }
    Ok(Verified {
        id: request.header_if("I-Twilio-Idempotency-Token").map(ToOwned::to_owned),
        signed_at: None,
        // Of the signature: the same address and fields can be written in several ways.
        proof: signature.proof(false, &[&given[0]]),
    })
}

/// The fields of a form as they are signed.
fn fields(body: &[u8]) -> String {
    let sorted: BTreeSet<(String, String)> = form_urlencoded::parse(body).into_owned().collect();
    sorted.into_iter().flat_map(|(name, value)| [name, value]).collect()
}

/// The address as it is, without its port, and with the default port of its scheme.
fn addresses(url: &str) -> Vec<String> {
    let mut all = vec![url.to_owned()];
    let Some((scheme, rest)) = url.split_once("://") else {
        return all;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (user, host) = authority
        .rsplit_once('@')
        .map_or(("", authority), |(user, host)| (&authority[..=user.len()], host));
    let port = host
        .rsplit_once(':')
        .filter(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    if let Some((bare, _)) = port {
        all.push(format!("{scheme}://{user}{bare}{tail}"));
    } else {
        let default = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
        all.push(format!("{scheme}://{authority}:{default}{tail}"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_tried_with_and_without_its_port() {
        assert_eq!(addresses("https://u:p@host/x?y=1:2")[1], "https://u:p@host:443/x?y=1:2");
        assert_eq!(addresses("http://host:8080?x")[1], "http://host?x");
        assert_eq!(addresses("http://[::1]/")[1], "http://[::1]:80/");
        assert_eq!(addresses("/only/a/path"), ["/only/a/path"]);
    }

    #[test]
    fn fields_are_sorted_and_repetitions_dropped() {
        assert_eq!(
            fields(b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234"),
            "Digits1234Digits5678SidCA123SidAccountAC123"
        );
        assert_eq!(fields(b"To=%2B1+2"), "To+1 2");
    }
}
