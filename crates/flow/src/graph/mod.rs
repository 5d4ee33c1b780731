//! Pictures of workflows: Mermaid text for documentation, and SVG that stands by itself.
//!
//! A workflow is a structure of sequences, alternatives and frames around them, not any graph. So it is
//! drawn as one: nothing crosses, and the picture has the order of the document.

mod mermaid;
mod overlay;
mod svg;

use std::time::Duration;

use bowline_expression::Template;

use crate::plan::{Awaited, Gather, Join, Plan, RepeatCondition, Step, StepKind, Wait};

pub use mermaid::mermaid;
pub use overlay::{Mark, Overlay, place_of};
pub use svg::{embedded, svg};

/// A part of a picture.
enum Part {
    /// One box.
    Leaf(Leaf),
    /// One after the other.
    Column(Vec<Part>),
    /// Side by side, each with a label perhaps.
    Row(Vec<(Option<String>, Part)>),
    /// A frame with a title.
    Frame(String, Box<Part>),
    /// A frame that may be passed by.
    Optional(String, Box<Part>),
}

/// A box.
struct Leaf {
    /// Its path in a journal, without the numbers of loops.
    place: String,
    title: String,
    detail: String,
    look: Look,
    /// Whether a journal tells that it was done.
    is_recorded: bool,
    /// What undoes it.
    undo: Option<String>,
}

/// What a box looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    Node,
    Timer,
    Workflow,
    Data,
    End,
}

fn parts(plan: &Plan) -> Part {
    column(&plan.steps, "")
}

/// The steps below `prefix`, one after the other.
fn column(steps: &[Step], prefix: &str) -> Part {
    Part::Column(steps.iter().map(|step| part(step, prefix)).collect())
}

/// `prefix/name`.
fn below(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}/{name}")
    }
}

fn leaf(step: &Step, place: &str, detail: impl Into<String>, look: Look) -> Part {
    Part::Leaf(Leaf {
        place: place.to_owned(),
        title: step.id.clone(),
        detail: detail.into(),
        look,
        is_recorded: !matches!(
            step.kind,
            StepKind::Set(_) | StepKind::Return(_) | StepKind::Fail { .. }
        ),
        undo: None,
    })
}

