//! Putting a message together.
//!
//! Parts nest as mail programs expect: attachments around the alternatives, and the pictures that the HTML
//! shows beside the HTML.

use bowline_connector::StepError;
use lettre::Address;
use lettre::message::header::{HeaderValue, MessageId};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use sha2::{Digest, Sha256};

use super::address::{header_name, mailbox, one_line};
use super::attachment::Loaded;
use super::config::{Addresses, Config};

/// A message and who gets it.
pub(super) struct Assembled {
    pub(super) from: Address,
    /// Everybody, each once, in the order of `to`, `cc`, `bcc`.
    pub(super) recipients: Vec<Address>,
    pub(super) message_id: String,
    pub(super) bytes: Vec<u8>,
}

/// Puts the message together. `key` is what its `Message-ID` comes from.
///
/// # Errors
/// Permanent ones about what is written in the configuration.
pub(super) fn assemble(config: &Config, attachments: Vec<Loaded>, key: &str) -> Result<Assembled, StepError> {
    let from = mailbox("from", &config.from)?;
    let (to, cc, bcc) = (all("to", &config.to)?, all("cc", &config.cc)?, all("bcc", &config.bcc)?);
    one_line("subject", &config.subject)?;
    let message_id = message_id(key, from.email.domain());
    let mut builder = Message::builder()
        .from(from.clone())
        .header(MessageId::from(message_id.clone()))
        .subject(config.subject.as_str());
    for reply_to in all("replyTo", &config.reply_to)? {
        builder = builder.reply_to(reply_to);
    }
    for to in &to {
        builder = builder.to(to.clone());
    }
    for cc in &cc {
        builder = builder.cc(cc.clone());
    }
    for (name, value) in &config.headers {
        let header = header_name(name)?;
        one_line(&format!("headers.{name}"), value)?;
        builder = builder.raw_header(HeaderValue::new(header, value.clone()));
    }
    let mut recipients: Vec<Address> = Vec::new();
    for Mailbox { email, .. } in to.into_iter().chain(cc).chain(bcc) {
        if !recipients.contains(&email) {
            recipients.push(email);
        }
    }
    let envelope = lettre::address::Envelope::new(Some(from.email.clone()), recipients.clone()).map_err(|_| {
        StepError::permanent(
            "config.invalid",
            "`to`, `cc` and `bcc` are all empty: there is no recipient",
        )
    })?;
    let (inline, attached): (Vec<_>, Vec<_>) = attachments.into_iter().partition(|attachment| attachment.cid.is_some());
    let message = with_body(builder.envelope(envelope), config, inline, attached)?;
    Ok(Assembled {
        from: from.email,
        recipients,
        message_id,
        bytes: message.formatted(),
    })
}

fn with_body(
    builder: lettre::message::MessageBuilder,
    config: &Config,
    inline: Vec<Loaded>,
    attached: Vec<Loaded>,
) -> Result<Message, StepError> {
    if !inline.is_empty() && config.html.is_none() {
        return Err(StepError::permanent(
            "config.invalid",
            "an attachment with `cid` is shown by `html`, which is missing",
        ));
    }
    let text = config.text.as_ref().map(|text| SinglePart::plain(text.clone()));
    let html = config.html.as_ref().map(|html| SinglePart::html(html.clone()));
    let html = match (html, inline.is_empty()) {
        (None, _) => None,
        (Some(html), true) => Some(Part::Single(html)),
        (Some(html), false) => {
            let mut related = MultiPart::related().singlepart(html);
            for picture in inline {
                related = related.singlepart(picture.part()?);
            }
            Some(Part::Multi(related))
        }
    };
    let content = match (text, html) {
        (Some(text), Some(html)) => Some(Part::Multi(html.within(MultiPart::alternative().singlepart(text)))),
        (Some(text), None) => Some(Part::Single(text)),
        (None, html) => html,
    };
    let content = if attached.is_empty() {
        content
    } else {
        let mut mixed = MultiPart::mixed().build();
        if let Some(content) = content {
            mixed = content.within(mixed);
        }
        for attachment in attached {
            mixed = mixed.singlepart(attachment.part()?);
        }
        Some(Part::Multi(mixed))
    };
    let message = match content {
        Some(Part::Single(part)) => builder.singlepart(part),
        Some(Part::Multi(part)) => builder.multipart(part),
        None => {
            return Err(StepError::permanent(
                "config.invalid",
                "`text`, `html` and `attachments` are all missing",
            ));
        }
    };
    message
        .map_err(|error| StepError::permanent("email.invalid", "the message cannot be put together").caused_by(&error))
}

