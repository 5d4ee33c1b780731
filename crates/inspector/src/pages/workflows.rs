//! The list of workflows.

use bowline_host::{Problem, WorkflowSummary};
use maud::{Markup, html};

use crate::frame::{Frame, Section};
use crate::parts::chip::{self, chip};
use crate::parts::icon::{Icon, icon};
use crate::parts::live::part;
use crate::parts::table::{empty, table};
use crate::parts::words::sentence;
use crate::parts::{address, time};

/// All workflows of the organization.
pub fn page(frame: &Frame, workflows: &[WorkflowSummary]) -> String {
    let headings = [
        ("Workflow", false),
        ("Version", false),
        ("State", false),
        ("Started by", false),
        ("Deployed", false),
        ("Executions", true),
    ];
    let rows: Vec<_> = workflows.iter().map(row).collect();
    let body = html! {
        div.head { h1 { "Workflows" }
            @if frame.may_deploy { a.button.main.end href="/ui/deploy" { (icon(Icon::Plus)) "Deploy a workflow" } }
        }
        (part("workflows", &html! {
            section.panel aria-label="Workflows" {
                @if rows.is_empty() {
                    (empty("No workflows", &html! {
                        "Put a file into the folder of workflows that the server was started with"
                        @if frame.may_deploy { ", or " a href="/ui/deploy" { "deploy one here" } } "."
                    }))
                } @else { (table("Workflows", &headings, &rows)) }
            }
        }))
    };
    frame.page(Some(Section::Workflows), "Workflows", Some("/ui/live/workflows"), &body)
}

fn row(one: &WorkflowSummary) -> Vec<Markup> {
    vec![
        html! {
            a href=(address::workflow(&one.name)) { strong { (one.name) } }
            @if let Some(description) = &one.description { p.small.soft { (description) } }
        },
        html! { @if let Some(version) = one.version { span.number { (version) } } @else { span.soft { "none" } } },
        html! {
            (state(one))
            @for problem in one.problems.iter().chain(&one.trigger_problems).take(1) { p.small.soft { (sentence(&problem_line(problem))) } }
        },
        html! { @for trigger in &one.triggers { (chip::plain(&trigger.kind)) " " } },
        html! { @if let Some(at) = &one.deployed_at { (time::relative(at)) } },
        html! { a href=(address::query("/ui/executions", &[("workflow", &one.name)])) { "Executions" span.hidden-text { " of " (one.name) } } },
    ]
}

/// Whether it can be started, and what is wrong with it.
pub(crate) fn state(one: &WorkflowSummary) -> Markup {
    let is_fine = one.problems.is_empty() && one.trigger_problems.is_empty() && one.missing.is_empty();
    html! {
        div.buttons {
            @if one.paused { (chip::state("paused")) }
            @if !one.problems.is_empty() {
                (chip("failed", Icon::Warning, if one.version.is_some() { "File broken, last good version runs" } else { "File broken" }))
            }
            @if one.withdrawn_at.is_some() { (chip("cancelled", Icon::Stop, "Out of use")) }
            @else {
                @if !one.trigger_problems.is_empty() { (chip("failed", Icon::Warning, "Needs attention")) }
                @if !one.missing.is_empty() { (chip("waiting", Icon::Warning, "Settings missing")) }
                @if !one.paused && is_fine { (chip("done", Icon::Tick, "Ready")) }
            }
        }
    }
}

/// A problem as one line, with its place.
pub(crate) fn problem_line(problem: &Problem) -> String {
    let place = match (problem.file.is_empty(), problem.line, problem.column) {
        (false, Some(line), Some(column)) => format!("{}:{line}:{column}: ", problem.file),
        (false, _, _) => format!("{}: ", problem.file),
        _ => String::new(),
    };
    let hint = problem
        .hint
        .as_ref()
        .map_or_else(String::new, |hint| format!(" ({hint})"));
    format!("{place}{}{hint}", problem.message)
}
