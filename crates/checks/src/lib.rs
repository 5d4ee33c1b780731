//! Rules about this repository itself, checked by `cargo test` like everything else.
//!
//! The tests in `tests/it` hold the rules; here is what they look with: the crates of the workspace and what
//! they depend on ([`workspace`]), the repository's files ([`files`]), and the fenced blocks of Markdown pages
//! and doc comments ([`markdown`]).
//!
//! Every rule fails when it finds nothing to look at, so that a moved folder cannot switch it off.

pub mod files;
pub mod markdown;
pub mod workspace;