enum Part {
    Single(SinglePart),
    Multi(MultiPart),
}

impl Part {
    fn within(self, outer: MultiPart) -> MultiPart {
        match self {
            Self::Single(part) => outer.singlepart(part),
            Self::Multi(part) => outer.multipart(part),
        }
    }
}

fn all(field: &str, addresses: &Addresses) -> Result<Vec<Mailbox>, StepError> {
    addresses
        .as_slice()
        .iter()
        .map(|written| mailbox(field, written))
        .collect()
}

/// The same for every attempt of a step, and for no other step.
fn message_id(key: &str, domain: &str) -> String {
    // A header holds ASCII only; a domain has an ASCII form.
    let domain = url::Host::parse(domain).map_or_else(|_| "localhost".to_owned(), |host| host.to_string());
    format!("<{:x}@{domain}>", Sha256::digest(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;
    use serde_json::json;

    use super::*;

    fn config(more: serde_json::Value) -> Config {
        let mut config =
            json!({ "connection": "mail", "from": "Shop <shop@exämple.com>", "to": "a@example.com", "text": "x" });
        for (name, value) in more.as_object().expect("an object") {
            config[name] = value.clone();
        }
        serde_json::from_value(config).expect("valid")
    }

    #[test]
    fn the_message_id_comes_from_the_key() {
        let id = |key: &str| {
            assemble(&config(json!({})), Vec::new(), key)
                .expect("a message")
                .message_id
        };
        assert_eq!(id("run/step"), id("run/step"));
        assert_ne!(id("run/step"), id("run/other"));
        assert!(id("run/step").ends_with("@xn--exmple-cua.com>"), "{}", id("run/step"));
        assert!(id("run/step").is_ascii());
    }

    #[test]
    fn nobody_gets_it_twice_and_bcc_is_not_told() {
        let made = assemble(
            &config(json!({ "cc": ["a@example.com", "c@example.com"], "bcc": "hidden@example.com" })),
            Vec::new(),
            "key",
        )
        .expect("a message");
        let recipients: Vec<_> = made.recipients.iter().map(ToString::to_string).collect();
        assert_eq!(recipients, ["a@example.com", "c@example.com", "hidden@example.com"]);
        assert!(!String::from_utf8(made.bytes).expect("ASCII").contains("hidden"));
    }

    #[test]
    fn no_value_can_add_a_header() {
        for more in [
            json!({ "subject": "x\r\nBcc: evil@example.com" }),
            json!({ "subject": "x\nX-Evil: 1" }),
            json!({ "from": "Shop\r\nBcc: <evil@example.com> <shop@example.com>" }),
            json!({ "replyTo": "a@example.com\r\nX-Evil: 1" }),
            json!({ "headers": { "X-Order": "1\r\nX-Evil: 1" } }),
        ] {
            let error = assemble(&config(more.clone()), Vec::new(), "key")
                .err()
                .expect("refused");
            assert_eq!(error.code, "email.header-injection", "{more}");
        }
        let made = assemble(
            &config(json!({ "subject": "Grüße, \u{2028}", "headers": { "X-Long": "word ".repeat(300) } })),
            Vec::new(),
            "key",
        )
        .expect("a message");
        let parsed = MessageParser::default().parse(&made.bytes).expect("a message");
        assert_eq!(parsed.subject(), Some("Grüße, \u{2028}"));
    }

    #[test]
    fn what_makes_no_message_is_refused() {
        for more in [
            json!({ "to": [] }),
            json!({ "text": null }),
            json!({ "headers": { "Subject": "x" } }),
        ] {
            let error = assemble(&config(more.clone()), Vec::new(), "key")
                .err()
                .expect("refused");
            assert_eq!(error.code, "config.invalid", "{more}");
        }
    }
}
