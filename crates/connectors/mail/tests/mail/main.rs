//! The mail family as the engine uses it: registered, connected, run.

#[cfg(test)]
mod email;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod registration;
#[cfg(test)]
mod server;
#[cfg(test)]
mod sms;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
