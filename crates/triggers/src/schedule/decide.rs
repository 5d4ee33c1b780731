//! What a schedule does next: a function of its row, its calendar and the time, and nothing else.

use super::calendar::{self, Calendar, WALK};
use super::config::Overlap;
use super::ledger::{By, Fate, Fire};
use super::row::{Row, Waiting};

/// More times in a row with one fate than this are one line of the ledger.
const ONE_BY_ONE: usize = 1000;

/// A line of the ledger stands for at most so many times: counting them takes a moment each.
const CONDENSED: u64 = 100_000;

/// How many starts may wait for an end.
const BUFFER: usize = 1000;

/// Why nothing was started while nobody had the schedule.
const OUT_OF_USE: &str = "the workflow was not in use, or did not have this trigger";

/// How often a paused schedule notes what it lets pass.
const PAUSED_LOOK: i64 = 60_000;

/// What a schedule does next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Todo {
    /// Nothing before this time. `None`: nothing until somebody changes something.
    Rest(Option<i64>),
    /// Nothing: so much is left out that its next time was not found.
    GivenUp,
    /// Writes these fires together with this row.
    Record { row: Box<Row>, fires: Vec<Fire> },
    /// Starts an execution together with this row, to which it is to be added, and these fires of others.
    Start {
        row: Box<Row>,
        fires: Vec<Fire>,
        waiting: Waiting,
    },
}

/// Says what is next. `seed` is what jitter is derived from: the same as long as the schedule has its name. It may have to
/// walk for a while, so not on a thread of the runtime.
pub(crate) fn decide(row: &Row, calendar: &Calendar, seed: &str, now: i64) -> Todo {
    if row.gone {
        return Todo::Rest(None);
    }
    if let Some(todo) = from_buffer(row, now) {
        return todo;
    }
    if row.is_used_up() {
        return Todo::Rest(None);
    }
    let due = match calendar.next_within(row.through, &mut { WALK }) {
        Ok(Some(due)) => due,
        Ok(None) => return Todo::Rest(None),
        Err(calendar::GivenUp) => return Todo::GivenUp,
    };
    if row.paused.is_some() {
        if due > now {
            return Todo::Rest(Some(due.max(now.saturating_add(PAUSED_LOOK))));
        }
        return passed(row, calendar, Fate::Dropped, now, |due| due <= now);
    }
    let catch_up = i64::try_from(row.config.catch_up.duration().as_millis()).unwrap_or(i64::MAX);
    let starts_at = |due: i64| due.saturating_add(calendar.jitter(seed, due));
    let too_late = |due: i64| now.saturating_sub(starts_at(due)) > catch_up;
    if starts_at(due) > now {
        Todo::Rest(Some(starts_at(due)))
    } else if too_late(due) {
        passed(row, calendar, Fate::Missed, now, too_late)
    } else {
        let mut row = row.clone();
        row.through = due;
        let waiting = Waiting {
            due,
            by: By::Clock,
            was: None,
            overlap: None,
            id: None,
            stored: false,
        };
        fire(row, waiting, now)
    }
}

/// What was due up to now while nobody had the schedule: it is dropped. In one line without a count, if it is wanted so.
pub(crate) fn away(row: &Row, calendar: &Calendar, now: i64, one_line: bool) -> Todo {
    let first = match calendar.next_within(row.through, &mut { WALK }) {
        Ok(Some(due)) if due <= now && !row.is_used_up() => due,
        Err(calendar::GivenUp) => return Todo::GivenUp,
        Ok(_) => return Todo::Rest(None),
    };
    if !one_line {
        return passed(row, calendar, Fate::Dropped, now, |due| due <= now);
    }
    let mut row = row.clone();
    row.through = now;
    let mut line = Fire::new(first, Fate::Dropped, By::Clock, now).because(OUT_OF_USE);
    line.until = Some(now);
    record(row, vec![line])
}

