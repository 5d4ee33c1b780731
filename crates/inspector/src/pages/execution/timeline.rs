//! Attempts and waits as bars over the time of the execution.

use bowline_host::{AttemptState, Execution, StepState, StepView};
use maud::{Markup, html};

use super::graph::anchor;
use crate::parts::time::{duration, millis};

/// So many steps have bars; a loop may have a million.
const SHOWN: usize = 200;

/// A span of time on the way from the begin (0) to the end (100) of the execution.
struct Span {
    from: f64,
    width: f64,
}

/// The time that the whole width stands for.
#[derive(Clone, Copy)]
struct Whole {
    from: i64,
    until: i64,
}

impl Whole {
    fn span(self, from: i64, until: i64) -> Span {
        let length = (self.until - self.from).max(1) as f64;
        let at = |time: i64| ((time - self.from) as f64 / length * 100.0).clamp(0.0, 100.0);
        // What is too short to be seen is drawn as a stroke.
        let width = (at(until) - at(from)).max(0.5);
        Span {
            from: at(from).min(99.5),
            width,
        }
    }
}

pub(super) fn timeline(execution: &Execution, now: i64) -> Markup {
    let asked = execution
        .steps
        .iter()
        .filter_map(|step| millis(step.asked_at.as_deref()?));
    let from = asked.chain(millis(&execution.summary.started_at)).min().unwrap_or(now);
    // What was kept of an earlier execution lies before this one.
    let whole = Whole {
        from,
        until: execution
            .summary
            .finished_at
            .as_deref()
            .and_then(millis)
            .unwrap_or(now)
            .max(from + 1),
    };
    let steps: Vec<_> = execution
        .steps
        .iter()
        .enumerate()
        .filter(|(_, step)| step.asked_at.is_some())
        .collect();
    if steps.is_empty() {
        return html! { div.inside { p.soft { "Nothing has been asked for yet." } } };
    }
    html! {
        div.inside {
            ol.timeline {
                @for (index, step) in steps.iter().take(SHOWN) { (line(*index, step, whole, now)) }
            }
            div.scale aria-hidden="true" { span { "0" } span { (duration(whole.until - whole.from)) } }
            @if steps.len() > SHOWN { p.hint { "The first " (SHOWN) " of " (steps.len()) " steps." } }
        }
    }
}

fn line(index: usize, step: &StepView, whole: Whole, now: i64) -> Markup {
    let from = step.asked_at.as_deref().and_then(millis).unwrap_or(whole.from);
    let until = step
        .ended_at
        .as_deref()
        .and_then(millis)
        .unwrap_or(now.min(whole.until));
    let took = duration(until - from);
    html! {
        li {
            a.path href={ "#" (anchor(index)) } title=(step.path) { (step.path) }
            svg role="img" aria-label=(told(step, &took)) {
                rect.track width="100%" height="100%" rx="3" {}
                @if step.attempts.is_empty() {
                    (bar(class_of(step), whole.span(from, until), &format!("{}, {took}", step.state.name())))
                }
                @for attempt in &step.attempts {
                    @let began = millis(&attempt.started_at).unwrap_or(from);
                    @let ended = attempt.ended_at.as_deref().and_then(millis).unwrap_or(until);
                    @if attempt.state != AttemptState::Scheduled {
                        (bar(class(attempt.state), whole.span(began, ended), &format!(
                            "attempt {}, {}, {}", attempt.number, word(attempt.state), duration(ended - began)
                        )))
                    }
                    @if let Some(next) = attempt.next_at.as_deref().and_then(millis) {
                        (bar("pause", whole.span(ended, next.min(whole.until)), "pause before the next attempt"))
                    }
                }
            }
            span.took { (took) }
        }
    }
}

fn bar(class: &str, span: Span, title: &str) -> Markup {
    html! {
        rect class={ "bar " (class) } x={ (format!("{:.2}%", span.from)) } y="15%" width={ (format!("{:.2}%", span.width)) }
            height="70%" rx="2" { title { (title) } }
    }
}

fn told(step: &StepView, took: &str) -> String {
    let attempts = match step.attempts.len() {
        0 | 1 => String::new(),
        many => format!(", {many} attempts"),
    };
    format!("{}: {}{attempts}, {took}", step.path, step.state.name())
}

fn word(state: AttemptState) -> &'static str {
    match state {
        AttemptState::Scheduled => "due",
        AttemptState::Running => "running",
        AttemptState::Done => "done",
        AttemptState::Failed => "failed",
        AttemptState::Cancelled => "cancelled",
    }
}

fn class(state: AttemptState) -> &'static str {
    match state {
        AttemptState::Scheduled | AttemptState::Cancelled => "cancelled",
        AttemptState::Running => "running",
        AttemptState::Done => "done",
        AttemptState::Failed => "failed",
    }
}

/// Of what has no attempts: waits are shown as such, however they ended.
fn class_of(step: &StepView) -> &'static str {
    let is_wait = step.waits_for.is_some() || step.kind == "timer";
    match step.state {
        StepState::Failed => "failed",
        StepState::Running => "running",
        StepState::Compensated => "compensated",
        _ if is_wait => "waiting",
        StepState::Waiting => "waiting",
        StepState::Done => "done",
        StepState::Cancelled | StepState::Skipped => "cancelled",
    }
}
