//! Parts of a page that are looked at again when something has changed.

use std::hash::{DefaultHasher, Hash, Hasher};

use maud::{Markup, html};

/// A part with an id of its own. The mark that stands beside it changes with its content, so that a part that looks as
/// before is left alone.
pub(crate) fn part(id: &str, content: &Markup) -> Markup {
    let mut hasher = DefaultHasher::new();
    content.0.hash(&mut hasher);
    let mark = format!("{:016x}", hasher.finish());
    html! { div id=(id) data-part=(mark) { (content) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_changes_with_the_content() {
        let (one, same, other) = (html! { "a" }, html! { "a" }, html! { "b" });
        assert_eq!(part("x", &one).0, part("x", &same).0);
        assert_ne!(part("x", &one).0.get(..40), part("x", &other).0.get(..40));
    }
}
