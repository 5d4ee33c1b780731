//! Steps: nodes and control blocks.

use std::sync::Arc;
use std::time::Duration;

use bowline_expression::Template;

use super::{Approve, CallbackPlan, Emit, Location, NodePlan, Respond, UnknownOutcome, WaitFor};

/// One step of a workflow.
#[derive(Clone, Debug)]
pub struct Step {
    /// The name under which its result is read and journaled. Its own `id`, else the name of the node it
    /// refers to, else its type and its place in its list, from 1 (`http-request-2`). Unique among all that
    /// can be read at this place; steps of different branches of a `switch` may share one.
    pub id: String,
    /// Where it stands.
    pub location: Location,
    /// What people wrote about it.
    pub description: Option<String>,
    /// The step is skipped unless this is true. Anything but a boolean is an error of the step.
    pub when: Option<Template>,
    /// What it does.
    pub kind: StepKind,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum StepKind {
    /// Calls a connector.
    Node(Arc<NodePlan>),
    /// Does several things at once. The result is an object: branch name to result.
    Parallel {
        /// At least one.
        branches: Vec<Branch>,
        /// When the block is done.
        join: Join,
    },
    /// Asks several nodes the same thing and makes one answer of theirs.
    ScatterGather(ScatterGather),
    /// Actions in order, undone in reverse when one fails.
    Saga(Saga),
    /// The first case whose condition is true. The result is that of the last step that ran.
    Switch {
        /// At least one.
        cases: Vec<Case>,
        /// When no case is true; empty does nothing.
        default: Vec<Step>,
    },
    /// The same steps for every item of a list. The result is the list of their results, in order.
    ForEach(ForEach),
    /// The same steps again and again. The result is that of the last round.
    Repeat(Repeat),
    /// Steps with error handling. The result is that of the last step of the body or the catch that ran.
    Try(Try),
    /// A durable timer.
    Wait(Wait),
    /// Waits for a callback. The result is what it brings.
    Callback(Arc<CallbackPlan>),
    /// Waits for an event or a signal. The result is what came: `{type, key, data, source, at}`, or `{name, data}`.
    WaitFor(WaitFor),
    /// Emits an event.
    Emit(Emit),
    /// Waits for the approval of people. The result is their answer.
    Approve(Box<Approve>),
    /// Answers whoever started the workflow and waits.
    Respond(Respond),
    /// Another workflow as a step.
    Workflow {
        /// Its name.
        name: String,
        /// Its input. `None` gives an empty object.
        input: Option<Template>,
        /// Whether its end is awaited.
        mode: ChildMode,
    },
    /// Sets variables, in order; each may read those before it. Other names than steps' ids.
    Set(Vec<(String, Template)>),
    /// Ends the workflow with this result, or with its `output` where there is none here.
    Return(Option<Template>),
    /// Ends the workflow (or the enclosing `try`) with an error.
    Fail {
        /// The error's code: text. Permanent.
        error: Template,
        /// The error's message: text.
        message: Option<Template>,
    },
}

impl StepKind {
    /// The word that the document uses for it, such as `parallel`, or the connector of a node.
    pub fn name(&self) -> &str {
        match self {
            Self::Node(node) => &node.connector,
            Self::Parallel { .. } => "parallel",
            Self::ScatterGather(_) => "scatter",
            Self::Saga(_) => "saga",
            Self::Switch { .. } => "switch",
            Self::ForEach(_) => "forEach",
            Self::Repeat(_) => "repeat",
            Self::Try(_) => "try",
            Self::Wait(_) => "wait",
            Self::Callback(_) => "callback",
            Self::WaitFor(_) => "waitFor",
            Self::Emit(_) => "emit",
            Self::Approve(_) => "approve",
            Self::Respond(_) => "respond",
            Self::Workflow { .. } => "workflow",
            Self::Set(_) => "set",
            Self::Return(_) => "return",
            Self::Fail { .. } => "fail",
        }
    }
}

/// One branch of `parallel`.
#[derive(Clone, Debug)]
pub struct Branch {
    /// The `id` of its step where it is a single one, else `branch-1`, `branch-2`, ...
    pub name: String,
    /// Run in order; never empty. The branch's result is that of the last one.
    pub steps: Vec<Step>,
}

/// When a `parallel` is done. What is still running then is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Join {
    /// When all succeeded; the first failure fails the block (`wait-all`, the default).
    #[default]
    WaitAll,
    /// When one has ended, well or badly (`wait-any`).
    WaitAny,
    /// When one succeeded; fails when all failed (`first-success`).
    FirstSuccess,
    /// When so many succeeded; fails as soon as that cannot happen any more (`quorum: 2`). At least 1 and
    /// at most the number of branches.
    Quorum(usize),
    /// When all have ended; never fails, the result tells how each ended (`settle`).
    Settle,
}

/// `scatter` and `gather`.
#[derive(Clone, Debug)]
pub struct ScatterGather {
    /// Node steps, run at the same time. At least one.
    pub nodes: Vec<Step>,
    /// How one answer is made of theirs.
    pub strategy: Gather,
    /// What has not answered by then counts as failed and is listed. `None` waits for each node's own limits.
    pub timeout: Option<Duration>,
}

