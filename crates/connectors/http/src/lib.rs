//! `http-request`: one HTTP call whose answer goes into the journal.
