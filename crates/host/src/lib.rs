//! What the command line and the server share: one data folder with its engine, what is deployed in it, and every
//! operation on workflows and executions, within one organization.
//!
//! It knows no HTTP and no terminal. Start at [`Host`]: `host.rs` for how it is put together, `op/` for what it can do,
//! `deploy/` for versions of workflows, `feed.rs` for news. What operations give back is in `view/`, what they are given
//! in `request.rs`.
//!
//! What always holds: an operation that names another organization's thing is refused exactly as one that names nothing;
//! what comes out has been through the masker; and what an operation acknowledges is durable.

pub mod answers;
mod cursor;
mod deploy;
mod error;
mod feed;
mod fields;
mod host;
pub mod model;
pub mod names;
mod op;
mod open;
pub mod organizations;
mod own_blobs;
pub mod programs;
pub mod records;
pub mod replay;
mod request;
pub mod retention;
pub mod shape;
pub mod sources;
pub mod text;
pub mod time;
mod trace;
mod view;
pub mod why;

pub use bowline_core::Answer;
pub use bowline_engine::{Conflict, Reuse, StartKey};
pub use bowline_expression::Masker;
pub use bowline_store::{CallbackAddress, DEFAULT_ORGANIZATION, EntryWrite};
pub use deploy::{Active, SPACE as DEPLOYMENTS, Standing};
pub use error::{ErrorKind, HostError, Problem};
pub use feed::{Feed, Following, ListFollowing};
pub use host::{AWAY, BLOBS, DATABASE, Host, HostOptions};
pub use request::{Decision, Deploy, Rerun, Resume, Retry, Search, Signal, Start, Started, Waiting, Which};
pub use view::*;
