//! `http-request` and connections of type `http` against real servers: axum for behaviour, bare TCP for
//! what no HTTP server would do, nginx for TLS, tinyproxy for proxies.
//!
//! Debian packages: nginx-light, tinyproxy. Without them their tests say on standard error that they
//! were skipped.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod blobs;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod connections;
#[cfg(test)]
mod daemons;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod proxies;
#[cfg(test)]
mod redirects;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls;
