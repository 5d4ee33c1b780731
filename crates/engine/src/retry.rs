//! Doing a finished execution again from one of its steps, as a new execution.

use std::collections::HashSet;
use std::time::Duration;

use bowline_core::{Event, Origin, Path, Payload, Record};
use bowline_store::EntryWrite;

use crate::engine::{Engine, EngineError, Handle, StartRequest};
use crate::keys::Beginning;
use crate::recovery::whole_journal;
use crate::segments::read_journal;

/// What is done again.
#[derive(Clone, Debug, Default)]
pub struct Retry {
    /// The id of the new execution, which must not exist: whoever asks twice with the same one gets one execution. None:
    /// a new UUID.
    pub id: Option<String>,
    /// The path of the step, or block, from which on everything is done again. None: whatever is not done.
    pub from: Option<String>,
    /// The input instead of the one that the execution was started with.
    pub input: Option<Payload>,
    /// Steps get idempotency keys of their own. By default they have those of the execution that is done again,
    /// so that a service which knows the call does not carry it out twice.
    pub new_keys: bool,
    /// Why, as whoever asks says it.
    pub reason: String,
    /// Entries that are written in the commit that starts it, as of a [`StartRequest`].
    pub with: Vec<EntryWrite>,
    /// How long a place is waited for; [`EngineError::Busy`] after that. None: until there is one.
    pub patience: Option<Duration>,
}

impl Engine {
    /// Starts a new execution that does an ended one again: on the same definition, with the results of what was
    /// completed before the step in question. It names the ended one as its origin.
    ///
    /// # Errors
    /// [`EngineError::Unknown`] for an execution that does not exist; [`EngineError::NotResumable`] where it has not
    /// ended, or has no such step.
    pub async fn retry(&self, id: &str, retry: Retry) -> Result<Handle, EngineError> {
        let refuse = |why: String| EngineError::NotResumable { id: id.to_owned(), why };
        let row = self.env.row(id).await?;
        if !row.status.is_finished() {
            return Err(refuse("it has not ended: cancel it, or resume it".into()));
        }
        let exec = row.exec;
        let journal = self
            .env
            .blocking(move |env| whole_journal(env.store.as_ref(), exec))
            .await??;
        let mut records =
            read_journal(&journal).map_err(|error| refuse(format!("its journal cannot be read: {error}")))?;
        self.env.load(&mut records).await?;
        let input = match (retry.input, records.first().and_then(|record| record.events.first())) {
            (Some(input), _) => input,
            (None, Some(Event::Started { input, .. })) => input.clone(),
            (None, _) => return Err(refuse("its journal does not begin with a start".into())),
        };
        let ended: Path = id.into();
        let before: Option<HashSet<String>> = match &retry.from {
            None => None,
            Some(step) => {
                let before = self
                    .before(&records, step)
                    .await?
                    .ok_or_else(|| refuse(no_such_step(&records, step)))?;
                let kept = Origin::of(&ended, &before, String::new(), &|_| true).kept;
                Some(kept.into_iter().map(|kept| kept.path.to_string()).collect())
            }
        };
        let mut origin = Origin::of(&ended, &records, retry.reason, &|path| {
            before.as_ref().is_none_or(|before| before.contains(path))
        });
        let new = retry.id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        if retry.new_keys {
            origin.keys = new.as_str().into();
        }
        let (definition, _) = self
            .env
            .definition_of(&row.organization, &row.definition)
            .await?
            .map_err(EngineError::Definition)?;
        let request = StartRequest {
            id: Some(new),
            organization: row.organization.as_str().into(),
            with: retry.with,
            ..StartRequest::new(bowline_store::Definition::clone(&definition), input)
        };
        let beginning = Beginning {
            origin: Some(origin),
            patience: retry.patience,
            ..Beginning::default()
        };
        self.begin(request, beginning).await
    }

    /// The journal up to the step: of this execution, or of the one that it has its result from.
    async fn before(&self, records: &[Record], step: &str) -> Result<Option<Vec<Record>>, EngineError> {
        let mut before = until(records, step);
        let mut from = origin(records);
        while before.is_none()
            && let Some(id) = from
        {
            let wanted = id.clone();
            let journal = self
                .env
                .blocking(move |env| {
                    let row = env.store.execution(&wanted)?;
                    row.map(|row| whole_journal(env.store.as_ref(), row.exec)).transpose()
                })
                .await??
                .unwrap_or_default();
            let records = read_journal(&journal)
                .map_err(|error| EngineError::Invalid(format!("the journal of {id} cannot be read: {error}")))?;
            before = until(&records, step);
            from = origin(&records);
        }
        Ok(before)
    }
}

/// The execution that this one was made from.
fn origin(records: &[Record]) -> Option<String> {
    match records.first()?.events.first()? {
        Event::Started {
            origin: Some(origin), ..
        } => Some(origin.execution.to_string()),
        _ => None,
    }
}

/// The journal up to where the step, or something inside it, was first asked for.
fn until(records: &[Record], step: &str) -> Option<Vec<Record>> {
    let is_it = |path: &Path| is_or_is_inside(path, step);
    for (number, record) in records.iter().enumerate() {
        let found = record
            .events
            .iter()
            .position(|event| event.is_command() && event.path().is_some_and(is_it));
        if let Some(place) = found {
            let mut before = records[..=number].to_vec();
            if let Some(last) = before.last_mut() {
                last.events.truncate(place);
            }
            return Some(before);
        }
    }
    None
}

/// Whether a path is that of the step, or of something inside it.
fn is_or_is_inside(path: &str, step: &str) -> bool {
    path.strip_prefix(step)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '[', '#']))
}

fn no_such_step(records: &[Record], step: &str) -> String {
    let mut seen = HashSet::new();
    let inherited = match records.first().and_then(|record| record.events.first()) {
        Some(Event::Started {
            origin: Some(origin), ..
        }) => origin.kept.as_slice(),
        _ => &[],
    };
    let asked = records
        .iter()
        .flat_map(|record| &record.events)
        .filter(|event| event.is_command())
        .filter_map(Event::path);
    let paths: Vec<&str> = inherited
        .iter()
        .map(|kept| &kept.path)
        .chain(asked)
        .map(|path| &**path)
        .filter(|path| seen.insert(*path))
        .take(50)
        .collect();
    if paths.is_empty() {
        return format!("it has not come to a step `{step}`; it ended before its first step");
    }
    format!("it has not come to a step `{step}`; it came to {}", paths.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str) -> Event {
        Event::TimerSet {
            path: path.into(),
            at: 1,
        }
    }

    #[test]
    fn the_part_before_a_step_ends_where_it_or_something_inside_it_was_asked_for() {
        let records = vec![Record {
            at: 0,
            events: vec![asked("a"), asked("items[0]/put"), asked("b")],
        }];
        assert_eq!(until(&records, "items").unwrap()[0].events, [asked("a")]);
        assert_eq!(until(&records, "b").unwrap()[0].events.len(), 2);
        assert!(until(&records, "item").is_none());
        assert!(no_such_step(&records, "item").contains("a, items[0]/put, b"));
    }
}
