//! How a store is opened.

use std::time::Duration;

/// How a store is opened. The defaults are right for a server and for the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Never write: no file is made, and writers and requests are refused. A database on a medium that cannot be
    /// written to can be read this way. Default: false.
    pub read_only: bool,
    /// How long a call waits for another process that is in the middle of writing, such as one that leaves a request
    /// or takes a backup, before it gives up with [`Locked`](bowline_store::StoreError::Locked). Default: 10 s.
    pub busy_timeout: Duration,
    /// The database file does not grow beyond this many bytes; a commit that would need more is refused with
    /// [`Full`](bowline_store::StoreError::Full). The log beside it is not counted. Default: no limit but the disk's.
    pub max_size: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            read_only: false,
            busy_timeout: Duration::from_secs(10),
            max_size: None,
        }
    }
}
