//! Finding `${` … `}` in a text.
//!
//! The scanner does not parse JSONata. It knows as much of it as is needed to find the `}` that ends an
//! expression: nested braces, the three quotations, comments, and regular expressions where a value is
//! expected. `$${` is a literal `${`. Scanning is linear, never fails on well-formed text without `${`, and
//! what [`escape`] gives scans back to the same text.

use std::borrow::Cow;

/// A part of a template string.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Segment<'t> {
    /// Text as it will appear, with escapes resolved.
    Text(Cow<'t, str>),
    /// The inside of `${` … `}`, without white space around it, and where it starts in the string.
    Code { body: &'t str, offset: usize },
}

/// A string that is not a template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ScanError {
    pub(crate) offset: usize,
    pub(crate) message: &'static str,
    pub(crate) hint: Option<&'static str>,
}

/// Whether the text needs scanning at all.
pub(crate) fn is_literal(text: &str) -> bool {
    !text.contains("${")
}

/// Text as a template that renders to exactly this text: every `${` becomes `$${`.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    if is_literal(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.replace("${", "$${"))
    }
}

/// Cuts a string into text and expressions. After an error the scan goes on where that is possible, so that
/// all errors of a string are found: the result has the good segments and the errors.
pub(crate) fn scan(text: &str) -> (Vec<Segment<'_>>, Vec<ScanError>) {
    let mut segments = Vec::new();
    let mut errors = Vec::new();
    let mut literal: Cow<'_, str> = Cow::Borrowed("");
    let mut rest = 0;
    while let Some(found) = text[rest..].find("${") {
        let open = rest + found;
        if text[rest..open].ends_with('$') {
            // `$${`: everything before it, and `${` itself.
            push(&mut literal, &text[rest..open - 1]);
            push(&mut literal, "${");
            rest = open + 2;
            continue;
        }
        push(&mut literal, &text[rest..open]);
        let start = open + 2;
        match end_of_code(text, start) {
            Ok(end) => {
                if !literal.is_empty() {
                    segments.push(Segment::Text(std::mem::take(&mut literal)));
                }
                let body = &text[start..end];
                let trimmed = body.trim_start();
                segments.push(Segment::Code {
                    body: trimmed.trim_end(),
                    offset: start + (body.len() - trimmed.len()),
                });
                rest = end + 1;
            }
            Err(Unclosed { what, at }) => {
                errors.push(match what {
                    None => ScanError {
                        offset: open,
                        message: "`${` is never closed with `}`",
                        hint: Some("write `$${` for a literal `${`"),
                    },
                    Some(message) => ScanError {
                        offset: at,
                        message,
                        hint: None,
                    },
                });
                return (segments, errors);
            }
        }
    }
    push(&mut literal, &text[rest..]);
    if !literal.is_empty() {
        segments.push(Segment::Text(literal));
    }
    (segments, errors)
}

fn push<'t>(literal: &mut Cow<'t, str>, text: &'t str) {
    if literal.is_empty() {
        *literal = Cow::Borrowed(text);
    } else if !text.is_empty() {
        literal.to_mut().push_str(text);
    }
}

/// Why no end was found: the quotation that is open, or only the braces.
struct Unclosed {
    what: Option<&'static str>,
    at: usize,
}

/// The offset of the `}` that closes the expression starting at `start`.
fn end_of_code(text: &str, start: usize) -> Result<usize, Unclosed> {
    let bytes = text.as_bytes();
    let mut at = start;
    let mut open = 0_usize;
    // Whether a value may start here, which is where `/` starts a regular expression and does not divide.
    let mut operand = true;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'}' if open == 0 => return Ok(at),
            b'}' => {
                open -= 1;
                operand = false;
            }
            b'{' => {
                open += 1;
                operand = true;
            }
            b'"' | b'\'' => {
                at = end_of_string(bytes, at)?;
                operand = false;
            }
            b'`' => {
                at = find(bytes, at + 1, b"`").ok_or(Unclosed {
                    what: Some("a name in backticks is not closed"),
                    at,
                })?;
                operand = false;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                at = 1 + find(bytes, at + 2, b"*/").ok_or(Unclosed {
                    what: Some("a comment is not closed with `*/`"),
                    at,
                })?;
            }
            b'/' if operand => {
                // Without an end it is no regular expression; the compiler will say what is wrong.
                if let Some(end) = end_of_regex(bytes, at) {
                    at = end;
                }
                operand = false;
            }
            byte if byte.is_ascii_whitespace() => {}
            byte => operand = expects_value_after(bytes, start, at, byte),
        }
        at += 1;
    }
    Err(Unclosed { what: None, at: start })
}

