//! Where an execution stands, laid over the picture of its workflow.

use std::collections::BTreeMap;
use std::ops::Bound;

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Nothing was asked of it, and nothing will be.
    Skipped,
    /// It has its result.
    Done,
    /// It was done, and has been undone.
    Compensated,
    /// It is no longer wanted.
    Cancelled,
    /// It failed for good.
    Failed,
    /// It waits for its time, or for something from outside.
    Waiting,
    /// It is being worked on.
    Running,
}

impl Mark {
    /// The word for it, as people read it: `done`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Done => "done",
            Self::Compensated => "undone",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
            Self::Waiting => "waiting",
            Self::Running => "running",
        }
    }

    /// The class of its box, and of whatever else shows it: `done`.
    pub fn class(self) -> &'static str {
        match self {
            Self::Compensated => "compensated",
            other => other.word(),
        }
    }

    /// The path of its sign within 16 × 16, to be stroked. Each has a shape of its own, so that nobody has to
    /// tell colours apart.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Skipped => "M4 8h8",
            Self::Done => "M3.5 8.5l3 3 6-7",
            Self::Compensated => "M6.5 4L3.5 7l3 3M3.5 7H9.5a3 3 0 0 1 0 6H7",
            Self::Cancelled => "M4.2 4.2l7.6 7.6M8 2.5a5.5 5.5 0 1 0 .01 0",
            Self::Failed => "M4 4l8 8M12 4l-8 8",
            Self::Waiting => "M8 4v4.5l3 1.5M8 1.8a6.2 6.2 0 1 0 .01 0",
            Self::Running => "M5.5 3.5l6.5 4.5-6.5 4.5z",
        }
    }
}

/// What is known of one place.
#[derive(Clone, Debug)]
struct Marked {
    mark: Mark,
    note: String,
    anchor: Option<String>,
    /// How many operations have each mark, where there are several.
    counts: BTreeMap<Mark, usize>,
}

/// The marks of an execution, by place. A place is a step's path without the numbers of loops, so that all
/// items of a loop share one; the most urgent of them is what is shown, with counts beside it.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    marks: BTreeMap<String, Marked>,
    ended: bool,
}

/// What is shown at one box.
pub(super) struct Shown {
    pub(super) mark: Mark,
    pub(super) note: String,
    pub(super) anchor: Option<String>,
}

impl Overlay {
    /// No marks yet. In an execution that has ended, what was not marked was skipped.
    pub fn new(ended: bool) -> Self {
        Self {
            marks: BTreeMap::new(),
            ended,
        }
    }

    /// Marks what stands at `path`, with a few words (`attempt 2 of 5`) and the id of the element that tells more.
    pub fn mark(&mut self, path: &str, mark: Mark, note: &str, anchor: Option<&str>) {
        let marked = Marked {
            mark,
            note: note.to_owned(),
            anchor: anchor.map(str::to_owned),
            counts: BTreeMap::from([(mark, 1)]),
        };
        match self.marks.entry(place_of(path)) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(marked);
            }
            std::collections::btree_map::Entry::Occupied(mut there) => {
                let there = there.get_mut();
                *there.counts.entry(mark).or_default() += 1;
                if mark >= there.mark {
                    there.mark = mark;
                    there.note = marked.note;
                    there.anchor = marked.anchor;
                }
            }
        }
    }

    /// Whether anything has been asked for at this place or below it.
    pub(super) fn has_begun(&self, place: &str) -> bool {
        self.below(place).next().is_some()
    }

    /// What the box of this place shows. `passed` says that something after it has begun.
    pub(super) fn shown(&self, place: &str, passed: bool) -> Option<Shown> {
        let undone = self
            .below(&format!("{place}.compensation"))
            .any(|(_, marked)| marked.mark == Mark::Done);
        let most = self.below(place).max_by_key(|(_, marked)| marked.mark);
        let Some((_, marked)) = most else {
            return (self.ended || passed).then(|| Shown {
                mark: Mark::Skipped,
                note: Mark::Skipped.word().to_owned(),
                anchor: None,
            });
        };
        let mark = if undone && marked.mark == Mark::Done {
            Mark::Compensated
        } else {
            marked.mark
        };
        let several: usize = marked.counts.values().sum();
        let note = if several > 1 {
            let counts = marked.counts.iter().rev();
            let counts: Vec<_> = counts.map(|(mark, count)| format!("{count} {}", mark.word())).collect();
            counts.join(", ")
        } else if marked.note.is_empty() {
            mark.word().to_owned()
        } else {
            format!("{} · {}", mark.word(), marked.note)
        };
        Some(Shown {
            mark,
            note,
            anchor: marked.anchor.clone(),
        })
    }

    /// What stands at the place itself, in it (the callback of a node, the items of a quorum), or in its stead.
    fn below<'a>(&'a self, place: &'a str) -> impl Iterator<Item = (&'a String, &'a Marked)> {
        let from = (Bound::Included(place), Bound::Unbounded);
        self.marks
            .range::<str, _>(from)
            .take_while(move |(found, _)| found.starts_with(place))
            .filter(move |(found, _)| {
                let rest = &found[place.len()..];
                rest.is_empty() || rest.starts_with(['/', '[']) || rest.starts_with(".fallback")
            })
    }
}

/// A path without the numbers of loops and repetitions: `notify[]/send` for `notify[12]/send#2`.
pub fn place_of(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut skipping = false;
    for c in path.chars() {
        match c {
            '[' => {
                out.push('[');
                skipping = true;
            }
            ']' => {
                out.push(']');
                skipping = false;
            }
            '#' => skipping = true,
            '/' => {
                out.push('/');
                skipping = false;
            }
            _ if skipping => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_left_out() {
        for (path, expected) in [
            ("pay", "pay"),
            ("notify[12]/send", "notify[]/send"),
            ("a[1]/b[22]/c#3", "a[]/b[]/c"),
            ("x#2/y", "x/y"),
            ("saga/charge.compensation", "saga/charge.compensation"),
        ] {
            assert_eq!(place_of(path), expected);
        }
    }

    #[test]
    fn the_most_urgent_item_of_a_loop_is_shown_with_counts() {
        let mut overlay = Overlay::new(false);
        overlay.mark("all[0]/send", Mark::Done, "", Some("s0"));
        overlay.mark("all[1]/send", Mark::Failed, "http.500", Some("s1"));
        overlay.mark("all[2]/send", Mark::Done, "", Some("s2"));
        let shown = overlay.shown("all[]/send", false).unwrap();
        assert_eq!((shown.mark, shown.note.as_str()), (Mark::Failed, "1 failed, 2 done"));
        assert_eq!(shown.anchor.as_deref(), Some("s1"));
    }

    #[test]
    fn a_step_that_was_undone_says_so() {
        let mut overlay = Overlay::new(true);
        overlay.mark("saga/charge", Mark::Done, "", None);
        overlay.mark("saga/charge.compensation", Mark::Done, "", None);
        overlay.mark("saga/charge-card", Mark::Failed, "", None);
        let shown = overlay.shown("saga/charge", false).unwrap();
        assert_eq!((shown.mark, shown.note.as_str()), (Mark::Compensated, "undone"));
    }

    #[test]
    fn what_was_passed_by_or_never_came_is_skipped() {
        let open = Overlay::new(false);
        assert!(open.shown("later", false).is_none());
        assert_eq!(open.shown("before", true).unwrap().mark, Mark::Skipped);
        assert_eq!(Overlay::new(true).shown("later", false).unwrap().mark, Mark::Skipped);
    }
}
