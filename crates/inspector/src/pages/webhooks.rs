//! The inbox of webhooks: endpoints, what was delivered to them, and one delivery whole.

use maud::{Markup, html};

use crate::frame::{Frame, Section};
use crate::parts::chip::{self, chip};
use crate::parts::icon::Icon;
use crate::parts::live::part;
use crate::parts::table::{empty, table};
use crate::parts::{address, json, time};

/// An endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name: what deliveries are listed under.
    pub name: String,
    /// The path it answers at.
    pub path: String,
    /// The methods it takes.
    pub methods: Vec<String>,
    /// How a delivery proves where it comes from, such as `stripe`; empty for not at all.
    pub authentication: String,
    /// The workflow that it starts.
    pub workflow: String,
    /// What keeps it from taking anything: a secret that is not set, a path that another one has.
    pub problems: Vec<String>,
}

/// A delivery as a list shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// The endpoint.
    pub endpoint: String,
    /// When it came, as RFC 3339 text.
    pub at: String,
    /// `started`, `filtered` or `refused`.
    pub state: String,
    /// Why it was not taken.
    pub reason: String,
    /// The id that its source gave it.
    pub source: String,
    /// The execution that it started.
    pub execution: Option<String>,
    /// Bytes of its body.
    pub bytes: u64,
}

/// What is searched for among deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Only those of this endpoint; empty for all.
    pub endpoint: String,
    /// `accepted` or `refused`; empty for both.
    pub state: String,
}

/// A delivery, whole.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Whole {
    /// What a list shows of it.
    pub delivery: Delivery,
    /// `POST /webhooks/orders?x=1`.
    pub request: String,
    /// Headers with their values; secrets masked.
    pub headers: Vec<(String, String)>,
    /// The body as text; none where it is no text, or too large to show.
    pub body: Option<String>,
    /// How the sender was verified.
    pub authentication: String,
    /// What could be done about it, where it was refused.
    pub hint: String,
    /// What of the body does not fit.
    pub problems: Vec<String>,
    /// Whether it can be played again.
    pub can_replay: bool,
}

/// Endpoints and what was delivered to them, newest first. `next` is where the following page begins.
pub fn list(frame: &Frame, endpoints: &[Endpoint], asked: &Asked, found: &[Delivery], next: Option<&str>) -> String {
    let body = html! {
        div.head { h1 { "Webhooks" } }
        section.panel aria-labelledby="endpoints-title" {
            header { h2 id="endpoints-title" { "Endpoints" } }
            (endpoint_list(endpoints))
        }
        section.panel aria-labelledby="inbox-title" {
            header { h2 id="inbox-title" { "Inbox" } span.soft { "Stored before they are answered" } }
            form.inside.search method="get" action="/ui/webhooks" {
                label { "Endpoint" select name="endpoint" {
                    option value="" { "Any" }
                    @for one in endpoints { option value=(one.name) selected[one.name == asked.endpoint] { (one.name) } }
                } }
                label { "Which" select name="state" {
                    @for (name, shown) in [("", "All"), ("accepted", "Accepted"), ("refused", "Refused")] {
                        option value=(name) selected[name == asked.state] { (shown) }
                    }
                } }
                div.buttons { button type="submit" { "Show" } }
            }
            (part("inbox", &deliveries(asked, found, next)))
        }
    };
    frame.page(Some(Section::Webhooks), "Webhooks", Some("/ui/live/executions"), &body)
}

fn endpoint_list(endpoints: &[Endpoint]) -> Markup {
    let headings = [
        ("Endpoint", false),
        ("Address", false),
        ("Proof", false),
        ("Starts", false),
        ("State", false),
    ];
    let rows: Vec<_> = endpoints
        .iter()
        .map(|one| {
            vec![
                html! { a href=(address::query("/ui/webhooks", &[("endpoint", &one.name)])) { strong { (one.name) } } },
                html! { span.soft.small { (one.methods.join(", ")) } " " code { (one.path) } },
                html! { @if one.authentication.is_empty() { (chip("waiting", Icon::Warning, "none")) } @else { (one.authentication) } },
                html! { a href=(address::workflow(&one.workflow)) { (one.workflow) } },
                html! {
                    @if one.problems.is_empty() { (chip("done", Icon::Tick, "Open")) }
                    @else { (chip("failed", Icon::Warning, "Needs attention")) }
                    @for problem in &one.problems { p.small { (problem) } }
                },
            ]
        })
        .collect();
    html! {
        @if rows.is_empty() { (empty("No endpoints", &html! { "A workflow with a " code { "webhook-trigger" } " has one." })) }
        @else { (table("Endpoints", &headings, &rows)) }
    }
}

