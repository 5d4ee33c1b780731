//! One execution: where it stands and why, its graph beside the timeline of its attempts, steps, history, and what can be
//! done to it.

mod actions;
mod graph;
mod history;
mod steps;
mod timeline;

use bowline_flow::Plan;
use bowline_host::{Approval, ErrorView, Execution, HistoryEvent, Page, Status, StepState};
use maud::{Markup, html};

use crate::frame::{Frame, Section};
use crate::pages::executions::{reason, short_list};
use crate::parts::icon::{Icon, icon};
use crate::parts::live::part;
use crate::parts::words::sentence;
use crate::parts::{address, chip, json, time};

pub(crate) use actions::example;

/// What the page shows.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The execution.
    pub execution: &'a Execution,
    /// What it runs; none where this program can no longer read that.
    pub plan: Option<&'a Plan>,
    /// A part of its history.
    pub history: &'a Page<HistoryEvent>,
    /// Where that part begins; 0 is the beginning.
    pub history_from: u64,
    /// Its open approvals.
    pub approvals: &'a [Approval],
    /// The versions of its workflow that it can be resumed on, newest first.
    pub versions: &'a [u32],
    /// Now, in milliseconds since the Unix epoch.
    pub now: i64,
}

/// The page of an execution.
pub fn page(frame: &Frame, shown: &Shown<'_>) -> String {
    let execution = shown.execution;
    let id = &execution.summary.id;
    let body = html! {
        p.crumbs { a href="/ui/executions" { "Executions" } }
        (part("head", &head(shown)))
        (part("actions", &actions::actions(frame, shown)))
        div.columns.halves {
            section.panel aria-labelledby="graph-title" {
                header { h2 id="graph-title" { "Graph" } }
                (part("graph", &graph::graph(shown)))
            }
            div {
                section.panel aria-labelledby="timeline-title" {
                    header { h2 id="timeline-title" { "Timeline of attempts" } }
                    (part("timeline", &timeline::timeline(execution, shown.now)))
                }
                section.panel aria-labelledby="steps-title" {
                    header { h2 id="steps-title" { "Steps" } span.soft { "Open one to see what went in and what came out" } }
                    (part("steps", &steps::steps(execution)))
                }
            }
        }
        (part("values", &values(execution)))
        section.panel aria-labelledby="history-title" {
            header { h2 id="history-title" { "History" } span.soft { "Every event, as it was recorded" } }
            (part("history", &history::history(execution, shown.history, shown.history_from)))
        }
    };
    let live = format!("/ui/live{}", address::execution(id).trim_start_matches("/ui"));
    let title = format!("{} {}", execution.summary.workflow, address::short(id));
    // What has ended changes no more.
    let live = (!execution.summary.status.is_finished()).then_some(live);
    frame.page(Some(Section::Executions), &title, live.as_deref(), &body)
}

fn head(shown: &Shown<'_>) -> Markup {
    let execution = shown.execution;
    let summary = &execution.summary;
    let began = time::millis(&summary.started_at);
    let ended = summary.finished_at.as_deref().map_or(Some(shown.now), time::millis);
    let took = began.zip(ended).map(|(began, ended)| ended - began);
    html! {
        div.head { h1 { (summary.workflow) } (chip::state(summary.status.name())) }
        div.sub {
            span { code { (summary.id) } }
            span { a href=(address::workflow(&summary.workflow)) {
                @match summary.version { Some(version) => { "Version " (version) } None => "Its workflow" }
            } }
            span { "Started " (time::relative(&summary.started_at)) }
            @if let Some(took) = took {
                span.number { @if summary.finished_at.is_some() { "Took " } @else { "Under way for " } (time::duration(took)) }
            }
            @if let Some(parent) = &summary.parent { span { a href=(address::execution(parent)) { "Started by " (address::short(parent)) } } }
            @if let Some(origin) = &summary.origin { span { a href=(address::execution(origin)) { "Made from " (address::short(origin)) } } }
        }
        @if summary.status != Status::Succeeded && !execution.why.line.is_empty() {
            div.note.why { (icon(Icon::Question)) div {
                p { strong { "Why: " } (sentence(reason(&execution.why.line, &execution.summary))) }
                @if let Some(at) = failed_at(execution) {
                    p { "Failed at " a href={ "#" (graph::anchor(at)) } { (execution.steps[at].path) } ", where it shows what went in and what came back." }
                }
                @if let Some(reason) = &execution.cancelling { p { "It is being cancelled: " (reason) } }
            } }
        }
    }
}

/// The step that made it fail, by its place in the list.
fn failed_at(execution: &Execution) -> Option<usize> {
    if execution.summary.status != Status::Failed {
        return None;
    }
    execution.steps.iter().rposition(|step| step.state == StepState::Failed)
}

fn values(execution: &Execution) -> Markup {
    let id = &execution.summary.id;
    html! {
        div.columns.halves {
            section.panel aria-labelledby="input-title" {
                header { h2 id="input-title" { "Input" } }
                div.inside { (value(id, "Input", execution.input.as_ref(), execution)) }
            }
            section.panel aria-labelledby="output-title" {
                header { h2 id="output-title" { @if execution.failure.is_some() { "Error" } @else { "Output" } } }
                div.inside {
                    @if let Some(failure) = &execution.failure { (error(failure)) }
                    @else { (value(id, "Output", execution.output.as_ref(), execution)) }
                }
            }
        }
        @if let Some(response) = &execution.response {
            section.panel aria-labelledby="response-title" {
                header { h2 id="response-title" { "Response" } span.soft { "Status " (response.status) } }
                div.inside { (json::value("Response", &response.body)) }
            }
        }
        @if !execution.children.is_empty() {
            section.panel aria-labelledby="children-title" {
                header { h2 id="children-title" { "Started by it" } }
                (short_list("Executions that it started", &execution.children))
            }
        }
    }
}

fn value(id: &str, label: &str, value: Option<&serde_json::Value>, execution: &Execution) -> Markup {
    let field = label.to_ascii_lowercase();
    let omitted = execution.omitted.iter().find(|omitted| omitted.field == field);
    html! {
        @if let Some(value) = value { (json::value(label, value)) }
        @else if let Some(omitted) = omitted {
            p { "It has " (omitted.bytes.div_ceil(1024)) " KiB. "
                a href={ (address::execution(id)) "/" (field) } { "Show it" } }
        }
        @else { p.soft { "None yet." } }
    }
}

/// An error with all that is known of it.
pub(crate) fn error(error: &ErrorView) -> Markup {
    html! {
        p { code { strong { (error.code) } } span.soft { " · " (error.kind) } }
        p { (sentence(&error.message)) }
        @if !error.causes.is_empty() {
            ul.small { @for cause in &error.causes { li { (cause) } } }
        }
        @if let Some(data) = &error.data { (json::value("What the service said", data)) }
    }
}
