//! Waiting for the world: what an execution can wait for from outside, and how it is answered.
//!
//! All three are one kind of operation. A *callback* is answered by whoever has its token (or knows the
//! reference it was given), a *signal* is sent to the execution, an *event* is what another execution emits.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Path;
use crate::{Payload, StepError};

/// What an execution waits for from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Wait {
    /// An answer by token, or by the other side's own reference.
    Callback {
        /// The channel that the reference belongs to; none means the one without a name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Path>,
        /// The other side's own reference; none means that only the token leads here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// What a person is asked to approve, for lists and pages; none means that it is no approval.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<Payload>,
    },
    /// A signal to this execution.
    Signal {
        /// The signal's name.
        name: Path,
    },
    /// An event that an execution emits.
    Event {
        /// The event's type.
        event: Path,
        /// Only events with this key; none means any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// Only events with a higher number; 0 means those since the execution began.
        #[serde(default, skip_serializing_if = "is_zero")]
        after: i64,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Wait {
    /// `callback`, `signal` or `event`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Callback { .. } => "callback",
            Self::Signal { .. } => "signal",
            Self::Event { .. } => "event",
        }
    }

    /// The channel, the signal or the type of the event; empty for a callback without a channel.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Callback { name, .. } => name.as_deref().unwrap_or_default(),
            Self::Signal { name } => name,
            Self::Event { event, .. } => event,
        }
    }

    /// The reference or key that an answer must have; none means that none is asked for.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Callback { key, .. } | Self::Event { key, .. } => key.as_deref(),
            Self::Signal { .. } => None,
        }
    }

    /// Whether both wait for the same sort of thing by the same name; a replayed program may compute
    /// another key.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.name() == other.name()
    }

    /// What it is remembered as by a resumed execution.
    pub(crate) fn memo_kind(&self) -> Path {
        format!("{} {}", self.kind(), self.name()).into()
    }
}

/// What comes in for a wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Answer {
    /// What was waited for.
    Succeeded {
        /// The answer, or the event's data.
        output: Payload,
        /// The number of the event; none for callbacks.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        event: Option<i64>,
    },
    /// The other side reports that it failed.
    Failed(StepError),
    /// The other side is still at work; the next word is due within the heartbeat.
    Heartbeat,
}

/// How a callback is waited for. The default has no reference and no bound.
#[derive(Clone, Debug, Default)]
pub struct CallbackOptions {
    /// The channel that the reference belongs to; none means the one without a name.
    pub channel: Option<Path>,
    /// The other side's own reference; none means that only the token leads here.
    pub key: Option<String>,
    /// What a person is asked to approve; none means that it is no approval.
    pub approval: Option<Payload>,
    /// It fails with `callback.timeout` after so long; none means never.
    pub timeout: Option<Duration>,
    /// It fails with `callback.heartbeat-timeout` when nothing was heard for so long; none means never.
    pub heartbeat: Option<Duration>,
}

/// Which signals or events a wait takes. Asked before anything is recorded, so it may change with the
/// program; it must not depend on anything but the program's own values.
pub type Filter = Arc<dyn Fn(&Payload) -> bool + Send + Sync>;
