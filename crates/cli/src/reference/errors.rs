//! The page of error codes and exit codes.

use std::fmt::Write;

use bowline_flow::codes::EXPLANATIONS;

use crate::exit;

/// The page.
pub(crate) fn page() -> String {
    let mut page = String::from(super::MADE);
    page.push_str(
        "# Errors\n\nWhat is wrong with a workflow is told when it is loaded, all of it at once, each problem with its \
         place and a code. `bowline explain CODE` shows what is written here.\n",
    );
    for known in EXPLANATIONS {
        // Writing to a text cannot fail.
        let _ = write!(
            page,
            "\n## {}: {}\n\n{}\n\n{}\n",
            known.code, known.title, known.text, known.mend
        );
    }
    page.push_str("\n## Exit codes\n\n| code | meaning |\n|---|---|\n");
    for (exit, meaning) in exit::MEANINGS {
        let _ = writeln!(page, "| {} | {meaning} |", exit.number());
    }
    page
}
