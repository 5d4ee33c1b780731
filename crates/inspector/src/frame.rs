//! What is around every page: head, navigation, who is there, and what was just done.

use maud::{DOCTYPE, Markup, html};

use crate::assets::version;
use crate::parts::icon::{Icon, icon};

/// The places in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Executions.
    Executions,
    /// Workflows.
    Workflows,
    /// Schedules.
    Schedules,
    /// Webhooks.
    Webhooks,
    /// Callbacks.
    Callbacks,
    /// Approvals.
    Approvals,
    /// Connections.
    Connections,
    /// The audit log.
    Audit,
}

const SECTIONS: [(Section, &str, &str, Icon); 8] = [
    (Section::Executions, "Executions", "/ui/executions", Icon::Play),
    (Section::Workflows, "Workflows", "/ui/workflows", Icon::Branch),
    (Section::Schedules, "Schedules", "/ui/schedules", Icon::Clock),
    (Section::Webhooks, "Webhooks", "/ui/webhooks", Icon::Inbox),
    (Section::Callbacks, "Callbacks", "/ui/callbacks", Icon::Return),
    (Section::Approvals, "Approvals", "/ui/approvals", Icon::Stamp),
    (Section::Connections, "Connections", "/ui/connections", Icon::Plug),
    (Section::Audit, "Audit log", "/ui/audit", Icon::Book),
];

/// What is said at the top of a page, about what was just done.
#[derive(Clone, Debug)]
pub enum Notice {
    /// It was done.
    Good(String),
    /// It was not: why, and what to do about it.
    Bad {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// Everything that is wrong, where that is a list.
        problems: Vec<String>,
    },
}

/// Who looks at a page, and where they are.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// The organization whose data is shown.
    pub organization: String,
    /// Who is there, as the audit log names them.
    pub who: String,
    /// Whether there is a session that can be ended.
    pub can_leave: bool,
    /// The organization that this person comes from; none for those who cannot go to others.
    pub home: Option<String>,
    /// The token that every form sends along.
    pub token: String,
    /// Makes a form of this page one that is taken once, however often it is sent.
    pub once: String,
    /// Whether this person may change executions (role operator).
    pub may_operate: bool,
    /// Whether this person may change workflows, schedules and keys (role deployer).
    pub may_deploy: bool,
    /// What was just done.
    pub notice: Option<Notice>,
    /// Approvals that wait for somebody; shown in the navigation.
    pub approvals: usize,
}

impl Frame {
    /// A whole document. `live` is the address of the stream that says when to look again.
    pub(crate) fn page(&self, section: Option<Section>, title: &str, live: Option<&str>, body: &Markup) -> String {
        let content = html! {
            a.skip href="#main" { "Skip to the content" }
            header.top {
                a.brand href="/ui/executions" { (icon(Icon::Knot)) span { "Bowline" } }
                div.who {
                    span.live role="status" {}
                    (self.place())
                    span { (self.who) }
                    button.plain type="button" data-help { "Keyboard" }
                    @if self.can_leave {
                        form method="post" action="/ui/logout" { (self.hidden()) button.plain { "Log out" } }
                    }
                }
            }
            nav.menu aria-label="Main" { ul {
                @for (own, name, address, sign) in SECTIONS {
                    li { a href=(address) aria-current=[(section == Some(own)).then_some("page")] {
                        (icon(sign)) span { (name) }
                        @if own == Section::Approvals && self.approvals > 0 {
                            span.count { (self.approvals) span.hidden-text { " open" } }
                        }
                    } }
                }
            } }
            main id="main" tabindex="-1" {
                (self.said())
                (body)
            }
            (help())
        };
        document(title, live, None, Some(&self.organization), &content)
    }

    /// A document without navigation, for who is not known yet.
    pub(crate) fn alone(title: &str, body: &Markup) -> String {
        document(title, None, Some("alone"), None, &html! { main id="main" { (body) } })
    }

    /// The hidden fields that every form needs. The organization stands in it because another page of the same browser
    /// may have gone to another one.
    pub(crate) fn hidden(&self) -> Markup {
        html! {
            input type="hidden" name="form-token" value=(self.token);
            input type="hidden" name="organization" value=(self.organization);
            input type="hidden" name="once" value=(self.once);
        }
    }

    /// The organization, and the way to others.
    fn place(&self) -> Markup {
        let organization = html! { span.hidden-text { "Organization " } (icon(Icon::House)) (self.organization) };
        let Some(home) = &self.home else {
            let is_told = !["", "default"].contains(&self.organization.as_str());
            return html! { @if is_told { span.place { (organization) } } };
        };
        let is_away = self.organization != *home;
        html! {
            a.place.away[is_away] href="/ui/organizations" { (organization) }
            @if is_away {
                form method="post" action="/ui/organizations" {
                    (self.hidden())
                    button.plain name="to" value=(home) { "Back to " (home) }
                }
            }
        }
    }

    fn said(&self) -> Markup {
        notice(self.notice.as_ref())
    }
}

pub(crate) fn notice(notice: Option<&Notice>) -> Markup {
    match notice {
        None => html! {},
        Some(Notice::Good(text)) => html! {
            div.note.good role="status" { (icon(Icon::Tick)) p { (text) } }
        },
        Some(Notice::Bad {
            message,
            hint,
            problems,
        }) => html! {
            div.note.bad role="alert" { (icon(Icon::Warning)) div {
                p { strong { (message) } }
                @if let Some(hint) = hint { p { (hint) } }
                @if !problems.is_empty() { ul { @for problem in problems { li { (problem) } } } }
            } }
        },
    }
}

fn document(
    title: &str,
    live: Option<&str>,
    class: Option<&str>,
    organization: Option<&str>,
    content: &Markup,
) -> String {
    let version = version();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) " · Bowline" }
                link rel="icon" type="image/svg+xml" href={ "/ui/assets/bowline.svg?v=" (version) };
                link rel="stylesheet" href={ "/ui/assets/app.css?v=" (version) };
                script type="module" src={ "/ui/assets/app.js?v=" (version) } {}
            }
            body class=[class] data-live=[live] data-organization=[organization] { (content) }
        }
    }
    .into_string()
}

fn help() -> Markup {
    let keys = [
        ("/", "Search"),
        ("j", "Next row"),
        ("k", "Row before"),
        ("Enter", "Open the row"),
        (
            "g e",
            "Executions; g w: workflows; g s: schedules; g h: webhooks; g c: callbacks; g a: approvals; g n: connections",
        ),
        ("Esc", "Close what is open"),
        ("?", "This help"),
    ];
    html! {
        dialog id="help" aria-labelledby="help-title" {
            h2 id="help-title" { "Keyboard" }
            dl.facts { @for (key, what) in keys { dt { kbd { (key) } } dd { (what) } } }
            form method="dialog" { button { "Close" } }
        }
    }
}
