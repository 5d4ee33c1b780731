//! The rows of what executions wait for, of answers that came before anybody waited, and of events.

use bytes::Bytes;

use crate::ExecNo;

/// What an execution waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitKind {
    /// An answer by token or key.
    Callback,
    /// A signal to this execution.
    Signal,
    /// An event that another execution emits.
    Event,
}

impl WaitKind {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Callback, Self::Signal, Self::Event];

    /// The name that users see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Callback => "callback",
            Self::Signal => "signal",
            Self::Event => "event",
        }
    }
}

/// Where a wait stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitState {
    /// Nothing has come yet.
    Open,
    /// An answer has come.
    Answered,
    /// It ended with an error: a reported failure, or nothing came in time.
    Failed,
    /// The execution does not wait for it any more.
    Cancelled,
}

impl WaitState {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Open, Self::Answered, Self::Failed, Self::Cancelled];

    /// The name that users see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Something that an execution waits for. Those of callbacks stay after they were closed, until the execution is
/// deleted, so that a late or repeated answer can be told apart from one for nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitRow {
    /// The execution that waits.
    pub exec: ExecNo,
    /// Which of its waits: unique within the execution.
    pub tag: u64,
    /// The step's path.
    pub path: String,
    /// What kind of thing comes.
    pub kind: WaitKind,
    /// The channel of a callback's key (empty for none), the signal's name, or the event's.
    pub name: String,
    /// The other side's reference (callbacks), or the key that an event has to have (events).
    pub key: Option<String>,
    /// When it ends by itself, in milliseconds since the Unix epoch.
    pub until: Option<i64>,
    /// What whoever opened it wants to find there again, such as an approval's form.
    pub detail: Option<Bytes>,
    /// Milliseconds since the Unix epoch.
    pub opened_at: i64,
    /// Where it stands.
    pub state: WaitState,
}

/// Which waits to list. They come ordered by execution and tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitFilter {
    /// Only those of executions of this organization; none means those of every one.
    pub organization: Option<String>,
    /// Only those of this execution.
    pub exec: Option<ExecNo>,
    /// Only those of this kind.
    pub kind: Option<WaitKind>,
    /// Only those that stand there.
    pub state: Option<WaitState>,
    /// Only those with this name.
    pub name: Option<String>,
    /// Only those with this key.
    pub key: Option<String>,
    /// Only those after this execution and tag: the last one of the page before.
    pub after: Option<(ExecNo, u64)>,
    /// At most so many; 0 means 100.
    pub limit: usize,
}

impl WaitFilter {
    /// How many rows a page has at most: [`WaitFilter::limit`] with its default.
    #[must_use]
    pub fn page(&self) -> usize {
        if self.limit == 0 { 100 } else { self.limit }
    }

    /// Whether this filter lets `row` through, its page and the organization aside, which a row does not say.
    #[must_use]
    pub fn fits(&self, row: &WaitRow) -> bool {
        self.exec.is_none_or(|exec| row.exec == exec)
            && self.kind.is_none_or(|kind| row.kind == kind)
            && self.state.is_none_or(|state| row.state == state)
            && self.name.as_ref().is_none_or(|name| row.name == *name)
            && (self.key.is_none() || row.key == self.key)
            && self.after.is_none_or(|after| (row.exec, row.tag) > after)
    }
}

/// An answer to a callback that came before anybody waited for it, or for which nobody is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number, ascending and never reused; 0 in [`Write::Keep`](crate::Write::Keep) lets the store number it.
    pub id: i64,
    /// Whose it is.
    pub organization: String,
    /// The execution that it is for, where its token said so.
    pub exec: Option<ExecNo>,
    /// Which of its waits.
    pub tag: Option<u64>,
    /// The channel of the key; empty for none.
    pub name: String,
    /// The other side's reference, where it came by that.
    pub key: Option<String>,
    /// The answer, encoded by the engine.
    pub answer: Bytes,
    /// Milliseconds since the Unix epoch.
    pub received_at: i64,
    /// When it is forgotten, in milliseconds since the Unix epoch.
    pub expires_at: i64,
}

/// Which deliveries to list. They come oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only those of this organization; none means those of every one.
    pub organization: Option<String>,
    /// Only this one.
    pub id: Option<i64>,
    /// Only those for this execution.
    pub exec: Option<ExecNo>,
    /// Only those of this channel.
    pub name: Option<String>,
    /// Only those with this key.
    pub key: Option<String>,
    /// Only those with a higher number: the last one of the page before.
    pub after: i64,
    /// At most so many; 0 means 100.
    pub limit: usize,
}

impl DeliveryFilter {
    /// How many rows a page has at most: [`DeliveryFilter::limit`] with its default.
    #[must_use]
    pub fn page(&self) -> usize {
        if self.limit == 0 { 100 } else { self.limit }
    }
}

/// An event that an execution emitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRow {
    /// Its number, ascending and never reused; 0 in [`Write::Emit`](crate::Write::Emit) lets the store number it.
    pub id: i64,
    /// Whose it is: it is for executions of this organization.
    pub organization: String,
    /// Its name.
    pub event: String,
    /// What it is about, for those that wait for that only.
    pub key: Option<String>,
    /// What it carries, encoded by the engine.
    pub data: Bytes,
    /// The id of the execution that emitted it.
    pub source: String,
    /// Milliseconds since the Unix epoch. Never before that of an event with a lower number: where a clock went back,
    /// a store keeps the later time.
    pub at: i64,
}
