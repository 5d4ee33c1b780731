//! Every call that reaches a mock, in order of arrival.
//!
//! A call is recorded, and in the file where there is one, before it is answered: who holds an answer finds
//! the call, also when this process is killed the moment after. The lock is held for one push and one
//! `write`, never over an `await`.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::watch;

/// How the `body` of a [`Call`] is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BodyEncoding {
    /// There was no body; `body` is null.
    #[default]
    None,
    /// The JSON that was sent.
    Json,
    /// The fields of a form, as an object of texts (lists where a name is there several times).
    Form,
    /// The text that was sent.
    Text,
    /// Bytes that are no text, in base64.
    Base64,
}

/// One call that a mock service got.
///
/// A call holds what the caller sent, credentials too: mocks are for made-up ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Place among the calls to all services since the mocks started, from 1.
    pub number: u64,
    /// Id of the service.
    pub service: String,
    /// When it came in.
    pub at: Timestamp,
    /// HTTP method; for mail `SEND`, or `RCPT` for a recipient that was refused.
    pub method: String,
    /// Path as it was sent, without the query; for mail the recipients, separated by commas.
    pub path: String,
    /// Query parameters: text, or a list where a name is there several times.
    #[serde(default)]
    pub query: Map<String, Value>,
    /// Headers with lower-case names; values of several are joined by commas.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What was sent; see `body_encoding`. For mail an object with `from`, `to`, `subject`, `text`, `html`,
    /// `attachments` and `raw`.
    #[serde(default)]
    pub body: Value,
    /// How to read `body`.
    #[serde(default)]
    pub body_encoding: BodyEncoding,
    /// The status (for mail: the reply code) that is answered; none where a fault leaves no answer.
    pub status: Option<u16>,
    /// The route that answers, as `POST /charge`; none where no route fits.
    pub route: Option<String>,
    /// The `Idempotency-Key` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// An idempotent route had carried this key out before and gives the first answer again.
    #[serde(default)]
    pub repeated: bool,
    /// The fault that strikes the call: `reset`, `hang`, `malformed`, `empty`, `garbage`, `drop` or `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Why the mock could not answer as its file says, such as an expression that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Call {
    /// Whether the service did what was asked: a route fits, it is no repetition, and neither a status fault
    /// nor a status from 400 turned it away. A lost answer (a reset, say) still counts: that is the point.
    #[must_use]
    pub fn is_effect(&self) -> bool {
        self.route.is_some()
            && !self.repeated
            && self.error.is_none()
            && self.fault.as_deref() != Some("status")
            && self.status.is_none_or(|status| status < 400)
    }
}

/// Reads the calls in a file that mocks recorded. A last line that a crash cut off is left out.
///
/// # Errors
/// The file cannot be read, or a line in the middle is not a call.
pub fn read_calls(path: &Path) -> io::Result<Vec<Call>> {
    let text = std::fs::read_to_string(path)?;
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).map_err(io::Error::from))
        .collect()
}

/// Where calls are kept.
pub(crate) struct Recorder {
    state: Mutex<State>,
    total: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    by_service: HashMap<String, Vec<usize>>,
    file: Option<File>,
}

impl Recorder {
    pub(crate) fn new(file: Option<File>) -> Self {
        Self {
            state: Mutex::new(State {
                file,
                ..State::default()
            }),
            total: watch::Sender::new(0),
        }
    }

    /// Numbers and keeps a call.
    ///
    /// # Errors
    /// The file cannot be written; the call is kept in memory all the same.
    pub(crate) fn record(&self, mut call: Call) -> io::Result<()> {
        let (written, total) = {
            let mut state = self.lock();
            call.number = state.calls.len() as u64 + 1;
            let written = state.append(&call);
            let index = state.calls.len();
            state.by_service.entry(call.service.clone()).or_default().push(index);
            state.calls.push(call);
            (written, state.calls.len())
        };
        // Another thread may have got here first with a greater total.
        self.total.send_if_modified(|seen| {
            let more = total > *seen;
            *seen = total.max(*seen);
            more
        });
        written
    }

    pub(crate) fn all(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    pub(crate) fn of(&self, service: &str) -> Vec<Call> {
        let state = self.lock();
        let places = state.by_service.get(service).map(Vec::as_slice).unwrap_or_default();
        places
            .iter()
            .filter_map(|index| state.calls.get(*index))
            .cloned()
            .collect()
    }

    /// How many calls to `service` satisfy `wanted`.
    pub(crate) fn count(&self, service: &str, wanted: &(dyn Fn(&Call) -> bool + Sync)) -> usize {
        let state = self.lock();
        let places = state.by_service.get(service).map(Vec::as_slice).unwrap_or_default();
        places
            .iter()
            .filter_map(|index| state.calls.get(*index))
            .filter(|call| wanted(call))
            .count()
    }

    /// Changes whenever a call was recorded.
    pub(crate) fn changes(&self) -> watch::Receiver<usize> {
        self.total.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic while holding the lock leaves the list whole: the push is its last act.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, call: &Call) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let mut line = serde_json::to_vec(call)?;
        line.push(b'\n');
        // Unbuffered: the kernel has the line when this returns, whatever happens to the process.
        file.write_all(&line)
    }
}
