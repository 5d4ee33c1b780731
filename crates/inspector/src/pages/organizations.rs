//! The organizations of the server, for those who may act in all of them.

use maud::{Markup, html};

use crate::frame::Frame;
use crate::parts::chip::{self, chip};
use crate::parts::icon::Icon;
use crate::parts::table::table;
use crate::parts::time;

/// An organization as the list shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Organization {
    /// Its name.
    pub name: String,
    /// What it is called.
    pub title: String,
    /// When it was made, as RFC 3339 text; none for the one that is always there.
    pub created: Option<String>,
    /// Its keys are not accepted.
    pub is_disabled: bool,
}

/// All organizations, with a way into each.
pub fn page(frame: &Frame, organizations: &[Organization]) -> String {
    let headings = [
        ("Organization", false),
        ("State", false),
        ("Made", false),
        ("Go there", true),
    ];
    let rows: Vec<_> = organizations.iter().map(|one| row(frame, one)).collect();
    let body = html! {
        div.head { h1 { "Organizations" } }
        p.sub { "Pages show the organization that you are in, and what you do is done there. The audit log of each names you." }
        section.panel aria-label="Organizations" { (table("Organizations", &headings, &rows)) }
        p.hint { "The API makes others: " code { "POST /api/v1/organizations" } "." }
    };
    frame.page(None, "Organizations", None, &body)
}

fn row(frame: &Frame, one: &Organization) -> Vec<Markup> {
    let is_here = one.name == frame.organization;
    vec![
        html! { strong { (one.name) } @if one.title != one.name { p.small.soft { (one.title) } } },
        html! {
            @if is_here { (chip("running", Icon::House, "You are here")) }
            @else if one.is_disabled { (chip("cancelled", Icon::Stop, "Disabled")) }
            @else { (chip::plain("Open")) }
        },
        html! { @if let Some(at) = &one.created { (time::relative(at)) } @else { span.soft { "always there" } } },
        html! { @if !is_here && !one.is_disabled {
            form method="post" action="/ui/organizations" {
                (frame.hidden())
                button.small name="to" value=(one.name) { "Go to " (one.name) }
            }
        } },
    ]
}