/// Whether a value may start after the character at `at`.
fn expects_value_after(bytes: &[u8], start: usize, at: usize, byte: u8) -> bool {
    match byte {
        b'(' | b'[' | b',' | b';' | b':' | b'?' | b'=' | b'<' | b'>' | b'+' | b'-' | b'&' | b'|' | b'~' | b'^'
        | b'!' | b'/' => true,
        b'a'..=b'z' => {
            // `x in /re/` and the like: the word that ends here is an operator and not a name.
            let word_start = bytes[start..at]
                .iter()
                .rposition(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$') || !b.is_ascii()))
                .map_or(start, |before| start + before + 1);
            matches!(&bytes[word_start..=at], b"and" | b"or" | b"in")
        }
        _ => false,
    }
}

fn end_of_string(bytes: &[u8], start: usize) -> Result<usize, Unclosed> {
    let quote = bytes[start];
    let mut at = start + 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            byte if byte == quote => return Ok(at),
            _ => {}
        }
        at += 1;
    }
    Err(Unclosed {
        what: Some("a text in quotes is not closed"),
        at: start,
    })
}

/// The `/` that ends the regular expression starting at `start`, by JSONata's rule: the first one that is not
/// escaped and not inside brackets. An unescaped closing bracket that closes nothing counts as one, too.
fn end_of_regex(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_i64;
    for (at, byte) in bytes.iter().enumerate().skip(start + 1) {
        let escaped = bytes[at - 1] == b'\\';
        match byte {
            b'/' if depth == 0 => {
                let backslashes = bytes[start + 1..at].iter().rev().take_while(|b| **b == b'\\').count();
                if backslashes % 2 == 0 {
                    return (at > start + 1).then_some(at);
                }
            }
            b'(' | b'[' | b'{' if !escaped => depth += 1,
            b')' | b']' | b'}' if !escaped => depth -= 1,
            _ => {}
        }
    }
    None
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes
        .get(from..)?
        .windows(what.len())
        .position(|window| window == what)
        .map(|found| from + found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Segments as one line: text in `‹›`, code in `«»`.
    fn shown(text: &str) -> String {
        let (segments, errors) = scan(text);
        let mut out = String::new();
        for segment in segments {
            match segment {
                Segment::Text(text) => out.extend(["‹", &*text, "›"]),
                Segment::Code { body, offset } => {
                    assert!(text[offset..].starts_with(body), "offset {offset} of {body}");
                    out.extend(["«", body, "»"]);
                }
            }
        }
        for error in errors {
            out.extend(["!", &error.offset.to_string(), ":", error.message]);
        }
        out
    }

    #[test]
    fn segments() {
        let cases = [
            ("", ""),
            ("plain", "‹plain›"),
            ("${a}", "«a»"),
            ("${ a }", "«a»"),
            ("x${a}y${b}z", "‹x›«a»‹y›«b»‹z›"),
            ("${a}${b}", "«a»«b»"),
            ("${}", "«»"),
            ("$${a}", "‹${a}›"),
            ("a$${b}c${d}", "‹a${b}c›«d»"),
            ("$$${a}", "‹$${a}›"),
            ("$", "‹$›"),
            ("a$b {c}", "‹a$b {c}›"),
            ("${ {'a': {'b': 1}} }", "«{'a': {'b': 1}}»"),
            ("${ '}' }", "«'}'»"),
            (r#"${ "\"}" }"#, r#"«"\"}"»"#),
            ("${ `a}b` }", "«`a}b`»"),
            ("${ /* } */ a }", "«/* } */ a»"),
            ("${ /* ' */ a }", "«/* ' */ a»"),
            ("${ $match(a, /\\}\"/) }", "«$match(a, /\\}\"/)»"),
            ("${ $match(a, /[{}\"]/) }", "«$match(a, /[{}\"]/)»"),
            ("${ $replace(a, /'/, '') }", "«$replace(a, /'/, '')»"),
            ("${ a / b } 'x' / ${c}", "«a / b»‹ 'x' / ›«c»"),
            ("${ (a) / 2 & '}' / 1 }", "«(a) / 2 & '}' / 1»"),
            ("${ a in /'/ }", "«a in /'/»"),
            ("${ $match(a, /\\\\/) & '}' }", "«$match(a, /\\\\/) & '}'»"),
            ("${ main / b }/", "«main / b»‹/›"),
            ("${ 'ä}' & ü }ö", "«'ä}' & ü»‹ö›"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_closed_is_told_with_its_place() {
        let cases = [
            ("ab${x", "!2:`${` is never closed with `}`"),
            ("${a}${ {'x': 1} ", "«a»!4:`${` is never closed with `}`"),
            ("${ 'x }", "!3:a text in quotes is not closed"),
            ("${ `x }", "!3:a name in backticks is not closed"),
            ("${ /* x }", "!3:a comment is not closed with `*/`"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,60}|[${}'\"`/*\\\\a ]{0,40}") {
            let _ = scan(&text);
        }

        #[test]
        fn escaped_text_comes_back(text in ".{0,40}|[${}a]{0,30}") {
            let escaped = escape(&text);
            let (segments, errors) = scan(&escaped);
            prop_assert!(errors.is_empty());
            let joined: String = segments.into_iter().map(|segment| match segment {
                Segment::Text(text) => text.into_owned(),
                Segment::Code { body, .. } => panic!("code {body}"),
            }).collect();
            prop_assert_eq!(joined, text);
        }
    }
}
