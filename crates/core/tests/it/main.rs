//! What an execution does with what happens to it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod execution;
mod fold;
mod misuse;
mod outside;
mod support;
mod unknown;
mod version;
