//! `email-send` and `sms-send`: messages to people.
