//! The configuration of a connection of type `sqlite`.

use bowline_connector::Millis;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::pool_config::PoolConfig;

/// A SQLite database file.
///
/// ```yaml
/// connections:
///   primary-db: { type: sqlite, database: data/shop.db, pool: { max: 5 } }
/// ```
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SqliteConfig {
    /// Path of the file; a relative one starts at the workflow's folder. Made if it is missing, its folder is not.
    #[serde(default)]
    pub database: Option<String>,
    /// The same in the node notation: `connection: { database: path }`. A file has no host, user or password.
    #[serde(default)]
    pub connection: Option<Target>,
    /// How many sessions are kept.
    #[serde(default)]
    pub pool: Option<PoolConfig>,
    /// How long a statement waits for another process or step that writes, before it fails with `sql.busy`.
    /// Default 5 seconds.
    #[serde(default)]
    pub busy_timeout: Option<Millis>,
    /// Whether foreign keys are enforced. Default true.
    #[serde(default)]
    pub foreign_keys: Option<bool>,
    /// The file's journal mode. Default `wal`: readers and one writer at the same time. `unchanged` leaves the
    /// file as it is. Not touched with `readOnly`.
    #[serde(default)]
    pub journal_mode: JournalMode,
    /// Opens the file for reading only; a statement that writes fails with `sql.read-only`. Default false.
    #[serde(default)]
    pub read_only: bool,
    /// SQL that every new session runs first, such as `PRAGMA cache_size = -20000` or an `ATTACH`.
    #[serde(default)]
    #[schemars(extend("x-no-expressions" = true))]
    pub init_statements: Vec<String>,
}

/// Where the database is, in the node notation.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// Path of the file.
    pub database: String,
}

/// SQLite's journal modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum JournalMode {
    /// Write-ahead log: readers do not block the writer, nor it them.
    #[default]
    Wal,
    /// Rollback journal, deleted after each transaction.
    Delete,
    /// Rollback journal, truncated after each transaction.
    Truncate,
    /// Rollback journal, overwritten after each transaction.
    Persist,
    /// Rollback journal in memory: a crash can corrupt the file.
    Memory,
    /// As the file has it.
    Unchanged,
}

impl JournalMode {
    /// SQLite's word for it; `None` for [`Self::Unchanged`].
    pub(crate) fn pragma(self) -> Option<&'static str> {
        match self {
            Self::Wal => Some("wal"),
            Self::Delete => Some("delete"),
            Self::Truncate => Some("truncate"),
            Self::Persist => Some("persist"),
            Self::Memory => Some("memory"),
            Self::Unchanged => None,
        }
    }
}
