//! From a tree to a plan: names are resolved, templates compiled, settings brought into one form.
//!
//! The checker has looked at the shape of everything before; what is here reports only what a shape cannot
//! tell. Every function gives `None` (or leaves something out) where there is a problem and goes on with the
//! rest, so that all problems come out at once. A plan is given only when there is none.

mod blocks;
mod branches;
mod children;
mod document;
mod names;
mod node;
mod output;
mod outside;
mod policy;
mod scope;
mod steps;
mod template;
mod trigger;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bowline_connector::Registry;
use bowline_expression::nearest;
use indexmap::IndexMap;

use crate::codes;
use crate::cursor::Cursor;
use crate::plan::{ConnectionPlan, Plan};
use crate::problem::Problems;
use crate::report::{Report, plain};
use crate::schema::{Checker, Configs, Mode, definition, language};
use crate::source::Source;
use crate::tree::{Fault, FaultKind, Lines, Position, parse};

pub(crate) use steps::KEYS as STEP_KEYS;

use outside::CallbackRead;
use scope::Scope;
use template::Unresolved;

/// What is known beside the documents.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The workflows that may be started as steps, each with the names of those that it starts itself.
    /// `None`: not known, so that any name is taken (it is looked up when the step runs).
    pub workflows: Option<BTreeMap<String, Vec<String>>>,
    /// The names that several workflows of the folder have, each with their files. It is a problem where this
    /// workflow has one of these names, or starts one of them.
    pub twins: BTreeMap<String, Vec<String>>,
}

/// The most values that references to named nodes may add to a workflow.
const MAX_COPIED: usize = 1_000_000;

/// Makes the plan of a workflow.
///
/// # Errors
/// Everything that is wrong with the workflow and the shared file, at most [`Problems::MOST`].
pub fn load(source: Source, registry: &Registry, options: &LoadOptions) -> Result<Plan, Problems> {
    let mut files: Vec<Arc<str>> = vec![Arc::from(source.file.as_str())];
    files.extend(source.shared.as_ref().map(|shared| Arc::from(shared.file.as_str())));
    let mut report = Report::new(files);

    let root = read(&source.text, 0, &mut report);
    let shared = source
        .shared
        .as_ref()
        .and_then(|shared| read_shared(&shared.text, &mut report));
    let Some(root) = root else { return Err(failed(report)) };

    let lines = std::iter::once(&source.text).chain(source.shared.as_ref().map(|shared| &shared.text));
    let mut lowering = Lowering {
        registry,
        options,
        lines: lines.map(|text| Lines::new(text)).collect(),
        report,
        configs: Configs::default(),
        scope: Scope::default(),
        unresolved: Vec::new(),
        permissive: false,
        compensating: false,
        verifying: false,
        callback_ids: BTreeSet::new(),
        callback_reads: Vec::new(),
        own_id: None,
        named: IndexMap::new(),
        connections: BTreeMap::new(),
        connection_retries: HashMap::new(),
        defaults: HashMap::new(),
        input_fields: None,
        name: String::new(),
        copied: 0,
    };
    let parts = lowering.document(&root, shared.as_ref(), &source);
    lowering.report_unresolved();
    lowering.report_callbacks();
    let report = lowering.report;
    match parts {
        Some(parts) if report.count() == 0 => Ok(Plan(Arc::new(parts))),
        _ => Err(failed(report)),
    }
}

/// The problems; if there are none although there is no plan, that is one.
fn failed(mut report: Report) -> Problems {
    if report.count() == 0 {
        let start = Position {
            file: 0,
            line: 1,
            column: 1,
        };
        let message = "the workflow could not be read, and the reason is not known";
        report.add(codes::INTERNAL, start, &crate::cursor::Path::default(), message, plain);
    }
    match report.finish() {
        Err(problems) => problems,
        Ok(()) => Problems(Vec::new()),
    }
}

/// The value of a document that stands by itself.
pub(crate) fn document(text: &str) -> Result<serde_json::Value, Problems> {
    let mut report = Report::new(vec![Arc::from("(document)")]);
    match read(text, 0, &mut report) {
        Some(root) => Ok(root.node.to_value()),
        None => Err(failed(report)),
    }
}

