//! The events of a journal: all that a new process needs to know of an execution's past.
//!
//! There are two sorts. *Commands* are what the program asked for (a step, a timer, a child, its own
//! end); on replay the program must ask for the same again, in the same order. *Facts* are what came from
//! outside (an attempt's outcome, a timer, a cancellation); on replay they are fed to the program.
//!
//! One journal record holds the events of one commit: a fact and all commands that followed from it.
//! They are stored as a JSON array, so a journal can be read with any SQL shell.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::origin::Origin;
use crate::wait::Wait;
use crate::{Payload, StepError};

/// The stable name of a step, timer, child or wait within its execution: `pay`, `notify[2]/send`.
pub type Path = Arc<str>;

/// The event with which a program answers whoever started it and waits (`{status, headers, body}`). It is recorded as
/// [`Event::Emitted`] and told to no other execution; the first one of an execution is its response.
pub const RESPONSE: &str = "bowline.response";

/// How an execution ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// With this result.
    Succeeded(Payload),
    /// With this error.
    Failed(StepError),
    /// Because it was asked to; what had to be undone has been.
    Cancelled(StepError),
}

/// What a scope came to, and what has to be known of it when its inside is forgotten.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fold {
    /// The scope: everything below `path/`.
    pub path: Path,
    /// With a range, everything at or below `path[i]` for these `i` (the end is not part of it).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<(u64, u64)>,
    /// Its result.
    pub output: Payload,
    /// How many operations were asked for inside.
    pub asks: u64,
    /// How often the same scope was entered, this time included.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub entry: u32,
    /// How often a path inside was asked for at most, by all entries; the next entry counts on from there.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub most: u32,
}

pub(crate) fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(crate) fn is_one(number: &u32) -> bool {
    *number == 1
}

/// One entry in an execution's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// Fact: the execution began.
    Started {
        /// What it was started with.
        input: Payload,
        /// What it takes over from the execution that it was made from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<Box<Origin>>,
        /// The trace that it belongs to, as whoever started it says (the text of a W3C `traceparent` header).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trace: Option<Path>,
    },
    /// Command: run a step.
    StepScheduled {
        /// Its path.
        path: Path,
        /// What runs it, such as `http-request`.
        kind: Path,
        /// What it was asked to do, with secrets masked; for people, never read back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<Payload>,
        /// The path of the step that this one undoes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        compensates: Option<Path>,
        /// The path of the step that this is another try of, after it was verified that it had not been carried out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_of: Option<Path>,
    },
    /// Fact: an attempt begins. Only of steps whose outcome must not be unknown: what was begun and has no result
    /// may have been carried out.
    AttemptBegun {
        /// The step's path.
        path: Path,
        /// Which attempt it is, from 1.
        attempt: u32,
    },
    /// Fact: an attempt failed and another one follows.
    AttemptFailed {
        /// The step's path.
        path: Path,
        /// Which attempt it was, from 1.
        attempt: u32,
        /// Why.
        error: StepError,
        /// When the next attempt is due, in milliseconds since the Unix epoch.
        next_at: i64,
    },
    /// Fact: a step has its result.
    StepCompleted {
        /// Its path.
        path: Path,
        /// Which attempt succeeded, from 1.
        attempt: u32,
        /// Its result.
        output: Payload,
    },
    /// Fact: a step failed for good.
    StepFailed {
        /// Its path.
        path: Path,
        /// Which attempt was the last, from 1.
        attempt: u32,
        /// Why.
        error: StepError,
    },
    /// Command: a step is no longer wanted (it lost a race, or its execution was cancelled).
    StepCancelled {
        /// Its path.
        path: Path,
    },
    /// Command: wait until a time.
    TimerSet {
        /// Its path.
        path: Path,
        /// In milliseconds since the Unix epoch.
        at: i64,
    },
    /// Fact: the time has come.
    TimerFired {
        /// Its path.
        path: Path,
    },
    /// Command: a timer is no longer wanted.
    TimerCancelled {
        /// Its path.
        path: Path,
    },
    /// Command: start another execution.
    ChildStarted {
        /// Its path in this execution.
        path: Path,
        /// The id of the new execution.
        id: Path,
        /// The workflow that it runs.
        workflow: Path,
        /// What it is started with.
        input: Payload,
        /// Whether nobody waits for its end.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        detached: bool,
    },
    /// Fact: a child that was waited for has ended.
    ChildEnded {
        /// Its path in this execution.
        path: Path,
        /// How.
        outcome: Outcome,
    },
    /// Command: a child is no longer waited for; it is asked to stop.
    ChildCancelled {
        /// Its path in this execution.
        path: Path,
        /// The id of the child.
        id: Path,
    },
    /// Command: wait for something from outside.
    WaitRegistered {
        /// Its path.
        path: Path,
        /// What for.
        wait: Wait,
        /// It fails at this time (milliseconds since the Unix epoch); none means never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<i64>,
        /// It fails when nothing is heard for so many milliseconds; none means never.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heartbeat: Option<u64>,
    },
    /// Fact: what was waited for has come.
    WaitCompleted {
        /// Its path.
        path: Path,
        /// The answer, or the data of the signal or event.
        output: Payload,
        /// The number of the event or signal taken; none for callbacks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<i64>,
    },
    /// Fact: a wait failed: the other side said so, or the time is over.
    WaitFailed {
        /// Its path.
        path: Path,
        /// Why.
        error: StepError,
    },
    /// Fact: the other side is still at work.
    Heartbeat {
        /// The path of the wait.
        path: Path,
        /// The next word is due by this time (milliseconds since the Unix epoch).
        until: i64,
    },
    /// Command: something is no longer waited for.
    WaitCancelled {
        /// Its path.
        path: Path,
    },
    /// Fact: a signal came. It is kept until something waits for it.
    SignalReceived {
        /// The signal's name.
        name: Path,
        /// What came with it.
        data: Payload,
        /// What tells it apart from others, as the sender said; a second one with the same is no event.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// Which signal of the execution it is, from 1.
        number: i64,
    },
    /// Command: tell other executions that something happened.
    Emitted {
        /// Its path.
        path: Path,
        /// The event's type.
        event: Path,
        /// What it is about, for those who wait for one key only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// What goes with it.
        data: Payload,
    },
    /// Command: which way the program goes where its code was changed; see [`Context::version`](crate::Context::version).
    VersionChosen {
        /// The path of the change.
        path: Path,
        /// Which way.
        version: u32,
    },
    /// Command: a scope has its result, and nothing asks for what is inside any more. Only a note: journals
    /// without it replay too.
    ScopeFolded(Fold),
    /// Fact: a scope that folded, whose inside is no longer in these records. See [`condense`](crate::condense).
    ScopeSkipped {
        /// What the scope came to.
        fold: Fold,
        /// The numbers of the signals that were taken inside.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        signals: Vec<i64>,
        /// The types of the events that were taken inside, each with the number of the last one.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        taken: Vec<(Path, i64)>,
        /// The ids of the children that were asked to stop inside.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        stopped: Vec<Path>,
    },
    /// Fact: somebody wants the execution to stop.
    CancelRequested {
        /// Why, as they said it.
        reason: String,
    },
    /// Fact: an execution is taken up again from the top, most often a finished one. What is done stays done,
    /// unless it was undone.
    Resumed {
        /// Why, as they said it.
        reason: String,
        /// The hash of the definition that it goes on on, where that is another one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        definition: Option<String>,
        /// What was done and is done again all the same, because the other definition says something else there.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        dropped: Vec<Path>,
    },
    /// Command: the execution ended.
    Finished {
        /// How.
        outcome: Outcome,
    },
}

