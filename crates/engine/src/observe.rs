//! Watching executions: what a terminal, a log or a test hears.

use bowline_core::Event;

/// What one commit made durable for one execution.
#[derive(Debug)]
pub struct Committed<'a> {
    /// Id of the execution.
    pub id: &'a str,
    /// Whose it is.
    pub organization: &'a str,
    /// Name of its workflow.
    pub workflow: &'a str,
    /// Id of the execution that started it, if one did.
    pub parent: Option<&'a str>,
    /// When, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The events.
    pub events: &'a [Event],
}

/// Is told of every commit, after it is durable and before anything follows from it. Called on the
/// tasks that drive executions: it must be quick and must not block.
pub trait Observer: Send + Sync {
    /// Events of an execution have become durable.
    fn committed(&self, committed: Committed<'_>);

    /// An attempt begins.
    fn attempt(&self, id: &str, path: &str, attempt: u32) {
        let _ = (id, path, attempt);
    }
}
