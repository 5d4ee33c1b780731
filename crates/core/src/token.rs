//! Tokens: texts that lead to one callback of one execution, and that nobody can guess.
//!
//! A token is computed from the execution's number and the callback's path with a key of the store, so
//! nothing about it is stored, and one that was made up is refused without a look into the store.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::blob::BlobId;
use crate::ids;

/// What each token begins with, so that people and scanners of secrets know one.
const PREFIX: &str = "bw_";
const TAG_BYTES: usize = 8;
const MAC_BYTES: usize = 16;

/// The key that tokens of one store are made with.
#[derive(Clone)]
pub struct TokenKey(Hmac<Sha256>);

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

impl TokenKey {
    /// The key of these bytes, which must be secret and random.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        // HMAC takes keys of any length; the same as `new_from_slice`, which could not say so in its type.
        Self(<Hmac<Sha256> as hmac::digest::KeyInit>::new(&padded(&key)))
    }

    /// The token of the callback with this tag in this execution.
    #[must_use]
    pub fn token(&self, exec: i64, tag: u64) -> String {
        let mut bytes = address(exec, tag);
        let mac = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac[..MAC_BYTES]);
        let mut text = String::with_capacity(PREFIX.len() + bytes.len() * 4 / 3 + 2);
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
        text
    }

    /// The execution and the tag that a token leads to; none if this key did not make it. Takes the same time
    /// for every text of the same length.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<(i64, u64)> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim().strip_prefix(PREFIX)?).ok()?;
        let (message, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        self.mac(message).verify_truncated_left(mac).ok()?;
        let (exec, tag) = message.split_at_checked(message.len().checked_sub(TAG_BYTES)?)?;
        Some((unvarint(exec)? as i64, u64::from_be_bytes(tag.try_into().ok()?)))
    }

    /// Proves that `owner` was given the blob: nobody else can make it of the hash of a content.
    #[must_use]
    pub fn grant(&self, owner: &str, blob: &BlobId) -> String {
        let mac = self.mac(&granted(owner, blob)).finalize().into_bytes();
        URL_SAFE_NO_PAD.encode(&mac[..MAC_BYTES])
    }

    /// Whether this key gave the blob to `owner`. Takes the same time for every text of the same length.
    #[must_use]
    pub fn is_granted(&self, owner: &str, blob: &BlobId, grant: &str) -> bool {
        let Ok(mac) = URL_SAFE_NO_PAD.decode(grant) else {
            return false;
        };
        mac.len() == MAC_BYTES && self.mac(&granted(owner, blob)).verify_truncated_left(&mac).is_ok()
    }

    fn mac(&self, message: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(message);
        mac
    }
}

/// What a grant is made of: longer than any address of a wait, so that neither can stand for the other.
fn granted(owner: &str, blob: &BlobId) -> Vec<u8> {
    [b"blob\0", owner.as_bytes(), b"\0", blob.to_string().as_bytes()].concat()
}

/// A key as long as a block of SHA-256, which is the only length that is part of HMAC's type.
fn padded(key: &[u8; 32]) -> hmac::digest::Key<Hmac<Sha256>> {
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block[..key.len()].copy_from_slice(key);
    block
}

fn address(exec: i64, tag: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(10 + TAG_BYTES + MAC_BYTES);
    let mut rest = exec as u64;
    while rest >= 0x80 {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes.extend_from_slice(&tag.to_be_bytes());
    bytes
}

fn unvarint(bytes: &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for (place, byte) in bytes.iter().enumerate() {
        number |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(place).ok()?)?;
        if byte & 0x80 == 0 {
            return (place + 1 == bytes.len()).then_some(number);
        }
    }
    None
}

/// What tells a wait apart within its execution: derived from its path, and from how often it was completed
/// and undone before.
pub(crate) fn tag(path: &str, redone: u32) -> u64 {
    match redone {
        0 => ids::entropy(&["wait", path]),
        times => ids::entropy(&["wait", path, &times.to_string()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_no_other_text_does() {
        let key = TokenKey::new([7; 32]);
        for exec in [0, 1, 127, 128, 300, i64::MAX] {
            let tag = tag("a/b", exec as u32);
            let token = key.token(exec, tag);
            assert!(token.starts_with("bw_"), "{token}");
            assert_eq!(key.read(&token), Some((exec, tag)));
            assert_eq!(TokenKey::new([8; 32]).read(&token), None, "another store's");
            for at in 3..token.len() {
                let mut bytes = token.clone().into_bytes();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                assert_eq!(key.read(std::str::from_utf8(&bytes).unwrap()), None, "changed at {at}");
            }
            assert_eq!(key.read(&token[..token.len() - 1]), None);
        }
        for text in ["", "bw_", "bw_AAAA", "x", "bw_!!!!"] {
            assert_eq!(key.read(text), None, "{text}");
        }
    }

    #[test]
    fn a_grant_is_for_one_owner_of_one_blob() {
        let id = |digit: &str| BlobId::parse(&format!("sha256:{}", digit.repeat(64))).unwrap();
        let key = TokenKey::new([7; 32]);
        let grant = key.grant("acme", &id("a"));
        assert!(key.is_granted("acme", &id("a"), &grant));
        assert!(!key.is_granted("rival", &id("a"), &grant));
        assert!(!key.is_granted("acme", &id("b"), &grant));
        assert!(!TokenKey::new([8; 32]).is_granted("acme", &id("a"), &grant));
        for made_up in ["", "AAAA", "!", &grant[1..]] {
            assert!(!key.is_granted("acme", &id("a"), made_up), "{made_up}");
        }
    }

    #[test]
    fn tags_differ_by_path_and_by_how_often_a_wait_was_undone() {
        assert_ne!(tag("a", 0), tag("b", 0));
        assert_ne!(tag("a", 0), tag("a", 1));
        assert_eq!(tag("a", 1), tag("a", 1));
        assert_eq!(format!("{:?}", TokenKey::new([7; 32])), "TokenKey(..)");
    }
}
