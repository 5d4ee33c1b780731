//! The lines of blocks: a heading, and what is inside.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::PoisonError;

use bowline_expression::{Binding, Moment, Scope};
use bowline_flow::plan::{ForEach, Step, StepKind};
use serde_json::Value;

use super::super::model::{Op, State};
use super::super::shape::join;
use super::super::text;
use super::{Tree, Weight, wheel};

/// So many items of a loop that have trouble are shown by themselves.
const ITEMS_SHOWN: usize = 3;

/// Where a block stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Idle,
    Open,
    Done,
    Failed,
}

impl Tree<'_> {
    pub(super) fn block(&mut self, step: &Step, block: &StepKind, path: &str, depth: usize) {
        match block {
            StepKind::Parallel { branches, .. } => {
                self.heading_of(path, &step.id, "parallel", depth);
                for branch in branches {
                    let inner = join(path, &branch.name);
                    match branch.steps.as_slice() {
                        [only] if only.id == branch.name => self.step(only, &inner, depth + 1),
                        steps => {
                            self.heading_of(&inner, &branch.name, "branch", depth + 1);
                            self.steps(steps, &inner, depth + 2);
                        }
                    }
                }
            }
            StepKind::ScatterGather(block) => {
                self.heading_of(path, &step.id, "scatter", depth);
                self.steps(&block.nodes, path, depth + 1);
            }
            StepKind::Saga(saga) => {
                self.heading_of(path, &step.id, "saga", depth);
                for action in &saga.steps {
                    self.step(&action.action, path, depth + 1);
                    if let Some(undo) = &action.compensation {
                        let id = &action.action.id;
                        self.compensation(undo, &join(path, id), id, depth + 1);
                    }
                }
            }
            StepKind::Switch { cases, default } => {
                self.heading_of(path, &step.id, "switch", depth);
                let taken = cases
                    .iter()
                    .map(|case| &case.steps)
                    .chain([default])
                    .find(|steps| steps.iter().any(|step| self.has_begun(&join(path, &step.id))));
                if let Some(steps) = taken {
                    self.steps(steps, path, depth + 1);
                }
            }
            StepKind::ForEach(block) => self.for_each(step, block, path, depth),
            StepKind::Repeat(block) => {
                let round = self.items(path).into_keys().max();
                let what = round.map_or_else(|| "repeat".to_owned(), |round| format!("repeat, round {round}"));
                self.heading_with(self.standing_of_items(path), &step.id, &what, depth);
                if let Some(round) = round {
                    let inner = format!("{path}[{round}]");
                    self.steps(&block.steps, &inner, depth + 1);
                    self.op_if_any(&join(&inner, "delay"), "pause", "wait", depth + 1);
                }
            }
            StepKind::Try(block) => {
                self.heading_of(path, &step.id, "try", depth);
                self.steps(&block.body, path, depth + 1);
                let catch = join(path, "catch");
                let caught = block
                    .catches
                    .iter()
                    .find(|one| one.steps.iter().any(|step| self.has_begun(&join(&catch, &step.id))));
                if let Some(caught) = caught {
                    self.push(depth + 1, Weight::Done, self.look.to.dim("catch").to_string());
                    self.steps(&caught.steps, &catch, depth + 2);
                }
                if !block.finally.is_empty() {
                    self.push(depth + 1, Weight::Idle, self.look.to.dim("finally").to_string());
                    self.steps(&block.finally, &join(path, "finally"), depth + 2);
                }
            }
            // Not blocks.
            _ => {}
        }
    }

    fn has_begun(&self, path: &str) -> bool {
        self.view.ops.contains_key(path) || self.any_below(path) || !self.items(path).is_empty()
    }

    fn heading_of(&mut self, path: &str, name: &str, what: &str, depth: usize) {
        let standing = standing(self.below(path).map(|(_, op)| op));
        self.heading_with(standing, name, what, depth);
    }

    fn heading_with(&mut self, standing: Standing, name: &str, what: &str, depth: usize) {
        let to = self.look.to;
        let (icon, weight) = match standing {
            Standing::Idle if self.has_ended() => (to.dim("–").to_string(), Weight::Idle),
            Standing::Idle => (to.dim("·").to_string(), Weight::Idle),
            Standing::Open => (wheel(self.look), Weight::Open),
            Standing::Done => (to.good("✓").to_string(), Weight::Done),
            Standing::Failed => (to.bad("✗").to_string(), Weight::Failed),
        };
        self.push(depth, weight, format!("{icon} {name}  {}", to.dim(what)));
    }

    /// The items of a loop that have begun: what each has asked for, by number.
    fn items(&self, path: &str) -> BTreeMap<u64, Vec<(&str, &Op)>> {
        let prefix = format!("{path}[");
        let mut items: BTreeMap<u64, Vec<_>> = BTreeMap::new();
        let from = std::ops::Bound::Included(prefix.as_str());
        for (path, op) in self.view.ops.range::<str, _>((from, std::ops::Bound::Unbounded)) {
            let Some(rest) = path.strip_prefix(prefix.as_str()) else {
                break;
            };
            if let Some((number, _)) = rest.split_once(']')
                && let Ok(number) = number.parse()
            {
                items.entry(number).or_default().push((&**path, op));
            }
        }
        items
    }

    fn standing_of_items(&self, path: &str) -> Standing {
        standing(self.items(path).into_values().flatten().map(|(_, op)| op))
    }

    fn for_each(&mut self, step: &Step, block: &ForEach, path: &str, depth: usize) {
        let items = self.items(path);
        let (mut done, mut failed, mut open) = (0, 0, 0);
        let mut troubled = Vec::new();
        for ops in items.values() {
            match standing(ops.iter().map(|(_, op)| *op)) {
                Standing::Open => open += 1,
                Standing::Failed => failed += 1,
                Standing::Done | Standing::Idle => done += 1,
            }
            let trouble = ops
                .iter()
                .filter(|(_, op)| op.error.is_some() && (op.is_open() || op.state == State::Failed));
            troubled.extend(trouble.map(|(path, op)| ((*path).to_owned(), op.is_open(), kind(op))));
        }
        let total = self.total(block, path).map_or_else(
            || (done + failed).to_string(),
            |total| format!("{}/{total}", done + failed),
        );
        let mut what = format!("forEach, {total} done");
        if failed > 0 {
            // Writing to a text cannot fail.
            let _ = write!(what, ", {failed} failed");
        }
        if open > 0 {
            let _ = write!(what, ", {} under way", text::count(open, "item"));
        }
        let standing = self.standing_of_items(path);
        self.heading_with(standing, &step.id, &what, depth);
        // Those that are still being tried matter more than those that were given up.
        troubled.sort_by_key(|(_, is_open, _)| !is_open);
        let hidden = troubled.len().saturating_sub(ITEMS_SHOWN);
        for (at, _, kind) in troubled.into_iter().take(ITEMS_SHOWN) {
            let name = at.strip_prefix(path).unwrap_or(&at).to_owned();
            self.op(&at, &name, &kind, depth + 1);
        }
        if hidden > 0 {
            self.push(depth + 1, Weight::Done, format!("… {hidden} more with errors"));
        }
    }

    /// How many items there are, where the list comes from the input alone.
    fn total(&self, block: &ForEach, path: &str) -> Option<usize> {
        let mut totals = self.view.totals.lock().unwrap_or_else(PoisonError::into_inner);
        *totals.entry(path.to_owned()).or_insert_with(|| self.count(block))
    }

    fn count(&self, block: &ForEach) -> Option<usize> {
        let only_input = block.items.expressions().all(|(_, _, expression)| {
            let roots = expression.roots();
            !roots.whole && roots.names.iter().all(|name| name == "input")
        });
        if !only_input {
            return None;
        }
        let input: Value = self.view.input.as_ref()?.parse().ok()?;
        let rendered = block
            .items
            .render(&Input(Binding::open(input)), &Moment::default())
            .ok()?;
        rendered.value.as_array().map(Vec::len)
    }
}

