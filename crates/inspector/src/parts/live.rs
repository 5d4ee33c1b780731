//! Parts of a page that are looked at again when something has changed.

use std::hash::{DefaultHasher, Hash, Hasher};

use maud::{Markup, html};

/// The field of a form that makes it one that is taken once, up to its value.
const ONCE: &str = "name=\"once\" value=\"";

/// A part with an id of its own. The mark that stands beside it changes with its content, so that a part that looks as
/// before is left alone.
pub(crate) fn part(id: &str, content: &Markup) -> Markup {
    let mut hasher = DefaultHasher::new();
    // What makes a form one that is taken once differs each time, and changes nothing.
    let mut pieces = content.0.split(ONCE);
    pieces.next().hash(&mut hasher);
    for piece in pieces {
        piece.split_once('"').map_or(piece, |(_, rest)| rest).hash(&mut hasher);
    }
    let mark = format!("{:016x}", hasher.finish());
    html! { div id=(id) data-part=(mark) { (content) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_looks_as_before_although_it_is_another_one() {
        let form = |once: &str, text: &str| html! { input name="once" value=(once); (text) };
        assert_eq!(
            part("x", &form("1", "a")).0.get(..40),
            part("x", &form("22", "a")).0.get(..40)
        );
        assert_ne!(
            part("x", &form("1", "a")).0.get(..40),
            part("x", &form("1", "b")).0.get(..40)
        );
    }

    #[test]
    fn the_mark_changes_with_the_content() {
        let (one, same, other) = (html! { "a" }, html! { "a" }, html! { "b" });
        assert_eq!(part("x", &one).0, part("x", &same).0);
        assert_ne!(part("x", &one).0.get(..40), part("x", &other).0.get(..40));
    }
}
