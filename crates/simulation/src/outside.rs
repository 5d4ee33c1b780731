//! Does what the world wants done to an engine, and holds what the engine says of it to what is durable.

use std::sync::Arc;

use bowline_core::{Answer, Event, Outcome, Payload, StepError};
use bowline_engine::{Delivered, Engine, EngineError, Handle, StartKey, StartRequest};
use bowline_store::{CallbackAddress, Entry, EntryWrite, StoreError};

use crate::actions::Action;
use crate::ledger::{Broken, Life};
use crate::program::definition;
use crate::world::World;

/// What became of it.
pub(crate) enum Became {
    /// It is acknowledged, or nothing can become of it.
    Done,
    /// The engine has gone, or could not: again.
    Nothing,
}

/// Does it. An error is a broken rule.
pub(crate) async fn perform(world: &Arc<World>, engine: &Arc<Engine>, action: Action) -> Result<Became, Broken> {
    match action {
        Action::Start {
            workflow,
            organization,
            id,
            key,
            delivery,
        } => {
            let request = StartRequest {
                id: Some(id.clone()),
                key: key.map(StartKey::new),
                with: delivery.iter().map(|delivery| entry(delivery, &id)).collect(),
                organization: organization.into(),
                ..StartRequest::new(definition(workflow), Payload::null())
            };
            start(world, engine, id, request).await
        }
        Action::Answer { address, text, fails } => answer(world, engine, address, text, fails).await,
        Action::Signal { id, name, data, signal } => {
            let data = Payload::of(&data).map_err(|error| error.to_string())?;
            match engine.signal(&id, &name, data, Some(signal.clone())).await {
                Ok(new) => known(world, &id, |life| {
                    (life.signals.contains(&signal) || (!new && life.is_finished()))
                        .then_some(())
                        .ok_or("a signal was acknowledged, and is not recorded".to_owned())
                }),
                Err(error) => failed(world, &id, error, Life::is_finished),
            }
        }
        Action::Cancel { id } => match engine.cancel(&id, "the world wants it").await {
            Ok(recorded) => known(world, &id, |life| {
                (life.cancelled || life.is_finished() || (life.lives > 0 && !recorded))
                    .then_some(())
                    .ok_or("a cancellation was acknowledged, and is not recorded".to_owned())
            }),
            Err(error) => failed(world, &id, error, |_| false),
        },
        Action::Pause { id } => match engine.pause(&id).await {
            Ok(_) => {
                let mut state = world.lock();
                let at = state.now() + state.random.pick(&[0, 1, 100, 30_000, 100_000]) as i64;
                state.queue.add(at, Action::Unpause { id });
                drop(state);
                world.changed.notify_one();
                Ok(Became::Done)
            }
            Err(error) => failed(world, &id, error, |_| false),
        },
        Action::Unpause { id } => match engine.unpause(&id).await {
            Ok(_) => Ok(Became::Done),
            Err(error) => failed(world, &id, error, |_| false),
        },
        Action::Resume { id } => match engine.resume(&id, "the world wants it").await {
            Ok(handle) => {
                watch(world, handle);
                Ok(Became::Done)
            }
            // It runs, or has succeeded meanwhile.
            Err(EngineError::AlreadyRunning(_)) => Ok(Became::Done),
            Err(EngineError::NotResumable { why, .. }) if !why.contains("journal") => Ok(Became::Done),
            Err(error) => failed(world, &id, error, |_| false),
        },
    }
}

fn known(world: &World, id: &str, check: impl Fn(&Life) -> Result<(), Broken>) -> Result<Became, Broken> {
    match world.lock().ledger.by_id(id) {
        Some(life) => check(life)
            .map(|()| Became::Done)
            .map_err(|why| format!("execution {id}: {why}")),
        None => Err(format!("execution {id} is acknowledged, and is not durable")),
    }
}

fn failed(world: &World, id: &str, error: EngineError, may: impl Fn(&Life) -> bool) -> Result<Became, Broken> {
    match error {
        EngineError::Stopped(_) => Ok(Became::Nothing),
        EngineError::Store(error) if !matches!(*error, StoreError::Duplicate { .. } | StoreError::Conflict { .. }) => {
            Ok(Became::Nothing)
        }
        EngineError::Unknown(_) if world.lock().ledger.by_id(id).is_none() => Ok(Became::Done),
        EngineError::Ended { .. } if world.lock().ledger.by_id(id).is_some_and(may) => Ok(Became::Done),
        other => Err(format!("execution {id}: {other}")),
    }
}

