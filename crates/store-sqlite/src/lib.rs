//! The embedded store: SQLite, one writer, group commit, power-loss durable by default.
//!
//! One file holds everything, with the `-wal` and `-shm` files beside it that SQLite keeps while it is open, and
//! a `.lock` file that says who writes. Any `sqlite3` can read, back up and repair it; the tables are in
//! `schema/1.sql` and `schema/2.sql`.
//!
//! What always holds:
//! - A commit that returned is on the disk: the write-ahead log is synced in every commit (`synchronous=FULL`).
//! - There is one writer, in one process. The operating system releases its lock however the process ends, so
//!   nothing has to be cleaned up after `kill -9`.
//! - Readers work in any process, beside the writer and after its death, and never wait for it. A call reads in
//!   short transactions, because a reader that stays keeps the log from being emptied.
//! - Numbers of executions and of requests are not used twice, whatever is deleted in between.
//!
//! Why it is quick: the journal is appended to in rowid order through prepared statements, with one index; the log
//! is copied into the database file by a thread of its own instead of by commits; and list filters without an index
//! scan the small table of executions rather than cost every commit an index.

mod backup;
mod check;
mod checkpoint;
mod codes;
mod compact;
mod connect;
mod errors;
mod files;
mod lock;
mod options;
mod read;
mod requests;
mod schema;
mod store;
mod write;

pub use options::Options;
pub use store::SqliteStore;
