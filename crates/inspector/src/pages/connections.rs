//! Connections of deployed workflows, each with a test.

use bowline_host::{ConnectionReport, ConnectionView};
use maud::{Markup, html};

use crate::frame::{Frame, Section};
use crate::parts::address;
use crate::parts::chip::{self, chip};
use crate::parts::icon::Icon;
use crate::parts::table::{empty, table};

/// The connections; `tested` is what a test just found, with the workflow and the name of its connection.
pub fn page(frame: &Frame, connections: &[ConnectionView], tested: Option<(&str, &str, &ConnectionReport)>) -> String {
    let headings = [
        ("Connection", false),
        ("Type", false),
        ("Leads to", false),
        ("Workflow", false),
        ("State", false),
        ("Test", true),
    ];
    let rows: Vec<_> = connections.iter().map(|one| row(frame, one, tested)).collect();
    let body = html! {
        div.head { h1 { "Connections" } }
        section.panel aria-label="Connections" {
            @if rows.is_empty() { (empty("No connections", &html! { "Deployed workflows declare them under " code { "connections" } "." })) }
            @else { (table("Connections", &headings, &rows)) }
        }
    };
    frame.page(Some(Section::Connections), "Connections", None, &body)
}

fn row(frame: &Frame, one: &ConnectionView, tested: Option<(&str, &str, &ConnectionReport)>) -> Vec<Markup> {
    let report = tested.filter(|(workflow, name, _)| *workflow == one.workflow && *name == one.name);
    vec![
        html! { strong { (one.name) } },
        chip::plain(&one.kind),
        html! { @if let Some(target) = &one.target { code { (target) } } },
        html! { a href=(address::workflow(&one.workflow)) { (one.workflow) } },
        html! {
            @if !one.missing.is_empty() { (chip("failed", Icon::Warning, "Incomplete")) p.small { "Not set: " (one.missing.join(", ")) } }
            @if let Some((_, _, report)) = report { div role="status" { (found(report)) } }
        },
        html! { @if one.testable && frame.may_operate {
            form method="post" action="/ui/connections/test" {
                (frame.hidden())
                input type="hidden" name="workflow" value=(one.workflow);
                input type="hidden" name="name" value=(one.name);
                button.small { "Test" span.hidden-text { " " (one.name) " of " (one.workflow) } }
            }
        } @else if !one.testable { span.soft.small { "no test" } } },
    ]
}

fn found(report: &ConnectionReport) -> Markup {
    let (class, sign, word) = match (report.ok, report.reachable) {
        (true, _) => ("done", Icon::Tick, "Works"),
        (false, true) => ("failed", Icon::Warning, "Answers, and refuses"),
        (false, false) => ("failed", Icon::Cross, "Not reachable"),
    };
    html! {
        (chip(class, sign, word))
        p.small { (report.message) " " span.soft { "(" (report.took_ms) " ms)" }
            @if let Some(code) = &report.code { " " code { (code) } } }
    }
}
