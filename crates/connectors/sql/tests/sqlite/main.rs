//! `sql-query` on SQLite as the engine uses it: registered, connected, run.

#[cfg(test)]
mod once;
#[cfg(test)]
mod registration;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod statements;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
