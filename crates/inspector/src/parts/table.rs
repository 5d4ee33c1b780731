//! Tables. On a phone each row becomes a card; the roles keep it a table for screen readers there too.

use maud::{Markup, html};

/// A column's heading, and whether it is only for screen readers.
pub(crate) type Heading = (&'static str, bool);

/// A table with a caption that is read out and not shown.
pub(crate) fn table(caption: &str, headings: &[Heading], rows: &[Vec<Markup>]) -> Markup {
    html! {
        table.rows role="table" aria-label=(caption) {
            thead role="rowgroup" { tr role="row" {
                @for (heading, is_hidden) in headings {
                    th role="columnheader" scope="col" {
                        @if *is_hidden { span.hidden-text { (heading) } } @else { (heading) }
                    }
                }
            } }
            tbody role="rowgroup" {
                @for row in rows {
                    tr role="row" {
                        @for (cell, (heading, is_hidden)) in row.iter().zip(headings) {
                            td role="cell" data-label=[(!is_hidden).then_some(heading)] { div { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

/// What is shown in place of a list without items.
pub(crate) fn empty(title: &str, more: &Markup) -> Markup {
    html! { div.empty { strong { (title) } (more) } }
}
