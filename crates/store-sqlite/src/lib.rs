//! The embedded store: SQLite, one writer, group commit, power-loss durable by default.
