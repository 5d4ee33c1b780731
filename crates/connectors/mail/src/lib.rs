//! `email-send` and `sms-send`: messages to people.
//!
//! A message cannot be taken back, and neither mail nor telephone networks can promise that one was not sent
//! twice. So both connectors are exact about what is known: refused before anything was handed over
//! (`Permanent`, `Transient`), accepted, or handed over without an answer (`OutcomeUnknown`). An e-mail carries
//! a `Message-ID` that is the same for every attempt of a step, so that what receives it twice can tell.
//!
//! What always holds:
//! - a TLS setting is never lowered: without the TLS that was asked for, nothing is sent, not even a password;
//! - a line break in anything that becomes a header is refused, so that no value can add a header;
//! - an error may name addresses and telephone numbers, never passwords or the text of a message.

mod email;
mod sms;
mod smtp;

use bowline_connector::Registry;

pub use email::{Addresses, Attachment, Config as EmailConfig, Output as EmailOutput, Partial, Rejected};
pub use sms::{Config as SmsConfig, Output as SmsOutput, TwilioConfig};
pub use smtp::{Mechanism, PoolConfig, Security, SmtpConfig, Tls};

/// Adds the connectors `email-send` and `sms-send` and the connection types `smtp` and `twilio`.
pub fn register(registry: &mut Registry) {
    registry.add("email-send", email::run);
    registry.add("sms-send", sms::run);
    registry.add_connection("smtp", smtp::build);
    registry.add_connection_test("smtp", smtp::test);
    registry.add_connection("twilio", sms::build);
}
