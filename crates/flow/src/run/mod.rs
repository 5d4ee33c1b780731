//! The interpreter: a [`Plan`] as a program of the core.
//!
//! It walks the plan and asks the core's `Context` for whatever touches the world; everything else
//! (expressions, conditions, shapes) is computed anew on every replay and never journaled. What is
//! recorded has been through the masker first, so a secret can be in the memory of this process and on
//! the wire to its service, and nowhere else.
//!
//! - [`frame`]: the names that expressions read;
//! - [`walk`]: lists of steps, and the simple blocks;
//! - [`node`]: one call of a connector; [`unknown`]: when nobody knows whether it was carried out;
//! - [`outside`]: waiting for callbacks, events, signals and people;
//! - [`fold`]: how a long loop forgets what is done;
//! - [`parallel`], [`gather`], [`loops`], [`saga`]: the blocks with a file of their own.

mod connection;
mod errors;
mod facts;
mod fold;
mod frame;
mod gather;
mod input;
mod loops;
mod misfit;
mod node;
mod outside;
mod parallel;
mod report;
mod respond;
mod runtime;
mod saga;
mod show;
mod trigger;
mod unknown;
mod walk;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bowline_core::{BoxFuture, Context, Payload, Program, StepError};
use serde_json::Value;

pub use input::{check_input, misfits_of_input};
pub use misfit::Misfit;
pub use outside::{check_answer, misfits_of_answer};
pub use runtime::{Runtime, Settings};

use crate::plan::Plan;
use facts::Facts;
use frame::Frame;
use saga::Undo;
use walk::{Flow, Run};

/// A plan that the engine can run.
pub struct FlowProgram {
    plan: Plan,
    runtime: Arc<Runtime>,
    base_dir: Arc<PathBuf>,
    connections: Arc<node::RenderedConnections>,
    facts: Arc<Facts>,
}

impl FlowProgram {
    /// A program of `plan`, with what it needs from this process. Connectors resolve relative paths
    /// against `base_dir`, the folder of the workflow's file, unless the runtime keeps to a folder of its own.
    #[must_use]
    pub fn new(plan: Plan, runtime: Arc<Runtime>, base_dir: PathBuf) -> Self {
        runtime.learn_secrets(&plan);
        let facts = Arc::new(Facts::of(&plan));
        Self {
            facts,
            plan,
            base_dir: Arc::new(runtime.files.clone().unwrap_or(base_dir)),
            runtime,
            connections: Arc::default(),
        }
    }
}

impl Program for FlowProgram {
    fn run(&self, context: Context, input: Payload) -> BoxFuture<Result<Payload, StepError>> {
        let run = Run::new(self, context);
        Box::pin(async move { whole(run, input).await })
    }
}

/// The whole run. A workflow is a saga of its own: where it fails or is cancelled, what its nodes did is
/// undone, as far as they say how.
async fn whole(run: Arc<Run>, input: Payload) -> Result<Payload, StepError> {
    let input: Value = input
        .parse()
        .map_err(|error| StepError::permanent("input.invalid", "the input is not JSON").caused_by(&error))?;
    input::check(&run.plan, &input)?;
    let frame = Frame::root(input);
    let undo: Undo = Arc::new(Mutex::default());
    let scope = run.scope(&frame, &undo);
    run.show(&frame);
    let ended = async {
        let result = match scope.steps(&run.plan.steps).await? {
            Flow::Return(Some(result)) => return Ok(result),
            Flow::Next(result) => result.map(Arc::unwrap_or_clone),
            Flow::Return(None) => None,
        };
        match &run.plan.output {
            Some(output) => Ok(scope.render("output", output)?.masked),
            None => Ok(result.unwrap_or_default()),
        }
    }
    .await;
    match ended {
        Ok(mut result) => {
            run.runtime.masker.scrub(&mut result);
            Payload::of(&result)
                .map_err(|error| StepError::permanent("output.invalid", "the result is not JSON").caused_by(&error))
        }
        Err(error) => {
            let error = saga::compensate(&scope, &undo, error).await;
            // A message may have been made of anything.
            Err(node::scrubbed(&run.runtime.masker, error))
        }
    }
}
