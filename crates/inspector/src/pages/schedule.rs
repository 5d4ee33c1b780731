//! Making a schedule, and changing one that was made here or through the API: with a look at its next times before it is
//! kept.

use maud::{Markup, html};

use crate::frame::{Frame, Section};
use crate::parts::icon::{Icon, icon};
use crate::parts::{address, time};

/// What is in the form, as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// Whether there is a schedule of this name that is changed.
    pub is_change: bool,
    /// Its name.
    pub name: String,
    /// The workflow that it starts.
    pub workflow: String,
    /// Cron expressions, one a line.
    pub cron: String,
    /// A distance, such as `15m`.
    pub every: String,
    /// What moves `every`.
    pub phase: String,
    /// Moments, one a line.
    pub at: String,
    /// The time zone.
    pub timezone: String,
    /// Cron expressions of what is left out, one a line.
    pub exclude: String,
    /// Nothing is due before.
    pub start: String,
    /// Nothing is due after.
    pub end: String,
    /// So many starts at most.
    pub limit: String,
    /// What becomes of a fire while an execution of the one before still runs.
    pub overlap: String,
    /// How late it may start.
    pub catch_up: String,
    /// By how much starts are spread.
    pub jitter: String,
    /// How long the ledger is kept.
    pub keep: String,
    /// A failure pauses it.
    pub pause_on_failure: bool,
    /// What the workflow is started with, as JSON.
    pub input: String,
    /// For people.
    pub description: String,
}

/// What was found out about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Checked {
    /// Nothing yet.
    #[default]
    Not,
    /// It cannot be kept.
    Wrong {
        /// Why, in a sentence.
        message: String,
        /// Everything that is wrong.
        problems: Vec<String>,
    },
    /// It can.
    Good {
        /// When it is due, in words.
        words: String,
        /// Its next times, as RFC 3339 text.
        next: Vec<String>,
    },
}

/// What may happen while an execution of the time before still runs, with words.
const OVERLAPS: [(&str, &str); 6] = [
    ("skip", "Start nothing"),
    ("bufferOne", "Let one start wait"),
    ("bufferAll", "Let all starts wait"),
    ("cancelOther", "Cancel the running one, then start"),
    ("terminateOther", "Cancel the running one, start at once"),
    ("allow", "Start beside it"),
];

/// The page.
pub fn page(frame: &Frame, draft: &Draft, workflows: &[String], checked: &Checked) -> String {
    let title = if draft.is_change {
        format!("Change {}", draft.name)
    } else {
        "Make a schedule".to_owned()
    };
    let is_good = matches!(checked, Checked::Good { .. });
    let body = html! {
        p.crumbs {
            a href="/ui/schedules" { "Schedules" }
            @if draft.is_change { " / " a href=(address::schedule(&draft.name)) { (draft.name) } }
        }
        div.head { h1 { (title) } }
        (found(checked))
        form.form.narrow method="post" action="/ui/schedules" {
            (frame.hidden())
            section.panel aria-label="Schedule" { div.inside.form { (fields(draft, workflows)) } }
            div.buttons {
                button.main[!is_good] name="action" value="check" { "Show the next times" }
                button.main[is_good] name="action" value="keep" { @if draft.is_change { "Keep the change" } @else { "Make it" } }
            }
        }
    };
    frame.page(Some(Section::Schedules), &title, None, &body)
}

fn found(checked: &Checked) -> Markup {
    match checked {
        Checked::Not => html! {},
        Checked::Wrong { message, problems } => html! {
            div.note.bad role="alert" { (icon(Icon::Warning)) div {
                p { strong { (message) } }
                @if !problems.is_empty() { ul { @for problem in problems { li { (problem) } } } }
            } }
        },
        Checked::Good { words, next } => html! {
            div.note.why role="status" { (icon(Icon::Clock)) div {
                p { strong { "Due: " } (words) }
                @if next.is_empty() { p { "It will never be due." } }
                @else { ol.times { @for at in next { li { (time::exact(at)) " " span.soft { "(" (time::relative(at)) ")" } } } } }
            } }
        },
    }
}

