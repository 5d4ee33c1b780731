//! The world outside of the engine: what steps do, who answers callbacks, and what all of them saw.
//!
//! It survives the engine's crashes, forgets nothing, and holds what it sees to the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bowline_core::{Attempt, Event, Outcome, Path, Payload, StepError, TokenKey};
use bowline_engine::Clock;
use bowline_store::{ExecNo, Witness};
use tokio::sync::Notify;

use crate::Stats;
use crate::actions::{Action, Queue};
use crate::ledger::{Broken, Ledger, News};
use crate::plan::StepPlan;
use crate::random::Random;
use crate::steps::{Behaviour, Purpose};
use crate::trace::Trace;

/// One attempt of one step, as the world saw it.
struct Call {
    key: String,
    /// What it returned, if it did.
    returned: Option<Result<String, String>>,
    timeout: bool,
    /// In which life of the engine.
    engine: u32,
}

/// Execution, path, life of the execution, attempt.
type CallOf = (Path, Path, u32, u32);

pub(crate) struct State {
    pub(crate) random: Random,
    pub(crate) clock: Option<Clock>,
    pub(crate) base: i64,
    pub(crate) ledger: Ledger,
    pub(crate) queue: Queue,
    pub(crate) trace: Trace,
    pub(crate) stats: Stats,
    pub(crate) broken: Option<Broken>,
    /// Which life of the engine this is, from 1.
    pub(crate) engine: u32,
    /// No more mischief: what is begun is to end.
    pub(crate) settling: bool,
    calls: BTreeMap<CallOf, Vec<Call>>,
    /// Steps under way in this life of the engine.
    running: BTreeSet<(Path, Path)>,
    /// Idempotency keys, each with what it is the key of.
    keys: BTreeMap<String, (Path, Path, u32)>,
    /// Keys of steps that are recorded as completed, and whether under the path that the key is made of.
    completed: BTreeMap<String, bool>,
    /// What programs computed last, by execution.
    computed: BTreeMap<Path, Result<String, StepError>>,
    /// Callbacks that somebody will answer, by execution and tag or by reference.
    pub(crate) answers: BTreeSet<String>,
    pub(crate) tokens: TokenKey,
    texts: u64,
    pub(crate) last_commit: i64,
}

pub(crate) struct World {
    state: Mutex<State>,
    /// There is something new to do.
    pub(crate) changed: Notify,
    /// The store crashed by a fault, or a rule is broken.
    pub(crate) halted: Notify,
}

