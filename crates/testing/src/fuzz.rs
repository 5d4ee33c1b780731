//! A small mutation fuzzer that runs inside ordinary tests.
//!
//! It needs nothing but a stable compiler: texts of a corpus are cut, joined, repeated and filled with words of
//! a dictionary, and given to a function that must neither panic nor hang. The function says in a word how each
//! input ended; an input that ended in a new way joins the corpus, so that the search goes on from there.
//!
//! The sequence of inputs depends on the seed only; how many are tried depends on the time. A failing input is
//! made as small as it gets before it is reported.

use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The environment variable that says for how many seconds to fuzz. Default 2.
pub const SECONDS: &str = "BOWLINE_FUZZ_SECONDS";

/// The environment variable with the seed, a whole number. Default 1.
pub const SEED: &str = "BOWLINE_FUZZ_SEED";

/// Inputs are not grown beyond this many bytes.
const LONGEST: usize = 4 << 10;

/// The corpus is not grown beyond this many texts.
const MOST: usize = 10_000;

/// What a run has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many inputs were tried.
    pub inputs: u64,
    /// In how many different ways they ended.
    pub outcomes: usize,
    /// The input that took longest, and how long.
    pub slowest: (Duration, String),
}

/// An input that made the function panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The input, as small as it got.
    pub input: String,
    /// What the panic said.
    pub panic: String,
    /// How many inputs were tried before it.
    pub after: u64,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "after {} inputs, {:?} made it panic: {}",
            self.after, self.input, self.panic
        )
    }
}

impl std::error::Error for Finding {}

/// Fuzzes for as long as [`SECONDS`] says, with the seed of [`SEED`].
///
/// # Errors
/// The first input that made `check` panic.
pub fn run(corpus: &[&str], dictionary: &[&str], check: impl Fn(&str) -> String) -> Result<Report, Finding> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let time = Duration::from_secs(number(SECONDS).unwrap_or(2));
    run_for(time, number(SEED).unwrap_or(1), corpus, dictionary, check)
}

/// Fuzzes for a time: each text of the corpus as it is, then mutations of them.
///
/// # Errors
/// The first input that made `check` panic.
pub fn run_for(
    time: Duration,
    seed: u64,
    corpus: &[&str],
    dictionary: &[&str],
    check: impl Fn(&str) -> String,
) -> Result<Report, Finding> {
    let start = Instant::now();
    let mut random = Random::new(seed);
    let mut texts: Vec<String> = corpus.iter().map(|&text| text.to_owned()).collect();
    let mut outcomes = HashSet::new();
    let mut report = Report::default();
    let planned = texts.len() as u64;
    while report.inputs < planned || start.elapsed() < time {
        let input = match texts.get(report.inputs as usize) {
            Some(text) if report.inputs < planned => text.clone(),
            _ => mutated(&texts, dictionary, &mut random),
        };
        let began = Instant::now();
        match attempt(&check, &input) {
            Ok(outcome) => {
                if outcomes.insert(outcome) && texts.len() < MOST {
                    texts.push(input.clone());
                }
            }
            Err(_) => return Err(finding(&check, input, report.inputs)),
        }
        let took = began.elapsed();
        if took > report.slowest.0 {
            report.slowest = (took, input);
        }
        report.inputs += 1;
    }
    report.outcomes = outcomes.len();
    Ok(report)
}

fn attempt(check: &impl Fn(&str) -> String, input: &str) -> Result<String, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(|| check(input)))
}

/// Takes parts out of a failing input for as long as it keeps failing.
fn finding(check: &impl Fn(&str) -> String, mut input: String, after: u64) -> Finding {
    let mut part = input.len() / 2;
    while part > 0 {
        let mut at = 0;
        while at < input.len() {
            let (from, to) = (boundary(&input, at), boundary(&input, at + part));
            let smaller = format!("{}{}", &input[..from], &input[to..]);
            if smaller.len() < input.len() && attempt(check, &smaller).is_err() {
                input = smaller;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    let panic = match attempt(check, &input) {
        Ok(_) => "it panicked only once".to_owned(),
        Err(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()))
            .unwrap_or_default(),
    };
    Finding { input, panic, after }
}

/// A text of the corpus after one to four changes.
fn mutated(texts: &[String], dictionary: &[&str], random: &mut Random) -> String {
    let mut text = random.pick(texts).cloned().unwrap_or_default();
    for _ in 0..=random.below(4) {
        let from = boundary(&text, random.below(text.len() + 1));
        let longest = 1 << random.below(8);
        let length = 1 + random.below(text.len().min(longest) + 1);
        let to = boundary(&text, from + length);
        match random.below(8) {
            // Words of the language are the likeliest to lead somewhere new.
            0..=2 => text.insert_str(from, random.pick(dictionary).copied().unwrap_or(" ")),
            3 => text.replace_range(from..to, ""),
            4 => {
                let part = text[from..to].to_owned();
                text.insert_str(from, &part.repeat(1 + random.below(4)));
            }
            5 => {
                let other = random.pick(texts).cloned().unwrap_or_default();
                let start = boundary(&other, random.below(other.len() + 1));
                text.replace_range(from..to, &other[start..]);
            }
            6 => text.insert(from, random.character()),
            _ => {
                let part = text[from..to].to_owned();
                let place = boundary(&text, random.below(text.len() + 1));
                text.insert_str(place, &part);
            }
        }
        text.truncate(boundary(&text, LONGEST));
    }
    text
}

/// The last place at or before `at` where a character starts.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Xorshift: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number from zero up to but without `end`; zero if there is none.
    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end.max(1)
    }

    fn pick<'t, T>(&mut self, among: &'t [T]) -> Option<&'t T> {
        among.get(self.below(among.len()))
    }

    /// Mostly ASCII, sometimes anything.
    fn character(&mut self) -> char {
        match self.below(8) {
            0 => char::from_u32(self.below(0x11_0000) as u32).unwrap_or('\u{fffd}'),
            _ => char::from(b' ' + self.below(95) as u8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_found_and_made_small() {
        let finding = run_for(Duration::from_secs(20), 1, &["hello world"], &["bang"], |input| {
            assert!(!input.contains("ba"), "found it");
            input.len().to_string()
        })
        .unwrap_err();
        assert_eq!(finding.input, "ba");
        assert!(finding.panic.contains("found it"), "{finding}");
    }

    #[test]
    fn the_seed_decides_the_inputs() {
        let inputs = |seed| {
            let seen = std::cell::RefCell::new(Vec::new());
            let stop = run_for(Duration::from_secs(20), seed, &["a b", "c"], &["x"], |input| {
                seen.borrow_mut().push(input.to_owned());
                assert!(seen.borrow().len() < 200);
                input.to_owned()
            });
            assert!(stop.is_err());
            seen.borrow()[..200].to_vec()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
        assert_eq!(inputs(1)[..2], ["a b", "c"]);
    }

    #[test]
    fn nothing_wrong_is_reported_with_what_was_seen() {
        let report = run_for(Duration::from_millis(20), 1, &["a", "bb", "cc"], &[], |input| {
            input.len().to_string()
        });
        let report = report.unwrap();
        assert!(report.inputs >= 3);
        assert!(report.outcomes >= 2);
    }
}