struct Input(Binding);

impl Scope for Input {
    fn get(&self, name: &str) -> Option<Binding> {
        (name == "input").then(|| self.0.clone())
    }

    fn names(&self) -> Vec<String> {
        vec!["input".to_owned()]
    }
}

fn kind(op: &Op) -> String {
    match &op.what {
        super::What::Step { kind, .. } => kind.to_string(),
        super::What::Timer => "wait".to_owned(),
        super::What::Wait { wait, .. } => wait.kind().to_owned(),
        super::What::Emit { event } => format!("emit {event}"),
        super::What::Child { workflow, .. } => format!("workflow {workflow}"),
    }
}

/// Open while anything is; else how the last thing in it ended. What was cancelled or undone decides nothing.
fn standing<'a>(ops: impl Iterator<Item = &'a Op>) -> Standing {
    let mut last: Option<&Op> = None;
    let mut any = false;
    for op in ops {
        if op.is_open() {
            return Standing::Open;
        }
        any = true;
        let undoes = matches!(
            &op.what,
            super::What::Step {
                compensates: Some(_),
                ..
            }
        );
        if undoes || op.state == State::Cancelled {
            continue;
        }
        if last.is_none_or(|last| (last.ended_at, last.order) < (op.ended_at, op.order)) {
            last = Some(op);
        }
    }
    match last.map(|op| op.state) {
        None if any => Standing::Done,
        None => Standing::Idle,
        Some(State::Failed) => Standing::Failed,
        Some(_) => Standing::Done,
    }
}
