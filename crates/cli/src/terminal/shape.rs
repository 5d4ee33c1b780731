//! What a plan tells about the paths of its steps: which connector, how many attempts.

use std::collections::HashMap;

use bowline_flow::Plan;
use bowline_flow::plan::{NodePlan, Step, StepKind};

/// A plan with an index over the paths that its nodes have in a journal.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The plan.
    pub(crate) plan: Plan,
    /// The most attempts of a node, by its path without numbers: `notify[]/send`.
    attempts: HashMap<String, u32>,
}

impl Shape {
    /// Looks the plan through.
    pub(crate) fn new(plan: Plan) -> Self {
        let mut attempts = HashMap::new();
        index_all(&plan.steps, "", &mut attempts);
        Self { plan, attempts }
    }

    /// How many attempts the step at this path has at most; 0 is no bound, `None` not known.
    pub(crate) fn attempts(&self, path: &str) -> Option<u32> {
        self.attempts.get(&general(path)).copied()
    }
}

/// `prefix/name`.
pub(crate) fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}/{name}")
    }
}

/// A path without the numbers of loops and repetitions.
fn general(path: &str) -> String {
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

fn index_all(steps: &[Step], prefix: &str, attempts: &mut HashMap<String, u32>) {
    for step in steps {
        index(step, prefix, attempts);
    }
}

fn index(step: &Step, prefix: &str, attempts: &mut HashMap<String, u32>) {
    let path = join(prefix, &step.id);
    match &step.kind {
        StepKind::Node(node) => {
            attempts.insert(path.clone(), most(node));
            if let Some(fallback) = &node.fallback {
                attempts.insert(format!("{path}.fallback"), most(fallback));
            }
            if let Some(undo) = &node.compensation {
                compensation(undo, &path, attempts);
            }
        }
        StepKind::Parallel { branches, .. } => {
            for branch in branches {
                index_all(&branch.steps, &join(&path, &branch.name), attempts);
            }
        }
        StepKind::ScatterGather(block) => index_all(&block.nodes, &path, attempts),
        StepKind::Saga(saga) => {
            for action in &saga.steps {
                index(&action.action, &path, attempts);
                if let Some(undo) = &action.compensation {
                    compensation(undo, &join(&path, &action.action.id), attempts);
                }
            }
        }
        StepKind::Switch { cases, default } => {
            for case in cases {
                index_all(&case.steps, &path, attempts);
            }
            index_all(default, &path, attempts);
        }
        StepKind::ForEach(block) => index_all(&block.steps, &format!("{path}[]"), attempts),
        StepKind::Repeat(block) => index_all(&block.steps, &format!("{path}[]"), attempts),
        StepKind::Try(block) => {
            index_all(&block.body, &path, attempts);
            for catch in &block.catches {
                index_all(&catch.steps, &format!("{path}/catch"), attempts);
            }
            index_all(&block.finally, &format!("{path}/finally"), attempts);
        }
        StepKind::Wait(_)
        | StepKind::Callback(_)
        | StepKind::WaitFor(_)
        | StepKind::Emit(_)
        | StepKind::Respond(_)
        | StepKind::Approve(_)
        | StepKind::Workflow { .. }
        | StepKind::Set(_)
        | StepKind::Return(_)
        | StepKind::Fail { .. } => {}
    }
}

fn compensation(undo: &Step, of: &str, attempts: &mut HashMap<String, u32>) {
    let path = format!("{of}.compensation");
    match &undo.kind {
        StepKind::Node(node) => drop(attempts.insert(path, most(node))),
        _ => index(undo, &path, attempts),
    }
}

fn most(node: &NodePlan) -> u32 {
    node.options.retry.max_attempts
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
            assert_eq!(general(path), expected);
        }
    }
}
