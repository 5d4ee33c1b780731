//! The pages, one module each. Their functions take data and give a whole document.

pub mod approvals;
pub mod audit;
pub mod callbacks;
pub mod connections;
pub mod deploy;
pub mod execution;
pub mod executions;
pub mod login;
pub mod organizations;
pub mod problem;
pub mod schedule;
pub mod schedules;
pub mod step;
pub mod webhooks;
pub mod workflow;
pub mod workflows;
