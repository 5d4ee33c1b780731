//! An execution as a tree of its steps: the plan says what there is, the events say where it stands.
//!
//! Blocks have no events of their own. A block is being worked on while something in it is open; between two
//! commits nothing else can be true, because whatever follows from an event is in the same commit.

mod blocks;
mod op;

use std::collections::HashMap;

use bowline_flow::plan::{Awaited, Step, StepKind, UnknownOutcome};

use super::model::{Activity, State, View, What};
use super::palette::To;
use super::shape::join;
use super::{lines, text, time};
use crate::wiring::why::outside;

/// How a tree is drawn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// The time that count-downs are measured from.
    pub(crate) now: i64,
    /// Which picture of a turning wheel is shown.
    pub(crate) frame: usize,
    /// Where it is written to.
    pub(crate) to: To,
    /// Whether something may still happen.
    pub(crate) live: bool,
}

/// How much a line matters when there is no room for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Weight {
    /// Not begun, or skipped.
    Idle,
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// Going on, and headings above what goes on.
    Open,
}

/// One line of a tree.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The text, indented and coloured.
    pub(crate) text: String,
    /// How much it matters.
    pub(crate) weight: Weight,
}

/// Deeper than this, children of children are not drawn.
const MOST_DEEP: usize = 20;

const WHEEL: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// The steps of an execution, and within them those of the executions it waits for, as far as `others` has them.
pub(crate) fn steps(view: &View, others: &HashMap<String, View>, look: Look) -> Vec<Line> {
    let mut tree = Tree {
        view,
        others,
        look,
        lines: Vec::new(),
    };
    tree.whole(1);
    tree.lines
}

/// The line above the steps: which execution, and where it stands.
pub(crate) fn heading(view: &View, look: Look) -> Line {
    let to = look.to;
    let until = view.ended_at.unwrap_or(look.now);
    let took = time::duration(until - view.started_at);
    let (icon, standing, weight) = match &view.outcome {
        Some(bowline_core::Outcome::Succeeded(_)) => {
            (to.good("✓").to_string(), format!("succeeded in {took}"), Weight::Done)
        }
        Some(bowline_core::Outcome::Failed(_)) => {
            (to.bad("✗").to_string(), format!("failed after {took}"), Weight::Failed)
        }
        Some(bowline_core::Outcome::Cancelled(_)) => (
            to.warn("✗").to_string(),
            format!("cancelled after {took}"),
            Weight::Failed,
        ),
        None => {
            let standing = match view.activity() {
                _ if view.cancel.is_some() => "is being cancelled".to_owned(),
                Activity::Until(Some(at)) => format!("waits until {}", time::due(at, look.now)),
                Activity::Until(None) => "waits".to_owned(),
                _ => "runs".to_owned(),
            };
            (wheel(look), format!("{standing}, {took}"), Weight::Open)
        }
    };
    let text = format!("{icon} {} {} {}", to.bold(&view.workflow), to.dim(&view.id), standing);
    Line { text, weight }
}

fn wheel(look: Look) -> String {
    let picture = if look.live {
        WHEEL[look.frame % WHEEL.len()]
    } else {
        "●"
    };
    look.to.busy(picture).to_string()
}

/// At most `room` lines: those that matter least are left out, and it is said how many.
pub(crate) fn fit(lines: Vec<Line>, room: usize) -> Vec<String> {
    if lines.len() <= room {
        return lines.into_iter().map(|line| line.text).collect();
    }
    let room = room.saturating_sub(1).max(1);
    let mut order: Vec<usize> = (0..lines.len()).collect();
    // Of those that matter as much, the later ones stay: they are where it goes on.
    order.sort_by_key(|&place| (std::cmp::Reverse(lines[place].weight), std::cmp::Reverse(place)));
    let mut kept = order[..room].to_vec();
    kept.sort_unstable();
    let hidden = lines.len() - room;
    let mut out: Vec<String> = kept.into_iter().map(|place| lines[place].text.clone()).collect();
    out.push(format!("  … {} more", text::count(hidden, "line")));
    out
}