impl Event {
    /// Whether the program asked for it, as opposed to something that came from outside.
    #[must_use]
    pub fn is_command(&self) -> bool {
        matches!(
            self,
            Self::StepScheduled { .. }
                | Self::StepCancelled { .. }
                | Self::TimerSet { .. }
                | Self::TimerCancelled { .. }
                | Self::ChildStarted { .. }
                | Self::ChildCancelled { .. }
                | Self::WaitRegistered { .. }
                | Self::WaitCancelled { .. }
                | Self::Emitted { .. }
                | Self::VersionChosen { .. }
                | Self::ScopeFolded(_)
                | Self::Finished { .. }
        )
    }

    /// The path it is about; none for events of the whole execution.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::StepScheduled { path, .. }
            | Self::AttemptFailed { path, .. }
            | Self::StepCompleted { path, .. }
            | Self::StepFailed { path, .. }
            | Self::StepCancelled { path }
            | Self::TimerSet { path, .. }
            | Self::TimerFired { path }
            | Self::TimerCancelled { path }
            | Self::ChildStarted { path, .. }
            | Self::ChildEnded { path, .. }
            | Self::ChildCancelled { path, .. }
            | Self::AttemptBegun { path, .. }
            | Self::WaitRegistered { path, .. }
            | Self::WaitCompleted { path, .. }
            | Self::WaitFailed { path, .. }
            | Self::Heartbeat { path, .. }
            | Self::WaitCancelled { path }
            | Self::Emitted { path, .. }
            | Self::VersionChosen { path, .. }
            | Self::ScopeFolded(Fold { path, .. })
            | Self::ScopeSkipped {
                fold: Fold { path, .. },
                ..
            } => Some(path),
            Self::Started { .. }
            | Self::SignalReceived { .. }
            | Self::CancelRequested { .. }
            | Self::Resumed { .. }
            | Self::Finished { .. } => None,
        }
    }

    /// What it is, in words, for error messages.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Started { .. } => "start".into(),
            Self::StepScheduled { path, kind, .. } => format!("step `{path}` ({kind})"),
            Self::AttemptFailed { path, attempt, .. } => format!("failed attempt {attempt} of `{path}`"),
            Self::StepCompleted { path, .. } => format!("result of `{path}`"),
            Self::StepFailed { path, .. } | Self::WaitFailed { path, .. } => format!("failure of `{path}`"),
            Self::StepCancelled { path } => format!("cancellation of step `{path}`"),
            Self::TimerSet { path, .. } => format!("timer `{path}`"),
            Self::TimerFired { path } => format!("firing of timer `{path}`"),
            Self::TimerCancelled { path } => format!("cancellation of timer `{path}`"),
            Self::ChildStarted { path, workflow, .. } => format!("child `{path}` ({workflow})"),
            Self::ChildEnded { path, .. } => format!("end of child `{path}`"),
            Self::ChildCancelled { path, .. } => format!("cancellation of child `{path}`"),
            Self::AttemptBegun { path, attempt } => format!("begin of attempt {attempt} of `{path}`"),
            Self::WaitRegistered { path, wait, .. } => match (wait.kind(), wait.name()) {
                (kind, "") => format!("{kind} `{path}`"),
                (kind, name) => format!("wait `{path}` for {kind} {name}"),
            },
            Self::WaitCompleted { path, .. } => format!("answer for `{path}`"),
            Self::Heartbeat { path, .. } => format!("heartbeat of `{path}`"),
            Self::WaitCancelled { path } => format!("cancellation of wait `{path}`"),
            Self::SignalReceived { name, .. } => format!("signal {name}"),
            Self::Emitted { path, event, .. } => format!("event `{path}` ({event})"),
            Self::VersionChosen { path, version } => format!("version {version} of `{path}`"),
            Self::ScopeFolded(fold) => format!("result of scope `{}`", fold.path),
            Self::ScopeSkipped { fold, .. } => format!("condensed scope `{}`", fold.path),
            Self::CancelRequested { .. } => "request to cancel".into(),
            Self::Resumed { .. } => "resumption".into(),
            Self::Finished {
                outcome: Outcome::Succeeded(_),
            } => "successful end".into(),
            Self::Finished {
                outcome: Outcome::Failed(_),
            } => "end with an error".into(),
            Self::Finished {
                outcome: Outcome::Cancelled(_),
            } => "end by cancellation".into(),
        }
    }

    /// Whether a replayed program asks for what the journal says it asked for. Times and inputs may
    /// differ: a template may have been mended, and a path is what identifies a step.
    pub(crate) fn same_command(&self, journaled: &Self) -> bool {
        match (self, journaled) {
            (Self::StepScheduled { path: a, kind: x, .. }, Self::StepScheduled { path: b, kind: y, .. })
            | (
                Self::ChildStarted {
                    path: a, workflow: x, ..
                },
                Self::ChildStarted {
                    path: b, workflow: y, ..
                },
            )
            | (Self::Emitted { path: a, event: x, .. }, Self::Emitted { path: b, event: y, .. }) => a == b && x == y,
            (Self::WaitRegistered { path: a, wait: x, .. }, Self::WaitRegistered { path: b, wait: y, .. }) => {
                a == b && x.is_like(y)
            }
            (Self::Finished { outcome: a }, Self::Finished { outcome: b }) => {
                std::mem::discriminant(a) == std::mem::discriminant(b)
            }
            _ => std::mem::discriminant(self) == std::mem::discriminant(journaled) && self.path() == journaled.path(),
        }
    }
}

