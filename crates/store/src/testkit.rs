//! The suite that every store passes.
//!
//! A store's own tests call [`exercise`] with a [`Place`]: somewhere to keep data, empty at first, which can be
//! opened any number of times. Each case gets a place of its own and panics, or returns an error, where the store
//! does not do what [`Store`] promises.

mod concurrent;
mod entries;
mod listing;
mod organizations;
mod parking;
mod recovery;
mod requests;
mod retention;
mod volume;
mod waits;
mod writing;

use std::error::Error;

use bytes::Bytes;

use crate::{
    DEFAULT_ORGANIZATION, Definition, ExecNo, Finish, JournalRecord, NewExecution, Status, Store, StoreError, Write,
};

/// Why a case did not pass, as far as it did not panic.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Where a store keeps its data. Dropping it may throw the data away.
pub trait Place: Sync {
    /// The store under test.
    type Store: Store;

    /// Opens what is there.
    fn open(&self) -> Result<Self::Store, StoreError>;
}

/// One case of the suite, by name.
pub type Case<P> = (&'static str, fn(&P) -> Result<(), Failure>);

/// All cases, for those who want to run them one by one.
#[must_use]
pub fn cases<P: Place>() -> Vec<Case<P>> {
    vec![
        ("an empty store has nothing", writing::empty),
        ("an execution starts, appends, finishes and reopens", writing::life),
        ("numbers count on and are not reused", writing::numbers),
        ("definitions are kept once", writing::definitions),
        ("a duplicate id leaves nothing of its batch", writing::duplicates),
        ("a conflicting record leaves nothing of its batch", writing::conflicts),
        (
            "what names no execution leaves nothing of its batch",
            writing::strangers,
        ),
        ("an empty batch is nothing", writing::empty_batch),
        ("texts come back as they went in", writing::texts),
        ("one writer at a time", writing::exclusive),
        ("what was committed is there after reopening", recovery::durable),
        ("journals are read in pages", recovery::journal_pages),
        ("unfinished executions are read in pages", recovery::open_pages),
        ("an execution is parked and taken up again", parking::life),
        ("those to be woken are read in pages", parking::due_pages),
        ("a child wakes its parent", parking::parents),
        ("an audit finds what nothing wakes", parking::audit),
        ("waits are opened, replaced and closed", waits::life),
        ("waits are listed, filtered and paged", waits::lists),
        ("waits are found by their keys", waits::by_key),
        ("deliveries are kept until they expire", waits::deliveries),
        ("events are numbered, found and forgotten", waits::events),
        ("events wake those that wait for them", waits::events_wake),
        (
            "condensed records are read instead of what they stand for",
            retention::condensed,
        ),
        (
            "an execution is deleted with all that belongs to it",
            retention::deletion,
        ),
        ("an execution is deleted in slices", retention::slices),
        ("finished executions are found by their ends", retention::finished),
        ("a start key belongs to one execution", retention::start_keys),
        ("executions change versions, workflows pause", retention::versions),
        ("blobs are referenced", retention::blobs),
        ("the key of tokens stays", retention::token_key),
        ("lists are newest first, filtered and paged", listing::lists),
        ("filters take texts literally", listing::literal),
        ("lists are for times and errors", listing::times_and_errors),
        ("nothing of another organization is found", organizations::apart),
        ("events are for their organization", organizations::events),
        ("lists are of one organization", organizations::lists),
        ("entries are added, swapped and removed", entries::life),
        ("entries are listed in order", entries::lists),
        ("entries and executions are written together", entries::with_executions),
        ("requests are a queue", requests::queue),
        ("requests come back as they were left", requests::kinds),
        ("requests come in beside a writer", requests::beside_a_writer),
        ("large records", volume::large),
        ("thousands of executions", volume::thousands),
        ("readers see whole batches while a writer writes", concurrent::readers),
        ("a store is shared by threads", concurrent::threads),
    ]
}

/// Runs every case, each in a fresh place.
///
/// # Errors
/// The first case that returned an error, with its name.
///
/// # Panics
/// At the first case that found something else than it expected.
pub fn exercise<P: Place>(fresh: impl Fn() -> P) -> Result<(), Failure> {
    for (name, case) in cases::<P>() {
        case(&fresh()).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// A definition whose hash is 64 times `mark`.
#[must_use]
pub fn definition(workflow: &str, mark: char) -> Definition {
    Definition {
        hash: String::from(mark).repeat(64),
        workflow: workflow.into(),
        content: Bytes::from(format!("content of {mark}")),
    }
}

/// An execution of [`definition`]`(workflow, mark)` that began at `1_000 + exec`.
#[must_use]
pub fn execution(exec: i64, id: &str, workflow: &str, mark: char) -> NewExecution {
    NewExecution {
        exec: ExecNo(exec),
        id: id.into(),
        organization: DEFAULT_ORGANIZATION.into(),
        workflow: workflow.into(),
        definition: String::from(mark).repeat(64),
        parent: None,
        origin: None,
        started_at: 1_000 + exec,
    }
}

/// A journal record written at `2_000 + seq`.
#[must_use]
pub fn record(exec: i64, seq: u64, events: &[u8]) -> JournalRecord {
    JournalRecord {
        exec: ExecNo(exec),
        seq,
        at: 2_000 + seq as i64,
        events: Bytes::copy_from_slice(events),
    }
}

/// An end at `3_000 + exec`.
#[must_use]
pub fn finish(exec: i64, status: Status) -> Finish {
    Finish {
        exec: ExecNo(exec),
        status,
        at: 3_000 + exec,
        error: (status == Status::Failed).then(|| "oops".into()),
    }
}

/// Defines the workflow `flow` and starts executions `from..=to` of it, with ids `id-0001` and so on and a
/// first record each.
fn begin(from: i64, to: i64) -> Vec<Write> {
    let mut batch = vec![Write::Define(definition("flow", 'a'))];
    for exec in from..=to {
        batch.push(Write::Start(execution(exec, &id(exec), "flow", 'a')));
        batch.push(Write::Append(record(exec, 0, b"started")));
    }
    batch
}

fn id(exec: i64) -> String {
    format!("id-{exec:04}")
}

/// What a store can tell, for comparing before with after.
fn contents(store: &dyn Store) -> Result<impl PartialEq + std::fmt::Debug + use<>, StoreError> {
    let mut all = Vec::new();
    let mut filter = crate::ExecutionFilter {
        limit: 500,
        ..Default::default()
    };
    loop {
        let page = store.executions(&filter)?;
        let Some(last) = page.last() else { break };
        filter.before = Some(last.exec);
        for row in page {
            let journal = store.journal(row.exec, 0, usize::MAX)?;
            let definition = store.definition(&row.definition)?;
            all.push((row, journal, definition));
        }
    }
    Ok((all, store.requests(0)?))
}
