//! Forgetting what was inside scopes that have folded.
//!
//! Only what cannot be missed goes: a scope whose whole life is in the records, that got its result from something
//! that ended inside, and that undid nothing. What remains replays to the same state, in the same order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use crate::event::{Event, Fold, Path};
use crate::execution::Record;
use crate::fold::is_inside;
use crate::wait::Wait;

/// The records without what was inside folded scopes: [`Event::ScopeSkipped`] stands for each. Takes whole journals
/// as well as any stretch of one, also one that holds records condensed before. Records that nothing is left of are
/// left out.
///
/// An execution that is replayed from the result is the execution that is replayed from `records`.
#[must_use]
pub fn condense(records: &[Record]) -> Vec<Record> {
    let mut condenser = Condenser {
        records,
        by_path: BTreeMap::new(),
        changed: HashMap::new(),
        signals: BTreeMap::new(),
    };
    for (number, record) in records.iter().enumerate() {
        condenser.read(number, record);
    }
    let Condenser { mut changed, .. } = condenser;
    records
        .iter()
        .enumerate()
        .filter_map(|(number, record)| {
            let events: Vec<Event> = record
                .events
                .iter()
                .enumerate()
                .filter_map(|(place, event)| match changed.remove(&(number, place)) {
                    None => Some(event.clone()),
                    Some(other) => other,
                })
                .collect();
            (!events.is_empty()).then_some(Record { at: record.at, events })
        })
        .collect()
}

/// The number of a record, and the place of an event in it.
type Place = (usize, usize);

struct Condenser<'a> {
    records: &'a [Record],
    /// Where the events about each path are that have not gone.
    by_path: BTreeMap<&'a str, Vec<Place>>,
    /// What stands for an event; none where nothing does.
    changed: HashMap<Place, Option<Event>>,
    signals: BTreeMap<i64, Place>,
}

impl<'a> Condenser<'a> {
    fn read(&mut self, number: usize, record: &'a Record) {
        let mut last_fact = None;
        for (at, event) in record.events.iter().enumerate() {
            if !event.is_command() {
                last_fact = Some(at);
            }
            match event {
                // Another life asks for everything again.
                Event::Resumed { .. } => self.by_path.clear(),
                Event::SignalReceived { number: signal, .. } => {
                    self.signals.insert(*signal, (number, at));
                }
                Event::ScopeFolded(fold) => {
                    let from = last_fact.map(|fact| (number, fact));
                    self.skip(fold, from, (number, at));
                }
                _ => {}
            }
            if let Some(path) = event.path() {
                self.by_path.entry(path).or_default().push((number, at));
            }
        }
    }

    /// The event that stands at a place now.
    fn event(&self, (record, at): Place) -> Option<&Event> {
        match self.changed.get(&(record, at)) {
            Some(other) => other.as_ref(),
            None => self.records.get(record)?.events.get(at),
        }
    }

    /// Where something inside the scope is.
    fn inside(&self, fold: &Fold) -> Vec<(&'a str, Place)> {
        let mut prefix = fold.path.to_string();
        prefix.push(if fold.range.is_some() { '[' } else { '/' });
        let below = self
            .by_path
            .range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded))
            .take_while(|(path, _)| path.starts_with(&prefix))
            .filter(|(path, _)| is_inside(&fold.path, fold.range, path));
        let mut found: Vec<_> = below
            .flat_map(|(path, places)| places.iter().map(|place| (*path, *place)))
            .collect();
        if let Some(range) = fold.range
            && let Some((path, places)) = self.by_path.get_key_value(&*fold.path)
        {
            // Stretches of a stretch.
            let within = |place: &&Place| match self.event(**place) {
                Some(Event::ScopeFolded(inner) | Event::ScopeSkipped { fold: inner, .. }) => inner
                    .range
                    .is_some_and(|(from, to)| range.0 <= from && to <= range.1 && inner.range != fold.range),
                _ => false,
            };
            found.extend(places.iter().filter(within).map(|place| (*path, *place)));
        }
        found
    }

    fn skip(&mut self, fold: &Fold, from: Option<Place>, at: Place) {
        let inside = self.inside(fold);
        let places: BTreeSet<Place> = inside.iter().map(|(_, place)| *place).collect();
        // It got its result from something that ended inside, and nothing outside came between: only then does
        // the scope's own result, put in the place of that, lead to the same.
        let direct = from.is_some_and(|(record, fact)| {
            (fact..at.1).all(|between| places.contains(&(record, between)) || self.event((record, between)).is_none())
        });
        let mut asks = 0;
        let mut waits: HashMap<&Path, &Wait> = HashMap::new();
        let mut signals = Vec::new();
        let mut taken: BTreeMap<Path, i64> = BTreeMap::new();
        let mut stopped = Vec::new();
        let mut undoes = false;
        for place in &places {
            let Some(event) = self.event(*place) else { continue };
            match event {
                Event::StepScheduled { compensates, .. } => {
                    asks += 1;
                    undoes |= compensates.is_some();
                }
                Event::TimerSet { .. } | Event::ChildStarted { .. } | Event::Emitted { .. } => asks += 1,
                Event::WaitRegistered { path, wait, .. } => {
                    asks += 1;
                    waits.insert(path, wait);
                }
                Event::WaitCompleted {
                    path,
                    event: Some(number),
                    ..
                } => match waits.get(path) {
                    Some(Wait::Signal { .. }) => signals.push(*number),
                    Some(Wait::Event { event, .. }) => took(&mut taken, event, *number),
                    _ => {}
                },
                Event::ScopeSkipped {
                    fold,
                    signals: numbers,
                    taken: events,
                    stopped: ids,
                } => {
                    asks += fold.asks;
                    stopped.extend(ids.iter().cloned());
                    signals.extend(numbers);
                    for (event, number) in events {
                        took(&mut taken, event, *number);
                    }
                }
                Event::ChildCancelled { id, .. } => stopped.push(id.clone()),
                _ => {}
            }
        }
        // Where it asked for more, it began before these records.
        if !direct || undoes || asks != fold.asks {
            return;
        }
        for signal in &signals {
            self.forget_signal(*signal);
        }
        let skipped = Event::ScopeSkipped {
            fold: fold.clone(),
            signals,
            taken: taken.into_iter().collect(),
            stopped,
        };
        for (path, place) in inside {
            self.changed.insert(place, None);
            if let Some(left) = self.by_path.get_mut(path) {
                left.retain(|other| *other != place);
                if left.is_empty() {
                    self.by_path.remove(path);
                }
            }
        }
        self.changed.insert(at, Some(skipped));
    }

    /// Of a signal that was taken inside nothing is needed but its id, which a second one must not have.
    fn forget_signal(&mut self, number: i64) {
        let Some(place) = self.signals.remove(&number) else {
            return;
        };
        let left = match self.event(place) {
            Some(Event::SignalReceived {
                name,
                id: id @ Some(_),
                number,
                ..
            }) => Some(Event::SignalReceived {
                name: name.clone(),
                data: crate::Payload::null(),
                id: id.clone(),
                number: *number,
            }),
            _ => None,
        };
        self.changed.insert(place, left);
    }
}

fn took(taken: &mut BTreeMap<Path, i64>, event: &Path, number: i64) {
    let last = taken.entry(event.clone()).or_default();
    *last = number.max(*last);
}
