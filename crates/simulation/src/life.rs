//! One life of the engine: from its start to its crash, or to the end of everything.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bowline_core::Wait;
use bowline_engine::{Clock, Engine, Options, Simulation};
use bowline_store::{ExecNo, Fault, MemoryStore, Status, Store};
use futures_util::FutureExt;
use tokio::time::sleep;

use crate::actions::Action;
use crate::ledger::{Broken, Open};
use crate::outside::{Became, perform};
use crate::plan::EMITTER;
use crate::program::Workflows;
use crate::random::Random;
use crate::world::World;

/// How a life ends before its time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mischief {
    /// After so many milliseconds.
    after: u64,
    /// It is asked to stop, and has so many milliseconds.
    gently: Option<u64>,
    /// The store does this to one of the next commits.
    fault: Option<(usize, Fault)>,
}

impl Mischief {
    pub(crate) fn random(random: &mut Random) -> Self {
        let most = random.pick(&[1, 20, 200, 5_000, 30_000, 100_000]);
        let after = random.between(0, most);
        let fault = match random.below(6) {
            0 | 1 => Some(Fault::CrashBefore),
            2 | 3 => Some(Fault::CrashAfter),
            4 => Some(Fault::Refuse),
            _ => None,
        };
        Self {
            after,
            gently: random.percent(20).then(|| random.pick(&[0, 10, 5_000])),
            fault: fault.map(|fault| (random.below(25) as usize, fault)),
        }
    }
}

/// Nothing takes longer than this, in simulated milliseconds: whoever has not ended by then never will.
const PATIENCE: i64 = 3 * 3_600_000;

pub(crate) struct Life<'a> {
    store: &'a MemoryStore,
    workflows: &'a Workflows,
    random: Random,
    mischief: Option<Mischief>,
}

impl<'a> Life<'a> {
    pub(crate) fn new(
        store: &'a MemoryStore,
        workflows: &'a Workflows,
        random: Random,
        mischief: Option<Mischief>,
    ) -> Self {
        Self {
            store,
            workflows,
            random,
            mischief,
        }
    }

