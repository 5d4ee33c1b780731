//! `bowline simulate`: the engine in simulated time, held to its rules.

use std::num::NonZero;

use bowline_simulation::{Report, Stats, run as simulate, run_many};

use crate::args::SimulateArgs;
use crate::exit::{Exit, Result};
use crate::terminal;

pub(super) fn run(args: &SimulateArgs) -> Result {
    if let Some(seed) = args.seed {
        return one(&simulate(seed, args.trace), args.trace);
    }
    let threads = args
        .threads
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, NonZero::get));
    let step = (args.seeds / 10).max(1000);
    let summary = run_many(args.from, args.seeds, threads, &|done| {
        if done % step == 0 && done < args.seeds {
            terminal::note(&format!("{done} of {} seeds", args.seeds));
        }
    });
    if let Some(failure) = summary.failed.as_ref().and_then(Report::failure) {
        terminal::print(&failure)?;
        return Ok(Exit::Failed);
    }
    terminal::print(&format!(
        "{} seeds, and every rule holds\n{}",
        summary.seeds,
        figures(&summary.stats)
    ))?;
    Ok(Exit::Success)
}

fn one(report: &Report, trace: bool) -> Result {
    if let Some(failure) = report.failure() {
        terminal::print(&failure)?;
        return Ok(Exit::Failed);
    }
    if trace {
        terminal::print(&report.trace.join("\n"))?;
    }
    terminal::print(&format!(
        "seed {}: every rule holds\n{}",
        report.seed,
        figures(&report.stats)
    ))?;
    Ok(Exit::Success)
}

fn figures(stats: &Stats) -> String {
    let Stats {
        executions,
        ended,
        starts,
        repeated,
        calls,
        callbacks,
        early,
        crashes,
        commits,
        records,
        simulated_ms,
    } = stats;
    format!(
        "  executions      {executions}, which ended {ended} times (some were resumed)\n  \
         starts          {starts} acknowledged, {repeated} refused as repetitions\n  \
         attempts        {calls}\n  \
         callbacks       {callbacks} acknowledged, {early} of them before anybody waited\n  \
         crashes         {crashes}\n  \
         commits         {commits}, with {records} records\n  \
         simulated time  {} h",
        simulated_ms / 3_600_000
    )
}
