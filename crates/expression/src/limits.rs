//! How much one evaluation may use, and the clock and chance it sees.

use std::time::Duration;

/// What bounds one evaluation of one expression. Exceeding any of them is an error with the code
/// `expression.limit`.
///
/// `steps`, `depth`, `string_bytes`, `array_items`, `result_bytes` and `nesting` give the same answer on every
/// machine and at every replay. `time` does not: it is the safety net below them, far enough away that the
/// steps run out first, so leave it alone unless you lower the steps too. (A regular expression that backtracks
/// without end is the one thing that reaches it sooner.)
///
/// The limits catch mistakes in workflows and surprising data. They are not a sandbox for expressions written
/// by an attacker: memory is bounded for each value, not for all values of an evaluation together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time. Default 2 s. Not deterministic, see above.
    pub time: Duration,
    /// Nodes evaluated, functions called back, and one per 1,024 steps of a regular expression's
    /// backtracking. Default 5,000,000. This is the limit that binds.
    pub steps: u64,
    /// How deep calls and operators may nest while evaluating; also stops endless recursion. Default 10,000.
    pub depth: usize,
    /// Bytes of UTF-8 of one text that the evaluation builds. Default 16 MiB.
    pub string_bytes: usize,
    /// Items of one array that the evaluation builds. Default 1,000,000.
    pub array_items: usize,
    /// Bytes of the result as compact JSON. Default 32 MiB.
    pub result_bytes: usize,
    /// Arrays and objects inside each other in the result, the template around it included. Default 100, so
    /// that what is recorded can be read back by every JSON parser.
    pub nesting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(2),
            steps: 5_000_000,
            depth: 10_000,
            string_bytes: 16 << 20,
            array_items: 1_000_000,
            result_bytes: 32 << 20,
            nesting: 100,
        }
    }
}

impl Limits {
    /// For what others ask at any time, and what nobody records: queries, and the expressions of triggers. Half a second,
    /// 500,000 steps, arrays of 100,000 items, texts of 4 MiB. So one evaluation holds at most what it can build in that
    /// time: below 300 MB for the worst that is known.
    #[must_use]
    pub fn from_outside() -> Self {
        Self {
            time: Duration::from_millis(500),
            steps: 500_000,
            string_bytes: 4 << 20,
            array_items: 100_000,
            ..Self::default()
        }
    }
}

/// Everything an evaluation sees besides its values: the same moment gives the same result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// What `$now()` and `$millis()` say, in milliseconds since 1970-01-01T00:00:00Z.
    pub now_ms: i64,
    /// Where `$random()` and `$shuffle()` start. The expressions of one template each start elsewhere, which
    /// depends on this number and on where in the template they stand.
    pub seed: u64,
    /// What bounds the evaluation.
    pub limits: Limits,
}
