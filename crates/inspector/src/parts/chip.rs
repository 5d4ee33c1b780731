//! States as chips: a sign, a word and a colour, so that none of them is needed to tell the others.

use maud::{Markup, html};

use super::icon::{Icon, icon};

/// The chip of an execution's status or a step's state, by its word.
pub(crate) fn state(word: &str) -> Markup {
    let (class, sign, shown) = match word {
        "running" => ("running", Icon::Play, "Running"),
        "waiting" => ("waiting", Icon::Hourglass, "Waiting"),
        "paused" => ("paused", Icon::Pause, "Paused"),
        "succeeded" => ("done", Icon::Tick, "Succeeded"),
        "done" => ("done", Icon::Tick, "Done"),
        "failed" => ("failed", Icon::Cross, "Failed"),
        "stuck" => ("failed", Icon::Warning, "Stuck"),
        "cancelled" => ("cancelled", Icon::Stop, "Cancelled"),
        "compensated" => ("compensated", Icon::Undo, "Undone"),
        "skipped" => ("skipped", Icon::Dash, "Skipped"),
        other => return plain(other),
    };
    chip(class, sign, shown)
}

/// A chip of this class, with a sign and a text.
pub(crate) fn chip(class: &str, sign: Icon, text: &str) -> Markup {
    html! { span class={ "chip " (class) } { (icon(sign)) (text) } }
}

/// A chip without meaning.
pub(crate) fn plain(text: &str) -> Markup {
    html! { span.chip { (text) } }
}
