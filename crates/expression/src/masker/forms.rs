//! The forms in which a secret comes back.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use zeroize::Zeroizing;

/// Texts with fewer bytes are not hidden.
pub(super) const SHORTEST: usize = 6;

/// Numbers with fewer digits are not hidden.
const FEWEST_DIGITS: usize = 8;

/// Lines of a text with several lines are hidden one by one from this length on.
const SHORTEST_LINE: usize = 12;

/// A longer text (a key store, say) is hidden as it is, in pieces of this many bytes, and not in other forms.
const LONGEST: usize = 16 << 10;

/// What RFC 3986 leaves as it is.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What JavaScript's `encodeURIComponent` leaves as it is.
const SCRIPT: &AsciiSet = &COMPONENT
    .remove(b'!')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// What HTML forms leave as it is; the space becomes `+`.
const FORM: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'*')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b' ');

/// What is escaped in the path or query of a URL at the least.
const QUERY: &AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>');

/// Whether hiding the text hides anything and leaves the record readable.
pub(super) fn worth_hiding(secret: &str) -> bool {
    if secret.len() < SHORTEST || secret.trim().is_empty() || secret.bytes().all(|byte| byte == b'*') {
        return false;
    }
    let digits = secret.bytes().filter(u8::is_ascii_digit).count();
    let numeric = secret
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+' | b'e' | b'E'));
    !(numeric && (1..FEWEST_DIGITS).contains(&digits))
}

/// Every form of a secret, the text itself included.
pub(super) fn of(secret: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let mut forms = Vec::new();
    if secret.len() > LONGEST {
        pieces(secret, &mut forms);
    } else {
        encodings(secret, &mut forms);
    }
    if secret.contains('\n') {
        for line in secret.lines().map(str::trim) {
            if line.len() >= SHORTEST_LINE && line.len() <= LONGEST && worth_hiding(line) {
                encodings(line, &mut forms);
            }
        }
    }
    forms.sort_unstable();
    forms.dedup();
    forms
        .into_iter()
        .map(|form| Zeroizing::new(form.into_bytes()))
        .collect()
}

fn pieces(secret: &str, forms: &mut Vec<String>) {
    let mut rest = secret;
    while rest.len() > LONGEST {
        let mut end = LONGEST;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, after) = rest.split_at(end);
        forms.push(piece.to_owned());
        rest = after;
    }
    if rest.len() >= SHORTEST {
        forms.push(rest.to_owned());
    } else if !rest.is_empty() {
        // The last bytes alone would be found everywhere; with what stands before them they are not.
        let mut start = secret.len() - LONGEST;
        while !secret.is_char_boundary(start) {
            start -= 1;
        }
        forms.push(secret[start..].to_owned());
    }
}

fn encodings(secret: &str, forms: &mut Vec<String>) {
    let bytes = secret.as_bytes();
    forms.push(secret.to_owned());
    for engine in [STANDARD, URL_SAFE] {
        // Without its padding it is found with and without.
        let padded = engine.encode(bytes);
        forms.push(padded.trim_end_matches('=').to_owned());
        forms.push(padded);
    }
    for set in [COMPONENT, SCRIPT, QUERY] {
        let upper = percent_encode(bytes, set).to_string();
        forms.push(lower_hex(&upper));
        forms.push(upper);
    }
    let form = percent_encode(bytes, FORM).to_string().replace(' ', "+");
    forms.push(lower_hex(&form));
    forms.push(form);
    forms.push(html(secret, "&#39;"));
    forms.push(html(secret, "&#x27;"));
    if let Ok(quoted) = serde_json::to_string(secret) {
        let escaped = quoted[1..quoted.len() - 1].to_owned();
        forms.push(escaped.replace('/', "\\/"));
        forms.push(ascii_json(&escaped));
        forms.push(escaped);
    }
}

/// `%2F` as `%2f`.
fn lower_hex(encoded: &str) -> String {
    let mut out = String::with_capacity(encoded.len());
    let mut digits = 0;
    for c in encoded.chars() {
        if c == '%' {
            digits = 2;
            out.push(c);
        } else if digits > 0 {
            digits -= 1;
            out.push(c.to_ascii_lowercase());
        } else {
            out.push(c);
        }
    }
    out
}

fn html(text: &str, apostrophe: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str(apostrophe),
            other => out.push(other),
        }
    }
    out
}

/// Escaped JSON with `\u` for everything beyond ASCII, as some services write it.
fn ascii_json(escaped: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(escaped.len());
    for c in escaped.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String does not fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_common_texts_are_not_hidden() {
        for text in [
            "", "a", "12345", "1234567", "true", "false", "null", "-1.5e3", "      ", "******",
        ] {
            assert!(!worth_hiding(text), "{text}");
        }
        for text in ["secret", "12345678", "eeeeee", "pass word", "é-é-é"] {
            assert!(worth_hiding(text), "{text}");
        }
    }

    #[test]
    fn a_long_text_is_covered_by_its_pieces() {
        let long = format!("{}x", "ä".repeat(LONGEST));
        let forms = of(&long);
        let covered: usize = forms.iter().map(|form| form.len()).sum();
        assert!(covered >= long.len());
        assert!(forms.iter().all(|form| form.len() >= SHORTEST));
    }
}
