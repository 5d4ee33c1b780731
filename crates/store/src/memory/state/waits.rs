//! Waits, deliveries and events.

use super::{State, Undo};
use crate::{Delivery, DeliveryFilter, EventRow, ExecNo, StoreError, WaitFilter, WaitKind, WaitRow, WaitState};

/// So many closed waits for a key are shown beside the open ones.
const CLOSED: usize = 16;

impl State {
    pub(super) fn open_wait(&mut self, row: &WaitRow) -> Result<Undo, StoreError> {
        self.known(row.exec)?;
        let place = (row.exec, row.tag);
        let before = self.waits.insert(place, row.clone());
        Ok(self.put_back_wait(place, before))
    }

    pub(super) fn close_wait(&mut self, exec: ExecNo, tag: u64, state: WaitState) -> Undo {
        let place = (exec, tag);
        let Some(row) = self.waits.get_mut(&place) else {
            return Undo::Nothing;
        };
        let before = Some(row.clone());
        if row.kind == WaitKind::Callback {
            row.state = state;
        } else {
            self.waits.remove(&place);
        }
        self.put_back_wait(place, before)
    }

    #[expect(clippy::unused_self, reason = "it is about this state")]
    fn put_back_wait(&self, place: (ExecNo, u64), before: Option<WaitRow>) -> Undo {
        Undo::by(move |state| {
            match before {
                Some(row) => state.waits.insert(place, row),
                None => state.waits.remove(&place),
            };
        })
    }

    pub(super) fn keep(&mut self, delivery: &Delivery) -> Result<Undo, StoreError> {
        let last = self.last_delivery;
        let id = if delivery.id == 0 { last + 1 } else { delivery.id };
        if self.deliveries.contains_key(&id) {
            return Err(StoreError::Refused(format!("there is a delivery {id} already")));
        }
        self.deliveries.insert(id, Delivery { id, ..delivery.clone() });
        self.last_delivery = last.max(id);
        Ok(Undo::by(move |state| {
            state.deliveries.remove(&id);
            state.last_delivery = last;
        }))
    }

    pub(super) fn drop_deliveries(&mut self, ids: Vec<i64>) -> Undo {
        let dropped: Vec<_> = ids.into_iter().filter_map(|id| self.deliveries.remove(&id)).collect();
        Undo::by(|state| {
            let dropped = dropped.into_iter().map(|delivery| (delivery.id, delivery));
            state.deliveries.extend(dropped);
        })
    }

    pub(super) fn drop_expired(&mut self, before: i64, at_most: u32) -> Undo {
        let expired = self.deliveries.values().filter(|delivery| delivery.expires_at < before);
        let ids = expired.map(|delivery| delivery.id).take(at_most as usize).collect();
        self.drop_deliveries(ids)
    }

    pub(super) fn emit(&mut self, event: &EventRow) -> Result<Undo, StoreError> {
        let last = self.last_event;
        let id = if event.id == 0 { last + 1 } else { event.id };
        if id <= last {
            return Err(StoreError::Refused(format!(
                "the number {id} of an event is not above {last}"
            )));
        }
        let latest = self.events.last_key_value().map_or(i64::MIN, |(_, event)| event.at);
        let kept = EventRow {
            id,
            at: event.at.max(latest),
            ..event.clone()
        };
        self.events.insert(id, kept);
        self.last_event = id;
        let mut undo = vec![Undo::by(move |state| {
            state.events.remove(&id);
            state.last_event = last;
        })];
        for (exec, ..) in self.event_waits(&event.organization, &event.event, event.key.as_deref()) {
            undo.push(self.wake(exec, event.at));
        }
        Ok(Undo::all(undo))
    }

    pub(super) fn drop_events(&mut self, before: i64, at_most: u32) -> Undo {
        let old = self.events.values().filter(|event| event.at < before);
        let ids: Vec<_> = old.map(|event| event.id).take(at_most as usize).collect();
        let dropped: Vec<_> = ids.into_iter().filter_map(|id| self.events.remove(&id)).collect();
        Undo::by(|state| {
            let dropped = dropped.into_iter().map(|event| (event.id, event));
            state.events.extend(dropped);
        })
    }

