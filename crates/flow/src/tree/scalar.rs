//! Plain words of YAML 1.2's core schema: what is a number, what is text.
//!
//! `yes`, `no`, `on` and `off` are text. A number that a program could not give back as it is written is
//! refused: too many digits, or a leading zero that would get lost (a postal code, most likely).

use std::sync::Arc;

use serde_json::Number;

use super::{Kind, Style};

/// The value of an unquoted word, or why it is refused.
pub(crate) fn plain(text: &str) -> Result<Kind, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ => match number(text)? {
            Some(number) => Kind::Number(number),
            None => Kind::Text(Arc::from(text), Style::Plain),
        },
    })
}

fn number(text: &str) -> Result<Option<Number>, String> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(format!("`{text}` is not a number that JSON knows"));
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(rest) = text.strip_prefix(prefix)
            && !rest.is_empty()
            && rest.chars().all(|c| c.is_digit(radix))
        {
            return u64::from_str_radix(rest, radix)
                .map(|value| Some(value.into()))
                .map_err(|_| format!("`{text}` is too large"));
        }
    }
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        if digits.len() > 1 && digits.starts_with('0') {
            return Err(format!("`{text}` would lose its leading zero"));
        }
        let whole = if negative {
            text.parse::<i64>().ok().map(Number::from)
        } else {
            digits.parse::<u64>().ok().map(Number::from)
        };
        return whole
            .map(Some)
            .ok_or_else(|| format!("`{text}` is too large to be kept exactly"));
    }
    if !looks_like_float(digits) {
        return Ok(None);
    }
    let lost = || format!("`{text}` has more digits than a number can keep");
    let value: f64 = text.parse().map_err(|_| lost())?;
    if !value.is_finite() || decimal(digits) != decimal(&format!("{:e}", value.abs())) {
        return Err(lost());
    }
    Ok(Number::from_f64(value))
}

/// `[0-9]+(.[0-9]*)?` or `.[0-9]+`, then an exponent perhaps.
fn looks_like_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let exponent_fits = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    });
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    exponent_fits
        && !(whole.is_empty() && fraction.is_empty())
        && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
}

/// The digits without zeros at the ends, and the power of ten of the first: what the text stands for.
fn decimal(text: &str) -> (String, i64) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(i64::MAX / 2);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = whole.chars().chain(fraction.chars()).collect();
    let zeros = digits.len() - digits.trim_start_matches('0').len();
    let significant = digits.trim_matches('0').to_owned();
    let first = if significant.is_empty() {
        0
    } else {
        exponent + whole.len() as i64 - zeros as i64
    };
    (significant, first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match plain(text) {
            Ok(Kind::Null) => "null".into(),
            Ok(Kind::Bool(value)) => value.to_string(),
            Ok(Kind::Number(number)) => number.to_string(),
            Ok(Kind::Text(text, _)) => format!("{text:?}"),
            Ok(_) => "?".into(),
            Err(message) => format!("error: {message}"),
        }
    }

    #[test]
    fn words_are_read_as_the_core_schema_says() {
        for (text, expected) in [
            ("", "null"),
            ("~", "null"),
            ("True", "true"),
            ("no", "\"no\""),
            ("on", "\"on\""),
            ("0", "0"),
            ("-0", "0"),
            ("-12", "-12"),
            ("+12", "12"),
            ("0x1F", "31"),
            ("0o17", "15"),
            ("0xZZ", "\"0xZZ\""),
            ("18446744073709551615", "18446744073709551615"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("0.1", "0.1"),
            ("-.5", "-0.5"),
            ("1.", "1.0"),
            ("1.10", "1.1"),
            ("1e3", "1000.0"),
            ("0e99999999999999999999", "0.0"),
            ("1.2.3", "\"1.2.3\""),
            ("1e", "\"1e\""),
            ("-", "\"-\""),
            (".", "\".\""),
            ("12:30", "\"12:30\""),
            ("2026-11-22", "\"2026-11-22\""),
            ("00012", "error: `00012` would lose its leading zero"),
            (
                "18446744073709551616",
                "error: `18446744073709551616` is too large to be kept exactly",
            ),
            (
                "3.14159265358979323846",
                "error: `3.14159265358979323846` has more digits than a number can keep",
            ),
            ("1e400", "error: `1e400` has more digits than a number can keep"),
            ("1e-400", "error: `1e-400` has more digits than a number can keep"),
            ("-.inf", "error: `-.inf` is not a number that JSON knows"),
            (".nan", "error: `.nan` is not a number that JSON knows"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
