//! What starts workflows by itself: the place where triggers plug in ([`Source`]), and the two that need no service:
//! schedules and directories.
//!
//! What always holds: a trigger acknowledges (forgets a message, goes past a due time, moves a file) only in the commit
//! of the start, or after it; and what it has heard of twice starts once.
//!
//! Start at [`Triggers::start`], which runs the triggers of everything that is deployed; then [`schedule`] and [`watch`].

#[cfg(test)]
mod model;
mod place;
pub mod schedule;
mod source;
mod supervisor;
pub mod watch;
mod world;

use bowline_connector::Registry;

pub use place::{Begin, Begun, Ended, Place, Trouble};
pub use schedule::Schedules;
pub use source::{Bound, Delivery, Source, Taken, TriggerView};
pub use supervisor::Triggers;

/// Makes the kinds of triggers of this crate known to the language.
pub fn register(registry: &mut Registry) {
    registry.add_trigger(schedule::kind());
    registry.add_trigger(watch::kind());
}