/// What a time that is due now comes to: by the clock, by hand, or by a backfill.
pub(crate) fn fire(mut row: Row, waiting: Waiting, now: i64) -> Todo {
    let blocked_by = row.running.last().map(|running| running.execution.clone());
    let overlap = waiting.overlap.unwrap_or(row.config.overlap);
    let busy = blocked_by.is_some() || !row.buffer.is_empty();
    if !busy || overlap == Overlap::Allow {
        return start(row, Vec::new(), waiting);
    }
    let running = match &blocked_by {
        Some(id) => format!("execution {id} has not ended"),
        None => "another start waits".to_owned(),
    };
    let mut line = Fire::of(&waiting, Fate::Skipped, now);
    line.execution = blocked_by;
    let mut fires = Vec::new();
    if matches!(overlap, Overlap::CancelOther | Overlap::TerminateOther) {
        fires = give_way(&mut row, waiting.due, now);
        row.running.iter_mut().for_each(|running| running.leaves = true);
    }
    let full = match overlap {
        Overlap::Allow | Overlap::TerminateOther => return start(row, fires, waiting),
        Overlap::CancelOther if row.running.is_empty() => return start(row, fires, waiting),
        Overlap::Skip => Some(running.clone()),
        Overlap::BufferOne if !row.buffer.is_empty() => Some("one start waits already".to_owned()),
        Overlap::BufferAll if row.buffer.len() >= BUFFER => Some(format!("{BUFFER} starts wait already")),
        Overlap::BufferOne | Overlap::BufferAll | Overlap::CancelOther => None,
    };
    if full.is_none() {
        line.fate = Fate::Buffered;
        row.buffer.push(waiting);
    }
    fires.push(line.because(full.unwrap_or(running)));
    record(row, fires)
}

fn record(row: Row, fires: Vec<Fire>) -> Todo {
    Todo::Record {
        row: Box::new(row),
        fires,
    }
}

fn start(mut row: Row, fires: Vec<Fire>, waiting: Waiting) -> Todo {
    if waiting.by == By::Clock {
        row.started += 1;
    }
    Todo::Start {
        row: Box::new(row),
        fires,
        waiting,
    }
}

/// What waits is not going to start any more: a later one takes its place.
fn give_way(row: &mut Row, due: i64, now: i64) -> Vec<Fire> {
    let given_way = std::mem::take(&mut row.buffer).into_iter().map(|mut waiting| {
        waiting.stored = true;
        Fire::of(&waiting, Fate::Skipped, now).because(format!("the one of {} took its place", calendar::text(due)))
    });
    given_way.collect()
}

/// What waits, as far as it may go on now.
fn from_buffer(row: &Row, now: i64) -> Option<Todo> {
    row.buffer.first()?;
    let mut next = row.clone();
    let mut waiting = next.buffer.remove(0);
    waiting.stored = true;
    let by_clock = waiting.by == By::Clock;
    if by_clock && row.is_used_up() {
        let fire = Fire::of(&waiting, Fate::Skipped, now).because("the schedule has reached its limit");
        return Some(record(next, vec![fire]));
    }
    // What somebody asked for by hand is not held up by a pause.
    if by_clock && row.paused.is_some() {
        return None;
    }
    row.running.is_empty().then(|| start(next, Vec::new(), waiting))
}

/// Notes times that pass by, one by one, or as a range where they are many.
fn passed(row: &Row, calendar: &Calendar, fate: Fate, now: i64, passes: impl Fn(i64) -> bool) -> Todo {
    // Where the walk ends early, the next turn goes on from there.
    let (mut left, mut last, mut count) = (WALK, row.through, 0);
    let mut few = Vec::new();
    while count < CONDENSED
        && let Ok(Some(due)) = calendar.next_within(last, &mut left)
        && passes(due)
    {
        if few.len() <= ONE_BY_ONE {
            few.push(due);
        }
        last = due;
        count += 1;
    }
    let mut row = row.clone();
    row.through = last;
    let reason = match (fate, &row.paused) {
        _ if row.gone => OUT_OF_USE.to_owned(),
        (Fate::Dropped, Some(paused)) if paused.note.is_empty() => "the schedule was paused".to_owned(),
        (Fate::Dropped, Some(paused)) => format!("the schedule was paused: {}", paused.note),
        _ => "it could not be started in time".to_owned(),
    };
    let line = |due: i64| Fire::new(due, fate, By::Clock, now).because(reason.clone());
    if few.len() <= ONE_BY_ONE {
        return record(row, few.into_iter().map(line).collect());
    }
    let mut range = line(few.first().copied().unwrap_or(last));
    range.until = Some(last);
    range.count = Some(count);
    record(row, vec![range])
}
