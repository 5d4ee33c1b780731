//! Message authentication codes, and comparing them in constant time.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::Deserialize;

/// The hash under an HMAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-1, for senders that know nothing better.
    Sha1,
    /// SHA-256 (default).
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    fn of_hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha384 => hmac::HMAC_SHA384,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    /// Its name, as senders put it before a signature.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// Hexadecimal digits, small or capital (default).
    #[default]
    Hex,
    /// Base64 with `+` and `/`, with or without padding.
    Base64,
    /// Base64 with `-` and `_`, with or without padding.
    Base64url,
}

impl Encoding {
    /// The bytes; `None` where the text is not in this encoding.
    pub(crate) fn decode(self, text: &str) -> Option<Vec<u8>> {
        let bare = text.trim_end_matches('=');
        match self {
            Self::Hex => unhex(text),
            Self::Base64 => STANDARD_NO_PAD.decode(bare).ok(),
            Self::Base64url => URL_SAFE_NO_PAD.decode(bare).ok(),
        }
    }
}

/// The HMAC of `parts`, one after the other, under a key.
pub(crate) fn sign(algorithm: Algorithm, key: &[u8], parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm.of_hmac(), key));
    for part in parts {
        context.update(part);
    }
    context.sign()
}

/// Whether one of the given signatures is that of `parts` under one of the keys. All are tried, whichever fits, so
/// that the time says nothing.
pub(crate) fn fits<K: AsRef<[u8]>>(algorithm: Algorithm, keys: &[K], parts: &[&[u8]], given: &[Vec<u8>]) -> bool {
    let mut found = false;
    for key in keys {
        let tag = sign(algorithm, key.as_ref(), parts);
        for one in given {
            found |= verify_slices_are_equal(tag.as_ref(), one).is_ok();
        }
    }
    found
}

/// Whether two secret texts are the same, in a time that depends on neither. Their hashes are compared, so that not
/// even their lengths show.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let hash = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    verify_slices_are_equal(hash(one).as_ref(), hash(other).as_ref()).is_ok()
}

/// SHA-256 of bytes in hexadecimal digits.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// SHA-256 of a name and of what comes after it, in hexadecimal digits.
pub(crate) fn fingerprint(name: &str, parts: &[&[u8]]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(name.as_bytes());
    context.update(&[0]);
    for part in parts {
        context.update(part);
    }
    hex(context.finish().as_ref())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    bytes
        .chunks_exact(2)
        .map(|pair| Some((digit(pair[0])? << 4 | digit(pair[1])?) as u8))
        .collect()
}

/// Base64 with padding, for what is written back.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2, and RFC 2202, test case 2.
    #[test]
    fn the_codes_are_those_of_the_standards() {
        let key = b"Jefe";
        let data: &[&[u8]] = &[b"what do ya want ", b"for nothing?"];
        for (algorithm, expected) in [
            (Algorithm::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (
                Algorithm::Sha256,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                Algorithm::Sha384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                Algorithm::Sha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            assert_eq!(
                hex(sign(algorithm, key, data).as_ref()),
                expected,
                "{}",
                algorithm.name()
            );
            let given = [vec![0; 3], unhex(expected).unwrap()];
            assert!(fits(algorithm, &[b"other".as_slice(), key], data, &given));
            assert!(!fits(algorithm, &[b"other".as_slice()], data, &given));
            assert!(!fits(algorithm, &[key.as_slice()], &[b"what"], &given));
        }
    }

    #[test]
    fn encodings_are_read_strictly() {
        assert_eq!(Encoding::Hex.decode("00fFaB"), Some(vec![0, 255, 171]));
        assert_eq!(Encoding::Base64.decode("/+8="), Encoding::Base64url.decode("_-8"));
        for (encoding, text) in [
            (Encoding::Hex, "0"),
            (Encoding::Hex, "0g"),
            (Encoding::Hex, "é"),
            (Encoding::Base64, "_-8="),
            (Encoding::Base64url, "/+8"),
            (Encoding::Base64, "a b="),
        ] {
            assert_eq!(encoding.decode(text), None, "{text}");
        }
    }

    #[test]
    fn texts_are_compared_whole() {
        assert!(same("hush", "hush"));
        for other in ["", "hus", "hushh", "Hush"] {
            assert!(!same("hush", other), "{other}");
        }
    }
}
