//! The list of executions, with its search.

use bowline_host::{ExecutionSummary, Page, Status, Why};
use maud::{Markup, html};

use crate::frame::{Frame, Section};
use crate::parts::icon::{Icon, icon};
use crate::parts::live::part;
use crate::parts::table::{empty, table};
use crate::parts::words::sentence;
use crate::parts::{address, chip, time};

/// What was searched for, as it was written into the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// A status by its name; empty for any, `unfinished` for all that have not ended.
    pub status: String,
    /// A workflow; empty for any.
    pub workflow: String,
    /// The code of an error.
    pub error: String,
    /// How the id begins.
    pub id: String,
    /// Not started before this: what a field for date and time gives, taken as UTC.
    pub since: String,
    /// Started before this.
    pub until: String,
    /// `field=text` of the input.
    pub input: String,
    /// `field=text` of the result.
    pub output: String,
    /// Where the page begins.
    pub cursor: String,
}

impl Asked {
    /// The address of this search.
    pub fn address(&self) -> String {
        self.at(&self.cursor)
    }

    fn at(&self, cursor: &str) -> String {
        address::query(
            "/ui/executions",
            &[
                ("status", &self.status),
                ("workflow", &self.workflow),
                ("error", &self.error),
                ("id", &self.id),
                ("since", &self.since),
                ("until", &self.until),
                ("input", &self.input),
                ("output", &self.output),
                ("cursor", cursor),
            ],
        )
    }

    fn has_details(&self) -> bool {
        [&self.error, &self.since, &self.until, &self.input, &self.output]
            .iter()
            .any(|text| !text.is_empty())
    }

    fn is_empty(&self) -> bool {
        self.status.is_empty() && self.workflow.is_empty() && self.id.is_empty() && !self.has_details()
    }
}

/// A page of the list. `reasons` has the reasons of those that have not ended, by id, as far as they are known.
pub fn page(
    frame: &Frame,
    asked: &Asked,
    workflows: &[String],
    found: &Page<ExecutionSummary>,
    reasons: &[Why],
) -> String {
    let body = html! {
        div.head { h1 { "Executions" } }
        (tabs(asked))
        section.panel aria-label="Search" {
            form.inside method="get" action="/ui/executions" role="search" { (search(asked, workflows)) }
        }
        (part("executions", &list(asked, found, reasons)))
    };
    // Older pages do not change, so there is nothing to follow.
    let live = asked.cursor.is_empty().then_some("/ui/live/executions");
    frame.page(Some(Section::Executions), "Executions", live, &body)
}

/// What is looked for most, with what else was searched for.
fn tabs(asked: &Asked) -> Markup {
    let all = [
        ("", "All"),
        ("failed", "Failed"),
        ("unfinished", "Not ended"),
        ("paused", "Paused"),
    ];
    html! {
        nav.tabs aria-label="Status" { @for (status, shown) in all {
            @let there = Asked { status: status.to_owned(), cursor: String::new(), ..asked.clone() };
            a href=(there.address()) aria-current=[(asked.status == status).then_some("page")] { (shown) }
        } }
    }
}

fn search(asked: &Asked, workflows: &[String]) -> Markup {
    let states = [
        ("", "Any"),
        ("unfinished", "Not ended"),
        ("running", "Running"),
        ("waiting", "Waiting"),
        ("paused", "Paused"),
        ("succeeded", "Succeeded"),
        ("failed", "Failed"),
        ("cancelled", "Cancelled"),
    ];
    html! {
        div.search {
            label { "Id begins with" input type="search" name="id" value=(asked.id) data-search spellcheck="false"; }
            label { "Status" select name="status" {
                @for (name, shown) in states { option value=(name) selected[name == asked.status] { (shown) } }
            } }
            label { "Workflow"
                input name="workflow" value=(asked.workflow) list="workflows" spellcheck="false" autocomplete="off";
                datalist id="workflows" { @for name in workflows { option value=(name) {} } }
            }
            div.buttons {
                button.main type="submit" { "Search" }
                @if !asked.is_empty() { a.button href="/ui/executions" { "Clear" } }
            }
        }
        details.more open[asked.has_details()] {
            summary { "More fields" }
            div.search {
                label { "Error code" input name="error" value=(asked.error) placeholder="http.503" spellcheck="false"; }
                label { "Started from (UTC)" input type="datetime-local" name="since" value=(asked.since); }
                label { "Started before (UTC)" input type="datetime-local" name="until" value=(asked.until); }
                label { "Input field" input name="input" value=(asked.input) placeholder="customer.id=17" spellcheck="false"; }
                label { "Output field" input name="output" value=(asked.output) placeholder="status=paid" spellcheck="false"; }
            }
        }
    }
}

