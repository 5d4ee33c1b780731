//! Two versions of a workflow compared: what an execution can take along from one to the other.
//!
//! A result is kept where the same thing is asked: the same connector, configuration and input, as they are
//! written. Timeouts, retries, conditions and what becomes of a result may differ, because they are not
//! recorded. A step that was done and that the new version does not have, or has as something else, is
//! *missing*: nobody can say what it would mean there.

mod places;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::plan::Plan;
use places::{Place, places};

pub use places::place_of;

/// What is different between two versions of a workflow. Steps are named by their place: the path in the
/// journal without numbers (`items/put` for `items[2]/put`).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Steps that only the new version has.
    pub added: Vec<Named>,
    /// Steps that only the old version has.
    pub removed: Vec<Named>,
    /// Steps that ask for something else now: they run again.
    pub changed: Vec<Change>,
    /// Steps with other conditions, timeouts, retries, shapes and the like: they keep their results.
    pub adjusted: Vec<Named>,
    /// Steps that are the same and read something that is not: they keep their results all the same.
    pub affected: Vec<Affected>,
    #[serde(skip)]
    old: BTreeMap<String, Place>,
    #[serde(skip)]
    new: BTreeMap<String, Place>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// Its place.
    pub path: String,
    /// What it is: the connector, the block's word, the child workflow.
    pub kind: String,
}

/// A step that asks for something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Its place.
    pub path: String,
    /// What it is in the old version.
    pub from: String,
    /// What it is in the new one.
    pub to: String,
    /// The fields that differ, such as `config`.
    pub fields: Vec<String>,
}

/// A step that reads what is not the same any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Affected {
    /// Its place.
    pub path: String,
    /// The names it reads that stand for something else now.
    pub reads: Vec<String>,
}

/// Something that was done and has no place in the new version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// Its path in the journal.
    pub path: String,
    /// What it was.
    pub kind: String,
    /// What the new version has there; none where it has nothing.
    pub now: Option<String>,
    /// The new version has the same there, and it asks for something else. It would be done again, and nothing would
    /// undo what was done first.
    pub is_changed: bool,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.now {
            _ if self.is_changed => write!(
                f,
                "`{}` ({}) was done and has a compensation, and asks for something else in the new version: nothing would undo what was done",
                self.path, self.kind
            ),
            None => write!(
                f,
                "`{}` ({}) was done, and the new version does not have it",
                self.path, self.kind
            ),
            Some(now) => write!(
                f,
                "`{}` was done as {}, and is {now} in the new version",
                self.path, self.kind
            ),
        }
    }
}

/// Compares two versions of a workflow.
#[must_use]
pub fn diff(old: &Plan, new: &Plan) -> Difference {
    let (old, new) = (places(old), places(new));
    let named = |(path, place): (&String, &Place)| Named {
        path: path.clone(),
        kind: place.kind.trim_end().to_owned(),
    };
    let added = new
        .iter()
        .filter(|(path, _)| !old.contains_key(*path))
        .map(named)
        .collect();
    let removed = old
        .iter()
        .filter(|(path, _)| !new.contains_key(*path))
        .map(named)
        .collect();
    let mut changed = Vec::new();
    let mut adjusted = Vec::new();
    // What names stand for something else: those of changed steps, and of variables that are set to others.
    let mut others: Vec<&String> = Vec::new();
    for (path, was) in &old {
        let Some(is) = new.get(path) else {
            others.extend(&was.makes);
            continue;
        };
        if !was.is_as(is) {
            others.extend(&is.makes);
            changed.push(Change {
                path: path.clone(),
                from: was.kind.clone(),
                to: is.kind.clone(),
                fields: fields(was, is),
            });
        } else if was.around != is.around {
            if is.kind == "set" || was.kind == "set" {
                others.extend(&is.makes);
            }
            adjusted.push(named((path, is)));
        }
    }
    let affected = new
        .iter()
        .filter(|(path, place)| !path.ends_with("/callback") && old.get(*path).is_some_and(|was| was.is_as(place)));
    let affected = affected.filter_map(|(path, place)| {
        let reads: Vec<String> = place
            .reads
            .iter()
            .filter(|name| others.contains(name) && !place.makes.contains(*name))
            .cloned()
            .collect();
        (!reads.is_empty()).then(|| Affected {
            path: path.clone(),
            reads,
        })
    });
    let affected = affected.collect();
    Difference {
        added,
        removed,
        changed,
        adjusted,
        affected,
        old,
        new,
    }
}