    /// Whether an execution is this organization's.
    fn is_of(&self, exec: ExecNo, organization: &str) -> bool {
        self.executions
            .get(&exec)
            .is_some_and(|row| row.organization == organization)
    }

    pub(in crate::memory) fn wait(&self, exec: ExecNo, tag: u64) -> Option<WaitRow> {
        self.waits.get(&(exec, tag)).cloned()
    }

    pub(in crate::memory) fn list_waits(&self, filter: &WaitFilter) -> Vec<WaitRow> {
        let own = |row: &&WaitRow| {
            filter
                .organization
                .as_ref()
                .is_none_or(|name| self.is_of(row.exec, name))
        };
        let rows = self.waits.values().filter(|row| filter.fits(row)).filter(own);
        rows.take(filter.page()).cloned().collect()
    }

    pub(in crate::memory) fn waits_by_key(
        &self,
        organization: &str,
        kind: WaitKind,
        name: &str,
        key: &str,
    ) -> Vec<WaitRow> {
        let all = self
            .waits
            .values()
            .filter(|row| row.kind == kind && row.name == name && row.key.as_deref() == Some(key))
            .filter(|row| self.is_of(row.exec, organization));
        let (mut found, mut closed): (Vec<_>, Vec<_>) = all.cloned().partition(|row| row.state == WaitState::Open);
        let order = |row: &WaitRow| (row.opened_at, row.exec, row.tag);
        found.sort_by_key(order);
        closed.sort_by_key(order);
        found.extend(closed.into_iter().rev().take(CLOSED));
        found
    }

    pub(in crate::memory) fn event_waits(
        &self,
        organization: &str,
        event: &str,
        key: Option<&str>,
    ) -> Vec<(ExecNo, u64, String)> {
        let named = self
            .waits
            .values()
            .filter(|row| row.kind == WaitKind::Event && row.name == event && self.is_of(row.exec, organization));
        let fitting =
            named.filter(|row| row.state == WaitState::Open && (row.key.is_none() || row.key.as_deref() == key));
        fitting.map(|row| (row.exec, row.tag, row.path.clone())).collect()
    }

    pub(in crate::memory) fn list_deliveries(&self, filter: &DeliveryFilter) -> Vec<Delivery> {
        let rows = self.deliveries.values().filter(|row| {
            row.id > filter.after
                && filter
                    .organization
                    .as_ref()
                    .is_none_or(|name| row.organization == *name)
                && filter.id.is_none_or(|id| row.id == id)
                && (filter.exec.is_none() || row.exec == filter.exec)
                && filter.name.as_ref().is_none_or(|name| row.name == *name)
                && (filter.key.is_none() || row.key == filter.key)
        });
        rows.take(filter.page()).cloned().collect()
    }

    pub(in crate::memory) fn deliveries_for(
        &self,
        exec: ExecNo,
        tag: u64,
        name: &str,
        key: Option<&str>,
    ) -> Vec<Delivery> {
        let rows = self.deliveries.values().filter(|row| {
            (row.exec == Some(exec) && row.tag == Some(tag))
                || (key.is_some()
                    && row.name == name
                    && row.key.as_deref() == key
                    && self.is_of(exec, &row.organization))
        });
        rows.cloned().collect()
    }

    pub(in crate::memory) fn last_delivery(&self) -> i64 {
        self.last_delivery
    }

    pub(in crate::memory) fn events_after(
        &self,
        organization: &str,
        event: &str,
        key: Option<&str>,
        after: i64,
        since: i64,
        limit: usize,
    ) -> Vec<EventRow> {
        let rows = self.events.values().filter(|row| {
            row.id > after
                && row.at >= since
                && row.organization == organization
                && row.event == event
                && (key.is_none() || row.key.as_deref() == key)
        });
        rows.take(limit).cloned().collect()
    }
}