fn list(asked: &Asked, found: &Page<ExecutionSummary>, reasons: &[Why]) -> Markup {
    let rows: Vec<_> = found.items.iter().map(|item| row(item, reasons)).collect();
    let headings = [
        ("Status", false),
        ("Execution", false),
        ("Workflow", false),
        ("Started", false),
        ("Took", false),
        ("Why", false),
    ];
    html! {
        section.panel aria-label="Results" {
            @if rows.is_empty() {
                @if found.next.is_some() {
                    (empty("Nothing yet", &html! { "Searching fields reads executions one after the other. "
                        "None of those read so far fits; go on to look at older ones." }))
                } @else if asked.is_empty() {
                    (empty("No executions yet", &html! { "Start one on the page of a " a href="/ui/workflows" { "workflow" } ", or let a webhook or a schedule do it." }))
                } @else {
                    (empty("Nothing found", &html! { "No execution fits all of what you asked for. " a href="/ui/executions" { "Show all" } }))
                }
            } @else {
                (table("Executions, newest first", &headings, &rows))
            }
            @if found.next.is_some() || !asked.cursor.is_empty() {
                nav.pages aria-label="Pages" {
                    @if !asked.cursor.is_empty() { a.button.small href=(asked.at("")) { "Newest" } }
                    @if let Some(next) = &found.next { a.button.small href=(asked.at(next)) rel="next" { "Older" (icon(Icon::Right)) } }
                }
            }
        }
    }
}

fn row(item: &ExecutionSummary, reasons: &[Why]) -> Vec<Markup> {
    let took = item
        .finished_at
        .as_deref()
        .and_then(|end| Some(time::millis(end)? - time::millis(&item.started_at)?));
    let why = reasons.iter().find(|why| why.execution == item.id);
    vec![
        chip::state(item.status.name()),
        html! { a.mono href=(address::execution(&item.id)) title=(item.id) { (address::short(&item.id)) } },
        html! {
            a href=(address::workflow(&item.workflow)) { (item.workflow) }
            @if let Some(version) = item.version { span.soft.small { " v" (version) } }
        },
        time::relative(&item.started_at),
        html! { @if let Some(took) = took { span.number { (time::duration(took)) } } },
        html! {
            @if let Some(error) = &item.error {
                code { (error) }
                @if let Some(why) = why { p.small { (sentence(said(&why.line))) } }
            }
            @else if item.status != Status::Succeeded {
                @if let Some(why) = why { span.small { (sentence(reason(&why.line, item))) } }
                @else if let Some(wake) = &item.wake_at { span.small.soft { "until " (time::exact(wake)) } }
            }
        },
    ]
}

/// What an error says, of the line that says why: `has failed after 0.03s: this [http.422]`.
fn said(line: &str) -> &str {
    let said = line
        .split_once(" has failed")
        .and_then(|(_, rest)| rest.split_once(": "));
    let said = said.map_or(line, |(_, said)| said);
    said.rsplit_once(" [").map_or(said, |(said, _)| said)
}

/// The line that says why, without what is said beside it already.
pub(crate) fn reason<'a>(line: &'a str, summary: &ExecutionSummary) -> &'a str {
    let named = format!("execution {} of {} ", summary.id, summary.workflow);
    line.strip_prefix(&named).unwrap_or(line)
}

/// Rows of executions without a search, for other pages.
pub(crate) fn short_list(caption: &str, items: &[ExecutionSummary]) -> Markup {
    let headings = [
        ("Status", false),
        ("Execution", false),
        ("Workflow", false),
        ("Started", false),
    ];
    let rows: Vec<_> = items
        .iter()
        .map(|item| row(item, &[]).into_iter().take(headings.len()).collect())
        .collect();
    table(caption, &headings, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_without_what_stands_beside_it() {
        let line = "execution e-1 of undo has failed after 0.00s: POST /ship answered 422: no-carrier [http.422]";
        assert_eq!(said(line), "POST /ship answered 422: no-carrier");
        assert_eq!(said("something else"), "something else");
    }
}
