//! The examples as a whole, in one process. Everything is in `tests/`.