    /// Lives until its end; the world's time has gone on by then.
    pub(crate) fn run(self) -> Result<(), Broken> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| error.to_string())?;
        let (store, world) = (self.store.clone(), Arc::clone(&self.workflows.world));
        store.heal();
        let (ended, now) = runtime.block_on(async {
            let ended = self.live().await;
            // Its clock is no more than the runtime's.
            let now = world.lock().now();
            (ended, now)
        });
        // Whatever was under way is gone with the process.
        store.crash();
        {
            let mut state = world.lock();
            (state.base, state.clock) = (now, None);
        }
        drop(runtime);
        ended
    }

    async fn live(mut self) -> Result<(), Broken> {
        let world = Arc::clone(&self.workflows.world);
        let options = self.options();
        world.lock().clock = Some(options.clock.clone());
        let engine = Engine::open(
            Arc::new(self.store.clone()),
            Arc::new(self.workflows.clone()),
            tokio::runtime::Handle::current(),
            options,
        )
        .map_err(|error| format!("the engine does not open: {error}"))?;
        let engine = Arc::new(engine);
        if let Some((commits, fault)) = self.mischief.and_then(|mischief| mischief.fault) {
            self.store.inject(commits, fault);
        }
        let recovering = recover(Arc::clone(&world), Arc::clone(&engine));
        let outsiders = outsiders(Arc::clone(&world), Arc::clone(&engine));
        if self.random.percent(50) {
            tokio::spawn(async move {
                recovering.await;
                outsiders.await;
            });
        } else {
            tokio::spawn(recovering);
            tokio::spawn(outsiders);
        }
        let after = self.mischief.map_or(u64::MAX / 4, |mischief| mischief.after);
        let ended = tokio::select! {
            biased;
            () = world.halted.notified() => Ok(()),
            () = sleep(Duration::from_millis(after)) => self.end(&engine).await,
            () = stops(&engine) => Ok(()),
            ended = self.settle(&world, &engine) => ended,
        };
        if world.lock().broken.is_none() {
            let audit = engine.audit();
            if audit.stuck > 0 {
                return Err(format!("the audit found {audit:?}: {:?}", engine.stuck()));
            }
        }
        ended
    }

    async fn end(&self, engine: &Engine) -> Result<(), Broken> {
        if let Some(grace) = self.mischief.and_then(|mischief| mischief.gently) {
            let stopped = tokio::time::timeout(Duration::from_secs(60), engine.stop(Duration::from_millis(grace)));
            if stopped.await.is_err() {
                return Err("a gentle stop does not end".into());
            }
        }
        Ok(())
    }

    fn options(&mut self) -> Options {
        let base = self.workflows.world.lock().base;
        let beyond = self.random.pick(&[1, 1_000, 10_000, 60_000]);
        let audits = self.random.percent(10);
        let random = Mutex::new(Random::new(self.random.next()));
        let slow = self.random.percent(40);
        let commit = move || {
            let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
            let mut wait = || {
                Duration::from_millis(if slow {
                    random.pick(&[0, 0, 1, 5, 50, 500, 5_000])
                } else {
                    random.pick(&[0, 0, 0, 1, 2])
                })
            };
            (wait(), wait())
        };
        Options {
            max_in_flight: self.random.pick(&[1, 2, 3, 100, 100]) as usize,
            drivers: self.random.between(1, 3) as usize,
            commit_patience: Duration::ZERO,
            request_interval: Duration::from_secs(20),
            clock: Clock::runtime(base),
            park_beyond: Some(Duration::from_millis(beyond)),
            // Without it nothing that is lost is found again, so that it is found here.
            audit_interval: Duration::from_secs(if audits { 30 } else { 1_000_000 }),
            simulation: Some(Simulation {
                commit: Arc::new(commit),
            }),
            ..Options::default()
        }
    }

    /// The last life: returns when everything has ended; without an end to it, never.
    async fn settle(&self, world: &Arc<World>, engine: &Engine) -> Result<(), Broken> {
        if self.mischief.is_some() {
            std::future::pending::<()>().await;
        }
        let began = world.lock().now();
        let mut emitters = 0;
        loop {
            sleep(Duration::from_secs(20)).await;
            let mut state = world.lock();
            let now = state.now();
            let open: Vec<ExecNo> = state
                .ledger
                .lives
                .iter()
                .filter(|(_, life)| !life.is_finished())
                .map(|(exec, _)| *exec)
                .collect();
            if open.is_empty() && state.queue.is_empty() {
                break;
            }
            let paused: Vec<String> = open
                .iter()
                .filter_map(|exec| state.ledger.lives.get(exec))
                .filter(|life| life.status == Status::Paused)
                .map(|life| life.id.to_string())
                .collect();
            if !paused.is_empty() {
                for id in paused {
                    state.queue.add(now, Action::Unpause { id });
                }
                drop(state);
                world.changed.notify_one();
                continue;
            }
            let waiting = open
                .iter()
                .filter_map(|exec| state.ledger.lives.get(exec))
                .find(|life| {
                    life.open.values().any(|open| {
                        matches!(
                            open,
                            Open::Wait {
                                wait: Wait::Event { .. },
                                until: None
                            }
                        )
                    })
                });
            if let Some(organization) = waiting.map(|life| life.organization.clone())
                && emitters < 50
            {
                emitters += 1;
                let start = Action::Start {
                    workflow: EMITTER,
                    organization,
                    id: format!("emitter{emitters}"),
                    key: None,
                    delivery: None,
                };
                state.queue.add(now, start);
                drop(state);
                world.changed.notify_one();
                continue;
            }
            if now - state.last_commit.max(began) > PATIENCE {
                let first = open.first().and_then(|exec| state.ledger.lives.get(exec));
                return Err(first.map_or_else(
                    || format!("nobody is told what became of {}", state.queue.left()),
                    |life| {
                        format!(
                            "execution {} ({}) does not end; it waits for {:?}; {} executions are in memory",
                            life.id,
                            life.status.name(),
                            life.open,
                            engine.in_flight()
                        )
                    },
                ));
            }
        }
        let left = self.store.audit(ExecNo(0), 1000).map_err(|error| error.to_string())?;
        match left.found.first() {
            Some(row) => Err(format!(
                "the store says that execution {} is {}",
                row.id,
                row.status.name()
            )),
            None => Ok(()),
        }
    }
}

async fn recover(world: Arc<World>, engine: Arc<Engine>) {
    match engine.recover().await {
        Ok(report) => {
            world.lock().note(format!("recovered {}", report.resumed));
            if let Some(stuck) = report.stuck.first() {
                world.broken(format!("execution {} is stuck: {}", stuck.id, stuck.error));
            }
        }
        // It has stopped meanwhile.
        Err(error) => world.lock().note(format!("recovery ends: {error}")),
    }
}

/// Returns when the engine has stopped by itself.
async fn stops(engine: &Engine) {
    loop {
        sleep(Duration::from_secs(3)).await;
        if let Some(Err(_)) = engine.idle().now_or_never() {
            return;
        }
    }
}

/// Does what is due, each in a task of its own.
async fn outsiders(world: Arc<World>, engine: Arc<Engine>) {
    loop {
        let changed = world.changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let (action, next, now) = {
            let mut state = world.lock();
            let now = state.now();
            (state.queue.take(now), state.queue.next_at(), now)
        };
        if let Some((number, action)) = action {
            tokio::spawn(act(Arc::clone(&world), Arc::clone(&engine), number, action));
            continue;
        }
        let pause = Duration::from_millis(next.map_or(1_000_000, |at| (at - now).max(0) as u64));
        tokio::select! {
            biased;
            () = changed => {}
            () = sleep(pause) => {}
        }
    }
}

async fn act(world: Arc<World>, engine: Arc<Engine>, number: u64, action: Action) {
    world.lock().note(format!("do {action:?}"));
    match perform(&world, &engine, action).await {
        Ok(Became::Done) => world.lock().queue.done(number),
        // What the engine did not acknowledge is done again in its next life.
        Ok(Became::Nothing) => {}
        Err(why) => world.broken(why),
    }
}
