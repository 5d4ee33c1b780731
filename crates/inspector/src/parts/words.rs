//! Sentences of the host, in which names stand between backticks.

use maud::{Markup, html};

/// The sentence with its names as code.
pub(crate) fn sentence(text: &str) -> Markup {
    let mut parts = text.split('`').peekable();
    let mut is_name = false;
    let mut out = Vec::new();
    while let Some(part) = parts.next() {
        // A backtick without a second one is just that.
        let closes = parts.peek().is_some();
        out.push(match (is_name, closes) {
            (true, true) => html! { code { (part) } },
            (true, false) => html! { "`" (part) },
            (false, _) => html! { (part) },
        });
        is_name = !is_name;
    }
    html! { @for part in out { (part) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_code() {
        assert_eq!(sentence("waits for `pay` since").0, "waits for <code>pay</code> since");
        assert_eq!(sentence("`a` and `<b>`").0, "<code>a</code> and <code>&lt;b&gt;</code>");
        assert_eq!(sentence("a lone ` stays").0, "a lone ` stays");
    }
}
