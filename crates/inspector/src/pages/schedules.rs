//! Schedules, and the ledger of each: one fate for every time that was due.

use maud::{Markup, html};

use crate::frame::{Frame, Section};
use crate::parts::chip::{self, chip};
use crate::parts::icon::{Icon, icon};
use crate::parts::live::part;
use crate::parts::table::{empty, table};
use crate::parts::{address, time};

/// A schedule as a list shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// The workflow that it starts.
    pub workflow: String,
    /// When it fires, in its own words: `30 7 * * MON-FRI`.
    pub when: Vec<String>,
    /// Its time zone; empty where it needs none.
    pub zone: String,
    /// The same in words.
    pub words: String,
    /// Whether it is in a workflow's file, and so cannot be changed here.
    pub is_of_file: bool,
    /// It does not fire until somebody lets it go on.
    pub paused: bool,
    /// Why it is paused.
    pub note: String,
    /// It will never fire again.
    pub over: bool,
    /// The next times, as RFC 3339 text.
    pub next: Vec<String>,
    /// What becomes of a fire while an execution of the one before still runs.
    pub overlap: String,
    /// Everything else that it says, with names: `catch-up window`, `jitter`.
    pub rules: Vec<(String, String)>,
    /// What is wrong with it at the moment.
    pub problem: Option<String>,
}

/// What became of a time that was due.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fire {
    /// When it was due, as RFC 3339 text.
    pub due: String,
    /// The last one, where this stands for several.
    pub until: Option<String>,
    /// How many it stands for.
    pub count: u64,
    /// `started`, `skipped`, `missed`, `buffered`, `dropped`, `filtered` or `failed`.
    pub fate: String,
    /// When that was decided.
    pub at: String,
    /// The execution that it started.
    pub execution: Option<String>,
    /// More about it.
    pub note: String,
}

/// The schedules of the organization.
pub fn list(frame: &Frame, schedules: &[Schedule]) -> String {
    let headings = [
        ("Schedule", false),
        ("Workflow", false),
        ("When", false),
        ("State", false),
        ("Next", false),
    ];
    let rows: Vec<_> = schedules
        .iter()
        .map(|one| {
            vec![
                html! { a href=(address::schedule(&one.name)) { strong { (one.name) } } },
                html! { a href=(address::workflow(&one.workflow)) { (one.workflow) } },
                when(one),
                state(one),
                html! { @if let Some(next) = one.next.first() { (time::relative(next)) } @else { span.soft { "never" } } },
            ]
        })
        .collect();
    let body = html! {
        div.head { h1 { "Schedules" }
            @if frame.may_deploy { a.button.main.end href="/ui/new-schedule" { (icon(Icon::Plus)) "Make a schedule" } }
        }
        (part("schedules", &html! { section.panel aria-label="Schedules" {
            @if rows.is_empty() {
                (empty("No schedules", &html! {
                    "A workflow has them under " code { "triggers" }
                    @if frame.may_deploy { ", or " a href="/ui/new-schedule" { "make one here" } } "."
                }))
            } @else { (table("Schedules", &headings, &rows)) }
        } }))
    };
    frame.page(
        Some(Section::Schedules),
        "Schedules",
        Some("/ui/live/executions"),
        &body,
    )
}

/// One schedule with its ledger, newest first. `next` is where the following page of the ledger begins.
pub fn page(frame: &Frame, one: &Schedule, fires: &[Fire], next: Option<&str>) -> String {
    let own = address::schedule(&one.name);
    let body = html! {
        p.crumbs { a href="/ui/schedules" { "Schedules" } }
        (part("head", &html! {
            div.head { h1 { (one.name) } (state(one)) }
            @if one.paused && !one.note.is_empty() { p.sub { "Paused: " (one.note) } }
            @if let Some(problem) = &one.problem { div.note.bad { p { (problem) } } }
        }))
        @if frame.may_operate { (actions(frame, one, &own)) }
        div.columns.halves {
            section.panel aria-labelledby="what-title" {
                header { h2 id="what-title" { "What it does" } }
                div.inside { dl.facts {
                    dt { "Starts" } dd { a href=(address::workflow(&one.workflow)) { (one.workflow) } }
                    dt { "When" } dd { (when(one)) @if !one.words.is_empty() { p.small.soft { (one.words) } } }
                    dt { "Overlap" } dd { (one.overlap) }
                    @for (name, value) in &one.rules { dt { (name) } dd { (value) } }
                    dt { "Next" } dd { @if one.next.is_empty() { "never" } @for next in &one.next { div { (time::exact(next)) } } }
                } }
            }
            section.panel aria-labelledby="ledger-title" {
                header { h2 id="ledger-title" { "Ledger" } span.soft { "Every time that was due, and what became of it" } }
                (part("ledger", &ledger(fires, &own, next)))
            }
        }
    };
    frame.page(Some(Section::Schedules), &one.name, Some("/ui/live/executions"), &body)
}

fn when(one: &Schedule) -> Markup {
    html! { @for text in &one.when { code { (text) } " " } @if !one.zone.is_empty() { span.soft.small { (one.zone) } } }
}

fn state(one: &Schedule) -> Markup {
    if one.over {
        chip("done", Icon::Tick, "Over")
    } else if one.paused {
        chip::state("paused")
    } else {
        chip("running", Icon::Clock, "Active")
    }
}

