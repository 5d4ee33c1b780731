//! The operations, each for one organization.

mod approvals;
mod connections;
mod control;
mod describe;
mod history;
mod kept;
mod query;
mod search;
mod start;
mod steps;
mod wait;
mod workflows;

pub(crate) use start::no_version;
