//! What the YAML reader says, in words that help.

use super::fault::{Fault, FaultKind, position, too_deep};

/// The parser's own words, made friendlier where a usual mistake is behind them.
pub(super) fn syntax(error: &saphyr_parser::ScanError, file: u8, text: &str) -> Fault {
    let at = position(*error.marker(), file);
    let line = text.lines().nth(at.line.saturating_sub(1)).unwrap_or("");
    let info = error.info();
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    if info.contains("recursion limit") {
        return too_deep(at);
    }
    // `{ url: ${input.url} }` without quotes: the braces of the expression are taken for a mapping.
    let mut nearby = text.lines().skip(at.line.saturating_sub(2)).take(2);
    let is_bare = |line: &str| {
        let mut places = line.match_indices("${");
        places.any(|(at, _)| line[..at].trim_end().ends_with([':', ',', '[', '-']))
    };
    if nearby.any(is_bare) && !indent.contains('\t') {
        let message = "an expression stands here without quotes, and YAML takes its braces for a mapping".to_owned();
        let hint = Some("put it in quotes: \"${ ... }\"".to_owned());
        return Fault {
            kind: FaultKind::Syntax,
            at,
            message,
            hint,
        };
    }
    let (message, hint) = if indent.contains('\t') || info.contains("tab") {
        (
            "a tab stands in the indentation".to_owned(),
            Some("YAML is indented with spaces; replace the tab"),
        )
    } else if info.contains("mapping values are not allowed") {
        (
            "a second `: ` stands in this line".to_owned(),
            Some("put a text that has `: ` in it in quotes, or start a new line"),
        )
    } else if info.contains("simple key expected") || info.contains("could not find expected ':'") {
        (
            "a `:` is missing after the name of a field".to_owned(),
            Some("check this line and the one above it"),
        )
    } else if info.contains("unknown anchor") {
        (
            "this alias refers to nothing".to_owned(),
            Some("put a text that starts with `*` in quotes"),
        )
    } else if info.contains("invalid indentation in quoted scalar") || info.contains("unexpected end of stream") {
        (
            "a text in quotes is not closed".to_owned(),
            Some("put the closing quote at its end"),
        )
    } else if info.contains("flow mapping") || info.contains("flow sequence") || info.contains("in flow construct") {
        (
            "a `{` or `[` is not closed, or a `,` is missing".to_owned(),
            Some("check this line and the ones above it"),
        )
    } else if info.contains("invalid indentation")
        || info.contains("block collection")
        || info.contains("block mapping")
    {
        (
            "the indentation of this line fits none of the lines above".to_owned(),
            Some("line it up with its neighbours"),
        )
    } else if info.contains("expected node content") {
        (
            "a value is missing here".to_owned(),
            Some("check that every `[`, `{` and `:` above is complete"),
        )
    } else if info.contains("document-start") || info.contains("document start") {
        (
            "this line does not belong to what stands above it".to_owned(),
            Some("check its indentation, and that the line above is complete"),
        )
    } else if line.trim_start().contains(": @") || line.trim_start().contains(": `") || info.contains("reserved") {
        (
            format!("this is not valid YAML: {info}"),
            Some("put a text that starts with this character in quotes"),
        )
    } else {
        (format!("this is not valid YAML: {info}"), None)
    };
    Fault {
        kind: FaultKind::Syntax,
        at,
        message,
        hint: hint.map(str::to_owned),
    }
}
