//! Random secrets, their hashes, and comparing them without telling by time how much fits.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::AccessError;

/// `N` random bytes as lower-case hexadecimal digits.
pub(crate) fn random<const N: usize>() -> Result<String, AccessError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| AccessError::unavailable(format!("no random numbers: {error}")))?;
    Ok(hex(&bytes))
}

/// A text with 256 random bits, for those who need a secret of their own.
///
/// # Errors
/// Where there are no random numbers.
pub fn random_text() -> Result<String, AccessError> {
    random::<32>()
}

/// The SHA-256 of a text, as hexadecimal digits. What is hashed here has 256 random bits, so that nothing slower is
/// needed.
pub(crate) fn hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Whether two hashes are the same, in a time that does not depend on where they differ.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_sha_256() {
        assert_eq!(
            hash("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert!(same(&hash("a"), &hash("a")) && !same(&hash("a"), &hash("b")));
        assert_ne!(random::<16>().unwrap(), random::<16>().unwrap());
    }
}