fn part(step: &Step, prefix: &str) -> Part {
    let place = below(prefix, &step.id);
    let place = place.as_str();
    let inner = match &step.kind {
        StepKind::Node(node) => Part::Leaf(Leaf {
            place: place.to_owned(),
            title: step.id.clone(),
            detail: match &node.callback {
                Some(_) => format!("{}, then callback", node.connector),
                None => node.connector.clone(),
            },
            look: Look::Node,
            is_recorded: true,
            undo: node.compensation.as_ref().map(|undo| undo.id.clone()),
        }),
        StepKind::Parallel { branches, join } => {
            let rows = branches
                .iter()
                .map(|branch| (None, column(&branch.steps, &below(place, &branch.name))))
                .collect();
            Part::Frame(
                format!("{}: parallel, {}", step.id, join_name(*join)),
                Box::new(Part::Row(rows)),
            )
        }
        StepKind::ScatterGather(block) => {
            let rows = block.nodes.iter().map(|node| (None, part(node, place))).collect();
            let timeout = block
                .timeout
                .map_or_else(String::new, |timeout| format!(" within {}", duration(timeout)));
            let title = format!("{}: gather {}{timeout}", step.id, gather_name(&block.strategy));
            Part::Frame(title, Box::new(Part::Row(rows)))
        }
        StepKind::Saga(saga) => {
            let actions = saga.steps.iter().map(|item| {
                let mut action = part(&item.action, place);
                if let Part::Leaf(leaf) = &mut action {
                    leaf.undo = item.compensation.as_ref().map(|undo| undo.id.clone());
                }
                action
            });
            Part::Frame(format!("{}: saga", step.id), Box::new(Part::Column(actions.collect())))
        }
        StepKind::Switch { cases, default } => {
            let mut rows: Vec<_> = cases
                .iter()
                .map(|case| (Some(text_of(&case.when)), column(&case.steps, place)))
                .collect();
            rows.push((Some("otherwise".to_owned()), column(default, place)));
            Part::Frame(format!("{}: switch", step.id), Box::new(Part::Row(rows)))
        }
        StepKind::ForEach(block) => {
            let title = format!("{}: for each {} of {}", step.id, block.as_name, text_of(&block.items));
            Part::Frame(title, Box::new(column(&block.steps, &format!("{place}[]"))))
        }
        StepKind::Repeat(block) => {
            let condition = match &block.condition {
                RepeatCondition::Until(condition) => format!("until {}", text_of(condition)),
                RepeatCondition::While(condition) => format!("while {}", text_of(condition)),
            };
            Part::Frame(
                format!("{}: repeat {condition}", step.id),
                Box::new(column(&block.steps, &format!("{place}[]"))),
            )
        }
        StepKind::Try(block) => {
            let mut rows = vec![(None, column(&block.body, place))];
            rows.extend(block.catches.iter().map(|catch| {
                (
                    Some(format!("catch {}", catch.errors.join(", "))),
                    column(&catch.steps, &below(place, "catch")),
                )
            }));
            let mut parts = vec![Part::Row(rows)];
            if !block.finally.is_empty() {
                parts.push(Part::Frame(
                    "finally".to_owned(),
                    Box::new(column(&block.finally, &below(place, "finally"))),
                ));
            }
            Part::Frame(format!("{}: try", step.id), Box::new(Part::Column(parts)))
        }
        StepKind::Wait(Wait::For(time)) => leaf(step, place, format!("wait {}", text_of(time)), Look::Timer),
        StepKind::Wait(Wait::Until(time)) => leaf(step, place, format!("wait until {}", text_of(time)), Look::Timer),
        StepKind::Callback(_) => leaf(step, place, "callback", Look::Timer),
        StepKind::WaitFor(wait) => match &wait.what {
            Awaited::Event { event, .. } => leaf(step, place, format!("wait for event {event}"), Look::Timer),
            Awaited::Signal(signal) => leaf(step, place, format!("wait for signal {signal}"), Look::Timer),
        },
        StepKind::Emit(emit) => leaf(step, place, format!("emit {}", emit.event), Look::Data),
        StepKind::Respond(_) => leaf(step, place, "respond", Look::Data),
        StepKind::Approve(approve) => leaf(step, place, format!("approve: {}", text_of(&approve.what)), Look::Timer),
        StepKind::Workflow { name, .. } => leaf(step, place, format!("workflow {name}"), Look::Workflow),
        StepKind::Set(names) => {
            let names: Vec<_> = names.iter().map(|(name, _)| name.as_str()).collect();
            leaf(step, place, format!("set {}", names.join(", ")), Look::Data)
        }
        StepKind::Return(_) => leaf(step, place, "return", Look::End),
        StepKind::Fail { error, .. } => leaf(step, place, format!("fail {}", text_of(error)), Look::End),
    };
    match &step.when {
        Some(when) => Part::Optional(format!("if {}", text_of(when)), Box::new(inner)),
        None => inner,
    }
}

/// A template in a few words: its constant, or its first expression.
fn text_of(template: &Template) -> String {
    if let Some(constant) = template.constant() {
        return constant.as_str().map_or_else(|| constant.to_string(), str::to_owned);
    }
    let first = template.expressions().next();
    first
        .map(|(_, _, expression)| expression.source().split_whitespace().collect::<Vec<_>>().join(" "))
        .unwrap_or_default()
}

fn join_name(join: Join) -> String {
    match join {
        Join::WaitAll => "wait for all".to_owned(),
        Join::WaitAny => "wait for any".to_owned(),
        Join::FirstSuccess => "first success".to_owned(),
        Join::Quorum(count) => format!("quorum of {count}"),
        Join::Settle => "settle all".to_owned(),
    }
}

fn gather_name(gather: &Gather) -> String {
    match gather {
        Gather::All => "all".to_owned(),
        Gather::First => "first".to_owned(),
        Gather::Majority => "majority".to_owned(),
        Gather::Merge => "merge".to_owned(),
        Gather::BestPrice => "best price".to_owned(),
        Gather::Min(by) => format!("least {}", text_of(by)),
        Gather::Max(by) => format!("greatest {}", text_of(by)),
        Gather::Expression(by) => text_of(by),
    }
}

fn duration(duration: Duration) -> String {
    format!("{duration:?}")
}

/// At most `most` characters, with `...` where something was left out.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(3)).chain("...".chars()).collect()
}