fn is_loop(place: &Place) -> bool {
    matches!(place.kind.as_str(), "forEach" | "repeat")
}

fn fields(was: &Place, is: &Place) -> Vec<String> {
    let mut fields: Vec<String> = was
        .what
        .iter()
        .filter(|(name, value)| is.what.get(*name) != Some(value))
        .map(|(name, _)| name.clone())
        .collect();
    fields.extend(is.what.keys().filter(|name| !was.what.contains_key(*name)).cloned());
    fields
}

impl Difference {
    /// Whether the two do the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty() && self.adjusted.is_empty()
    }

    /// Whether what a journal has under `path` is a result for the new version too. The path of a loop itself
    /// stands for rounds of it that were folded into one result, which is kept if everything inside is as it was.
    #[must_use]
    pub fn keeps(&self, path: &str) -> bool {
        let place = place_of(path.trim_end_matches('/'));
        let Some(was) = self.old.get(&place) else {
            return false;
        };
        if !is_loop(was) {
            return self.is_same(&place);
        }
        let inside = format!("{place}/");
        let places = self.old.keys().chain(self.new.keys());
        // Such a result repeats what was computed of others, so that the rest has to be the same too.
        places
            .filter(|other| **other == place || other.starts_with(&inside))
            .all(|other| match (self.old.get(other), self.new.get(other)) {
                (Some(was), Some(is)) => was.is_as(is) && was.around == is.around,
                _ => false,
            })
    }

    fn is_same(&self, place: &str) -> bool {
        match (self.old.get(place), self.new.get(place)) {
            (Some(was), Some(is)) => was.is_as(is),
            _ => false,
        }
    }

    fn has_compensation(&self, place: &str) -> bool {
        let undo = format!("{place}.compensation");
        self.old.keys().any(|other| {
            other
                .strip_prefix(&undo)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// What was done at this path of a journal, if the new version has no place for it, or would do it again and never
    /// undo it. What undid something, or found something out, is no loss, and neither is a pause.
    #[must_use]
    pub fn missing(&self, path: &str) -> Option<Missing> {
        let place = place_of(path.trim_end_matches('/'));
        let aside = |part: &str| part.ends_with(".compensation") || part == "verify" || part == "pause";
        let was = self.old.get(&place)?;
        if was.kind == "timer" || place.split('/').any(aside) {
            return None;
        }
        if is_loop(was) {
            // Its rounds were folded into one result. They would all be run again if that is not kept.
            return (!self.keeps(path)).then(|| Missing {
                path: path.to_owned(),
                kind: was.kind.clone(),
                now: Some("another loop, or one that does something else".to_owned()),
                is_changed: false,
            });
        }
        let is = self.new.get(&place);
        let is_there = is.is_some_and(|is| is.kind == was.kind);
        let is_changed = is_there && !self.is_same(&place) && self.has_compensation(&place);
        (!is_there || is_changed).then(|| Missing {
            path: path.to_owned(),
            kind: was.kind.trim_end().to_owned(),
            now: is.map(|is| is.kind.trim_end().to_owned()),
            is_changed,
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "no difference");
        }
        for Named { path, kind } in &self.added {
            writeln!(f, "+ {path} ({kind})")?;
        }
        for Named { path, kind } in &self.removed {
            writeln!(f, "- {path} ({kind})")?;
        }
        for Change { path, from, to, fields } in &self.changed {
            if from == to {
                writeln!(f, "~ {path} ({to}): {} changed; it runs again", fields.join(", "))?;
            } else {
                writeln!(f, "~ {path}: was {from}, is {to}")?;
            }
        }
        for Named { path, kind } in &self.adjusted {
            writeln!(
                f,
                ". {path} ({kind}): changed in what is not recorded; what was done is kept"
            )?;
        }
        for Affected { path, reads } in &self.affected {
            writeln!(
                f,
                "! {path} keeps its result and reads {}, which changed",
                reads.join(", ")
            )?;
        }
        Ok(())
    }
}
