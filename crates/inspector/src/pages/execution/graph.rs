//! The picture of the workflow with the state of each step.

use bowline_flow::graph::{Mark, Overlay, embedded};
use bowline_host::{StepState, StepView};
use maud::{Markup, PreEscaped, html};

use super::Shown;

pub(super) fn graph(shown: &Shown<'_>) -> Markup {
    let Some(plan) = shown.plan else {
        return html! { div.inside { p.soft { "This version of Bowline cannot read the workflow that it runs." } } };
    };
    let mut overlay = Overlay::new(shown.execution.summary.status.is_finished());
    for (index, step) in shown.execution.steps.iter().enumerate() {
        overlay.mark(&step.path, mark(step.state), &note(step), Some(&anchor(index)));
    }
    html! {
        div.canvas tabindex="0" role="region" aria-label="Graph, scrolls" { (PreEscaped(embedded(plan, Some(&overlay)))) }
    }
}

/// The id of a step's entry in the list.
pub(super) fn anchor(index: usize) -> String {
    format!("step-{index}")
}

fn mark(state: StepState) -> Mark {
    match state {
        StepState::Running => Mark::Running,
        StepState::Waiting => Mark::Waiting,
        StepState::Done => Mark::Done,
        StepState::Failed => Mark::Failed,
        StepState::Cancelled => Mark::Cancelled,
        StepState::Skipped => Mark::Skipped,
        StepState::Compensated => Mark::Compensated,
    }
}

fn note(step: &StepView) -> String {
    let attempt = step.attempts.last().map_or(0, |attempt| attempt.number);
    match (step.state, &step.error) {
        (StepState::Failed, Some(error)) => error.code.clone(),
        (StepState::Done, _) if step.kept => "kept".to_owned(),
        (StepState::Running | StepState::Waiting | StepState::Done, _) if attempt > 1 => format!("attempt {attempt}"),
        _ => String::new(),
    }
}
