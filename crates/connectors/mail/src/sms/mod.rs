//! `sms-send`: one text message over Twilio's interface, or one that is compatible with it.

mod config;
mod error;
mod send;
mod twilio;

pub use config::{Config, TwilioConfig};
pub use send::Output;

pub(crate) use send::run;
pub(crate) use twilio::build;
