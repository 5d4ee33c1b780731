//! Events as they were recorded.

use bowline_host::{Execution, HistoryEvent, Page};
use maud::{Markup, html};

use crate::parts::table::table;
use crate::parts::{address, json, time};

pub(super) fn history(execution: &Execution, events: &Page<HistoryEvent>, from: u64) -> Markup {
    let headings = [
        ("Number", false),
        ("When", false),
        ("Event", false),
        ("Step", false),
        ("Content", false),
    ];
    let rows: Vec<_> = events.items.iter().map(row).collect();
    let own = address::execution(&execution.summary.id);
    // There is always a next number to ask for; whether it is there yet is another question.
    let until = events.items.last().map_or(0, |event| event.seq + 1);
    let next = events.next.as_ref().filter(|_| until < execution.history);
    html! {
        (table("History", &headings, &rows))
        @if next.is_some() || from > 0 {
            nav.pages aria-label="Pages of the history" {
                @if from > 0 { a.button.small href={ (own) "#history-title" } { "From the beginning" } }
                @if let Some(next) = next { a.button.small href={ (own) "?history=" (address::encoded(next)) "#history-title" } { "Later events" } }
            }
        }
    }
}

fn row(event: &HistoryEvent) -> Vec<Markup> {
    let has_content = event.data.as_object().is_none_or(|fields| !fields.is_empty());
    vec![
        html! { span.number { (event.seq) } },
        html! { span.nowrap { (time::exact(&event.at)) } },
        html! { (words(&event.kind)) },
        html! { @if let Some(path) = &event.path { code { (path) } } },
        html! { @if has_content {
            details id={ "event-" (event.seq) "-" (event.part) } {
                summary { "Show" span.hidden-text { " the content of event " (event.seq) } }
                (json::value("Content", &event.data))
            }
        } },
    ]
}

/// `Step completed` of `stepCompleted`.
fn words(kind: &str) -> String {
    let mut out = String::with_capacity(kind.len() + 4);
    for (index, c) in kind.chars().enumerate() {
        if index == 0 {
            out.extend(c.to_uppercase());
        } else if c.is_uppercase() {
            out.push(' ');
            out.extend(c.to_lowercase());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_told_in_words() {
        assert_eq!(words("stepCompleted"), "Step completed");
        assert_eq!(words("started"), "Started");
    }
}
