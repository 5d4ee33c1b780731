//! Colours, and whether there are any.

use std::fmt::Display;
use std::io::IsTerminal;

use console::{Style, StyledObject};

use crate::args::ColorWhen;

/// Decides for stdout and stderr, once at the start.
pub(crate) fn choose(when: ColorWhen) {
    let (out, err) = match when {
        ColorWhen::Always => (true, true),
        ColorWhen::Never => (false, false),
        ColorWhen::Auto => {
            let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && !is_dumb();
            (
                wanted && std::io::stdout().is_terminal(),
                wanted && std::io::stderr().is_terminal(),
            )
        }
    };
    console::set_colors_enabled(out);
    console::set_colors_enabled_stderr(err);
}

/// Whether the terminal only takes text.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Whether progress can be drawn in place on stderr.
pub(crate) fn can_redraw() -> bool {
    std::io::stderr().is_terminal() && !is_dumb()
}

/// Where a text goes, which decides whether it is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Stdout,
    Stderr,
}

impl To {
    fn style<T>(self, style: Style, text: T) -> StyledObject<T> {
        match self {
            Self::Stdout => style.for_stdout().apply_to(text),
            Self::Stderr => style.for_stderr().apply_to(text),
        }
    }

    pub(crate) fn good<T>(self, text: T) -> StyledObject<T> {
        self.style(Style::new().green(), text)
    }

    pub(crate) fn bad<T>(self, text: T) -> StyledObject<T> {
        self.style(Style::new().red(), text)
    }

    pub(crate) fn busy<T>(self, text: T) -> StyledObject<T> {
        self.style(Style::new().cyan(), text)
    }

    pub(crate) fn warn<T>(self, text: T) -> StyledObject<T> {
        self.style(Style::new().yellow(), text)
    }

    pub(crate) fn dim<T>(self, text: T) -> StyledObject<T> {
        self.style(Style::new().dim(), text)
    }

    pub(crate) fn bold<T>(self, text: T) -> StyledObject<T> {
        self.style(Style::new().bold(), text)
    }
}

/// The word before an error on stderr.
pub(crate) fn err_bad<T: Display>(text: T) -> StyledObject<T> {
    To::Stderr.style(Style::new().red().bold(), text)
}
