//! When a file is whole: its size and time have not changed for a while. A function of what was seen and when.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What can be seen of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) size: u64,
    /// When it was last written, in nanoseconds since the Unix epoch.
    pub(crate) modified: i128,
}

/// What to do about a file that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is whole.
    Whole,
    /// Look again then (milliseconds since the Unix epoch).
    Again(i64),
}

/// Files that are looked at until they are whole.
#[derive(Debug, Default)]
pub(crate) struct Stability {
    /// With the time since which they look like that.
    files: BTreeMap<PathBuf, (Look, i64)>,
}

impl Stability {
    /// Notes what a file looks like now, and says whether it has looked like that for `debounce` and was written
    /// `min_age` ago (both in milliseconds).
    pub(crate) fn look(&mut self, path: &Path, look: Look, now: i64, debounce: i64, min_age: i64) -> Verdict {
        let since = match self.files.get(path) {
            // A clock that went back must not hold a file up.
            Some((before, since)) if *before == look => (*since).min(now),
            _ => now,
        };
        self.files.insert(path.to_owned(), (look, since));
        let written = i64::try_from(look.modified / 1_000_000).unwrap_or(0);
        // A time in the future says nothing about the age.
        let old_enough = if written > now {
            now
        } else {
            written.saturating_add(min_age)
        };
        let at = since.saturating_add(debounce).max(old_enough);
        if at <= now { Verdict::Whole } else { Verdict::Again(at) }
    }

    /// Forgets a file: it was taken, or is gone.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.files.remove(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(size: u64, modified_ms: i64) -> Look {
        Look {
            size,
            modified: i128::from(modified_ms) * 1_000_000,
        }
    }

    #[test]
    fn a_file_that_grows_is_not_whole() {
        let mut files = Stability::default();
        let path = Path::new("/in/a");
        assert_eq!(files.look(path, look(1, 0), 10_000, 1000, 0), Verdict::Again(11_000));
        assert_eq!(files.look(path, look(2, 0), 10_900, 1000, 0), Verdict::Again(11_900));
        assert_eq!(files.look(path, look(2, 0), 11_800, 1000, 0), Verdict::Again(11_900));
        assert_eq!(files.look(path, look(2, 5), 11_900, 1000, 0), Verdict::Again(12_900));
        assert_eq!(files.look(path, look(2, 5), 12_900, 1000, 0), Verdict::Whole);
    }

    #[test]
    fn a_file_has_to_be_old_enough() {
        let mut files = Stability::default();
        let path = Path::new("/in/a");
        files.look(path, look(1, 9000), 10_000, 1000, 5000);
        assert_eq!(
            files.look(path, look(1, 9000), 11_000, 1000, 5000),
            Verdict::Again(14_000)
        );
        assert_eq!(files.look(path, look(1, 9000), 14_000, 1000, 5000), Verdict::Whole);
    }

    #[test]
    fn odd_clocks_hold_nothing_up() {
        let mut files = Stability::default();
        let path = Path::new("/in/a");
        // Written tomorrow, by its own clock.
        files.look(path, look(1, 90_000_000), 10_000, 1000, 5000);
        assert_eq!(
            files.look(path, look(1, 90_000_000), 11_000, 1000, 5000),
            Verdict::Whole
        );
        // Our own clock goes back.
        files.look(path, look(2, 0), 50_000, 1000, 0);
        assert_eq!(files.look(path, look(2, 0), 20_000, 1000, 0), Verdict::Again(21_000));
        assert_eq!(files.look(path, look(2, 0), 21_000, 1000, 0), Verdict::Whole);
    }

    #[test]
    fn no_debounce_takes_it_at_once() {
        assert_eq!(
            Stability::default().look(Path::new("/in/a"), look(1, 0), 10, 0, 0),
            Verdict::Whole
        );
    }
}