struct Tree<'a> {
    view: &'a View,
    others: &'a HashMap<String, View>,
    look: Look,
    lines: Vec<Line>,
}

impl<'a> Tree<'a> {
    fn whole(&mut self, depth: usize) {
        match &self.view.shape {
            Some(shape) => self.steps(&shape.plan.steps, "", depth),
            None => self.flat(depth),
        }
    }

    /// The steps of an execution that is waited for.
    fn child(&mut self, path: &str, depth: usize) {
        let Some(What::Child { id, .. }) = self.view.ops.get(path).map(|op| &op.what) else {
            return;
        };
        let Some(child) = self.others.get(&**id).filter(|_| depth < MOST_DEEP) else {
            return;
        };
        let mut inner: Tree<'a> = Tree {
            view: child,
            others: self.others,
            look: self.look,
            lines: Vec::new(),
        };
        inner.whole(depth);
        self.lines.append(&mut inner.lines);
    }

    fn push(&mut self, depth: usize, weight: Weight, text: impl AsRef<str>) {
        let text = format!("{}{}", "  ".repeat(depth), text.as_ref());
        self.lines.push(Line { text, weight });
    }

    fn steps(&mut self, steps: &[Step], prefix: &str, depth: usize) {
        for step in steps {
            self.step(step, prefix, depth);
        }
    }

    fn step(&mut self, step: &Step, prefix: &str, depth: usize) {
        let path = join(prefix, &step.id);
        match &step.kind {
            StepKind::Node(node) => {
                self.op(&path, &step.id, &node.connector, depth);
                if let Some(fallback) = &node.fallback {
                    self.op_if_any(&format!("{path}.fallback"), "instead", &fallback.connector, depth + 1);
                }
                if node.callback.is_some() {
                    self.op_if_any(&format!("{path}/callback"), "then", "callback", depth + 1);
                }
                if matches!(node.unknown_outcome, UnknownOutcome::Verify(_)) {
                    self.op_if_any(&format!("{path}/verify"), "found out", "verify", depth + 1);
                }
                if let Some(undo) = &node.compensation {
                    self.compensation(undo, &path, &step.id, depth);
                }
            }
            StepKind::Wait(_) => self.op(&path, &step.id, "wait", depth),
            StepKind::Workflow { name, .. } => {
                self.op(&path, &step.id, &format!("workflow {name}"), depth);
                self.child(&path, depth + 1);
            }
            StepKind::Callback(_) => self.op(&path, &step.id, "callback", depth),
            StepKind::WaitFor(wait) => match &wait.what {
                Awaited::Event { event, .. } => self.op(&path, &step.id, &format!("event {event}"), depth),
                Awaited::Signal(signal) => self.op(&path, &step.id, &format!("signal {signal}"), depth),
            },
            StepKind::Emit(emit) => self.op(&path, &step.id, &format!("emit {}", emit.event), depth),
            StepKind::Respond(_) => self.op(&path, &step.id, "respond", depth),
            StepKind::Approve(approve) => match approve.quorum {
                None => self.op(&path, &step.id, "approve", depth),
                Some(quorum) => {
                    for number in 1..=quorum.of {
                        let name = format!("{}, {number} of {}", step.id, quorum.of);
                        self.op(&format!("{path}/{number}"), &name, "approve", depth);
                    }
                }
            },
            // Nothing of these is recorded: they are computed.
            StepKind::Set(_) | StepKind::Return(_) | StepKind::Fail { .. } => {}
            block => self.block(step, block, &path, depth),
        }
    }

    fn compensation(&mut self, undo: &Step, of: &str, name: &str, depth: usize) {
        let path = format!("{of}.compensation");
        match &undo.kind {
            StepKind::Node(node) => {
                self.op_if_any(&path, &format!("undo {name}"), &node.connector, depth + 1);
            }
            _ if self.any_below(&path) => {
                self.push(depth + 1, Weight::Done, format!("↩ undo {name}"));
                self.step(undo, &path, depth + 2);
            }
            _ => {}
        }
    }

    /// Whether anything below this path has been asked for.
    fn any_below(&self, path: &str) -> bool {
        self.below(path).next().is_some()
    }

    /// Everything asked for below a path.
    fn below(&self, path: &str) -> impl Iterator<Item = (&str, &super::model::Op)> {
        let prefix = format!("{path}/");
        let from = prefix.clone();
        self.view
            .ops
            .range::<str, _>((std::ops::Bound::Included(from.as_str()), std::ops::Bound::Unbounded))
            .map(|(path, op)| (&**path, op))
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Without a plan: everything that was asked for, in order.
    fn flat(&mut self, depth: usize) {
        let mut all: Vec<_> = self.view.ops.iter().collect();
        all.sort_by_key(|(_, op)| op.order);
        for (path, op) in all {
            let kind = match &op.what {
                What::Step { kind, .. } => kind.to_string(),
                What::Timer => "wait".to_owned(),
                What::Wait { wait, .. } => wait.kind().to_owned(),
                What::Emit { event } => format!("emit {event}"),
                What::Child { workflow, .. } => format!("workflow {workflow}"),
            };
            self.op(path, path, &kind, depth);
        }
    }

    fn has_ended(&self) -> bool {
        self.view.outcome.is_some()
    }
}

