//! Which names expressions can read at a place.
//!
//! Names come into view as steps are passed, in the order of the document, and leave it at the end of the
//! blocks that hide them. Two steps of one name never are in view at the same time.

use std::collections::HashMap;
use std::sync::Arc;

use crate::tree::Position;

/// Names that always mean something.
pub(crate) const ROOTS: &[&str] = &[
    "input",
    "steps",
    "workflow",
    "env",
    "credentials",
    "auth",
    "random",
    "callbacks",
];

/// Names that mean something at some places, and would be hidden there.
pub(crate) const LOCALS: &[&str] = &["results", "failures", "result", "action"];

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The result of a step, or of a branch.
    Step(Position),
    /// What `set` or an `output` map made.
    Variable,
    /// A loop variable and the like.
    Local,
}

/// The names in view.
#[derive(Default)]
pub(crate) struct Scope {
    names: HashMap<Arc<str>, Vec<Origin>>,
    /// In the order they came into view.
    order: Vec<(Arc<str>, Origin)>,
    /// Names of steps in sibling branches: not in view, but taken, because they will come into view together.
    hidden: HashMap<Arc<str>, Position>,
    /// Every name of a step anywhere, with where it stands and in which branches.
    everywhere: HashMap<Arc<str>, (Position, Branches)>,
    /// The branches of `parallel` that are being looked at, from outside in.
    branches: Vec<(usize, usize)>,
    blocks: usize,
}

/// Number of the block, and of the branch in it.
pub(crate) type Branches = Arc<[(usize, usize)]>;

impl Scope {
    /// How many names are in view, for [`leave`](Self::leave).
    pub(crate) fn mark(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn add(&mut self, name: &Arc<str>, origin: Origin) {
        if let Origin::Step(at) = origin {
            let branches = self.branches();
            self.everywhere.entry(Arc::clone(name)).or_insert((at, branches));
        }
        self.names.entry(Arc::clone(name)).or_default().push(origin);
        self.order.push((Arc::clone(name), origin));
    }

    /// Takes everything out of view that came into it since `mark`, and gives it back.
    pub(crate) fn leave(&mut self, mark: usize) -> Vec<(Arc<str>, Origin)> {
        let left = self.order.split_off(mark.min(self.order.len()));
        for (name, _) in left.iter().rev() {
            if let Some(origins) = self.names.get_mut(name) {
                origins.pop();
                if origins.is_empty() {
                    self.names.remove(name);
                }
            }
        }
        left
    }

    /// Puts names into view again that left it; locals do not come back.
    pub(crate) fn enter(&mut self, names: Vec<(Arc<str>, Origin)>) {
        for (name, origin) in names {
            match origin {
                Origin::Local => {}
                // Cases of a `switch` may use the same names.
                Origin::Step(_) if self.step(&name).is_some() => {}
                origin => self.add(&name, origin),
            }
        }
    }

    /// Takes names for branches that are not in view yet.
    pub(crate) fn hide(&mut self, names: &[(Arc<str>, Origin)]) {
        for (name, origin) in names {
            if let Origin::Step(at) = origin {
                self.hidden.insert(Arc::clone(name), *at);
            }
        }
    }

    pub(crate) fn unhide(&mut self, names: &[(Arc<str>, Origin)]) {
        for (name, _) in names {
            self.hidden.remove(name);
        }
    }

    pub(crate) fn sees(&self, name: &str) -> bool {
        ROOTS.contains(&name) || self.names.contains_key(name)
    }

    /// Where the step stands that has this name and is in view.
    pub(crate) fn step(&self, name: &str) -> Option<Position> {
        self.names.get(name)?.iter().find_map(|origin| match origin {
            Origin::Step(at) => Some(*at),
            _ => None,
        })
    }

    pub(crate) fn is_variable(&self, name: &str) -> bool {
        self.names
            .get(name)
            .is_some_and(|origins| origins.contains(&Origin::Variable))
    }

    /// Where the step stands that keeps this name from being used for another.
    pub(crate) fn taken(&self, name: &str) -> Option<Position> {
        self.step(name).or_else(|| self.hidden.get(name).copied())
    }

    /// Where a step of this name stands, in view or not, and in which branches.
    pub(crate) fn anywhere(&self, name: &str) -> Option<(Position, Branches)> {
        self.everywhere.get(name).cloned()
    }

    /// A number for a block with branches.
    pub(crate) fn block(&mut self) -> usize {
        self.blocks += 1;
        self.blocks
    }

    pub(crate) fn enter_branch(&mut self, block: usize, branch: usize) {
        self.branches.push((block, branch));
    }

    pub(crate) fn leave_branch(&mut self) {
        self.branches.pop();
    }

    /// The branches that are being looked at.
    pub(crate) fn branches(&self) -> Branches {
        Arc::from(self.branches.as_slice())
    }

    /// The names of all steps, in view or not.
    pub(crate) fn every_step(&self) -> impl Iterator<Item = &str> {
        self.everywhere.keys().map(AsRef::as_ref)
    }

    /// The names in view.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(AsRef::as_ref).chain(ROOTS.iter().copied())
    }

    /// The names of steps in view.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &str> {
        self.names
            .iter()
            .filter(|(_, origins)| origins.iter().any(|origin| matches!(origin, Origin::Step(_))))
            .map(|(name, _)| &**name)
    }
}
