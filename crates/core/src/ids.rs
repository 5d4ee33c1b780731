//! Ids and random values that come out the same on every replay, because they are derived.

use sha2::{Digest, Sha256};

fn digest(parts: &[&str]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().into()
}

fn uuid_text(mut bytes: [u8; 16], version: u8) -> String {
    bytes[6] = (bytes[6] & 0x0f) | (version << 4);
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (i, byte) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
        }
    }
    text
}

/// The idempotency key of a step: the same for every attempt, replay and resumption of it, and for
/// nothing else. UUID text (version 8), so that every header and every service takes it.
#[must_use]
pub fn idempotency_key(execution: &str, path: &str) -> String {
    derived_uuid(&[execution, path])
}

/// A UUID (version 8) derived from names.
#[must_use]
pub fn derived_uuid(parts: &[&str]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(parts)[..16]);
    uuid_text(bytes, 8)
}

/// An execution id in the form of UUIDv7 (time-ordered) whose random part is derived from names.
#[must_use]
pub fn derived_id(at_ms: i64, parts: &[&str]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest(parts)[..16]);
    bytes[..6].copy_from_slice(&at_ms.max(0).to_be_bytes()[2..]);
    uuid_text(bytes, 7)
}

/// 64 bits derived from names.
#[must_use]
pub(crate) fn entropy(parts: &[&str]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest(parts)[..8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_values_are_stable_and_distinct() {
        assert_eq!(idempotency_key("e", "pay"), idempotency_key("e", "pay"));
        assert_ne!(idempotency_key("e", "pay"), idempotency_key("e", "pa"));
        assert_ne!(derived_uuid(&["ab", "c"]), derived_uuid(&["a", "bc"]));
        let id = derived_id(0x0192_3456_789a, &["p", "c"]);
        assert!(id.starts_with("01923456-789a-7"), "{id}");
        assert_eq!(id.len(), 36);
    }
}
