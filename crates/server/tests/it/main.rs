//! The server as clients see it: a real one, on a port of its own, with a store of its own.

mod connections;
mod documents;
mod events;
mod executions;
mod outside;
mod restart;
mod running;
mod workflows;
