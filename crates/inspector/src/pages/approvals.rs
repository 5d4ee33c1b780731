//! What people are asked to decide.

use bowline_host::{Approval, Page};
use maud::{Markup, html};
use serde_json::Value;

use crate::frame::{Frame, Section};
use crate::pages::execution::example;
use crate::parts::live::part;
use crate::parts::table::empty;
use crate::parts::{address, json, time};

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
                        @if frame.may_operate { (form(frame, approval, "/ui/approvals")) }
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

/// The question, and the form that answers it. `back` is the page to come back to.
pub(crate) fn form(frame: &Frame, approval: &Approval, back: &str) -> Markup {
    let fields = own_fields(approval.form.as_ref());
    html! {
        (question(approval))
        form.form method="post" action={ (address::execution(&approval.execution)) "/approve" } {
            (frame.hidden())
            input type="hidden" name="path" value=(approval.path);
            input type="hidden" name="back" value=(back);
            @if approval.quorum.is_some() {
                label { "On behalf of" select name="by" {
                    option value="" { (frame.who) }
                    @for who in &approval.who { option value=(who) { (who) } }
                } }
            }
            @if let Some(fields) = &fields {
                label { "Fields, as JSON"
                    textarea name="form" data-json rows="5" spellcheck="false" { (json::pretty(fields)) }
                }
            }
            label { "Comment" input name="comment" maxlength="1000"; }
            div.buttons {
                button.main name="decision" value="approve" { "Approve" }
                button.risky name="decision" value="reject" { "Reject" }
            }
        }
    }
}

/// The fields of an answer besides those that every answer has and that the page asks for by itself; none where there are
/// none.
fn own_fields(form: Option<&Value>) -> Option<Value> {
    let mut fields = example(form);
    let own = fields.as_object_mut()?;
    for name in ["approved", "by", "comment"] {
        own.shift_remove(name);
    }
    let is_empty = own.is_empty();
    (!is_empty).then_some(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_every_answer_has_is_not_asked_for_twice() {
        let form = json!({"properties": {"limit": {"type": "number"}, "approved": {"type": "boolean"}, "by": {}}});
        assert_eq!(own_fields(Some(&form)), Some(json!({ "limit": 0 })));
        assert_eq!(own_fields(Some(&json!({"properties": {"comment": {}}}))), None);
        assert_eq!(own_fields(None), None);
    }
}
