//! Chance that can be repeated.
//!
//! Everything random in a mock comes from the service's seed, its id and the number of the call, so a
//! service with a `seed` answers alike in every run, whatever else runs beside it.

use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// Where a service takes its chance from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed([u8; 32]);

impl Seed {
    /// The chance of service `id`: repeatable with a seed, fresh without.
    pub(crate) fn new(seed: Option<u64>, id: &str) -> Self {
        let mut hash = Sha256::new();
        match seed {
            Some(seed) => hash.update(seed.to_be_bytes()),
            None => hash.update(Uuid::now_v7().as_bytes()),
        }
        hash.update(id.as_bytes());
        Self(hash.finalize().into())
    }

    /// The chance of call `number`.
    pub(crate) fn call(&self, number: u64) -> Chance {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(number.to_be_bytes());
        Chance(hash.finalize().into())
    }
}

/// What is random in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chance([u8; 32]);

impl Chance {
    /// A version 4 UUID.
    pub(crate) fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&self.0[..16]);
        Builder::from_random_bytes(bytes).into_uuid()
    }

    /// A number that has nothing to do with the UUID.
    pub(crate) fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[16..24]);
        u64::from_be_bytes(bytes)
    }

    /// At least 0, less than 1.
    pub(crate) fn fraction(&self) -> f64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[24..]);
        (u64::from_be_bytes(bytes) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_calls_differ() {
        let (one, again) = (Seed::new(Some(7), "a"), Seed::new(Some(7), "a"));
        assert_eq!(one.call(1), again.call(1));
        assert_ne!(one.call(1), one.call(2));
        assert_ne!(one.call(1), Seed::new(Some(7), "b").call(1));
        assert_ne!(one.call(1), Seed::new(Some(8), "a").call(1));
        assert_ne!(Seed::new(None, "a").call(1), Seed::new(None, "a").call(1));
        assert_eq!(one.call(1).uuid().get_version_num(), 4);
        assert!((0.0..1.0).contains(&one.call(1).fraction()));
    }
}
