//! Texts that come from elsewhere, made fit for one line of a terminal.

pub(crate) use bowline_host::text::{message, one_line, reason};
use comfy_table::Table;

/// `1 step`, `2 steps`.
pub(crate) fn count(number: usize, what: &str) -> String {
    if number == 1 {
        format!("1 {what}")
    } else {
        format!("{number} {what}s")
    }
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
    fn numbers_have_their_word() {
        assert_eq!(
            (count(1, "step"), count(2, "step")),
            ("1 step".into(), "2 steps".into())
        );
        assert_eq!(attempt(2, Some(5)), "attempt 2 of 5");
        assert_eq!(attempt(2, Some(0)), "attempt 2", "without a bound");
    }
}
