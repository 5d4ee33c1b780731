//! Random numbers that a seed determines, on every machine and in every version: `SplitMix64`.

/// A source of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // Seeds in a row must not give sequences that overlap.
        Self(mix(seed ^ 0x5EED_0FB0_411E))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Below `bound`; 0 where that is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or_default()
    }

    /// Between both, which are part of it.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of them.
    pub(crate) fn pick(&mut self, of: &[u64]) -> u64 {
        let place = self.below(of.len() as u64) as usize;
        of.get(place).copied().unwrap_or_default()
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number for a text, the same everywhere.
pub(crate) fn hash(before: u64, text: &str) -> u64 {
    let mut hash = before ^ 0xCBF2_9CE4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    mix(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_what_comes() {
        let mut random = Random::new(7);
        let first: Vec<u64> = (0..4).map(|_| random.next()).collect();
        let mut again = Random::new(7);
        assert_eq!(first, (0..4).map(|_| again.next()).collect::<Vec<_>>());
        assert_ne!(first[0], Random::new(8).next());
        assert!((0..1000).all(|_| (3..=5).contains(&random.between(3, 5))));
        assert_ne!(hash(0, "a"), hash(0, "b"));
    }
}
