//! The audit log.

use maud::html;

use crate::frame::{Frame, Section};
use crate::parts::chip::chip;
use crate::parts::icon::Icon;
use crate::parts::table::{empty, table};
use crate::parts::{address, time};

/// One change that somebody made, or tried to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// When, as RFC 3339 text.
    pub at: String,
    /// Who.
    pub who: String,
    /// From which address.
    pub from: String,
    /// What they did, such as `execution.cancel`.
    pub action: String,
    /// What it was done to.
    pub target: String,
    /// More about it, where there is more.
    pub detail: String,
    /// Whether it was done.
    pub done: bool,
}

/// A page of the log, newest first. `next` is where the following page begins.
pub fn page(frame: &Frame, changes: &[Change], next: Option<&str>) -> String {
    let headings = [
        ("When", false),
        ("Who", false),
        ("What", false),
        ("To what", false),
        ("Outcome", false),
        ("More", false),
    ];
    let rows: Vec<_> = changes
        .iter()
        .map(|one| {
            vec![
                html! { span.nowrap { (time::exact(&one.at)) } },
                html! { (one.who) @if !one.from.is_empty() { p.small.soft { (one.from) } } },
                html! { code { (one.action) } },
                html! { (one.target) },
                if one.done {
                    chip("done", Icon::Tick, "Done")
                } else {
                    chip("failed", Icon::Cross, "Refused")
                },
                html! { @if !one.detail.is_empty() { code.small { (one.detail) } } },
            ]
        })
        .collect();
    let body = html! {
        div.head { h1 { "Audit log" } }
        section.panel aria-label="Changes" {
            @if rows.is_empty() { (empty("No changes yet", &html! { "Whatever somebody changes is noted here." })) }
            @else { (table("Changes, newest first", &headings, &rows)) }
            @if let Some(next) = next {
                nav.pages aria-label="Pages" { a.button.small href=(address::query("/ui/audit", &[("cursor", next)])) rel="next" { "Older" } }
            }
        }
    };
    frame.page(Some(Section::Audit), "Audit log", None, &body)
}
