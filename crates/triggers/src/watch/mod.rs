//! Directories: files that come, change and go start workflows.
//!
//! - `config`: what users write; `stability`: when a file is whole; `files`: the file system;
//! - `seen`: what is stored about each file; `watcher`: one directory at work; `source`: those of workflows; `after`: files whose executions ended.

mod after;
mod config;
mod files;
mod seen;
mod source;
mod stability;
mod watcher;

pub use config::{After, DirectoryConfig, Existing, FileEvent};
pub(crate) use source::DirectorySource;
pub use source::kind;

/// The kind of trigger, as users write it.
pub const KIND: &str = "directory-watcher";
