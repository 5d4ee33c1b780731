//! What must hold of an execution at rest: its journal replays to where it stands.

use bowline_core::{Effect, Event, Execution, Identity, Outcome, Record, Rest, TokenKey, condense};
use bowline_store::{ExecNo, Status};

use crate::ledger::{Broken, Life};
use crate::program::{Said, Workflow, Workflows};

/// What a replay came to.
struct Replayed {
    outcome: Option<Outcome>,
    rest: Rest,
    effects: Vec<String>,
    said: Said,
}

/// Holds an execution as the journal has it to the rules, at the time `now`.
pub(crate) fn check(
    workflows: &Workflows,
    tokens: &TokenKey,
    exec: ExecNo,
    life: &Life,
    now: i64,
) -> Result<(), Broken> {
    let replay = |journal: &[Record]| replay(workflows, tokens, exec, life, journal, now);
    let whole = replay(&life.journal).map_err(|why| format!("execution {} does not replay: {why}", life.id))?;
    let short = replay(&condense(&life.journal)).map_err(|why| {
        format!(
            "execution {} does not replay from its condensed journal: {why}",
            life.id
        )
    })?;
    if whole.effects != short.effects || whole.outcome != short.outcome || whole.rest != short.rest {
        return Err(format!(
            "execution {} is another one when it is replayed from its condensed journal: {:?} and not {:?}",
            life.id, short.effects, whole.effects
        ));
    }
    rest(life, &whole, now).map_err(|why| format!("execution {}: {why}", life.id))?;
    compensation(life, &whole).map_err(|why| format!("execution {}: {why}", life.id))
}

fn replay(
    workflows: &Workflows,
    tokens: &TokenKey,
    exec: ExecNo,
    life: &Life,
    journal: &[Record],
    now: i64,
) -> Result<Replayed, Broken> {
    let number = life.workflow.trim_start_matches('w').parse().unwrap_or(usize::MAX);
    let (program, said): (Workflow, _) = workflows
        .program(number)
        .map_err(|error| error.to_string())?
        .rehearsed();
    let identity = Identity {
        id: life.id.clone(),
        workflow: life.workflow.as_str().into(),
        started_at: life.started_at,
        exec: exec.0,
        tokens: tokens.clone(),
    };
    let (execution, effects) =
        Execution::replay(identity, &program, journal, now).map_err(|error| error.to_string())?;
    let said = std::mem::take(&mut *said.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    Ok(Replayed {
        outcome: execution.outcome().cloned(),
        rest: execution.rest(),
        effects: effects.iter().map(describe).collect(),
        said,
    })
}

fn describe(effect: &Effect) -> String {
    match effect {
        Effect::RunStep {
            attempt, not_before, ..
        } => {
            format!(
                "run {} #{} key {} {not_before:?}",
                attempt.path,
                attempt.number,
                attempt.idempotency_key()
            )
        }
        Effect::SetTimer { path, at } => format!("timer {path} {at}"),
        Effect::BeginAttempt {
            path,
            attempt,
            not_before,
        } => format!("begin {path} #{attempt} {not_before:?}"),
        Effect::ReportUnknown { path, attempt } => format!("unknown {path} #{attempt}"),
        Effect::RegisterWait { path, tag, wait, until } => format!("wait {path} {tag:x} {wait:?} {until:?}"),
        Effect::StartChild { path, id, .. } => format!("child {path} {id}"),
        Effect::CancelChild { id } => format!("cancel child {id}"),
        _ => "something else".into(),
    }
}

/// It has ended as its row says, or something will wake it.
fn rest(life: &Life, replayed: &Replayed, now: i64) -> Result<(), Broken> {
    let Replayed {
        outcome, rest, said, ..
    } = replayed;
    let status = match outcome {
        None => None,
        Some(Outcome::Succeeded(_)) => Some(Status::Succeeded),
        Some(Outcome::Failed(_)) => Some(Status::Failed),
        Some(Outcome::Cancelled(_)) => Some(Status::Cancelled),
    };
    if status.is_some() != life.is_finished() || status.is_some_and(|status| status != life.status) {
        return Err(format!(
            "its row says {} and its journal {status:?}",
            life.status.name()
        ));
    }
    if let Some(outcome) = outcome {
        let same = match (&said.result, outcome) {
            (Some(Ok(text)), Outcome::Succeeded(output)) => output.text().trim_matches('"') == text,
            (Some(Err(error)), Outcome::Failed(recorded) | Outcome::Cancelled(recorded)) => error == recorded,
            _ => false,
        };
        if !same {
            return Err(format!(
                "it ended with {outcome:?}, and its replay with {:?}",
                said.result
            ));
        }
    }
    if life.status == Status::Waiting {
        if rest.steps > 0 && life.wake_at.is_none_or(|wake| wake > now) {
            return Err("it has left memory, and a step is to run".into());
        }
        if let Some(next) = rest.next
            && life.wake_at.is_none_or(|wake| wake > next.max(now))
        {
            return Err(format!(
                "something is due at {next}, and it is woken at {:?}",
                life.wake_at
            ));
        }
    }
    Ok(())
}

/// Exactly what was done is undone, newest first, once.
fn compensation(life: &Life, replayed: &Replayed) -> Result<(), Broken> {
    let from = life
        .journal
        .iter()
        .rposition(|record| record.events.iter().any(|event| matches!(event, Event::Resumed { .. })))
        .unwrap_or(0);
    let mut undone: Vec<(&str, &str)> = Vec::new();
    for event in life.journal[from..].iter().flat_map(|record| &record.events) {
        if let Event::StepScheduled {
            path,
            compensates: Some(done),
            ..
        } = event
        {
            let scope = path.rsplit_once('/').map_or("", |(scope, _)| scope);
            undone.push((scope, done));
        }
    }
    for (scope, done) in &replayed.said.undone {
        let scope = scope.trim_end_matches('/');
        let seen: Vec<&str> = undone
            .iter()
            .filter(|(of, _)| *of == scope)
            .map(|(_, path)| *path)
            .collect();
        let expected: Vec<&str> = done.iter().rev().map(String::as_str).collect();
        let complete = replayed.outcome.is_some();
        if (complete && seen != expected) || !expected.starts_with(&seen) {
            return Err(format!("the saga `{scope}` did {done:?} and undid {seen:?}"));
        }
    }
    let scopes: Vec<&str> = replayed
        .said
        .undone
        .iter()
        .map(|(scope, _)| scope.trim_end_matches('/'))
        .collect();
    match undone.iter().find(|(scope, _)| !scopes.contains(scope)) {
        Some((scope, path)) => Err(format!("{path} of the saga `{scope}`, which did not fail, was undone")),
        None => Ok(()),
    }
}
