//! Bringing an execution back from its journal, and taking one up again from the top.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::Payload;
use crate::effect::Effect;
use crate::event::{Event, Path};
use crate::execution::{Batch, Execution, Identity, Program, Record};
use crate::fold::scope_key;
use crate::memo::Memory;
use crate::open::{What, effect};
use crate::state::State;
use crate::wait::Wait;

/// Why a journal could not be replayed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReplayError {
    /// The program asked for something else than it asked for when the journal was written.
    #[error(
        "the program no longer fits the journal at record {record}: the journal has {journaled}, the program asks for {asked}"
    )]
    Nondeterminism {
        /// The record where they part.
        record: u64,
        /// The path concerned.
        path: String,
        /// What the journal has.
        journaled: String,
        /// What the program asks for.
        asked: String,
    },
    /// The journal does not begin with a start, or goes on after its end.
    #[error("the journal is damaged at record {record}: {detail}")]
    Damaged {
        /// The record.
        record: u64,
        /// What is wrong.
        detail: String,
    },
}

/// How an execution is taken up again from the top.
pub struct Resumption<'a> {
    /// Why, as they said it.
    pub reason: String,
    /// The hash of the definition that it goes on on, where that is another one.
    pub definition: Option<String>,
    /// Whether what is remembered at a path is kept; what is not is done again, under a new idempotency key. A
    /// folded scope is asked for as a whole, by its own path (with its range: `items[0..1000]`).
    pub keep: &'a dyn Fn(&str) -> bool,
}

impl Resumption<'_> {
    /// On the same definition, with everything that is remembered.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            definition: None,
            keep: &|_| true,
        }
    }
}

impl Execution {
    /// Brings an execution back from its journal at the time `now`. The effects are those of everything
    /// that is open; what is left of a total timeout is measured from `now`. The records may be
    /// [condensed](crate::condense).
    ///
    /// # Errors
    /// Where the program does not fit the journal, or the journal is damaged.
    pub fn replay(
        identity: Identity,
        program: &dyn Program,
        journal: &[Record],
        now: i64,
    ) -> Result<(Self, Vec<Effect>), ReplayError> {
        let (started, input) = beginning(journal)?;
        let mut execution = Self::new(identity, started);
        // Only the last life is replayed; what earlier ones completed is remembered by path.
        let last_life = journal
            .iter()
            .rposition(|record| record.events.iter().any(|event| matches!(event, Event::Resumed { .. })));
        let from = last_life.unwrap_or(0);
        {
            let mut state = execution.shared.lock();
            if from > 0 {
                state.memory = Memory::of(&journal[..from]);
            }
            state.folds.expect(&journal[from..]);
            state.versions.expect(&journal[..from], &journal[from..]);
        }
        for (number, record) in journal.iter().enumerate().skip(from) {
            {
                // As live: a clock that was set back does not take the execution back.
                let mut state = execution.shared.lock();
                state.now = state.now.max(record.at);
            }
            for event in &record.events {
                execution.replay_event(number as u64, event, program, input)?;
            }
            let mut state = execution.shared.lock();
            skip_notes(&mut state);
            if let Some(asked) = state.issued.front() {
                return Err(nondeterminism(number as u64, None, Some(asked)));
            }
        }
        execution.shared.lock().versions.replayed();
        let effects = execution.open_effects(now);
        Ok((execution, effects))
    }

    /// Takes an execution up from the top, most often one that has ended: what was completed, was not undone and
    /// is to be kept keeps its result; timers, children and waits that were open keep their due time and id.
    ///
    /// # Errors
    /// Where the journal is damaged.
    pub fn resume(
        identity: Identity,
        program: &dyn Program,
        journal: &[Record],
        now: i64,
        resumption: Resumption<'_>,
    ) -> Result<(Self, Batch), ReplayError> {
        let (started, input) = beginning(journal)?;
        let Resumption {
            reason,
            definition,
            keep,
        } = resumption;
        let mut execution = Self::new(identity, started);
        let resumed = {
            let mut state = execution.shared.lock();
            state.memory = Memory::of(journal);
            let dropped = state.memory.not_kept(keep);
            for path in &dropped {
                state.forget(path);
            }
            state.versions.remember(journal);
            state.now = journal.last().map_or(now, |record| now.max(record.at));
            Event::Resumed {
                reason,
                definition,
                dropped,
            }
        };
        execution.open(program, input.clone());
        let batch = execution.batch(vec![resumed]);
        Ok((execution, batch))
    }

