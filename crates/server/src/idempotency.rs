//! `Idempotency-Key`: a request that is sent again, because its answer was lost, starts nothing again.

use axum::http::HeaderMap;
use bowline_engine::{Conflict, Reuse, StartKey};
use sha2::{Digest, Sha256};

use crate::problem::Problem;

/// The header's name.
pub const HEADER: &str = "Idempotency-Key";

/// What it means, for the description of routes.
pub const MEANING: &str = "A text of your own, such as a number of an order. With the same key and input the execution \
                           that was started first is the answer, running or ended; with another input 409.";

/// The longest key.
const LONGEST: usize = 255;

/// The key of a request, if it has one.
///
/// # Errors
/// It is empty, longer than 255 characters, or not printable ASCII.
pub fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text.is_empty() || text.len() > LONGEST {
        return Err(Problem::invalid(
            "Idempotency-Key must have 1 to 255 printable characters of ASCII",
        ));
    }
    Ok(Some(text))
}

/// As [`key`], for a start.
///
/// # Errors
/// As [`key`].
pub fn start_key(headers: &HeaderMap) -> Result<Option<StartKey>, Problem> {
    Ok(key(headers)?.map(|key| StartKey {
        key: key.to_owned(),
        reuse: Reuse::ReturnExisting,
        conflict: Conflict::UseExisting,
    }))
}

/// An id that the same key always leads to, for what is made from something else: a retry of this execution with this
/// key has this id, so it is there once.
pub fn id(organization: &str, what: &str, key: &str) -> String {
    let mut hash = Sha256::new();
    for part in [organization, what, key] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_and_a_wrong_one_is_refused() {
        let mut headers = HeaderMap::new();
        assert_eq!(key(&headers).unwrap(), None);
        headers.insert("idempotency-key", "order-7".parse().unwrap());
        assert_eq!(key(&headers).unwrap(), Some("order-7"));
        for bad in ["", "   ", &"x".repeat(256)] {
            headers.insert("idempotency-key", bad.parse().unwrap());
            assert_eq!(key(&headers).unwrap_err().status, 400);
        }
    }

    #[test]
    fn an_id_is_of_all_its_parts() {
        let one = id("default", "retry/a", "k");
        assert_eq!(one, id("default", "retry/a", "k"));
        assert_ne!(one, id("other", "retry/a", "k"));
        assert_ne!(one, id("default", "retry/", "ak"));
        assert_eq!(one.len(), 36);
    }
}
