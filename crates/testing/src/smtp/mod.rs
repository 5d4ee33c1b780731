//! The mail service: takes messages, keeps them, and refuses whom its file says.
//!
//! It speaks what clients need to hand a message over (EHLO, AUTH, MAIL, RCPT, DATA) and checks their order,
//! not more: no relaying, no TLS, and every password is right.

mod message;
pub(crate) mod session;
mod wire;

use crate::check::join;
use crate::definition::{Reject, SmtpService};
use crate::error::Problem;
use crate::fault::Faults;

/// A mail service, ready to listen.
#[derive(Debug)]
pub(crate) struct Service {
    id: String,
    rejects: Vec<Reject>,
    faults: Faults,
}

impl Service {
    /// Compiles the service that stands at `path`.
    pub(crate) fn compile(service: SmtpService, path: &str, problems: &mut Vec<Problem>) -> Self {
        let config = service.config;
        let path = join(path, "config");
        for (index, reject) in config.rejects.iter().enumerate() {
            if reject.message.contains(['\r', '\n']) {
                let at = join(&path, &format!("rejects[{index}].message"));
                problems.push(Problem::new(at, "has several lines").expected("one line"));
            }
        }
        Self {
            id: service.id,
            rejects: config.rejects,
            faults: Faults::compile(config.fault, config.faults, &path, problems),
        }
    }

    /// The first rule that refuses `address`.
    fn refuses(&self, address: &str) -> Option<&Reject> {
        let address = address.to_lowercase();
        self.rejects
            .iter()
            .find(|reject| fits(&reject.to.to_lowercase(), &address))
    }
}

/// Whether `text` fits `pattern`, in which `*` stands for any characters.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((head, mut pattern)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    while let Some((part, rest)) = pattern.split_once('*') {
        let Some(at) = text.find(part) else {
            return false;
        };
        text = &text[at + part.len()..];
        pattern = rest;
    }
    text.ends_with(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, expected) in [
            ("a@b.c", "a@b.c", true),
            ("a@b.c", "a@b.cc", false),
            ("*@b.c", "x@b.c", true),
            ("*", "", true),
            ("a*", "ba", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*a", "a", false),
            ("*@blocked.*", "me@blocked.example", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
