//! What can be done to an execution: a button each, with a sheet for what has to be said.

use bowline_host::{Approval, Execution, StepState};
use maud::{Markup, html};
use serde_json::json;

use super::Shown;
use crate::frame::Frame;
use crate::pages::approvals;
use crate::parts::{address, json};

pub(super) fn actions(frame: &Frame, shown: &Shown<'_>) -> Markup {
    if !frame.may_operate {
        return html! {};
    }
    let execution = shown.execution;
    let can = execution.can;
    html! {
        @for approval in shown.approvals { (approve(frame, approval)) }
        div.actions {
            @if can.signal { (signal(frame, execution)) }
            @if can.resume { (resume(frame, shown)) }
            @if can.retry { (retry(frame, execution)) (rerun(frame, execution)) }
            @if can.pause { (sheet(frame, execution, ("pause", "Pause", ""), &reason())) }
            @if can.unpause {
                form method="post" action=(action(execution, "unpause")) { (frame.hidden()) button.main { "Go on" } }
            }
            @if can.cancel { (sheet(frame, execution, ("cancel", "Cancel", "risky"), &reason())) }
            @if can.delete && frame.may_deploy {
                (sheet(frame, execution, ("delete", "Delete", "risky"), &html! {
                    p { "The execution, its history and its results are gone for good." }
                }))
            }
        }
    }
}

fn action(execution: &Execution, name: &str) -> String {
    format!("{}/{name}", address::execution(&execution.summary.id))
}

fn reason() -> Markup {
    html! { label { "Reason, for the history" input name="reason" maxlength="500"; } }
}

/// A button that opens a form. `(name, title, class)`: the action, its title, the class of the button that does it.
fn sheet(frame: &Frame, execution: &Execution, (name, title, class): (&str, &str, &str), fields: &Markup) -> Markup {
    html! {
        details.action id={ "action-" (name) } {
            summary class={ "button " (class) } { (title) }
            div.sheet {
                form.form method="post" action=(action(execution, name)) {
                    (frame.hidden())
                    (fields)
                    div.buttons { button class={ "main " (class) } { (title) " this execution" } }
                }
            }
        }
    }
}

fn signal(frame: &Frame, execution: &Execution) -> Markup {
    let awaited: Vec<&str> = execution
        .steps
        .iter()
        .filter(|step| step.state == StepState::Waiting)
        .filter_map(|step| step.waits_for.as_ref().filter(|waits| waits.kind == "signal"))
        .filter_map(|waits| waits.name.as_deref())
        .collect();
    let fields = html! {
        label { "Name" input name="name" required value=(awaited.first().unwrap_or(&"")) spellcheck="false"; }
        @if awaited.len() > 1 { p.hint { "It waits for: " (awaited.join(", ")) } }
        label { "Data, as JSON" textarea name="data" data-json rows="5" placeholder="null" spellcheck="false" {} }
    };
    sheet(frame, execution, ("signal", "Signal", ""), &fields)
}

fn resume(frame: &Frame, shown: &Shown<'_>) -> Markup {
    let own = shown.execution.summary.version;
    let fields = html! {
        p.hint { "It goes on where it failed; what is done stays done." }
        label { "On version" select name="on" {
            option value="" { "Its own" }
            @for version in shown.versions.iter().filter(|version| Some(**version) != own) {
                option value=(version) { (version) }
            }
        } }
        (reason())
    };
    sheet(frame, shown.execution, ("resume", "Resume", "main"), &fields)
}

fn retry(frame: &Frame, execution: &Execution) -> Markup {
    let fields = html! {
        p.hint { "A new execution with the same input. What was done is taken over, up to the step from which on everything is done again." }
        label { "From step" select name="from" {
            option value="" { "Whatever was not done" }
            @for step in execution.steps.iter().filter(|step| step.asked_at.is_some() && step.compensates.is_none()) {
                option value=(step.path) { (step.path) }
            }
        } }
        (reason())
    };
    sheet(frame, execution, ("retry", "Retry", ""), &fields)
}

fn rerun(frame: &Frame, execution: &Execution) -> Markup {
    let fields = html! {
        p.hint { "A new execution from the top." }
        label { "Input, as JSON"
            textarea name="input" data-json rows="10" spellcheck="false" {
                @if let Some(input) = &execution.input { (json::pretty(input)) }
            }
        }
        @if execution.input.is_none() { p.hint { "The input is large. Leave this empty to take it as it is." } }
        (reason())
    };
    sheet(frame, execution, ("rerun", "Run again", ""), &fields)
}

fn approve(frame: &Frame, approval: &Approval) -> Markup {
    html! {
        section.panel aria-label={ "Approval " (approval.path) } {
            div.inside { (approvals::form(frame, approval, &address::execution(&approval.execution), None)) }
        }
    }
}

/// A value for a form made of a schema: what its fields are called.
pub(crate) fn example(schema: Option<&serde_json::Value>) -> serde_json::Value {
    let fields = schema.and_then(|schema| schema.get("properties")?.as_object());
    let Some(fields) = fields else {
        return json!({});
    };
    let value = |schema: &serde_json::Value| {
        if let Some(default) = schema.get("default").or_else(|| schema.get("example")) {
            return default.clone();
        }
        match schema.get("type").and_then(serde_json::Value::as_str) {
            Some("string") => json!(""),
            Some("number" | "integer") => json!(0),
            Some("boolean") => json!(false),
            Some("array") => json!([]),
            Some("object") => example(Some(schema)),
            _ => json!(null),
        }
    };
    fields
        .iter()
        .map(|(name, schema)| (name.clone(), value(schema)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_has_the_fields_of_the_schema() {
        let schema = json!({"properties": {"a": {"type": "string"}, "b": {"type": "integer", "default": 7}, "c": {}}});
        assert_eq!(example(Some(&schema)), json!({"a": "", "b": 7, "c": null}));
        assert_eq!(example(None), json!({}));
    }
}
