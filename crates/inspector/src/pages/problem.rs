//! What is shown in place of a page that cannot be had.

use maud::html;

use crate::frame::{Frame, Notice, Section};

/// A page that says what went wrong. `back` is where to go on, with its name.
pub fn page(frame: &Frame, section: Option<Section>, title: &str, problem: Notice, back: (&str, &str)) -> String {
    let frame = Frame {
        notice: Some(problem),
        ..frame.clone()
    };
    let (address, name) = back;
    let body = html! {
        div.head { h1 { (title) } }
        p { a href=(address) { (name) } }
    };
    frame.page(section, title, None, &body)
}