fn read(text: &str, file: u8, report: &mut Report) -> Option<Cursor> {
    match parse(text, file) {
        Ok(node) => Some(Cursor::root(node)),
        Err(Fault {
            kind,
            at,
            message,
            hint,
        }) => {
            let code = match kind {
                FaultKind::Syntax => codes::SYNTAX,
                FaultKind::TooLarge => codes::TOO_LARGE,
                FaultKind::DuplicateKey => codes::DUPLICATE_FIELD,
                FaultKind::Unsupported => codes::UNSUPPORTED_YAML,
                FaultKind::Number => codes::NUMBER,
                FaultKind::Empty => codes::NOT_A_WORKFLOW,
            };
            report.add(code, at, &crate::cursor::Path::default(), message, |problem| {
                problem.hint_if(hint)
            });
            None
        }
    }
}

/// An empty shared file shares nothing.
fn read_shared(text: &str, report: &mut Report) -> Option<Cursor> {
    if let Err(Fault {
        kind: FaultKind::Empty, ..
    }) = parse(text, 1)
    {
        return None;
    }
    let root = read(text, 1, report)?;
    Checker::new(language(), Mode::Language, report).check(&root, definition("SharedDocument"));
    Some(root)
}

/// A shared file by itself: what is in it, if anything is, and what does not fit the language.
pub(crate) fn shared(file: &str, text: &str) -> Result<(Option<Cursor>, Option<Problems>), Problems> {
    // Places say that they are of the second file.
    let mut report = Report::new(vec![Arc::from(""), Arc::from(file)]);
    let root = read_shared(text, &mut report);
    match report.finish() {
        Err(problems) if root.is_none() => Err(problems),
        finished => Ok((root, finished.err())),
    }
}

/// The state of making one plan.
struct Lowering<'a> {
    registry: &'a Registry,
    options: &'a LoadOptions,
    /// The texts, by [`Position::file`].
    lines: Vec<Lines<'a>>,
    report: Report,
    configs: Configs,
    scope: Scope,
    unresolved: Vec<Unresolved>,
    /// Whether any name may be read: where it is not known from where a node will be used.
    permissive: bool,
    /// Whether what is lowered undoes something; it is not undone itself.
    compensating: bool,
    /// Whether what is lowered finds out about another step.
    verifying: bool,
    /// The steps that `callbacks` has.
    callback_ids: BTreeSet<String>,
    callback_reads: Vec<CallbackRead>,
    /// The id of the step whose node is lowered next.
    own_id: Option<String>,
    named: IndexMap<String, Cursor>,
    connections: BTreeMap<String, ConnectionPlan>,
    /// `retryPolicy` of connections, by name.
    connection_retries: HashMap<String, Cursor>,
    /// Settings of the shared file, by connector.
    defaults: HashMap<String, Cursor>,
    /// The fields that the input can have, where its schema says so.
    input_fields: Option<Vec<String>>,
    /// The workflow's name.
    name: String,
    copied: usize,
}

impl Lowering<'_> {
    /// A name of a workflow that several files of the folder have.
    fn check_twins(&mut self, name: &str, cursor: &Cursor) {
        if let Some(files) = self.options.twins.get(name) {
            let message = format!(
                "{} workflows of this folder are called `{name}`: {}",
                files.len(),
                files.join(", ")
            );
            self.report.at(codes::AMBIGUOUS_WORKFLOW, cursor, message, |problem| {
                problem.hint("give one of them another `name`, or remove the file that is not used")
            });
        }
    }

    /// A name that nothing defines.
    fn unknown_name<'n>(
        &mut self,
        code: codes::Code,
        cursor: &Cursor,
        what: &str,
        name: &str,
        known: impl Iterator<Item = &'n str> + Clone,
        otherwise: &str,
    ) {
        let near = nearest(name, known.clone()).map(|near| format!("did you mean `{near}`?"));
        let mut listed: Vec<&str> = known.take(20).collect();
        listed.sort_unstable();
        let expected = (!listed.is_empty()).then(|| format!("one of: {}", listed.join(", ")));
        let hint = near.unwrap_or_else(|| otherwise.to_owned());
        self.report.at(
            code,
            cursor,
            format!("there is no {what} called `{name}`"),
            |mut problem| {
                problem.expected = expected;
                problem.hint(hint)
            },
        );
    }
}
