//! What can be written.

use bytes::Bytes;

use crate::{
    Definition, Delivery, EntryWrite, EventRow, ExecNo, Finish, JournalRecord, NewExecution, RequestKind, Status,
    WaitRow, WaitState,
};

/// One thing to write. Where nothing else is said, an execution that does not exist is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Keeps a definition; does nothing where its hash is known.
    Define(Definition),
    /// Begins an execution. An id that exists already is [`StoreError::Duplicate`](crate::StoreError).
    Start(NewExecution),
    /// Appends to a journal. A `seq` that exists already is [`StoreError::Conflict`](crate::StoreError).
    Append(JournalRecord),
    /// Ends an execution.
    Finish(Finish),
    /// Reopens a finished execution, or takes up one that waits or is paused: it is running again.
    Reopen(ExecNo),
    /// Leaves a request, in the same commit as what it follows from.
    Request(RequestKind),
    /// Forgets this request; does nothing where it is forgotten already.
    DropRequest(i64),

    /// An unfinished execution leaves memory.
    Park {
        /// The execution.
        exec: ExecNo,
        /// [`Status::Waiting`] or [`Status::Paused`].
        status: Status,
        /// When it is to be woken at the latest, in milliseconds since the Unix epoch.
        wake_at: Option<i64>,
    },
    /// A parked execution is in memory again: it is running.
    Unpark(ExecNo),
    /// Wakes an execution at `at` or before, if it is waiting; otherwise, and where there is none, nothing.
    WakeParent {
        /// The id of the execution.
        id: String,
        /// Milliseconds since the Unix epoch.
        at: i64,
    },
    /// The execution goes on on another definition.
    Redefine {
        /// The execution.
        exec: ExecNo,
        /// Hash of the definition that it runs from now on.
        definition: String,
    },

    /// An execution waits for something. A row with the same execution and tag is replaced.
    OpenWait(WaitRow),
    /// An execution does not wait for it any more. Rows of signals and events are deleted, those of callbacks stay
    /// with this state; does nothing where there is no such row.
    CloseWait {
        /// The execution.
        exec: ExecNo,
        /// Which of its waits.
        tag: u64,
        /// How it ended.
        state: WaitState,
    },
    /// Keeps an answer for which nobody waits yet.
    Keep(Delivery),
    /// Forgets a kept answer; does nothing where it is forgotten already.
    DropDelivery(i64),
    /// Forgets kept answers that have expired.
    DropExpired {
        /// Those that expire before this, in milliseconds since the Unix epoch.
        before: i64,
        /// At most so many, so that no commit is long; [`Housekeeping`](crate::Housekeeping) tells if there are more.
        at_most: u32,
    },
    /// Emits an event. Every waiting execution of its organization that waits for it is woken at its time or before.
    Emit(EventRow),
    /// Forgets events.
    DropEvents {
        /// Those emitted before this, in milliseconds since the Unix epoch.
        before: i64,
        /// At most so many, so that no commit is long; [`Housekeeping`](crate::Housekeeping) tells if there are more.
        at_most: u32,
    },

    /// A key of a workflow belongs to an execution from now on.
    ///
    /// Where it belongs to another one than `replaces` says it is [`StoreError::Duplicate`](crate::StoreError) with the
    /// id of that one.
    ClaimKey {
        /// Whose workflow it is.
        organization: String,
        /// Name of the workflow.
        workflow: String,
        /// The key.
        key: String,
        /// The execution.
        exec: ExecNo,
        /// What its input was, hashed.
        input_hash: Bytes,
        /// Who has it now; none when nobody has.
        replaces: Option<ExecNo>,
    },
    /// Executions of a workflow are paused; does nothing where they are.
    PauseWorkflow {
        /// Whose workflow it is.
        organization: String,
        /// Its name.
        workflow: String,
    },
    /// Executions of a workflow may go on; does nothing where they may.
    UnpauseWorkflow {
        /// Whose workflow it is.
        organization: String,
        /// Its name.
        workflow: String,
    },

    /// Recovery reads `events` instead of the records `from..to`, which stay for other readers. Segments that lie
    /// within are replaced; one that overlaps in part is an error.
    Condense {
        /// The execution.
        exec: ExecNo,
        /// The first record that it stands for.
        from: u64,
        /// The first record that it does not stand for.
        to: u64,
        /// The time of the record that recovery makes of it, in milliseconds since the Unix epoch.
        at: i64,
        /// What it says.
        events: Bytes,
    },
    /// The execution refers to a blob; does nothing where it does so already.
    Reference {
        /// The execution.
        exec: ExecNo,
        /// The blob's name.
        blob: String,
    },

    /// Changes an entry.
    Entry(EntryWrite),

    /// Deletes a finished execution with all that belongs to it, at once: for short ones. One that does not exist is
    /// nothing, one that has not finished is an error.
    Delete(ExecNo),
    /// Deletes a finished execution piece by piece, so that no commit is long.
    ///
    /// The first slice takes its row, so that nobody finds it any more, and up to `at_most` of the rows that belong to
    /// it; further slices take the rest. Until nothing is left, [`Store::deleting`](crate::Store::deleting) names it.
    /// So a cleaner commits one slice for each execution that is to go, and then goes on with what
    /// [`Store::deleting`](crate::Store::deleting) names until that is empty, which also finishes what a process that
    /// was killed has left. One that does not exist is nothing, one that has not finished is an error.
    DeleteSlice {
        /// The execution.
        exec: ExecNo,
        /// At most so many rows besides its own.
        at_most: u32,
    },
    /// Gives up to so many free pages back to the system. For the time between commits that matter: each page may
    /// have to be filled from the end of the file.
    Shrink {
        /// Pages of [`Housekeeping::page_size`](crate::Housekeeping::page_size).
        pages: u32,
    },
}