fn fields(draft: &Draft, workflows: &[String]) -> Markup {
    let has_more = [
        &draft.every,
        &draft.phase,
        &draft.at,
        &draft.exclude,
        &draft.start,
        &draft.end,
        &draft.limit,
        &draft.jitter,
    ]
    .iter()
    .any(|text| !text.is_empty())
        || draft.pause_on_failure;
    html! {
        @if draft.is_change { input type="hidden" name="change" value="yes"; input type="hidden" name="name" value=(draft.name); }
        @else { label { "Name" input name="name" required maxlength="200" value=(draft.name) placeholder="daily-report" spellcheck="false"; } }
        label { "Workflow that it starts"
            select name="workflow" required {
                option value="" { "Choose" }
                @for name in workflows { option value=(name) selected[*name == draft.workflow] { (name) } }
            }
        }
        div.pair {
            (line("cron", "Cron expression", &draft.cron, "30 7 * * MON-FRI", "Minute, hour, day, month, day of the week; seconds may stand in front. One a line."))
            (text("timezone", "Time zone", &draft.timezone, "UTC", "An IANA name such as Europe/Oslo."))
        }
        details.more open[has_more] {
            summary { "Other ways to say when, and limits" }
            div.pair {
                (text("every", "Every", &draft.every, "15m", "In place of cron: at every full quarter of an hour."))
                (text("phase", "Moved by", &draft.phase, "10m", "Moves “every” by this much."))
                (line("at", "At these moments", &draft.at, "2027-01-15T08:00:00+01:00", "One a line, each once."))
                (line("exclude", "Never at", &draft.exclude, "* * 24-26 12 *", "Cron expressions of what is left out."))
                (text("start", "Not before", &draft.start, "2027-01-01T00:00:00Z", ""))
                (text("end", "Not after", &draft.end, "2027-12-31T23:59:59Z", ""))
                (text("limit", "Starts at most", &draft.limit, "", "Empty: no limit."))
                (text("jitter", "Spread by", &draft.jitter, "30s", "Starts up to this much later."))
                label { "When an execution fails" select name="pauseOnFailure" {
                    option value="" { "Go on" }
                    option value="true" selected[draft.pause_on_failure] { "Pause the schedule" }
                } }
            }
        }
        div.pair {
            label { "While the execution before still runs" select name="overlap" {
                @for (name, words) in OVERLAPS { option value=(name) selected[name == draft.overlap] { (words) } }
            } }
            (text("catchUp", "Start late by at most", &draft.catch_up, "1h", "After a stop of the server; what is later is recorded as missed."))
        }
        input type="hidden" name="keep" value=(draft.keep);
        label { "Input, as JSON (optional)"
            textarea.short name="input" data-json rows="4" spellcheck="false" placeholder="{ \"scheduledAt\": … }" { "\n" (draft.input) }
            span.hint { "Empty: when it was due, which number it is, and so on." }
        }
        label { "Description (optional)" input name="description" maxlength="1000" value=(draft.description); }
    }
}

fn text(name: &str, title: &str, value: &str, placeholder: &str, hint: &str) -> Markup {
    html! { label { (title)
        input name=(name) value=(value) placeholder=(placeholder) spellcheck="false" autocomplete="off";
        @if !hint.is_empty() { span.hint { (hint) } }
    } }
}

/// A field for one line or several.
fn line(name: &str, title: &str, value: &str, placeholder: &str, hint: &str) -> Markup {
    let rows = value.lines().count().max(1);
    html! { label { (title)
        textarea.line name=(name) rows=(rows) placeholder=(placeholder) spellcheck="false" { "\n" (value) }
        span.hint { (hint) }
    } }
}
