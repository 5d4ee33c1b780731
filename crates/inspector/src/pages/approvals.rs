//! What people are asked to decide.

use std::collections::BTreeMap;

use bowline_host::{Approval, Page, answers};
use maud::{Markup, html};

use crate::fields::{Begin, fields};
use crate::frame::{Frame, Section};
use crate::parts::live::part;
use crate::parts::table::empty;
use crate::parts::{address, time};

/// The open approvals.
pub fn page(frame: &Frame, open: &Page<Approval>) -> String {
    let body = html! {
        div.head { h1 { "Approvals" } }
        (part("approvals", &html! {
            @if open.items.is_empty() {
                section.panel { (empty("Nobody is asked for anything", &html! { "An " code { "approve" } " step puts its question here." })) }
            }
            @for approval in &open.items {
                section.panel aria-label={ "Approval " (approval.path) " of " (approval.workflow) } {
                    div.inside {
                        @if frame.may_operate { (form(frame, approval, "/ui/approvals", None)) }
                        @else { (question(approval)) }
                    }
                }
            }
            @if let Some(next) = &open.next {
                nav aria-label="Pages" { a.button.small href=(address::query("/ui/approvals", &[("cursor", next)])) rel="next" { "More" } }
            }
        }))
    };
    frame.page(
        Some(Section::Approvals),
        "Approvals",
        Some("/ui/live/executions"),
        &body,
    )
}

fn question(approval: &Approval) -> Markup {
    html! {
        h2 { (approval.what.as_deref().unwrap_or(&approval.path)) }
        p.sub {
            span { a href=(address::execution(&approval.execution)) { (approval.workflow) " " (address::short(&approval.execution)) } }
            span { "Step " code { (approval.path) } }
            span { "Asked " (time::relative(&approval.opened_at)) }
            @if let Some(until) = &approval.until { span { "Until " (time::exact(until)) } }
            @if !approval.who.is_empty() { span { "Of " (approval.who.join(", ")) } }
            @if let Some(quorum) = &approval.quorum { span { "Quorum " (quorum) } }
        }
    }
}

/// One approval whose answer was not taken, with what was written; the frame says why. `back` is the page that it was
/// answered on.
pub fn again(frame: &Frame, approval: &Approval, back: &str, typed: &BTreeMap<String, String>) -> String {
    let body = html! {
        div.head { h1 { "Approval" } }
        section.panel aria-label={ "Approval " (approval.path) } {
            div.inside { (form(frame, approval, back, Some(typed))) }
        }
    };
    frame.page(Some(Section::Approvals), "Approval", None, &body)
}

/// The question, and the form that answers it. `back` is the page to come back to, `typed` what somebody has written
/// before, by the names of the fields.
pub(crate) fn form(frame: &Frame, approval: &Approval, back: &str, typed: Option<&BTreeMap<String, String>>) -> Markup {
    let needed = approval.form.as_ref().map(answers::needed).unwrap_or_default();
    let begin = typed.map_or(Begin::Default, Begin::Typed);
    let own = fields(approval.form.as_ref(), &EVERY_ANSWER, &needed, &begin);
    let before = |name: &str| typed.and_then(|typed| typed.get(name));
    let comment_needed = needed.iter().any(|name| name == "comment");
    html! {
        (question(approval))
        form.form method="post" action={ (address::execution(&approval.execution)) "/approve" } {
            (frame.hidden())
            input type="hidden" name="path" value=(approval.path);
            input type="hidden" name="back" value=(back);
            @if approval.quorum.is_some() {
                label { "On behalf of" select name="by" {
                    option value="" { (frame.who) }
                    @for who in &approval.who { option value=(who) selected[before("by") == Some(who)] { (who) } }
                } }
            }
            @if let Some(own) = &own { (own) }
            label { "Comment" @if !comment_needed { " (optional)" }
                input name="comment" maxlength="1000" required[comment_needed] value=[before("comment")];
            }
            div.buttons {
                button.main name="decision" value="approve" { "Approve" }
                // Who rejects need not fill in what approving needs.
                button.risky name="decision" value="reject" formnovalidate { "Reject" }
            }
        }
    }
}

/// What every answer has, and the page asks for by itself.
const EVERY_ANSWER: [&str; 3] = ["approved", "by", "comment"];
