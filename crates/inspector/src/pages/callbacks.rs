//! Callbacks: those that executions wait for, and those that came and that nobody waits for.

use bowline_host::{KeptCallback, OpenCallback, Page};
use maud::{Markup, html};

use crate::frame::{Frame, Section};
use crate::parts::live::part;
use crate::parts::table::{empty, table};
use crate::parts::{address, chip, json, time};

/// Open callbacks and kept answers.
pub fn page(frame: &Frame, open: &Page<OpenCallback>, kept: &Page<KeptCallback>) -> String {
    let body = html! {
        div.head { h1 { "Callbacks" } }
        section.panel aria-labelledby="kept-title" {
            header { h2 id="kept-title" { "Unmatched" } span.soft { "They came, and nobody waits for them" } }
            (part("kept", &kept_list(frame, kept)))
        }
        section.panel aria-labelledby="open-title" {
            header { h2 id="open-title" { "Open" } span.soft { "Executions wait for them" } }
            (part("open", &open_list(frame, open)))
        }
    };
    frame.page(
        Some(Section::Callbacks),
        "Callbacks",
        Some("/ui/live/executions"),
        &body,
    )
}

fn open_list(frame: &Frame, open: &Page<OpenCallback>) -> Markup {
    let headings = [
        ("Execution", false),
        ("Step", false),
        ("Channel", false),
        ("Reference", false),
        ("Waits", false),
        ("Until", false),
        ("Answer", true),
    ];
    let rows: Vec<_> = open
        .items
        .iter()
        .map(|one| {
            vec![
                html! { a href=(address::execution(&one.execution)) title=(one.execution) { (one.workflow) " " span.mono { (address::short(&one.execution)) } } },
                html! { code { (one.path) } @if one.approval { " " (chip::plain("approval")) } },
                html! { @if let Some(name) = &one.name { (name) } },
                html! { @if let Some(reference) = &one.reference { code { (reference) } } },
                time::relative(&one.opened_at),
                html! { @if let Some(until) = &one.until { (time::exact(until)) } },
                html! { @if frame.may_operate && !one.approval { (answer(frame, one)) } },
            ]
        })
        .collect();
    html! {
        @if rows.is_empty() { (empty("No open callbacks", &html! { "No execution waits for an answer from outside." })) }
        @else { (table("Open callbacks", &headings, &rows)) }
        @if let Some(next) = &open.next {
            nav.pages aria-label="Pages of open callbacks" { a.button.small href=(address::query("/ui/callbacks", &[("cursor", next)])) rel="next" { "More" } }
        }
    }
}

fn answer(frame: &Frame, one: &OpenCallback) -> Markup {
    html! {
        details {
            summary { "Answer" span.hidden-text { " " (one.path) " of " (address::short(&one.execution)) } }
            form.form method="post" action="/ui/callbacks/answer" {
                (frame.hidden())
                input type="hidden" name="execution" value=(one.execution);
                input type="hidden" name="path" value=(one.path);
                label { "Body, as JSON" textarea name="body" data-json rows="4" required spellcheck="false" { "{}" } }
                div.buttons {
                    button.small.main name="outcome" value="succeeded" { "Deliver" }
                    button.small.risky name="outcome" value="failed" { "Deliver as an error" }
                }
            }
        }
    }
}

fn kept_list(frame: &Frame, kept: &Page<KeptCallback>) -> Markup {
    let headings = [
        ("Came", false),
        ("Channel", false),
        ("Reference", false),
        ("Why it is here", false),
        ("Kept until", false),
        ("Content", false),
        ("Actions", true),
    ];
    let rows: Vec<_> = kept.items.iter().map(|one| kept_row(frame, one)).collect();
    html! {
        @if rows.is_empty() { (empty("No unmatched callbacks", &html! { "Every answer that came found its execution." })) }
        @else { (table("Unmatched callbacks", &headings, &rows)) }
        @if let Some(next) = &kept.next {
            nav.pages aria-label="Pages of unmatched callbacks" { a.button.small href=(address::query("/ui/callbacks", &[("kept", next)])) rel="next" { "More" } }
        }
    }
}

fn kept_row(frame: &Frame, one: &KeptCallback) -> Vec<Markup> {
    vec![
        time::relative(&one.received_at),
        html! { @if let Some(name) = &one.name { (name) } },
        html! {
            @if let Some(reference) = &one.reference { code { (reference) } }
            @if let Some(execution) = &one.execution { " " a href=(address::execution(execution)) { (address::short(execution)) } }
        },
        html! { (one.why) @if one.answer == "failed" { " " (chip::state("failed")) } },
        time::exact(&one.expires_at),
        html! { @if let Some(body) = &one.body {
            details id={ "kept-" (one.id) } { summary { "Show" span.hidden-text { " callback " (one.id) } } (json::value("Content", body)) }
        } @else { span.soft { "large" } } },
        html! { @if frame.may_operate {
            div.buttons {
                details {
                    summary { "Deliver" span.hidden-text { " callback " (one.id) } }
                    form.form method="post" action={ "/ui/callbacks/kept/" (one.id) "/deliver" } {
                        (frame.hidden())
                        label { "To the callback that waits with this reference, or to this execution"
                            input name="to" placeholder="execution id" spellcheck="false";
                        }
                        label { "Step" input name="path" placeholder="path of the step" spellcheck="false"; }
                        button.small.main { "Deliver" }
                    }
                }
                form method="post" action={ "/ui/callbacks/kept/" (one.id) "/drop" } {
                    (frame.hidden()) button.small.risky { "Drop" span.hidden-text { " callback " (one.id) } }
                }
            }
        } },
    ]
}
