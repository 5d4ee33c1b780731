//! Control blocks that do several things at once: `parallel`, and `scatter` with `gather`.

use std::sync::Arc;

use crate::codes;
use crate::cursor::Cursor;
use crate::plan::{Branch, Gather, Join, ScatterGather, StepKind};
use crate::report::plain;
use crate::schema::has_expression;
use crate::tree::{Entry, Kind, Node, Style};

use super::Lowering;
use super::blocks::Names;
use super::scope::Origin;

impl Lowering<'_> {
    pub(super) fn parallel(&mut self, cursor: &Cursor, id: &str) -> Option<StepKind> {
        let list = cursor.field("parallel")?;
        if list.is_list() && list.node.items().is_empty() {
            self.report.at(codes::EMPTY, &list, "there are no branches here", plain);
        }
        let mut branches = Vec::new();
        let mut seen: Names = Vec::new();
        let block = self.scope.block();
        for (index, item) in list.items().enumerate() {
            let mark = self.scope.mark();
            self.scope.enter_branch(block, index);
            let branch = self.branch(&item, index, id);
            self.scope.leave_branch();
            let names = self.scope.leave(mark);
            self.scope.hide(&names);
            seen.extend(names);
            branches.extend(branch);
        }
        self.scope.unhide(&seen);
        self.scope.enter(seen);
        let count = list.node.items().len();
        let join = cursor
            .field("joinStrategy")
            .map_or(Some(Join::default()), |join| self.join(&join, count))?;
        Some(StepKind::Parallel { branches, join })
    }

    fn branch(&mut self, item: &Cursor, index: usize, id: &str) -> Option<Branch> {
        let number = index + 1;
        if item.is_list() {
            let steps = self.steps(item, &format!("{id}-{number}-"));
            return Some(Branch {
                name: format!("branch-{number}"),
                steps,
            });
        }
        if super::steps::KEYS.iter().any(|key| item.has(key)) {
            let step = self.step(item, index, &format!("{id}-"))?;
            return Some(Branch {
                name: step.id.clone(),
                steps: vec![step],
            });
        }
        let list = item.field("steps")?;
        let steps = self.steps(&list, &format!("{id}-{number}-"));
        let own = item.field("id").filter(|own| own.text().is_some());
        let Some(own) = own else {
            return Some(Branch {
                name: format!("branch-{number}"),
                steps,
            });
        };
        let name = own.text().unwrap_or_default().to_owned();
        self.check_name(&name, own.at(), &own.path);
        self.check_free(&name, &own);
        self.scope.add(&Arc::from(name.as_str()), Origin::Step(own.at()));
        Some(Branch { name, steps })
    }

    fn join(&mut self, cursor: &Cursor, branches: usize) -> Option<Join> {
        Some(match cursor.text() {
            Some("wait-all") => Join::WaitAll,
            Some("wait-any") => Join::WaitAny,
            Some("first-success") => Join::FirstSuccess,
            Some("settle") => Join::Settle,
            Some(_) => return None,
            None => {
                let quorum = cursor.field("quorum")?;
                let count = usize::try_from(quorum.node.whole()?).ok()?;
                if count > branches {
                    let message = format!("a quorum of {count} cannot be reached: there are {branches} branches");
                    self.report.at(codes::NOT_ALLOWED, &quorum, message, |problem| {
                        problem.expected(format!("1 to {branches}"))
                    });
                }
                Join::Quorum(count)
            }
        })
    }

    pub(super) fn scatter(&mut self, cursor: &Cursor, id: &str) -> Option<StepKind> {
        let list = cursor.field("scatter")?.field("nodes")?;
        if list.is_list() && list.node.items().is_empty() {
            self.report.at(codes::EMPTY, &list, "there are no nodes here", plain);
        }
        let mut nodes = Vec::new();
        let mut seen: Names = Vec::new();
        let block = self.scope.block();
        for (index, item) in list.items().enumerate() {
            let mark = self.scope.mark();
            self.scope.enter_branch(block, index);
            let step = self.step(&with_type(&item), index, &format!("{id}-"));
            self.scope.leave_branch();
            let names = self.scope.leave(mark);
            self.scope.hide(&names);
            seen.extend(names);
            nodes.extend(step);
        }
        self.scope.unhide(&seen);
        self.scope.enter(seen);
        let gather = cursor.field("gather");
        let timeout = gather.as_ref().and_then(|gather| self.duration(gather, "timeout"));
        let strategy = match gather.and_then(|gather| gather.field("strategy")) {
            Some(strategy) => self.gather(&strategy)?,
            None => Gather::All,
        };
        Some(StepKind::ScatterGather(ScatterGather {
            nodes,
            strategy,
            timeout,
        }))
    }

    fn gather(&mut self, cursor: &Cursor) -> Option<Gather> {
        let mark = self.scope.mark();
        let locals: &[&str] = if cursor.is_map() {
            &["result"]
        } else {
            &["results", "failures"]
        };
        for name in locals {
            self.scope.add(&Arc::from(*name), Origin::Local);
        }
        let gather = match cursor.text() {
            Some("all") => Some(Gather::All),
            Some("first") => Some(Gather::First),
            Some("majority") => Some(Gather::Majority),
            Some("merge") => Some(Gather::Merge),
            Some("best-price") => Some(Gather::BestPrice),
            Some(text) if has_expression(text) => self.template(cursor).map(Gather::Expression),
            Some(_) => None,
            None => {
                let min = cursor
                    .field("min")
                    .map(|min| self.computed(&min, "a measure", "a number"));
                let max = cursor
                    .field("max")
                    .map(|max| self.computed(&max, "a measure", "a number"));
                min.map_or_else(|| max.flatten().map(Gather::Max), |min| min.map(Gather::Min))
            }
        };
        self.scope.leave(mark);
        gather
    }
}

/// `{id, url}` as the node it stands for: an `http-request`, by default a GET.
fn with_type(item: &Cursor) -> Cursor {
    let is_short = item.has("url") && !item.has("type") && !item.has("node");
    if !is_short {
        return item.clone();
    }
    let entry = |key: &str, node: Node| Entry {
        key: Arc::from(key),
        key_at: item.at(),
        value: Arc::new(node),
    };
    let (about, config): (Vec<Entry>, Vec<Entry>) = item
        .node
        .entries()
        .iter()
        .cloned()
        .partition(|entry| matches!(&*entry.key, "id" | "when" | "description"));
    let kind = Kind::Text(Arc::from("http-request"), Style::Plain);
    let mut entries = about;
    entries.push(entry("type", Node::new(kind, item.at())));
    entries.push(entry("config", Node::new(Kind::Map(config), item.at())));
    item.with(Node::new(Kind::Map(entries), item.at()))
}
