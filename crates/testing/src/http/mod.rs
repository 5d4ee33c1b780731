//! The HTTP service: routes decide, connections carry out.
//!
//! [`Service::decide`](service::Service::decide) settles everything about a call at once and without
//! waiting (route, answer, delay, fault, record); [`connection`] only performs it. So no lock is ever held
//! while a client is slow, and a fault can reach below HTTP, down to the TCP connection.

mod answer;
mod callback;
pub(crate) mod connection;
mod matching;
mod request;
mod route;
pub(crate) mod service;