/// How `gather` makes one answer of several.
#[derive(Clone, Debug)]
pub enum Gather {
    /// The list of all successful answers (`all`).
    All,
    /// The first successful answer; the others are cancelled (`first`).
    First,
    /// The answer that more than half of the nodes gave; an error where there is none (`majority`).
    Majority,
    /// One object of all answers that are objects, later nodes over earlier ones (`merge`).
    Merge,
    /// The answer with the lowest price: `price`, `total` or `amount` of the answer's body or of the answer
    /// itself (`best-price`).
    BestPrice,
    /// The answer for which this is lowest; reads `result` (`min: "${result.body.price}"`).
    Min(Template),
    /// The answer for which this is highest; reads `result`.
    Max(Template),
    /// Any expression over `results` (successful answers in the order of the nodes) and `failures`.
    Expression(Template),
}

/// `saga`.
#[derive(Clone, Debug)]
pub struct Saga {
    /// In order; never empty.
    pub steps: Vec<SagaStep>,
}

/// An action and what undoes it.
#[derive(Clone, Debug)]
pub struct SagaStep {
    /// What is done.
    pub action: Step,
    /// What undoes it, in case a later action fails.
    pub compensation: Option<Arc<Step>>,
}

/// One case of `switch`.
#[derive(Clone, Debug)]
pub struct Case {
    /// Taken when true. Anything but a boolean is an error.
    pub when: Template,
    /// Never empty.
    pub steps: Vec<Step>,
}

/// `forEach`.
#[derive(Clone, Debug)]
pub struct ForEach {
    /// A list. Anything else is an error; nothing at all is an empty list.
    pub items: Template,
    /// The name of the loop variable; `item` by default.
    pub as_name: String,
    /// The name of the index, which counts from 0; `index` by default.
    pub index_name: String,
    /// How many items are worked on at once; at least 1, which is the default.
    pub concurrency: usize,
    /// Never empty.
    pub steps: Vec<Step>,
    /// What a failed item does.
    pub on_item_error: OnItemError,
}

/// What a failed item of `forEach` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnItemError {
    /// It fails the block (the default).
    #[default]
    Fail,
    /// Its place in the list of results holds `{error: ...}`.
    Collect,
    /// It is left out of the list of results.
    Skip,
}

/// `repeat`.
#[derive(Clone, Debug)]
pub struct Repeat {
    /// When it goes on.
    pub condition: RepeatCondition,
    /// The most rounds, 1000 by default. When they are used up and the condition still says to go on, the
    /// block fails with `repeat.exhausted`.
    pub max: u64,
    /// The pause between two rounds: a durable timer. None by default.
    pub delay: Option<Duration>,
    /// Never empty.
    pub steps: Vec<Step>,
}

/// When `repeat` goes on.
#[derive(Clone, Debug)]
pub enum RepeatCondition {
    /// Asked after each round; true ends it. May read the results of the round.
    Until(Template),
    /// Asked before each round; false ends it.
    While(Template),
}

/// `try`.
#[derive(Clone, Debug)]
pub struct Try {
    /// Never empty.
    pub body: Vec<Step>,
    /// The first that matches is taken.
    pub catches: Vec<Catch>,
    /// Run in any case, last. Its failure is the block's.
    pub finally: Vec<Step>,
}

/// One entry of `catch`.
#[derive(Clone, Debug)]
pub struct Catch {
    /// Names of errors, with `*`; see [`bowline_core::StepError::matches`]. `["*"]` where none were given.
    pub errors: Vec<String>,
    /// The name of the error inside; `error` by default.
    pub as_name: String,
    /// May be empty: the error is then taken note of and the workflow goes on.
    pub steps: Vec<Step>,
}

/// `wait`.
#[derive(Clone, Debug)]
pub enum Wait {
    /// A duration: milliseconds, or text in the notation of [`bowline_connector::Millis`].
    For(Template),
    /// A moment: RFC 3339 text, or milliseconds since 1970.
    Until(Template),
}

/// Whether the end of a child workflow is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ChildMode {
    /// Its result is the step's result, its failure the step's failure (the default).
    #[default]
    Wait,
    /// The step's result is `{executionId}`; the child goes on by itself.
    Detach,
}

impl Step {
    /// Calls `visit` for this step and for every step inside it, in the order of the document.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        visit(self);
        self.each_child(&mut |child| child.walk(visit));
    }

    /// Calls `visit` for every step directly inside this one.
    pub fn each_child<'a>(&'a self, visit: &mut dyn FnMut(&'a Self)) {
        match &self.kind {
            StepKind::Node(node) => {
                node.compensation.iter().for_each(|step| visit(step));
                if let UnknownOutcome::Verify(step) = &node.unknown_outcome {
                    visit(step);
                }
            }
            StepKind::Parallel { branches, .. } => branches.iter().flat_map(|branch| &branch.steps).for_each(visit),
            StepKind::ScatterGather(block) => block.nodes.iter().for_each(visit),
            StepKind::Saga(saga) => {
                for step in &saga.steps {
                    visit(&step.action);
                    if let Some(compensation) = &step.compensation {
                        visit(compensation);
                    }
                }
            }
            StepKind::Switch { cases, default } => {
                cases.iter().flat_map(|case| &case.steps).chain(default).for_each(visit);
            }
            StepKind::ForEach(block) => block.steps.iter().for_each(visit),
            StepKind::Repeat(block) => block.steps.iter().for_each(visit),
            StepKind::Try(block) => block
                .body
                .iter()
                .chain(block.catches.iter().flat_map(|catch| &catch.steps))
                .chain(&block.finally)
                .for_each(visit),
            StepKind::Wait(_)
            | StepKind::Callback(_)
            | StepKind::WaitFor(_)
            | StepKind::Emit(_)
            | StepKind::Approve(_)
            | StepKind::Respond(_)
            | StepKind::Workflow { .. }
            | StepKind::Set(_)
            | StepKind::Return(_)
            | StepKind::Fail { .. } => {}
        }
    }
}
