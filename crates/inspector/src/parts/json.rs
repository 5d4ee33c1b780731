//! Values as people read them.

use maud::{Markup, html};
use serde_json::Value;

/// Longer texts are cut, and say so.
const SHOWN: usize = 64 * 1024;

/// A value, indented.
pub(crate) fn value(label: &str, value: &Value) -> Markup {
    text(label, &pretty(value))
}

/// A text as it is.
pub(crate) fn text(label: &str, text: &str) -> Markup {
    let (shown, is_cut) = cut(text);
    html! {
        pre.value tabindex="0" role="region" aria-label={ (label) ", text" } { (shown) }
        @if is_cut {
            p.hint { "The first " (SHOWN / 1024) " KiB of " (text.len().div_ceil(1024)) " KiB are shown." }
        }
    }
}

/// A value as indented JSON.
pub(crate) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// As much of a text as is shown.
pub(crate) fn shown(text: &str) -> &str {
    cut(text).0
}

fn cut(text: &str) -> (&str, bool) {
    if text.len() <= SHOWN {
        return (text, false);
    }
    let mut end = SHOWN;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (&text[..end], true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_value_is_cut_between_characters_and_says_so() {
        let large = "é".repeat(SHOWN);
        let shown = text("output", &large).0;
        assert!(shown.contains("of 128 KiB are shown"));
        assert!(shown.len() < SHOWN + 500);
    }

    #[test]
    fn markup_in_a_value_is_text() {
        let shown = value("x", &serde_json::json!("<script>")).0;
        assert!(
            shown.contains("&lt;script&gt;") && !shown.contains("<script>"),
            "{shown}"
        );
    }
}
