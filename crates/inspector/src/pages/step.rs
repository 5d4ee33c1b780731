//! A step by itself: what went in and what came out. The page of the execution loads its content from here.

use bowline_host::{AttemptState, StepDetail, StepView};
use maud::{Markup, html};

use crate::frame::{Frame, Section};
use crate::pages::execution::error;
use crate::parts::table::table;
use crate::parts::{address, chip, json, time};

/// Where a step is shown.
pub(crate) fn address(execution: &str, path: &str) -> String {
    address::query(&format!("{}/step", address::execution(execution)), &[("path", path)])
}

/// The page of a step.
pub fn page(frame: &Frame, execution: &str, detail: &StepDetail) -> String {
    let body = html! {
        p.crumbs { a href="/ui/executions" { "Executions" } " / " a href=(address::execution(execution)) { (execution) } }
        div.head { h1 { (detail.step.path) } (chip::state(detail.step.state.name())) }
        div.sub { span { (detail.step.kind) } }
        section.panel aria-labelledby="values-title" { header { h2 id="values-title" { "What went in, and what came out" } } div.inside.form {
            @if detail.step.asked_at.is_some() { (attempts(&detail.step)) }
            (content(execution, detail))
        } }
    };
    frame.page(Some(Section::Executions), &detail.step.path, None, &body)
}

/// A value of an execution by itself, whole. `what` is `Input` or `Output`, `path` the step, if it is one's.
pub fn value_page(frame: &Frame, execution: &str, path: Option<&str>, what: &str, value: &serde_json::Value) -> String {
    let title = path.map_or_else(|| what.to_owned(), |path| format!("{what} of {path}"));
    let body = html! {
        p.crumbs { a href="/ui/executions" { "Executions" } " / " a href=(address::execution(execution)) { (execution) } }
        div.head { h1 { (title) } }
        section.panel { div.inside { pre.value tabindex="0" role="region" aria-label=(title) { (json::pretty(value)) } } }
    };
    frame.page(Some(Section::Executions), &title, None, &body)
}

/// Its attempts, where there is something to tell about them, and its error.
pub(crate) fn attempts(step: &StepView) -> Markup {
    let headings = [
        ("Attempt", false),
        ("State", false),
        ("Began", false),
        ("Took", false),
        ("Error", false),
    ];
    let rows: Vec<_> = step
        .attempts
        .iter()
        .map(|attempt| {
            let took = attempt
                .ended_at
                .as_deref()
                .and_then(|end| Some(time::millis(end)? - time::millis(&attempt.started_at)?));
            vec![
                html! { (attempt.number) @if let Some(most) = step.max_attempts { span.soft { " of " (most) } } },
                chip::state(match attempt.state {
                    AttemptState::Scheduled => "waiting",
                    AttemptState::Running => "running",
                    AttemptState::Done => "done",
                    AttemptState::Failed => "failed",
                    AttemptState::Cancelled => "cancelled",
                }),
                time::exact(&attempt.started_at),
                html! { @if let Some(took) = took { (time::duration(took)) } },
                html! { @if let Some(error) = &attempt.error { code { (error.code) } " " (error.message) } },
            ]
        })
        .collect();
    html! {
        @if !rows.is_empty() { div { h3 { "Attempts" } (table("Attempts", &headings, &rows)) } }
        @if let Some(own) = &step.error { div { h3 { "Error" } (error(own)) } }
        @if let Some(child) = &step.child {
            p { "It started " a href=(address::execution(&child.id)) { (child.workflow) " " (address::short(&child.id)) }
                @if child.detached { ", and nobody waits for that." } }
        }
        @if let Some(of) = &step.compensates { p { "It undoes " code { (of) } "." } }
    }
}

/// Input and output.
fn content(execution: &str, detail: &StepDetail) -> Markup {
    let whole = |field: &str| {
        let own = format!("{}/step/{field}", address::execution(execution));
        address::query(&own, &[("path", &detail.step.path)])
    };
    let side = |title: &str, field: &str, value: Option<&serde_json::Value>| {
        let omitted = detail.omitted.iter().find(|omitted| omitted.field == field);
        html! {
            div {
                h3 { (title) }
                @if let Some(value) = value { (json::value(title, value)) }
                @else if let Some(omitted) = omitted {
                    p { "It has " (omitted.bytes.div_ceil(1024)) " KiB. " a href=(whole(field)) { "Show it" } }
                }
                @else { p.soft { "None." } }
            }
        }
    };
    html! {
        div.form data-loaded {
            (side("Input", "input", detail.input.as_ref()))
            (side("Output", "output", detail.output.as_ref()))
        }
    }
}