/// What an execution waits for now, one line each, for a status page.
pub(crate) fn waits(view: &View, now: i64) -> Vec<String> {
    let mut open: Vec<_> = view.ops.iter().filter(|(_, op)| op.is_open()).collect();
    open.sort_by_key(|(_, op)| (op.due, op.order));
    let told = |(path, op): (&bowline_core::Path, &super::model::Op)| match (&op.what, op.state, op.due) {
        (What::Step { .. }, State::Waiting, Some(due)) => {
            let next = text::attempt(op.attempt + 1, view.attempts(path));
            let why = op.error.as_ref().map(lines_error).unwrap_or_default();
            format!(
                "step \"{path}\": {next} at {} ({}){why}",
                time::due(due, now),
                time_left(due, now)
            )
        }
        (What::Step { kind, .. }, ..) => {
            let attempt = text::attempt(op.attempt, view.attempts(path));
            format!("step \"{path}\": {attempt} of {kind} has no outcome yet")
        }
        (What::Timer, _, Some(due)) => {
            format!("\"{path}\": until {} ({})", time::due(due, now), time_left(due, now))
        }
        (What::Timer, ..) => format!("\"{path}\""),
        (What::Wait { .. }, ..) => format!("\"{path}\": {}", awaited(&op.what, now)),
        (What::Emit { .. }, ..) => String::new(),
        (What::Child { id, workflow, .. }, ..) => format!("\"{path}\": the end of execution {id} of {workflow}"),
    };
    open.into_iter().map(told).collect()
}

/// What a wait is for, and how long it takes at most: `a callback with the reference V-1, until ...`.
pub(crate) fn awaited(what: &What, now: i64) -> String {
    let What::Wait { wait, until, beat } = what else {
        return String::new();
    };
    let mut told = outside(wait);
    if let Some(until) = until {
        told.push_str(&format!(", until {}", time::due(*until, now)));
    }
    if let Some(beat) = beat {
        told.push_str(&format!(", next heartbeat by {}", time::due(*beat, now)));
    }
    told
}

pub(crate) fn time_left(due: i64, now: i64) -> String {
    if due <= now {
        "due".to_owned()
    } else {
        format!("in {}", time::until(due, now))
    }
}

pub(crate) fn lines_error(error: &bowline_core::StepError) -> String {
    format!("; {} [{}]", text::message(error), error.code)
}

/// An ended execution's error with its step, for the line below a tree.
pub(crate) fn error_line(view: &View) -> Option<String> {
    use bowline_core::Outcome::{Cancelled, Failed, Succeeded};
    match view.outcome.as_ref()? {
        Succeeded(_) => None,
        Failed(error) => Some(lines::of_step(view, error)),
        Cancelled(error) => Some(text::reason(error)),
    }
}

#[cfg(test)]
mod tests;
