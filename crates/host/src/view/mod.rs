//! What operations give back: plain data with a schema. Times are RFC 3339 in UTC; secrets are masked.

mod connection;
mod deployment;
mod execution;
mod outside;
mod step;
mod why;

pub use connection::{ConnectionReport, ConnectionView};
pub use deployment::{
    Candidate, Deployed, Deployment, DeploymentSource, Difference, StepChange, StepReads, StepRef, TriggerView,
    Workflow, WorkflowGraph, WorkflowSummary,
};
pub use execution::{
    Can, Ended, ErrorView, Execution, ExecutionSummary, HistoryEvent, Omitted, Page, Response, Status,
};
pub use outside::{Addressed, Approval, Delivered, KeptCallback, OpenCallback};
pub use step::{AttemptState, AttemptView, ChildRef, StepDetail, StepState, StepView, WaitsFor};
pub use why::{Blocker, Why};
