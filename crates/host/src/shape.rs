//! What a plan tells about the paths of its steps: which connector, how many attempts.

use std::collections::HashMap;

use bowline_flow::Plan;
use bowline_flow::graph::place_of;
use bowline_flow::plan::{Awaited, NodePlan, Step, StepKind};

/// A plan with an index over the paths that its nodes have in a journal.
#[derive(Debug)]
pub struct Shape {
    /// The plan.
    pub plan: Plan,
    /// The most attempts of a node, by its path without numbers: `notify[]/send`.
    attempts: HashMap<String, u32>,
    /// What is asked for in the order of the document, blocks and compensations aside: its place and what it is.
    leaves: Vec<(String, String)>,
}

impl Shape {
    /// Looks the plan through.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let mut attempts = HashMap::new();
        index_all(&plan.steps, "", &mut attempts);
        let mut leaves = Vec::new();
        leaves_of_all(&plan.steps, "", &mut leaves);
        Self { plan, attempts, leaves }
    }

    /// What is asked for in the order of the document, blocks and compensations aside: its place (the path without
    /// numbers, `items/put`) and what it is (the connector, `timer`, `callback`, ...).
    #[must_use]
    pub fn leaves(&self) -> &[(String, String)] {
        &self.leaves
    }

    /// How many attempts the step at this path has at most; 0 is no bound, `None` not known.
    pub fn attempts(&self, path: &str) -> Option<u32> {
        self.attempts.get(&place_of(path)).copied()
    }
}

/// `prefix/name`.
pub fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}/{name}")
    }
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

fn leaves_of_all(steps: &[Step], prefix: &str, leaves: &mut Vec<(String, String)>) {
    for step in steps {
        leaves_of(step, prefix, leaves);
    }
}

fn leaves_of(step: &Step, prefix: &str, leaves: &mut Vec<(String, String)>) {
    let path = join(prefix, &step.id);
    let kind = match &step.kind {
        StepKind::Node(node) => &*node.connector,
        StepKind::Wait(_) => "timer",
        StepKind::Callback(_) => "callback",
        StepKind::Approve(_) => "approval",
        StepKind::WaitFor(wait) => match &wait.what {
            Awaited::Event { .. } => "event",
            Awaited::Signal(_) => "signal",
        },
        StepKind::Emit(_) => "emit",
        StepKind::Respond(_) => "respond",
        StepKind::Workflow { .. } => "workflow",
        StepKind::Parallel { branches, .. } => {
            for branch in branches {
                leaves_of_all(&branch.steps, &join(&path, &branch.name), leaves);
            }
            return;
        }
        StepKind::ScatterGather(block) => return leaves_of_all(&block.nodes, &path, leaves),
        StepKind::Saga(saga) => {
            for action in &saga.steps {
                leaves_of(&action.action, &path, leaves);
            }
            return;
        }
        StepKind::Switch { cases, default } => {
            for case in cases {
                leaves_of_all(&case.steps, &path, leaves);
            }
            return leaves_of_all(default, &path, leaves);
        }
        StepKind::ForEach(block) => return leaves_of_all(&block.steps, &path, leaves),
        StepKind::Repeat(block) => return leaves_of_all(&block.steps, &path, leaves),
        StepKind::Try(block) => {
            leaves_of_all(&block.body, &path, leaves);
            for catch in &block.catches {
                leaves_of_all(&catch.steps, &join(&path, "catch"), leaves);
            }
            return leaves_of_all(&block.finally, &join(&path, "finally"), leaves);
        }
        // What is only computed asks for nothing.
        StepKind::Set(_) | StepKind::Return(_) | StepKind::Fail { .. } => return,
    };
    leaves.push((path, kind.to_owned()));
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