fn deliveries(asked: &Asked, found: &[Delivery], next: Option<&str>) -> Markup {
    let headings = [
        ("Came", false),
        ("State", false),
        ("Delivery", false),
        ("Endpoint", false),
        ("Id of the source", false),
        ("Execution", false),
    ];
    let rows: Vec<_> = found.iter().map(row).collect();
    html! {
        @if rows.is_empty() { (empty("Nothing was delivered", &html! { "Deliveries are shown here as they come, accepted or not." })) }
        @else { (table("Deliveries, newest first", &headings, &rows)) }
        @if let Some(next) = next {
            nav.pages aria-label="Pages" {
                a.button.small rel="next" href=(address::query("/ui/webhooks", &[("endpoint", &asked.endpoint), ("state", &asked.state), ("cursor", next)])) { "Older" }
            }
        }
    }
}

fn row(one: &Delivery) -> Vec<Markup> {
    vec![
        time::relative(&one.at),
        html! { (state(&one.state)) @if !one.reason.is_empty() { p.small { (one.reason) } } },
        html! { a.mono href=(own(one)) title=(one.id) { (address::short(&one.id)) } },
        html! { (one.endpoint) },
        html! { @if !one.source.is_empty() { code { (one.source) } } },
        html! { @if let Some(id) = &one.execution { a.mono href=(address::execution(id)) title=(id) { (address::short(id)) } } },
    ]
}

fn own(one: &Delivery) -> String {
    format!(
        "/ui/webhooks/{}/{}",
        address::encoded(&one.endpoint),
        address::encoded(&one.id)
    )
}

fn state(word: &str) -> Markup {
    match word {
        "started" => chip("done", Icon::Tick, "Started"),
        "refused" => chip("failed", Icon::Cross, "Refused"),
        "filtered" => chip("skipped", Icon::Dash, "Filtered"),
        other => chip::plain(other),
    }
}

/// One delivery.
pub fn page(frame: &Frame, whole: &Whole) -> String {
    let one = &whole.delivery;
    let headings = [("Header", false), ("Value", false)];
    let rows: Vec<_> = whole
        .headers
        .iter()
        .map(|(name, value)| vec![html! { code { (name) } }, html! { code { (value) } }])
        .collect();
    let body = html! {
        p.crumbs { a href="/ui/webhooks" { "Webhooks" } " / " a href=(address::query("/ui/webhooks", &[("endpoint", &one.endpoint)])) { (one.endpoint) } }
        div.head { h1 { "Delivery" } (state(&one.state)) }
        div.sub {
            span { code { (one.id) } }
            span { "Came " (time::exact(&one.at)) }
            @if !whole.authentication.is_empty() { span { "Authentication " (whole.authentication) } }
            @if !one.source.is_empty() { span { "Its source calls it " code { (one.source) } } }
            @if let Some(id) = &one.execution { span { "Started " a href=(address::execution(id)) { (address::short(id)) } } }
        }
        @if !one.reason.is_empty() {
            div.note.bad { div { p { (one.reason) } @if !whole.hint.is_empty() { p { (whole.hint) } } @if !whole.problems.is_empty() { ul { @for problem in &whole.problems { li { (problem) } } } } } }
        }
        @if whole.can_replay && frame.may_operate {
            div.actions {
                form method="post" action={ (own(one)) "/replay" } { (frame.hidden()) button.main { "Replay" } }
                @if one.state == "refused" {
                    details.action id="action-unverified" {
                        summary.button.risky { "Take it all the same" }
                        div.sheet { form.form method="post" action={ (own(one)) "/replay" } {
                            (frame.hidden())
                            input type="hidden" name="unverified" value="yes";
                            p { "It was refused for the reason above. Take it only if you know that it is genuine." }
                            div.buttons { button.risky { "Take it unverified" } }
                        } }
                    }
                }
            }
        }
        section.panel aria-labelledby="request-title" {
            header { h2 id="request-title" { "Request" } code { (whole.request) } }
            (table("Headers", &headings, &rows))
        }
        section.panel aria-labelledby="body-title" {
            header { h2 id="body-title" { "Body" } span.soft { (one.bytes) " bytes, as it came" } }
            div.inside {
                @match &whole.body {
                    Some(body) => (json::text("Body", body)),
                    None => { p.soft { "It is no text, or too large to be shown." } }
                }
            }
        }
    };
    frame.page(Some(Section::Webhooks), "Delivery", None, &body)
}
