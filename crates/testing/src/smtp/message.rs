//! A message as it is recorded.

use std::collections::BTreeMap;

use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders};
use serde_json::{Value, json};

/// Who sends to whom.
#[derive(Clone, Debug, Default)]
pub(crate) struct Envelope {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
}

/// The body of the recorded call: the envelope, what people see of the message, and the message itself.
pub(crate) fn body(envelope: &Envelope, raw: &[u8]) -> Value {
    let parsed = MessageParser::default().parse(raw);
    let attachments: Vec<Value> = parsed
        .iter()
        .flat_map(Message::attachments)
        .map(|part| json!({ "name": part.attachment_name(), "size": part.contents().len() }))
        .collect();
    let parsed = parsed.as_ref();
    json!({
        "from": envelope.from,
        "to": envelope.to,
        "subject": parsed.and_then(|message| message.subject()),
        "text": parsed.and_then(|message| message.body_text(0)),
        "html": parsed.filter(|message| message.html_part(0).is_some_and(MessagePart::is_text_html)).and_then(|message| message.body_html(0)),
        "attachments": attachments,
        "raw": String::from_utf8_lossy(raw),
    })
}

/// Headers with lower-case names, unfolded; values of several are joined by commas.
pub(crate) fn headers(raw: &[u8]) -> BTreeMap<String, String> {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    let parsed = MessageParser::default().parse_headers(raw);
    for (name, value) in parsed.iter().flat_map(Message::headers_raw) {
        let value = value.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        headers
            .entry(name.to_ascii_lowercase())
            .and_modify(|all| {
                all.push_str(", ");
                all.push_str(value.trim());
            })
            .or_insert_with(|| value.trim().to_owned());
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_see_is_decoded() {
        let raw = b"From: a@b.c\r\nTo: d@e.f\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nX-Long: one\r\n two\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nHall=C3=B6\r\n";
        let envelope = Envelope {
            from: "a@b.c".into(),
            to: vec!["d@e.f".into()],
        };
        let body = body(&envelope, raw);
        assert_eq!(body["subject"], "Gr\u{fc}\u{df}e");
        assert_eq!(body["text"].as_str().map(str::trim), Some("Hall\u{f6}"));
        assert_eq!(body["html"], Value::Null);
        assert_eq!(body["to"], json!(["d@e.f"]));
        assert_eq!(headers(raw).get("x-long").map(String::as_str), Some("one two"));
    }
}
