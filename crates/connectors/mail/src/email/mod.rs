//! `email-send`: one message to some recipients over a mail server.

mod address;
mod attachment;
mod config;
mod message;
mod send;

pub use config::{Addresses, Attachment, Config, Partial};
pub use send::{Output, Rejected};

pub(crate) use send::run;
