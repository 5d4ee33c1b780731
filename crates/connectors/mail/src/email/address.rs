//! Addresses and headers as users write them.
//!
//! Read strictly: what is left over after an address is an error, never dropped, and a control character
//! anywhere is refused, because a line break would begin another header.

use bowline_connector::StepError;
use lettre::Address;
use lettre::message::Mailbox;
use lettre::message::header::HeaderName;

/// Headers that the message makes itself, with the field to use instead where there is one.
const OWN_HEADERS: [(&str, &str); 12] = [
    ("from", "`from`"),
    ("to", "`to`"),
    ("cc", "`cc`"),
    ("bcc", "`bcc`"),
    ("reply-to", "`replyTo`"),
    ("subject", "`subject`"),
    ("message-id", ""),
    ("date", ""),
    ("mime-version", ""),
    ("content-type", ""),
    ("content-transfer-encoding", ""),
    ("content-disposition", ""),
];

/// `ann@example.com`, `Ann <ann@example.com>` or `"Ann B." <ann@example.com>`.
///
/// # Errors
/// `email.invalid-address`, which names the field.
pub(super) fn mailbox(field: &str, written: &str) -> Result<Mailbox, StepError> {
    let wrong = |why: &str| StepError::permanent("email.invalid-address", format!("`{field}`: `{written}` {why}"));
    one_line(field, written)?;
    let trimmed = written.trim();
    let (name, address) = match trimmed.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
        Some((name, address)) => (unquote(name.trim()), address),
        None => (String::new(), trimmed),
    };
    let address: Address = address.trim().parse().map_err(|_| {
        if trimmed.contains([',', ';']) {
            wrong("is not one address; write several as a list")
        } else {
            wrong("is not an address such as `ann@example.com` or `Ann <ann@example.com>`")
        }
    })?;
    Ok(Mailbox::new((!name.is_empty()).then_some(name), address))
}

fn unquote(name: &str) -> String {
    match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inside) => inside.replace("\\\"", "\"").replace("\\\\", "\\"),
        None => name.to_owned(),
    }
}

/// Refuses what would not stay on one line.
///
/// # Errors
/// `email.header-injection`, which names the field and not the value.
pub(super) fn one_line(field: &str, value: &str) -> Result<(), StepError> {
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(StepError::permanent(
            "email.header-injection",
            format!("`{field}` holds a line break or another control character"),
        ));
    }
    Ok(())
}

/// The name of a further header.
///
/// # Errors
/// `config.invalid` for what is no header name, or is made by the message itself.
pub(super) fn header_name(name: &str) -> Result<HeaderName, StepError> {
    let invalid = |why: String| StepError::permanent("config.invalid", why);
    let own = OWN_HEADERS.iter().find(|(own, _)| name.eq_ignore_ascii_case(own));
    if let Some((_, field)) = own {
        return Err(invalid(match *field {
            "" => format!("`headers`: the message makes `{name}` itself"),
            field => format!("`headers`: write {field} instead of `{name}`"),
        }));
    }
    if !name.chars().all(|c| c.is_ascii_graphic() && c != ':') {
        return Err(invalid(format!(
            "`headers`: `{}` is not a header's name",
            name.escape_debug()
        )));
    }
    HeaderName::new_from_ascii(name.to_owned())
        .map_err(|_| invalid(format!("`headers`: `{}` is not a header's name", name.escape_debug())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_whole() {
        for (written, name, address) in [
            ("ann@example.com", None, "ann@example.com"),
            (" <ann@example.com> ", None, "ann@example.com"),
            ("Ann <ann@example.com>", Some("Ann"), "ann@example.com"),
            (
                "\"Ann, \\\"B\\\"\" <ann@example.com>",
                Some("Ann, \"B\""),
                "ann@example.com",
            ),
            ("Ännchen <ann@exämple.com>", Some("Ännchen"), "ann@exämple.com"),
        ] {
            let mailbox = mailbox("to", written).expect(written);
            assert_eq!(
                (mailbox.name.as_deref(), mailbox.email.to_string().as_str()),
                (name, address),
                "{written}"
            );
        }
        for (written, code) in [
            ("", "email.invalid-address"),
            ("ann", "email.invalid-address"),
            ("ann@", "email.invalid-address"),
            ("a@example.com, b@example.com", "email.invalid-address"),
            ("a@example.com garbage", "email.invalid-address"),
            ("Ann <a@example.com> x", "email.invalid-address"),
            ("a@example.com\r\nBcc: b@example.com", "email.header-injection"),
            ("Ann\n <a@example.com>", "email.header-injection"),
            ("a@example.com> SIZE=1", "email.invalid-address"),
        ] {
            assert_eq!(mailbox("to", written).expect_err(written).code, code, "{written:?}");
        }
    }

    #[test]
    fn headers_of_the_message_itself_are_refused() {
        for name in [
            "From",
            "bcc",
            "Content-Type",
            "MESSAGE-ID",
            "",
            "a b",
            "a:b",
            "a\r\nb",
            "ü",
        ] {
            assert!(header_name(name).is_err(), "{name:?}");
        }
        for name in ["X-Order", "List-Unsubscribe", "In-Reply-To"] {
            assert!(header_name(name).is_ok(), "{name}");
        }
    }
}
