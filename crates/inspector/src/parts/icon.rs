//! Signs, drawn with lines within 24 × 24. They stand beside words, so assistive programs leave them out.

use maud::{Markup, html};

/// A sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Icon {
    Knot,
    Play,
    Branch,
    Clock,
    Inbox,
    Return,
    Stamp,
    Plug,
    Book,
    Tick,
    Cross,
    Warning,
    Hourglass,
    Pause,
    Stop,
    Undo,
    Dash,
    Right,
    Question,
    House,
    Pen,
    Plus,
}

pub(crate) fn icon(icon: Icon) -> Markup {
    let path = match icon {
        Icon::Knot => {
            "M12 22V12M12 12c-4.5 0-7.5 1.8-7.5 4.8S8 21 12 16.8 19.5 15.5 19.5 11.5 16 3 12 3 7 6 9 8.3s6 1.6 7.5-.7"
        }
        Icon::Play => "M7 4.5v15l12-7.5z",
        Icon::Branch => "M6 3v12M6 15a3 3 0 1 0 .01 0M18 9a3 3 0 1 0-.01-6 3 3 0 0 0 .01 6M18 9c0 5-6 5-11 6.5",
        Icon::Clock => "M12 3a9 9 0 1 0 .01 0M12 7.5V12l3 2",
        Icon::Inbox => "M4 13l3-8h10l3 8v6H4zM4 13h5l1 2.5h4l1-2.5h5",
        Icon::Return => "M9 5L4 10l5 5M4 10h10a6 6 0 0 1 6 6v3",
        Icon::Stamp => {
            "M5 20h14M6 16h12v-2.5c-3 0-4-1.5-4-4 0-1 1-1.5 1-3.3a3 3 0 0 0-6 0c0 1.8 1 2.3 1 3.3 0 2.5-1 4-4 4z"
        }
        Icon::Plug => "M9 3v5M15 3v5M6 8h12v3a6 6 0 0 1-12 0zM12 17v4",
        Icon::Book => "M5 4h11a3 3 0 0 1 3 3v13H8a3 3 0 0 1-3-3zM5 17a3 3 0 0 1 3-3h11",
        Icon::Tick => "M4.5 12.5l5 5 10-11",
        Icon::Cross => "M6 6l12 12M18 6L6 18",
        Icon::Warning => "M12 4L2.5 20h19zM12 10v4.5M12 17.3v.01",
        Icon::Hourglass => "M7 3h10M7 21h10M8 3v4l4 5-4 5v4M16 3v4l-4 5 4 5v4",
        Icon::Pause => "M8 5v14M16 5v14",
        Icon::Stop => "M12 3a9 9 0 1 0 .01 0M6 6l12 12",
        Icon::Undo => "M8 5L3.5 9.5 8 14M3.5 9.5H14a5.5 5.5 0 0 1 0 11H9",
        Icon::Dash => "M6 12h12",
        Icon::Right => "M9 5l7 7-7 7",
        Icon::Question => "M12 3a9 9 0 1 0 .01 0M9.5 9.5a2.6 2.6 0 1 1 3.6 2.4c-.8.4-1.1.9-1.1 1.8M12 16.8v.01",
        Icon::House => "M5 21V4h9v17M14 10h5v11M3 21h18M8 8h3M8 12h3M8 16h3",
        Icon::Pen => "M4 20l1-4.5L16 4.5l3.5 3.5L8.5 19zM13.5 7l3.5 3.5",
        Icon::Plus => "M12 5v14M5 12h14",
    };
    html! { svg.icon viewBox="0 0 24 24" aria-hidden="true" focusable="false" { path d=(path) {} } }
}