async fn start(world: &Arc<World>, engine: &Arc<Engine>, id: String, request: StartRequest) -> Result<Became, Broken> {
    let organization = Arc::clone(&request.organization);
    let key = request.key.as_ref().map(|key| format!("{organization}/{}", key.key));
    world.lock().ledger.begins(&id, &organization, &request.with);
    let handle = match engine.start(request).await {
        Ok(handle) => handle,
        // An earlier try was durable, and nobody heard of it.
        Err(EngineError::Store(error)) if matches!(&*error, StoreError::Duplicate { id: there } if *there == id) => {
            return known(world, &id, |_| Ok(()));
        }
        // It came before, with another execution.
        Err(EngineError::EntryExists { key, .. }) => {
            let mut state = world.lock();
            state.stats.repeated += 1;
            let other = state.ledger.entries.get(&key).and_then(|id| state.ledger.by_id(id));
            return match other {
                Some(_) => Ok(Became::Done),
                None => Err(format!(
                    "execution {id} was refused for the entry {key}, which is not durable"
                )),
            };
        }
        Err(error) => return failed(world, &id, error, |_| false),
    };
    {
        let mut state = world.lock();
        state.note(format!("acknowledged start {}", handle.id()));
        state.stats.starts += 1;
        match &key {
            None => {
                if handle.id() != id {
                    return Err(format!("execution {id} was to be started, and {} was", handle.id()));
                }
            }
            Some(key) => {
                let has = state.ledger.keys.get(key).and_then(|exec| state.ledger.lives.get(exec));
                if has.is_none_or(|life| *life.id != *handle.id()) {
                    return Err(format!(
                        "the key {key} belongs to another execution than {}",
                        handle.id()
                    ));
                }
            }
        }
    }
    known(world, handle.id(), |_| Ok(()))?;
    watch(world, handle);
    Ok(Became::Done)
}

/// What is written with the execution that a delivery begins.
fn entry(delivery: &str, id: &str) -> EntryWrite {
    EntryWrite::Add(Entry::new("delivery", delivery, id.to_owned()))
}

/// Waits for an end, and holds what is told of it to what is durable.
fn watch(world: &Arc<World>, handle: Handle) {
    let world = Arc::clone(world);
    tokio::spawn(async move {
        let id = handle.id().to_owned();
        let Ok(outcome) = handle.outcome().await else { return };
        let mut state = world.lock();
        state.note(format!("told the end of {id}"));
        let recorded = state
            .ledger
            .by_id(&id)
            .is_some_and(|life| life.outcomes.iter().any(|recorded| same(recorded, &outcome)));
        drop(state);
        if !recorded {
            world.broken(format!(
                "the end of execution {id} was told, and is not durable: {outcome:?}"
            ));
        }
    });
}

fn same(a: &Outcome, b: &Outcome) -> bool {
    a == b
}

async fn answer(
    world: &Arc<World>,
    engine: &Arc<Engine>,
    address: CallbackAddress,
    text: Option<String>,
    fails: bool,
) -> Result<Became, Broken> {
    let payload = |text: &str| Payload::of(text).map_err(|error| error.to_string());
    let answer = match &text {
        None => Answer::Heartbeat,
        Some(text) if fails => Answer::Failed(StepError::permanent("other-side", text.clone())),
        Some(text) => Answer::Succeeded {
            output: payload(text)?,
            event: None,
        },
    };
    let delivered = match engine.deliver(&address, answer).await {
        Ok(delivered) => delivered,
        Err(EngineError::Stopped(_) | EngineError::Store(_)) => return Ok(Became::Nothing),
        // Its token was handed out by a step, so the execution is durable.
        Err(error) => return Err(format!("a callback to {address:?} failed: {error}")),
    };
    let mut state = world.lock();
    state.stats.callbacks += 1;
    state.note(format!("acknowledged {address:?} {text:?}: {delivered:?}"));
    let life = |id: &str| {
        state
            .ledger
            .by_id(id)
            .ok_or_else(|| format!("a callback was acknowledged for execution {id}, which is not durable"))
    };
    match (&delivered, &text) {
        (Delivered::Accepted { execution }, Some(text)) => {
            let life = life(execution)?;
            if let CallbackAddress::Key { organization, .. } = &address
                && life.organization != *organization
            {
                return Err(format!(
                    "an answer to {address:?} went to execution {execution} of {}",
                    life.organization
                ));
            }
            let recorded = life
                .journal
                .iter()
                .flat_map(|record| &record.events)
                .any(|event| match event {
                    Event::WaitCompleted { output, .. } => output.text().trim_matches('"') == text,
                    Event::WaitFailed { error, .. } => error.message == *text,
                    _ => false,
                });
            if !recorded {
                return Err(format!(
                    "the answer {text} to {address:?} was acknowledged, and is not recorded"
                ));
            }
        }
        (Delivered::Kept { id, .. }, _) => {
            if !state.ledger.ever_kept.contains(id) {
                return Err(format!(
                    "the answer {text:?} to {address:?} was kept, and is not durable"
                ));
            }
            state.stats.early += 1;
        }
        (
            Delivered::Accepted { execution } | Delivered::Duplicate { execution } | Delivered::Late { execution, .. },
            _,
        ) => {
            life(execution)?;
        }
        (Delivered::NotAwaited, None) => {}
        (Delivered::NotAwaited, Some(_)) => return Err("an answer was taken for a heartbeat".to_owned()),
    }
    Ok(Became::Done)
}
