//! Events as lines of text: for logs, and for the history of an execution.

use bowline_core::{Event, Outcome, StepError};

use super::model::{View, What};
use super::{text, time, tree};

/// What an event says, as one line without its time. `view` has taken note of the event.
pub(crate) fn describe(view: &View, at: i64, event: &Event) -> String {
    match event {
        Event::Started {
            origin: Some(origin), ..
        } => {
            let (id, workflow, from) = (&view.id, &view.workflow, &origin.execution);
            let kept = text::count(origin.kept.len(), "result");
            format!("execution {id} of {workflow} started, with {kept} of execution {from}")
        }
        Event::Started { origin: None, .. } => format!("execution {} of {} started", view.id, view.workflow),
        Event::StepScheduled {
            path,
            kind,
            compensates,
            ..
        } => match compensates {
            Some(undone) => format!("step {path} ({kind}) started, to undo {undone}"),
            None => format!("step {path} ({kind}) started"),
        },
        Event::AttemptFailed {
            path,
            attempt,
            error,
            next_at,
        } => {
            let attempt = text::attempt(*attempt, view.attempts(path));
            let next = time::until(*next_at, at);
            format!(
                "step {path} {attempt} failed: {}; next attempt in {next} [{}]",
                text::message(error),
                error.code
            )
        }
        Event::StepCompleted { path, attempt, .. } => {
            let attempt = if *attempt > 1 {
                format!(" at attempt {attempt}")
            } else {
                String::new()
            };
            format!("step {path} completed{attempt}{}", taken(view, path))
        }
        Event::StepFailed { path, attempt, error } => {
            let attempt = text::attempt(*attempt, view.attempts(path));
            format!(
                "step {path} {attempt} failed: {} [{}]",
                text::message(error),
                error.code
            )
        }
        Event::StepCancelled { path } => format!("step {path} cancelled"),
        Event::TimerSet { path, at: due } => {
            format!(
                "{path} waits until {} (for {})",
                time::due(*due, at),
                time::until(*due, at)
            )
        }
        Event::TimerFired { path } => format!("{path} has waited"),
        Event::TimerCancelled { path } | Event::WaitCancelled { path } => format!("{path} waits no longer"),
        Event::ChildStarted {
            path,
            id,
            workflow,
            detached,
            ..
        } => {
            let how = if *detached { ", which goes on by itself" } else { "" };
            format!("{path} started execution {id} of {workflow}{how}")
        }
        Event::ChildEnded { path, outcome } => match outcome {
            Outcome::Succeeded(_) => format!("{path} completed{}", taken(view, path)),
            Outcome::Failed(error) | Outcome::Cancelled(error) => {
                format!("{path} failed: {} [{}]", text::message(error), error.code)
            }
        },
        Event::ChildCancelled { path, id } => format!("{path} cancelled (execution {id})"),
        Event::CancelRequested { reason } => format!("cancellation requested: {}", text::one_line(reason)),
        Event::AttemptBegun { path, attempt } => format!("step {path} attempt {attempt} begins"),
        Event::WaitRegistered { path, .. } => {
            let what = view
                .ops
                .get(path)
                .map(|op| tree::awaited(&op.what, at))
                .unwrap_or_default();
            format!("{path} waits for {what}")
        }
        Event::WaitCompleted { path, .. } => format!("{path} has its answer{}", taken(view, path)),
        Event::WaitFailed { path, error } => format!("{path} failed: {} [{}]", text::message(error), error.code),
        Event::Heartbeat { path, until } => {
            format!("{path} had a heartbeat; the next is due by {}", time::due(*until, at))
        }
        Event::SignalReceived { name, .. } => format!("signal {name} received"),
        Event::VersionChosen { path, version } => format!("{path} goes the way of version {version}"),
        Event::Emitted { path, event, .. } => format!("{path} emitted event {event}"),
        Event::ScopeFolded(fold) | Event::ScopeSkipped { fold, .. } => {
            format!("{} completed ({} operations)", fold.path, fold.asks)
        }
        Event::Resumed {
            reason,
            definition: Some(hash),
            dropped,
        } => {
            let version: String = hash.chars().take(12).collect();
            let again = match dropped.as_slice() {
                [] => String::new(),
                paths => format!("; done again: {}", paths.join(", ")),
            };
            format!("resumed on version {version}: {}{again}", text::one_line(reason))
        }
        Event::Resumed { reason, .. } => format!("resumed: {}", text::one_line(reason)),
        Event::Finished { outcome } => format!("execution {}", ended(view, outcome)),
    }
}

