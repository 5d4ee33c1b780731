//! Directories: files that come, change and go start workflows.
//!
//! - `config`: what users write; `stability`: when a file is whole; `files`: the file system;
//! - `seen`: what is stored about each file; `watcher`: one directory at work; `after`: files whose executions ended.

mod after;
mod config;
mod files;
mod seen;
mod stability;
#[cfg(test)]
mod tests;
mod watcher;

pub use config::{After, DirectoryConfig, Existing, FileEvent};
pub use watcher::kind;
pub(crate) use watcher::DirectorySource;

/// The kind of trigger, as users write it.
pub const KIND: &str = "directory-watcher";
