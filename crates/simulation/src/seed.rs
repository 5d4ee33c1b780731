//! One seed: lives of the engine, one after the other, until everything has ended.

use std::sync::Arc;

use bowline_core::TokenKey;
use bowline_store::{MemoryStore, Store};

use crate::actions::{Action, ORGANIZATIONS};
use crate::check::check;
use crate::ledger::Broken;
use crate::life::{Life, Mischief};
use crate::plan::Plan;
use crate::program::Workflows;
use crate::random::Random;
use crate::world::{FIRST, World};
use crate::{Report, Stats};

/// Simulates one seed. With `whole` the trace is all of it, and its last part otherwise.
#[must_use]
pub fn run(seed: u64, whole: bool) -> Report {
    if whole {
        return simulate(seed, true);
    }
    // An engine that crashes all the time has much to complain about.
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || simulate(seed, false))
}

fn simulate(seed: u64, whole: bool) -> Report {
    let mut random = Random::new(seed);
    let plan = Arc::new(Plan::random(&mut random));
    let store = MemoryStore::new();
    let tokens = TokenKey::new(store.token_key().unwrap_or_default());
    let of_world = Random::new(random.next());
    let world = Arc::new(World::new(of_world, tokens.clone(), FIRST, whole));
    {
        let world = Arc::clone(&world);
        store.witness(move |witness| world.witness(witness));
    }
    let workflows = Workflows {
        plan,
        world: Arc::clone(&world),
    };
    {
        let mut state = world.lock();
        for (number, node) in workflows.plan.workflows.iter().enumerate().skip(1) {
            state.note(format!("workflow {number}: {node:?}"));
        }
    }
    outsiders(&mut random, &workflows);
    let ended = lives(&mut random, &store, &workflows, &tokens);
    let mut end = world.lock();
    if let Err(why) = ended {
        end.break_rule(why);
    }
    let stats = Stats {
        executions: end.ledger.lives.len() as u64,
        commits: end.ledger.commits,
        records: end.ledger.records,
        simulated_ms: (end.base - FIRST) as u64,
        ..end.stats
    };
    Report {
        seed,
        broken: end.broken.clone(),
        trace: end.trace.lines(),
        fingerprint: end.trace.hash,
        stats,
    }
}

/// Who starts what, and who interferes.
fn outsiders(random: &mut Random, workflows: &Workflows) {
    let mut state = workflows.world.lock();
    let last = workflows.plan.workflows.len() as u64 - 1;
    let starts = random.between(1, 5);
    for number in 0..starts {
        let at = FIRST + random.pick(&[0, 0, 0, 5, 10, 1_000, 30_000]) as i64;
        let id = format!("x{number}");
        let keyed = random.percent(25).then(|| format!("key{}", random.below(2)));
        let workflow = match &keyed {
            Some(_) => 1,
            None => random.between(1, last),
        } as usize;
        let organization = random.pick(&[0, 0, 1]) as usize;
        // What comes with a delivery comes again, from a sender that has not heard of the first.
        let delivery = (keyed.is_none() && random.percent(40)).then(|| format!("d{}", random.below(3)));
        let times = if delivery.is_some() { random.between(1, 3) } else { 1 };
        for again in 0..times {
            let start = Action::Start {
                workflow,
                organization: ORGANIZATIONS[organization].to_owned(),
                id: if again == 0 {
                    id.clone()
                } else {
                    format!("{id}-{again}")
                },
                key: keyed.clone(),
                delivery: delivery.clone(),
            };
            let at = at
                + if again == 0 {
                    0
                } else {
                    random.pick(&[0, 0, 1, 50, 10_000]) as i64
                };
            state.queue.add(at, start);
        }
        if random.percent(20) {
            let at = at + random.pick(&[0, 1, 10, 100, 5_000, 30_000, 100_000]) as i64;
            state.queue.add(at, Action::Cancel { id: id.clone() });
        }
        if random.percent(20) {
            let at = at + random.pick(&[0, 1, 10, 100, 5_000, 30_000]) as i64;
            state.queue.add(at, Action::Pause { id: id.clone() });
        }
        if random.percent(20) {
            let at = at + random.pick(&[0, 1, 10, 5_000]) as i64;
            let name = format!("signal{}", random.below(crate::plan::SIGNALS));
            let signal = state.signal(&id, &name, true);
            state.queue.add(at, signal);
        }
    }
}

fn lives(random: &mut Random, store: &MemoryStore, workflows: &Workflows, tokens: &TokenKey) -> Result<(), Broken> {
    let world = &workflows.world;
    let crashes = random.below(5);
    for number in 0..=crashes {
        let mischief = (number < crashes).then(|| Mischief::random(random));
        {
            let mut state = world.lock();
            state.engine += 1;
            state.settling = mischief.is_none();
            let engine = state.engine;
            state.note(format!("life {engine}: {mischief:?}"));
        }
        let again = Random::new(random.next());
        Life::new(store, workflows, again, mischief).run()?;
        let mut state = world.lock();
        if state.broken.is_some() {
            return Ok(());
        }
        state.engine_gone();
        state.stats.crashes += u64::from(number < crashes);
        let now = state.base;
        state.queue.again(now);
        let lives = state.ledger.lives.clone();
        drop(state);
        for (exec, life) in &lives {
            check(workflows, tokens, *exec, life, now)?;
        }
        // The process is gone for a while.
        world.lock().base += random.pick(&[0, 0, 1, 100, 20_000, 400_000]) as i64;
    }
    Ok(())
}