/// `succeeded in 3.2s`, `failed after 3.2s: ...`.
fn ended(view: &View, outcome: &Outcome) -> String {
    let took = time::duration(view.ended_at.unwrap_or(view.started_at) - view.started_at);
    match outcome {
        Outcome::Succeeded(_) => format!("succeeded in {took}"),
        Outcome::Failed(error) => format!("failed after {took}: {}", of_step(view, error)),
        Outcome::Cancelled(error) => format!("cancelled after {took}: {}", text::reason(error)),
    }
}

fn taken(view: &View, path: &str) -> String {
    let op = view.ops.get(path);
    op.and_then(|op| Some(format!(" in {}", time::duration(op.ended_at? - op.asked_at))))
        .unwrap_or_default()
}

/// An execution's error with the step that it comes from, where it is a step's:
/// `step "charge" (http-request) attempt 2 of 5: ... [http.503]`.
pub(crate) fn of_step(view: &View, error: &StepError) -> String {
    let told = format!("{} [{}]", text::message(error), error.code);
    let Some((path, op)) = view.failed_step(error) else {
        return told;
    };
    match &op.what {
        What::Step { kind, .. } => {
            format!(
                "step \"{path}\" ({kind}) {}: {told}",
                text::attempt(op.attempt, view.attempts(path))
            )
        }
        What::Child { workflow, .. } => format!("step \"{path}\" (workflow {workflow}): {told}"),
        What::Timer | What::Wait { .. } | What::Emit { .. } => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_core::Payload;

    #[test]
    fn every_event_is_a_line() {
        let mut view = View::new("e1", "orders", 0);
        let busy = StepError::transient("http.503", "https://pay.example/charges answered 503:\nbusy");
        let gone = StepError::permanent("http.404", "https://pay.example/charges answered 404");
        let mut lines = Vec::new();
        for (at, event) in [
            (
                0,
                Event::Started {
                    input: Payload::null(),
                    origin: None,
                    trace: None,
                },
            ),
            (
                0,
                Event::StepScheduled {
                    path: "charge".into(),
                    kind: "http-request".into(),
                    input: None,
                    compensates: None,
                    key_of: None,
                },
            ),
            (
                100,
                Event::AttemptFailed {
                    path: "charge".into(),
                    attempt: 1,
                    error: busy,
                    next_at: 4_100,
                },
            ),
            (
                4_200,
                Event::StepFailed {
                    path: "charge".into(),
                    attempt: 2,
                    error: gone.clone(),
                },
            ),
            (
                4_300,
                Event::Finished {
                    outcome: Outcome::Failed(gone),
                },
            ),
        ] {
            view.apply(at, &event);
            lines.push(describe(&view, at, &event));
        }
        assert_eq!(
            lines,
            [
                "execution e1 of orders started",
                "step charge (http-request) started",
                "step charge attempt 1 failed: https://pay.example/charges answered 503: busy; next attempt in 4s [http.503]",
                "step charge attempt 2 failed: https://pay.example/charges answered 404 [http.404]",
                "execution failed after 4.3s: step \"charge\" (http-request) attempt 2: \
                 https://pay.example/charges answered 404 [http.404]",
            ]
        );
    }
}