impl World {
    pub(crate) fn new(random: Random, tokens: TokenKey, base: i64, keeps_trace: bool) -> Self {
        Self {
            state: Mutex::new(State {
                random,
                clock: None,
                base,
                ledger: Ledger::default(),
                queue: Queue::default(),
                trace: Trace::new(keeps_trace),
                stats: Stats::default(),
                broken: None,
                engine: 0,
                settling: false,
                calls: BTreeMap::new(),
                running: BTreeSet::new(),
                keys: BTreeMap::new(),
                completed: BTreeMap::new(),
                computed: BTreeMap::new(),
                answers: BTreeSet::new(),
                tokens,
                texts: 0,
                last_commit: base,
            }),
            changed: Notify::new(),
            halted: Notify::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A rule is broken: everything ends here.
    pub(crate) fn broken(&self, why: Broken) {
        self.lock().break_rule(why);
        self.halted.notify_one();
    }

    /// The store says what it did. It must not be asked for anything now.
    pub(crate) fn witness(&self, witness: Witness<'_>) {
        let mut state = self.lock();
        match witness {
            Witness::Crashed => {
                state.note("the store crashes");
                self.halted.notify_one();
            }
            Witness::Durable(writes) => {
                let now = state.now();
                state.last_commit = now;
                let mut news = Vec::new();
                let read = state.ledger.read(now, writes, &mut news);
                state.note_writes(writes);
                let read = read.and_then(|()| news.into_iter().try_for_each(|news| state.news(news)));
                if let Err(why) = read {
                    state.break_rule(why);
                    self.halted.notify_one();
                }
                self.changed.notify_one();
            }
        }
    }

    /// An attempt begins: how long it takes, and how it goes.
    pub(crate) fn called(
        self: &Arc<Self>,
        attempt: &Attempt,
        plan: StepPlan,
        purpose: &Purpose,
    ) -> (Calling, u64, Behaviour) {
        let mut state = self.lock();
        let checked = state.call(attempt, plan);
        let (takes, behaviour) = state.behaviour(attempt, plan, purpose);
        let life = match checked {
            Ok(life) => life,
            Err(why) => {
                state.break_rule(format!(
                    "step {} of execution {}, attempt {}: {why}",
                    attempt.path, attempt.execution, attempt.number
                ));
                self.halted.notify_one();
                0
            }
        };
        let what = match &behaviour {
            Behaviour::Succeeds(text) => text.clone(),
            Behaviour::Fails(error) => error.code.clone(),
            other => format!("{other:?}"),
        };
        state.note(format!(
            "call {} {} #{} takes {takes} ms: {what}",
            attempt.execution, attempt.path, attempt.number
        ));
        drop(state);
        self.changed.notify_one();
        let calling = Calling {
            world: Arc::clone(self),
            of: (
                Arc::clone(&attempt.execution),
                Arc::clone(&attempt.path),
                life,
                attempt.number,
            ),
        };
        (calling, takes, behaviour)
    }

    /// A program has its result.
    pub(crate) fn computed(&self, id: &Path, result: &Result<String, StepError>) {
        self.lock().computed.insert(Arc::clone(id), result.clone());
    }
}

/// An attempt that is under way.
pub(crate) struct Calling {
    world: Arc<World>,
    of: CallOf,
}

impl Calling {
    pub(crate) fn returns(&self, result: &Result<Payload, StepError>) {
        let result = match result {
            Ok(output) => Ok(output.text().to_owned()),
            Err(error) => Err(error.code.clone()),
        };
        let mut state = self.world.lock();
        let text = match &result {
            Ok(text) | Err(text) => text.clone(),
        };
        let (id, path, _, attempt) = &self.of;
        state.note(format!("return {id} {path} #{attempt}: {text}"));
        if let Some(call) = state.calls.get_mut(&self.of).and_then(|calls| calls.last_mut()) {
            call.returned = Some(result);
        }
    }
}

impl Drop for Calling {
    fn drop(&mut self) {
        let (id, path, ..) = &self.of;
        let place = (Arc::clone(id), Arc::clone(path));
        self.world.lock().running.remove(&place);
    }
}

impl State {
    pub(crate) fn now(&self) -> i64 {
        self.clock.as_ref().map_or(self.base, Clock::now)
    }

    pub(crate) fn note(&mut self, text: impl AsRef<str>) {
        let at = self.now() - FIRST;
        self.trace.note(at, text.as_ref());
    }

    fn note_writes(&mut self, writes: &[bowline_store::Write]) {
        let at = self.now() - FIRST;
        for write in writes {
            self.trace.write(at, write);
        }
    }

    pub(crate) fn break_rule(&mut self, why: Broken) {
        self.note(format!("BROKEN: {why}"));
        self.broken.get_or_insert(why);
    }

    /// The engine has gone, and all steps with it.
    pub(crate) fn engine_gone(&mut self) {
        self.running.clear();
        self.clock = None;
    }

    pub(crate) fn text(&mut self) -> String {
        self.texts += 1;
        format!("r{}", self.texts)
    }

    fn call(&mut self, attempt: &Attempt, plan: StepPlan) -> Result<u32, Broken> {
        self.stats.calls += 1;
        let now = self.now();
        let key = attempt.idempotency_key();
        let place = (Arc::clone(&attempt.execution), Arc::clone(&attempt.path));
        if !self.running.insert(place) {
            return Err("it runs twice at the same time".into());
        }
        let life = self
            .ledger
            .by_id(&attempt.execution)
            .ok_or("it runs and its execution is not durable")?;
        let number = life.lives;
        match life.open.get(&attempt.path) {
            Some(crate::ledger::Open::Step {
                attempt: open,
                begun,
                not_before,
            }) => {
                if *open != attempt.number {
                    return Err(format!("attempt {open} is due"));
                }
                if plan.fail_on_unknown && !begun {
                    return Err("it runs and its beginning is not durable".into());
                }
                if *not_before > now {
                    return Err(format!("it runs {} ms too early", not_before - now));
                }
            }
            Some(_) => return Err("it is no step".into()),
            None if life.completed.contains(&attempt.path) => {
                return Err("it runs again after its result was recorded".into());
            }
            None => {
                // It may have been cancelled by a commit that the engine has not heard of yet.
                let cancelled = |event: &Event| matches!(event, Event::StepCancelled { path } if *path == attempt.path);
                if !life.journal.iter().any(|record| record.events.iter().any(cancelled)) {
                    return Err("it runs and is not durable".into());
                }
            }
        }
        let verified = plan.fail_on_unknown && plan.verify;
        if self.completed.get(&key).is_some_and(|same| *same || !verified) {
            return Err("it runs again with the key of a recorded result".into());
        }
        let of = (Arc::clone(&attempt.keys), Arc::clone(&attempt.key_of), attempt.redone);
        let known = self.keys.entry(key.clone()).or_insert_with(|| of.clone());
        if *known != of {
            return Err(format!("it has the idempotency key of {} of {}", known.1, known.0));
        }
        let call = (
            Arc::clone(&attempt.execution),
            Arc::clone(&attempt.path),
            number,
            attempt.number,
        );
        let engine = self.engine;
        let calls = self.calls.entry(call).or_default();
        if let Some(before) = calls.last() {
            if plan.fail_on_unknown {
                return Err("an attempt that began, and whose outcome is not known, runs again".into());
            }
            if before.key != key {
                return Err("its idempotency key changed".into());
            }
            if before.engine == engine {
                return Err("the same attempt runs twice in one life of the engine".into());
            }
        }
        calls.push(Call {
            key,
            returned: None,
            timeout: plan.timeout.is_some() || plan.total.is_some(),
            engine,
        });
        Ok(number)
    }

    fn news(&mut self, news: News) -> Result<(), Broken> {
        match news {
            News::Opened { exec, tag, wait, until } => {
                self.opened(exec, tag, &wait, until);
                Ok(())
            }
            News::Finished { exec, outcome } => self.finished(exec, &outcome),
            News::Result {
                id,
                path,
                life,
                attempt,
                result,
                completed,
            } => {
                let calls = self.calls.get(&(id.clone(), path.clone(), life, attempt));
                let returned =
                    calls.is_some_and(|calls| calls.iter().any(|call| call.returned.as_ref() == Some(&result)));
                let timed_out = result == Err("timeout".to_owned())
                    && calls.is_some_and(|calls| calls.iter().any(|call| call.timeout));
                // Begun, or about to be, when an engine ended.
                let unknown = result == Err("step.outcome-unknown".to_owned()) && self.engine > 1;
                if !(returned || timed_out || unknown) {
                    return Err(format!(
                        "execution {id} records {result:?} of {path}, attempt {attempt}, and that is not what it returned"
                    ));
                }
                if completed && let Some(key) = calls.and_then(|calls| calls.last()).map(|call| call.key.clone()) {
                    let same = self.keys.get(&key).is_some_and(|(_, of, _)| *of == path);
                    self.completed.insert(key, same);
                }
                Ok(())
            }
        }
    }

    fn finished(&mut self, exec: ExecNo, outcome: &Outcome) -> Result<(), Broken> {
        let Some(life) = self.ledger.lives.get(&exec) else {
            return Ok(());
        };
        let id = Arc::clone(&life.id);
        self.stats.ended += 1;
        let computed = self.computed.get(&id);
        let same = match (computed, outcome) {
            (Some(Ok(text)), Outcome::Succeeded(output)) => output.text().trim_matches('"') == text,
            (Some(Err(error)), Outcome::Failed(recorded) | Outcome::Cancelled(recorded)) => error == recorded,
            _ => false,
        };
        if !same {
            return Err(format!(
                "execution {id} records the end {outcome:?}, and the program computed {computed:?}"
            ));
        }
        if matches!(outcome, Outcome::Failed(_) | Outcome::Cancelled(_))
            && !self.settling
            && self.random.percent(40)
            && life_may_resume(self.ledger.lives.get(&exec))
        {
            let at = self.now() + self.random.pick(&[0, 10, 5_000, 60_000]) as i64;
            self.queue.add(at, Action::Resume { id: id.to_string() });
        }
        Ok(())
    }
}

fn life_may_resume(life: Option<&crate::ledger::Life>) -> bool {
    life.is_some_and(|life| life.lives < 2)
}

/// When simulated time begins, in milliseconds since the Unix epoch.
pub(crate) const FIRST: i64 = 1_700_000_000_000;
