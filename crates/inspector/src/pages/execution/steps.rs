//! The list of steps. What went into a step and came out of it is loaded when it is opened.

use bowline_host::{Execution, StepView, WaitsFor};
use maud::{Markup, html};

use super::graph::anchor;
use crate::pages::step::{address, attempts};
use crate::parts::icon::{Icon, icon};
use crate::parts::{chip, time};

pub(super) fn steps(execution: &Execution) -> Markup {
    if execution.steps.is_empty() {
        return html! { div.inside { p.soft { "Nothing has been asked for yet." } } };
    }
    html! {
        ol.steps {
            @for (index, step) in execution.steps.iter().enumerate() { (entry(&execution.summary.id, index, step)) }
        }
        @if execution.steps_omitted > 0 {
            div.inside { p.hint { (execution.steps_omitted) " older steps are not shown; the history has them." } }
        }
    }
}

fn entry(execution: &str, index: usize, step: &StepView) -> Markup {
    let anchor = anchor(index);
    // As long as this is the same, what was loaded still holds.
    let stands = format!("{} {}", step.state.name(), step.attempts.len());
    html! {
        li id=(anchor) {
            details.step id={ (anchor) "-more" } data-stands=(stands) {
                summary {
                    span.name { (icon(Icon::Right)) (step.path) }
                    (chip::state(step.state.name()))
                    span.what { (what(step)) }
                }
                div.inside {
                    @if step.asked_at.is_some() { (attempts(step)) }
                    div data-load=(address(execution, &step.path)) {
                        a href=(address(execution, &step.path)) { "Show input and output" }
                    }
                }
            }
        }
    }
}

/// One line about a step.
fn what(step: &StepView) -> Markup {
    html! {
        (step.kind)
        @if let Some(of) = &step.compensates { " · undoes " (of) }
        @if step.kept { " · kept from the execution it was made from" }
        @if let Some(event) = &step.emitted { " · " (event) }
        @if let Some(child) = &step.child { " · " (child.workflow) }
        @if let Some(waits) = &step.waits_for { (awaited(waits)) }
        @if let Some(due) = &step.due { " · until " (time::exact(due)) }
        @if let Some(error) = &step.error { " · " code { (error.code) } }
    }
}

fn awaited(waits: &WaitsFor) -> Markup {
    html! {
        @if let Some(name) = &waits.name { " · " (name) }
        @if let Some(key) = &waits.key { " · reference " code { (key) } }
    }
}
