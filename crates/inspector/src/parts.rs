//! What pages are made of.

pub(crate) mod address;
pub(crate) mod chip;
pub(crate) mod icon;
pub(crate) mod json;
pub(crate) mod live;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod words;