    fn replay_event(
        &mut self,
        record: u64,
        event: &Event,
        program: &dyn Program,
        input: &Payload,
    ) -> Result<(), ReplayError> {
        if self.outcome.is_some() && !event.is_command() {
            return Err(ReplayError::Damaged {
                record,
                detail: format!("{} after the end", event.describe()),
            });
        }
        if let Event::ScopeFolded(_) = event {
            return Ok(());
        }
        if event.is_command() {
            let mut state = self.shared.lock();
            skip_notes(&mut state);
            return match state.issued.front() {
                Some(asked) if asked.same_command(event) => {
                    state.issued.pop_front();
                    adopt(&mut state, event);
                    if let (Event::Finished { outcome }, Some(own)) = (event, self.outcome.as_mut()) {
                        *own = outcome.clone();
                    }
                    Ok(())
                }
                asked => Err(nondeterminism(record, Some(event), asked)),
            };
        }
        {
            let mut state = self.shared.lock();
            skip_notes(&mut state);
            if let Some(asked) = state.issued.front() {
                return Err(nondeterminism(record, Some(event), Some(asked)));
            }
        }
        match event {
            Event::Started { .. } => self.open(program, input.clone()),
            Event::Resumed { dropped, .. } => {
                for path in dropped {
                    self.shared.lock().forget(path);
                }
                self.open(program, input.clone());
            }
            fact => {
                let is_open = |path: &Path| self.shared.lock().open.contains_key(path);
                let concerns = match fact {
                    Event::ScopeSkipped { fold, .. } => is_open(&scope_key(&fold.path, fold.range, fold.entry)),
                    _ => fact.path().is_none_or(is_open),
                };
                if !concerns {
                    return Err(nondeterminism(record, Some(event), None));
                }
                self.apply(fact);
            }
        }
        Ok(())
    }

    /// The effects of everything that is open, as after a replay: for an engine that held effects back.
    pub fn open_effects(&mut self, now: i64) -> Vec<Effect> {
        let mut state = self.shared.lock();
        state.now = state.now.max(now);
        state.fresh.clear();
        // Cancelling a child twice does no harm; not at all would leave it running.
        let stopped: BTreeSet<Path> = std::mem::take(&mut state.settled)
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::CancelChild { id } => Some(id),
                _ => None,
            })
            .collect();
        let mut effects: Vec<Effect> = stopped.into_iter().map(|id| Effect::CancelChild { id }).collect();
        for path in state.order.values() {
            effects.extend(
                state
                    .open
                    .get(path)
                    .and_then(|open| effect(&self.shared, path, &open.what, &state, true)),
            );
        }
        effects
    }
}

/// The first event of a journal, and what the execution was started with.
fn beginning(journal: &[Record]) -> Result<(&Event, &Payload), ReplayError> {
    match journal.first().and_then(|record| record.events.first()) {
        Some(started @ Event::Started { input, .. }) => Ok((started, input)),
        _ => Err(ReplayError::Damaged {
            record: 0,
            detail: "it does not begin with a start".into(),
        }),
    }
}

/// Notes of folded scopes are not compared: a journal that was written before there were any has none.
fn skip_notes(state: &mut State) {
    while let Some(Event::ScopeFolded(_)) = state.issued.front() {
        state.issued.pop_front();
    }
}

/// What the journal says about a command wins over what the program computes now.
fn adopt(state: &mut State, journaled: &Event) {
    match journaled {
        Event::TimerSet { path, at: journaled_at } => state.change(path, |what| {
            if let What::Timer { at } = what {
                *at = *journaled_at;
            }
        }),
        Event::ChildStarted { path, id, .. } => state.change(path, |what| {
            if let What::Child(child) = what {
                child.id = Arc::clone(id);
            }
        }),
        Event::WaitRegistered {
            path,
            wait: said,
            until,
            ..
        } => state.change(path, |what| {
            if let What::Wait(open) = what {
                open.until = *until;
                if let (Wait::Event { after, .. }, Wait::Event { after: said, .. }) = (&mut open.wait, said) {
                    *after = *said;
                }
            }
        }),
        _ => {}
    }
}

fn nondeterminism(record: u64, journaled: Option<&Event>, asked: Option<&Event>) -> ReplayError {
    let path = asked.and_then(Event::path).or_else(|| journaled.and_then(Event::path));
    ReplayError::Nondeterminism {
        record,
        path: path.map(ToString::to_string).unwrap_or_default(),
        journaled: journaled.map_or_else(|| "nothing more".into(), Event::describe),
        asked: asked.map_or_else(|| "nothing".into(), Event::describe),
    }
}