/// The journal form of one commit's events.
///
/// # Errors
/// Never in practice: every event has a JSON form.
pub fn encode(events: &[Event]) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(events)
}

/// Reads [`encode`]'s form.
///
/// # Errors
/// Where the bytes are no such record.
pub fn decode(bytes: &[u8]) -> Result<Vec<Event>, serde_json::Error> {
    serde_json::from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let events = vec![
            Event::Started {
                input: Payload::of(&serde_json::json!({"a": [1, "x"]})).unwrap(),
                origin: None,
                trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
            },
            Event::StepScheduled {
                path: "pay".into(),
                kind: "http-request".into(),
                input: None,
                compensates: None,
                key_of: None,
            },
            Event::AttemptFailed {
                path: "pay".into(),
                attempt: 1,
                error: StepError::transient("http.503", "busy"),
                next_at: 17,
            },
            Event::ChildEnded {
                path: "c".into(),
                outcome: Outcome::Cancelled(StepError::cancelled()),
            },
            Event::Finished {
                outcome: Outcome::Succeeded(Payload::null()),
            },
        ];
        let bytes = encode(&events).unwrap();
        assert_eq!(decode(&bytes).unwrap(), events);
        assert!(decode(b"[{\"unheardOf\":{}}]").is_err());
    }
}
