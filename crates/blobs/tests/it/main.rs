//! Blobs in folders and in memory, from outside.

#[cfg(test)]
mod kill;
#[cfg(test)]
mod payloads;
#[cfg(test)]
mod store;
