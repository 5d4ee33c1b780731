//! What the benches share: programs that do nothing but be durable, and how figures are told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bowline_connector::Registry;
use bowline_core::{Attempt, Context, Payload, Program, Step, StepError, StepOptions};
use bowline_engine::Programs;
use bowline_flow::{FlowProgram, LoadOptions, Runtime, Source, load};
use bowline_store::Definition;

/// The allocator of the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Steps of each execution.
pub const STEPS: usize = 10;
/// Bytes of a step's result, so that a record is about 300 bytes.
pub const RESULT: usize = 120;

/// A program of [`STEPS`] steps that do nothing, or of one wait that does not end.
pub struct NoOps;

impl Programs for NoOps {
    fn load(&self, _: &str, definition: &Definition) -> Result<Arc<dyn Program>, StepError> {
        let waits = definition.workflow == "wait";
        let result = Payload::of(&"x".repeat(RESULT))
            .map_err(|error| StepError::permanent("bench", "no payload").caused_by(&error))?;
        Ok(Arc::new(move |ctx: Context, _: Payload| {
            let result = result.clone();
            async move {
                for number in 0..STEPS {
                    if waits && number == STEPS / 2 {
                        ctx.sleep("wait", Duration::from_secs(1_000_000)).await?;
                    }
                    let result = result.clone();
                    ctx.step(Step {
                        name: format!("step-{number}"),
                        kind: "no-op".into(),
                        input: None,
                        options: StepOptions::default(),
                        compensates: None,
                        key_of: None,
                        body: Arc::new(move |_: Attempt| std::future::ready(Ok(result.clone()))),
                    })
                    .await?;
                }
                Ok(Payload::null())
            }
        }))
    }

    fn child(&self, _: &str, _: &Definition, workflow: &str) -> Result<Definition, StepError> {
        Ok(definition(workflow))
    }
}

/// Definitions that are the text of a workflow.
pub struct Flows {
    /// Connectors.
    pub registry: Arc<Registry>,
    /// What running workflows need.
    pub runtime: Arc<Runtime>,
}

impl Programs for Flows {
    fn load(&self, _: &str, definition: &Definition) -> Result<Arc<dyn Program>, StepError> {
        let text = String::from_utf8_lossy(&definition.content).into_owned();
        let plan = load(Source::new("bench.yaml", text), &self.registry, &LoadOptions::default())
            .map_err(|problems| StepError::permanent("bench", problems.to_string()))?;
        Ok(Arc::new(FlowProgram::new(
            plan,
            Arc::clone(&self.runtime),
            PathBuf::from("."),
        )))
    }

    fn child(&self, _: &str, _: &Definition, workflow: &str) -> Result<Definition, StepError> {
        Err(StepError::permanent("workflow.unknown", workflow))
    }
}

/// A definition that [`NoOps`] runs.
#[must_use]
pub fn definition(workflow: &str) -> Definition {
    Definition {
        hash: workflow.into(),
        workflow: workflow.into(),
        content: Vec::new().into(),
    }
}

/// The value below which `percent` of the sorted times lie.
#[must_use]
pub fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times
        .get(times.len().saturating_mul(percent) / 100)
        .or(times.last())
        .copied()
        .unwrap_or_default()
}

/// Most memory that this process has had, in MiB, as Linux counts it.
#[must_use]
pub fn peak_memory_mib() -> u64 {
    memory_mib("VmHWM:")
}

/// Memory that this process has now, in MiB, as Linux counts it.
#[must_use]
pub fn resident_memory_mib() -> u64 {
    memory_mib("VmRSS:")
}

fn memory_mib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok())
        .unwrap_or_default()
        / 1024
}

/// Processor time that this process has used, of all its threads, as Linux counts it (in steps of 10 ms).
#[must_use]
pub fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in brackets: state is field 3, user time 14, system time 15, in hundredths of a second.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks: u64 = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}