fn actions(frame: &Frame, one: &Schedule, own: &str) -> Markup {
    html! {
        div.actions {
            form method="post" action={ (own) "/run" } { (frame.hidden()) button.main { "Run now" } }
            @if one.paused {
                form method="post" action={ (own) "/unpause" } { (frame.hidden()) button { "Go on" } }
            } @else {
                details.action id="action-pause" {
                    summary.button { "Pause" }
                    div.sheet { form.form method="post" action={ (own) "/pause" } {
                        (frame.hidden())
                        label { "Why, for the others" input name="note" maxlength="500"; }
                        div.buttons { button.main { "Pause this schedule" } }
                    } }
                }
            }
            details.action id="action-backfill" {
                summary.button { "Backfill" }
                div.sheet { form.form method="post" action={ (own) "/backfill" } {
                    (frame.hidden())
                    p.hint { "Starts every time that was due in this range and has not started yet. You see how many before anything starts." }
                    label { "From (UTC)" input type="datetime-local" name="from" required; }
                    label { "Until (UTC)" input type="datetime-local" name="until" required; }
                    div.buttons { button.main { "Look at them" } }
                } }
            }
            @if !one.is_of_file && frame.may_deploy {
                a.button href={ (own) "/change" } { (icon(Icon::Pen)) "Change" }
                details.action id="action-delete" {
                    summary.button.risky { "Delete" }
                    div.sheet { form.form method="post" action={ (own) "/delete" } {
                        (frame.hidden())
                        p {
                            "It starts nothing any more, and what waits is dropped. Executions that it started stay, and \
                             so does its ledger, until it is deleted again."
                        }
                        div.buttons { button.main.risky { "Delete this schedule" } }
                    } }
                }
            }
        }
    }
}

/// Asks whether to start the times of a range. `due` are those that lie in it, as RFC 3339 text, and `more` says whether
/// there are others.
pub fn confirm(frame: &Frame, name: &str, range: (&str, &str), due: &[String], more: bool) -> String {
    let own = address::schedule(name);
    let (from, until) = range;
    let body = html! {
        p.crumbs { a href="/ui/schedules" { "Schedules" } " / " a href=(own) { (name) } }
        div.head { h1 { "Backfill " (name) } }
        section.panel aria-label="Times" {
            @if due.is_empty() {
                (empty("Nothing was due in this range", &html! { a href=(own) { "Back to the schedule" } }))
            } @else { div.inside.form {
                p { strong { (due.len()) @if due.len() == 1 { " time was due. " } @else { " times were due. " } }
                    "Those that have an execution are left alone; the others start one after the other." }
                @if more { p { "There are more. At most these many are started at once: choose a shorter range." } }
                ol.times { @for at in shown(due).0 { li { (time::exact(at)) } } }
                @if due.len() > SHOWN { p.soft { "and " (due.len() - SHOWN) " others, the last at " (time::exact(&due[due.len() - 1])) } }
                form method="post" action={ (own) "/backfill" } {
                    (frame.hidden())
                    input type="hidden" name="from" value=(from);
                    input type="hidden" name="until" value=(until);
                    div.buttons {
                        @if !more { button.main name="confirmed" value="yes" { "Start them" } }
                        a.button href=(own) { "Back" }
                    }
                }
            } }
        }
    };
    frame.page(Some(Section::Schedules), "Backfill", None, &body)
}

/// So many times are listed before somebody says yes.
const SHOWN: usize = 10;

fn shown(due: &[String]) -> (&[String], &[String]) {
    due.split_at(due.len().min(SHOWN))
}

fn ledger(fires: &[Fire], own: &str, next: Option<&str>) -> Markup {
    let headings = [
        ("Due", false),
        ("Fate", false),
        ("Decided", false),
        ("Execution", false),
    ];
    let rows: Vec<_> = fires.iter().map(fire).collect();
    html! {
        @if rows.is_empty() { (empty("Nothing was due yet", &html! { "Each time will be a line here, whatever becomes of it." })) }
        @else { (table("Fires, newest first", &headings, &rows)) }
        @if let Some(next) = next {
            nav.pages aria-label="Pages of the ledger" { a.button.small href=(address::query(own, &[("cursor", next)])) rel="next" { "Older" } }
        }
    }
}

fn fire(one: &Fire) -> Vec<Markup> {
    let (class, sign) = match one.fate.as_str() {
        "started" => ("done", Icon::Tick),
        "buffered" => ("waiting", Icon::Hourglass),
        "missed" | "failed" => ("failed", Icon::Warning),
        _ => ("skipped", Icon::Dash),
    };
    vec![
        html! {
            (time::exact(&one.due))
            @if let Some(until) = &one.until { " to " (time::exact(until)) }
            @if one.count > 1 { span.soft { " (" (one.count) " times)" } }
        },
        html! { (chip(class, sign, &one.fate)) @if !one.note.is_empty() { p.small { (one.note) } } },
        html! { @if !one.at.is_empty() { (time::relative(&one.at)) } },
        html! { @if let Some(id) = &one.execution { a.mono href=(address::execution(id)) title=(id) { (address::short(id)) } } },
    ]
}
