//! Child workflows: they exist, and they do not start each other without end.

use std::collections::{BTreeMap, VecDeque};

use crate::codes;
use crate::cursor::Cursor;
use crate::plan::{ChildMode, StepKind};
use crate::schema::has_expression;

use super::Lowering;

impl Lowering<'_> {
    pub(super) fn child(&mut self, cursor: &Cursor) -> Option<StepKind> {
        let field = cursor.field("workflow")?;
        let input = match cursor.field("input").filter(|input| !input.is_null()) {
            Some(input) => Some(self.template(&input)?),
            None => None,
        };
        let name = field.text().filter(|name| !has_expression(name))?.to_owned();
        let mode = if cursor.text_of("mode") == Some("detach") {
            ChildMode::Detach
        } else {
            ChildMode::Wait
        };
        let own = self.name.clone();
        self.check_twins(&name, &field);
        if let Some(workflows) = &self.options.workflows {
            if name != own && !workflows.contains_key(&name) {
                let known: Vec<String> = workflows.keys().filter(|known| **known != own).cloned().collect();
                let otherwise = "put its file into the same folder";
                self.unknown_name(
                    codes::UNKNOWN_WORKFLOW,
                    &field,
                    "workflow",
                    &name,
                    known.iter().map(String::as_str),
                    otherwise,
                );
                return None;
            }
            if let Some(chain) = way_back(&name, &own, workflows) {
                let chain = std::iter::once(own.as_str())
                    .chain(chain)
                    .collect::<Vec<_>>()
                    .join(" -> ");
                self.report.at(
                    codes::CYCLE,
                    &field,
                    format!("workflows start each other without end: {chain}"),
                    |problem| problem.hint("break the chain, or use `repeat:` to do something again and again"),
                );
            }
        } else if name == own {
            self.report.at(
                codes::CYCLE,
                &field,
                format!("`{name}` starts itself without end"),
                |problem| problem.hint("use `repeat:` to do something again and again"),
            );
        }
        Some(StepKind::Workflow { name, input, mode })
    }
}

/// The names from `from` to `to`, both included, if `from` leads to `to`.
fn way_back<'w>(from: &'w str, to: &'w str, workflows: &'w BTreeMap<String, Vec<String>>) -> Option<Vec<&'w str>> {
    // Each with the one that it was first reached from.
    let mut came: BTreeMap<&'w str, &'w str> = BTreeMap::new();
    let mut waiting: VecDeque<&'w str> = VecDeque::from([from]);
    while let Some(last) = waiting.pop_front() {
        if last == to {
            let back = std::iter::successors(Some(last), |name| came.get(name).copied());
            let mut way: Vec<&str> = back.collect();
            way.reverse();
            return Some(way);
        }
        for next in workflows.get(last).into_iter().flatten() {
            if next != from && !came.contains_key(next.as_str()) {
                came.insert(next, last);
                waiting.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_way_back_is_found() {
        let workflows: BTreeMap<String, Vec<String>> =
            [("a", &["b", "c"][..]), ("b", &["d"]), ("c", &["d", "a"]), ("d", &["b"])]
                .into_iter()
                .map(|(name, next)| (name.to_owned(), next.iter().map(|n| (*n).to_owned()).collect()))
                .collect();
        assert_eq!(way_back("c", "a", &workflows), Some(vec!["c", "a"]));
        assert_eq!(way_back("a", "a", &workflows), Some(vec!["a"]));
        assert_eq!(way_back("b", "a", &workflows), None);
        assert_eq!(way_back("x", "a", &workflows), None);
    }
}
