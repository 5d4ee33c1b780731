//! The pages, one module each. Their functions take data and give a whole document.

pub mod approvals;
pub mod audit;
pub mod callbacks;
pub mod connections;
pub mod execution;
pub mod executions;
pub mod login;
pub mod problem;
pub mod schedules;
pub mod step;
pub mod webhooks;
pub mod workflow;
pub mod workflows;
