//! Whether code still fits the journals of executions.

use std::sync::Arc;

use bowline_core::{Execution, Identity, Program, TokenKey};

use crate::{Error, Journal, Result, Workflow};

/// Replays a journal: runs the workflow with the recorded results instead of steps, and compares what it asks for
/// with what it asked for then. Nothing is done in the world. Keep journals of real executions beside the tests, and a
/// change that would break running ones fails here first.
///
/// ```
/// use bowline::{testing, Bowline, Context, Workflow};
///
/// # testing::block_on(async {
/// let before = Workflow::new("sell", |ctx: Context, (): ()| async move {
///     ctx.step("reserve").run(|_| async { Ok(()) }).await
/// });
/// let after = Workflow::new("sell", |ctx: Context, (): ()| async move {
///     ctx.step("charge").run(|_| async { Ok(()) }).await
/// });
/// let world = testing::World::new(Bowline::builder().workflow(&before)).await?;
/// world.start(&before, ()).id("old").await?.result().await?;
///
/// let error = testing::replay_check(&after, &world.journal("old").await?).unwrap_err();
/// assert!(error.is("replay.nondeterminism"));
/// assert!(error.message().contains("`reserve`") && error.message().contains("`charge`"));
/// # Ok(())
/// # });
/// ```
///
/// # Errors
/// `replay.nondeterminism`, naming the step where code and journal part.
pub fn replay_check<I, O>(workflow: &Workflow<I, O>, journal: &Journal) -> Result<()> {
    check(&workflow.erased.program, journal)
}

pub(super) fn check(program: &Arc<dyn Program>, journal: &Journal) -> Result<()> {
    let Journal {
        id,
        workflow,
        started_at,
        records,
    } = journal;
    let identity = Identity {
        id: id.as_str().into(),
        workflow: workflow.as_str().into(),
        started_at: *started_at,
        exec: 0,
        // Tokens go into steps, and no step runs.
        tokens: TokenKey::new([0; 32]),
    };
    let now = records.last().map_or(*started_at, |record| record.at);
    match Execution::replay(identity, program.as_ref(), records, now) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::permanent(
            "replay.nondeterminism",
            format!("the journal of execution {id} does not replay: {error}"),
        )),
    }
}
