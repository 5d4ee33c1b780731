//! Texts that come from elsewhere, made fit for one line of a terminal.

use bowline_core::StepError;
use comfy_table::Table;

/// One line, whatever was in the text: no line breaks and no control characters.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `1 step`, `2 steps`.
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
}

/// An error without its code, on one line.
pub(crate) fn message(error: &StepError) -> String {
    let mut text = error.message.clone();
    for cause in &error.causes {
        text.push_str(": ");
        text.push_str(cause);
    }
    one_line(&text)
}

/// Why something was cancelled, as they said it who asked for it.
pub(crate) fn reason(error: &StepError) -> String {
    let told = message(error);
    told.strip_prefix("cancelled: ")
        .map_or_else(|| told.clone(), ToOwned::to_owned)
}

/// `attempt 2 of 5`, as far as it is known of how many.
pub(crate) fn attempt(number: u32, most: Option<u32>) -> String {
    match most {
        Some(most) if most > 0 => format!("attempt {number} of {most}"),
        _ => format!("attempt {number}"),
    }
}

/// A table without lines: columns two blanks apart, and nothing to the right of the last word.
pub(crate) fn table(table: &mut Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
        .to_string()
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
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

    #[test]
    fn numbers_have_their_word() {
        assert_eq!(
            (count(1, "step"), count(2, "step")),
            ("1 step".into(), "2 steps".into())
        );
        assert_eq!(attempt(2, Some(5)), "attempt 2 of 5");
        assert_eq!(attempt(2, Some(0)), "attempt 2", "without a bound");
    }
}
