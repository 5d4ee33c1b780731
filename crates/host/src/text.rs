//! Texts that come from elsewhere, made fit for one line.

use bowline_core::StepError;

/// One line, whatever was in the text: no line breaks and no control characters.
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// An error without its code, on one line.
pub fn message(error: &StepError) -> String {
    let mut text = error.message.clone();
    for cause in &error.causes {
        text.push_str(": ");
        text.push_str(cause);
    }
    one_line(&text)
}

/// Why something was cancelled, as they said it who asked for it.
pub fn reason(error: &StepError) -> String {
    let told = message(error);
    told.strip_prefix("cancelled: ")
        .map_or_else(|| told.clone(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(one_line("a\nb\u{1b}[2Jc\r"), "a b [2Jc ");
        let error = StepError::permanent("x", "no\nway").caused_by(&std::io::Error::other("gone"));
        assert_eq!(message(&error), "no way: gone");
    }
}
