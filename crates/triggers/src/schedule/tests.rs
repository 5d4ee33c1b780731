//! Schedules in a world in memory: every policy, and that every due time has one fate, whatever crashes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bowline_engine::Clock;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::calendar::Calendar;
use super::keeper::{Choice, Keeper, Select, Turn};
use super::ledger::{self, By, Fate, Fire};
use super::row::{Owner, Row};
use super::{Overlap, ScheduleConfig};
use crate::model::Model;
use crate::place::Trouble;

/// Monday, 2026-11-23, at midnight.
const MONDAY: i64 = 1_795_392_000_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 3_600_000;

mod away;

struct World {
    model: Arc<Model>,
    now: Arc<AtomicI64>,
    keeper: Keeper,
}

impl World {
    fn new(config: Value) -> Self {
        let model = Arc::new(Model::default());
        let now = Arc::new(AtomicI64::new(MONDAY));
        let keeper = Keeper {
            place: Arc::clone(&model) as _,
            clock: Clock::Virtual(Arc::clone(&now)),
            organization: "default".into(),
            name: "report".into(),
            fired: Arc::default(),
        };
        let config = ScheduleConfig::read(&config).unwrap();
        let row = Row::new("report".into(), Owner::Api, config, MONDAY);
        let world = Self { model, now, keeper };
        World::block(world.keeper.save(&row, None, &[])).unwrap();
        world
    }

    fn block<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(work)
    }

    fn at(&self, ms: i64) -> Turn {
        self.now.store(ms, Ordering::SeqCst);
        Self::block(self.keeper.turn(None)).unwrap()
    }

    fn backfill(&self, range: (i64, i64), overlap: Overlap) -> Result<Vec<Fire>, Trouble> {
        Self::block(async {
            let dues = self.keeper.dues(range).await?;
            self.keeper.backfill(dues, overlap, None).await
        })
    }

    fn row(&self) -> Row {
        Self::block(self.keeper.load()).unwrap().unwrap().0
    }

    fn change(&self, change: impl FnOnce(&mut Row)) {
        let (mut row, bytes) = Self::block(self.keeper.load()).unwrap().unwrap();
        change(&mut row);
        Self::block(self.keeper.save(&row, Some(bytes), &[])).unwrap();
    }

    fn fires(&self) -> Vec<Fire> {
        let state = self.model.state();
        let lines = state.entries.iter().filter(|((space, _), _)| space == ledger::SPACE);
        lines.map(|((_, key), value)| Fire::read(key, value).unwrap()).collect()
    }

    /// Minutes after midnight with their fates.
    fn fates(&self) -> Vec<(i64, &'static str)> {
        self.fires()
            .iter()
            .map(|fire| ((fire.due - MONDAY) / MINUTE, fire.fate.name()))
            .collect()
    }

    fn executions(&self) -> Vec<String> {
        self.model
            .state()
            .executions
            .iter()
            .map(|execution| execution.id.clone())
            .collect()
    }

    fn cancelled(&self) -> Vec<bool> {
        self.model
            .state()
            .executions
            .iter()
            .map(|execution| execution.cancelled)
            .collect()
    }
}

fn every_minute(overlap: &str) -> World {
    World::new(json!({"cron": "* * * * *", "overlap": overlap}))
}

#[test]
fn it_starts_when_it_is_due_and_says_what_for() {
    let world = World::new(json!({"cron": "0 30 7 * * MON-FRI", "timezone": "Europe/Oslo"}));
    let turn = world.at(MONDAY);
    assert_eq!(turn.next, Some(MONDAY + 6 * HOUR + 30 * MINUTE));
    let turn = world.at(MONDAY + 6 * HOUR + 30 * MINUTE + 20);
    assert_eq!(
        (turn.next, turn.running),
        (Some(MONDAY + 30 * HOUR + 30 * MINUTE), world.executions())
    );
    let input = world.model.state().executions[0].input.clone();
    assert_eq!(
        input,
        json!({
            "type": "schedule", "schedule": "report", "scheduledAt": "2026-11-23T06:30:00Z",
            "localTime": "2026-11-23T07:30:00+01:00", "startedAt": "2026-11-23T06:30:00.02Z", "lateBy": 20,
            "by": "clock", "number": 1, "previous": null
        })
    );
    world.model.end(&world.executions()[0], "failed");
    world.at(MONDAY + 30 * HOUR + 30 * MINUTE);
    let input = world.model.state().executions[1].input.clone();
    assert_eq!(
        (&input["number"], &input["previous"]["status"]),
        (&json!(2), &json!("failed"))
    );
}

#[test]
fn skip_leaves_out_what_is_due_while_another_runs() {
    let world = every_minute("skip");
    world.at(MONDAY + MINUTE);
    world.at(MONDAY + 2 * MINUTE);
    world.model.end(&world.executions()[0], "completed");
    world.at(MONDAY + 3 * MINUTE);
    assert_eq!(world.fates(), [(1, "started"), (2, "skipped"), (3, "started")]);
    let skipped = &world.fires()[1];
    assert_eq!(skipped.execution.as_ref(), Some(&world.executions()[0]));
    assert!(skipped.reason.as_ref().unwrap().contains("has not ended"));
}

#[test]
fn one_start_waits() {
    let world = every_minute("bufferOne");
    for minute in 1..=3 {
        world.at(MONDAY + minute * MINUTE);
    }
    assert_eq!(world.fates(), [(1, "started"), (2, "buffered"), (3, "skipped")]);
    world.model.end(&world.executions()[0], "completed");
    world.at(MONDAY + 3 * MINUTE + 1);
    assert_eq!(world.fates(), [(1, "started"), (2, "started"), (3, "skipped")]);
}

#[test]
fn all_wait_and_start_in_order() {
    let world = every_minute("bufferAll");
    for minute in 1..=4 {
        world.at(MONDAY + minute * MINUTE);
    }
    assert_eq!(world.fates()[1..], [(2, "buffered"), (3, "buffered"), (4, "buffered")]);
    for ended in 0..3 {
        assert_eq!(world.executions().len(), ended + 1);
        world.model.end(&world.executions()[ended], "completed");
        world.at(MONDAY + 4 * MINUTE + 1);
    }
    assert!(world.fires().iter().all(|fire| fire.fate == Fate::Started));
    let started: Vec<_> = world.fires().into_iter().filter_map(|fire| fire.execution).collect();
    assert_eq!(started, world.executions());
}

#[test]
fn the_other_is_cancelled_and_awaited() {
    let world = every_minute("cancelOther");
    world.at(MONDAY + MINUTE);
    world.at(MONDAY + 2 * MINUTE);
    assert_eq!(
        (world.cancelled(), world.fates()),
        (vec![true], vec![(1, "started"), (2, "buffered")])
    );
    // A later one takes the place of the one that waits.
    world.at(MONDAY + 3 * MINUTE);
    assert_eq!(world.fates(), [(1, "started"), (2, "skipped"), (3, "buffered")]);
    world.model.end(&world.executions()[0], "cancelled");
    world.at(MONDAY + 3 * MINUTE + 1);
    assert_eq!(world.fates(), [(1, "started"), (2, "skipped"), (3, "started")]);
    assert_eq!(world.cancelled(), [true, false]);
}

#[test]
fn the_other_is_cancelled_and_not_awaited() {
    let world = every_minute("terminateOther");
    world.at(MONDAY + MINUTE);
    world.at(MONDAY + 2 * MINUTE);
    assert_eq!(world.fates(), [(1, "started"), (2, "started")]);
    assert_eq!(world.cancelled(), [true, false]);
}

#[test]
fn others_do_not_matter() {
    let world = every_minute("allow");
    world.at(MONDAY + 3 * MINUTE);
    assert_eq!(world.fates(), [(1, "started"), (2, "started"), (3, "started")]);
    assert_eq!(world.cancelled(), [false; 3]);
}

#[test]
fn what_is_too_late_is_missed_and_the_rest_is_caught_up() {
    let world = World::new(json!({"cron": "* * * * *", "catchUp": "90s", "overlap": "allow"}));
    world.at(MONDAY + 5 * MINUTE);
    assert_eq!(
        world.fates(),
        [
            (1, "missed"),
            (2, "missed"),
            (3, "missed"),
            (4, "started"),
            (5, "started")
        ]
    );
}

#[test]
fn a_long_stop_is_one_line() {
    let world = World::new(json!({"cron": "* * * * * *", "catchUp": "10s"}));
    // A day and a bit, in seconds.
    world.at(MONDAY + 90_000 * 1000 + 500);
    let fires = world.fires();
    let range = &fires[0];
    assert_eq!((range.fate, range.due), (Fate::Missed, MONDAY + 1000));
    assert_eq!(range.count, Some(89_990));
    assert_eq!(range.until, Some(MONDAY + 89_990 * 1000));
    let rest: Vec<_> = fires[1..]
        .iter()
        .map(|fire| ((fire.due - MONDAY) / 1000, fire.fate))
        .collect();
    assert_eq!(rest.len(), 10);
    assert_eq!((rest[0], rest[9]), ((89_991, Fate::Started), (90_000, Fate::Skipped)));
}

#[test]
fn a_clock_that_goes_back_starts_nothing_twice() {
    let world = every_minute("allow");
    world.at(MONDAY + 2 * MINUTE);
    let turn = world.at(MONDAY);
    assert_eq!(turn.next, Some(MONDAY + 3 * MINUTE));
    world.at(MONDAY + 2 * MINUTE + 30_000);
    assert_eq!(world.executions().len(), 2);
}

#[test]
fn what_a_pause_drops_is_told() {
    let world = every_minute("allow");
    world.at(MONDAY + MINUTE);
    world.change(|row| {
        row.paused = Some(super::row::Paused {
            at: MONDAY,
            note: "the bank is closed".into(),
        });
    });
    let turn = world.at(MONDAY + 3 * MINUTE + 1);
    assert_eq!(turn.next, Some(MONDAY + 4 * MINUTE + 1));
    world.change(|row| row.paused = None);
    world.at(MONDAY + 4 * MINUTE);
    assert_eq!(
        world.fates(),
        [(1, "started"), (2, "dropped"), (3, "dropped"), (4, "started")]
    );
    assert!(world.fires()[1].reason.as_ref().unwrap().contains("the bank is closed"));
}

#[test]
fn it_pauses_itself_when_an_execution_fails() {
    let world = World::new(json!({"cron": "* * * * *", "pauseOnFailure": true}));
    world.at(MONDAY + MINUTE);
    world.model.end(&world.executions()[0], "failed");
    world.at(MONDAY + 2 * MINUTE);
    let paused = world.row().paused.unwrap();
    assert!(paused.note.contains(&world.executions()[0]), "{}", paused.note);
    assert_eq!(world.executions().len(), 1);
}

#[test]
fn fates_are_counted_once_they_are_durable() {
    let world = World::new(json!({"cron": "* * * * *"}));
    world.at(MONDAY + MINUTE + 5_000);
    world.at(MONDAY + 4 * MINUTE);
    let counts = world.keeper.fired.all("default", "report");
    let counts: Vec<_> = counts
        .iter()
        .map(|one| (one.fate.name(), one.count, one.late_ms))
        .collect();
    assert_eq!(counts, [("started", 1, 5_000), ("skipped", 3, 0)]);
}

#[test]
fn it_ends_after_so_many() {
    let world = World::new(json!({"cron": "* * * * *", "limit": 2, "overlap": "allow"}));
    let turn = world.at(MONDAY + 5 * MINUTE);
    assert_eq!((world.fates(), turn.next), (vec![(1, "started"), (2, "started")], None));
}

#[test]
fn a_start_that_is_refused_is_a_fate_too() {
    let world = World::new(json!({"cron": "* * * * *", "pauseOnFailure": true}));
    world.model.state().refuses = Some("no workflow named `report` is deployed".into());
    world.at(MONDAY + MINUTE);
    assert_eq!(world.fates(), [(1, "failed")]);
    assert!(world.fires()[0].reason.as_ref().unwrap().contains("deployed"));
    assert!(world.row().paused.is_some() && world.row().running.is_empty() && world.row().started == 0);
}

#[test]
fn a_filter_and_a_key_have_a_say() {
    let world = every_minute("allow");
    let select: Select = Arc::new(|values| {
        let even = values["scheduledAt"].as_str().unwrap().ends_with("2:00Z");
        let choice = if even {
            Choice::Filtered
        } else {
            Choice::Start(json!("fixed"), Some("one".into()))
        };
        Box::pin(std::future::ready(Ok(choice)))
    });
    world.now.store(MONDAY + 3 * MINUTE, Ordering::SeqCst);
    World::block(world.keeper.turn(Some(&select))).unwrap();
    assert_eq!(world.fates(), [(1, "started"), (2, "filtered"), (3, "started")]);
    assert_eq!(world.executions().len(), 1);
    assert_eq!(world.fires()[2].execution, world.fires()[0].execution);
}

#[test]
fn by_hand_it_is_due_at_once() {
    let world = World::new(json!({"cron": "0 0 1 1 *", "overlap": "skip"}));
    world.now.store(MONDAY + 5, Ordering::SeqCst);
    let fire = World::block(world.keeper.run_now(None, None, None)).unwrap();
    assert_eq!((fire.fate, fire.by, fire.due), (Fate::Started, By::Hand, MONDAY + 5));
    let fire = World::block(world.keeper.run_now(None, None, None)).unwrap();
    assert_eq!((fire.fate, fire.due), (Fate::Skipped, MONDAY + 6));
    let fire = World::block(world.keeper.run_now(Some(Overlap::Allow), None, None)).unwrap();
    assert_eq!((fire.fate, fire.due), (Fate::Started, MONDAY + 7));
    assert_eq!(world.row().started, 0);
    let again = || {
        World::block(world.keeper.run_now(Some(Overlap::Allow), Some("mine"), None))
            .unwrap()
            .due
    };
    assert_eq!((again(), again()), (MONDAY + 8, MONDAY + 8));
    assert_eq!(world.executions().len(), 3);
}

#[test]
fn a_time_that_somebody_took_by_hand_is_not_due_again() {
    let world = every_minute("allow");
    world.now.store(MONDAY + MINUTE, Ordering::SeqCst);
    World::block(world.keeper.run_now(None, None, None)).unwrap();
    world.at(MONDAY + 2 * MINUTE);
    assert_eq!(world.fates(), [(1, "started"), (2, "started")]);
    assert_eq!(world.executions().len(), 2);
}

#[test]
fn a_backfill_starts_what_has_no_execution_once() {
    let world = World::new(json!({"cron": "* * * * *", "catchUp": "90s", "overlap": "skip"}));
    world.at(MONDAY + 4 * MINUTE);
    assert_eq!(
        world.fates(),
        [(1, "missed"), (2, "missed"), (3, "started"), (4, "skipped")]
    );
    let range = (MONDAY - 2 * MINUTE, MONDAY + 2 * MINUTE);
    let fires = world.backfill(range, Overlap::Allow).unwrap();
    assert_eq!(fires.len(), 5);
    assert_eq!(
        world.fates(),
        [
            (-2, "started"),
            (-1, "started"),
            (0, "started"),
            (1, "started"),
            (2, "started"),
            (3, "started"),
            (4, "skipped")
        ]
    );
    assert_eq!(world.fires()[3].was, Some(Fate::Missed));
    assert_eq!(world.backfill(range, Overlap::Allow).unwrap(), []);
    assert_eq!(world.executions().len(), 6);
}

#[test]
fn a_backfill_takes_times_out_of_a_range() {
    let world = World::new(json!({"cron": "* * * * * *", "catchUp": "1s", "overlap": "skip"}));
    world.at(MONDAY + 5000 * 1000);
    assert_eq!(world.fires()[0].count, Some(4998));
    let from = MONDAY + 1000;
    world.backfill((from, from + 1000), Overlap::Allow).unwrap();
    let fires = world.fires();
    assert_eq!(
        (fires[0].fate, fires[0].until, fires[0].was),
        (Fate::Started, None, Some(Fate::Missed))
    );
    assert_eq!(fires[1].fate, Fate::Started);
    assert_eq!(
        (fires[2].due, fires[2].until, fires[2].count),
        (MONDAY + 3000, Some(MONDAY + 4998 * 1000), Some(4996))
    );
    let too_many = world.backfill((MONDAY, MONDAY + 4000 * 1000), Overlap::Allow);
    assert!(matches!(too_many, Err(Trouble::Refused(why)) if why.contains("1000")));
}

#[test]
fn the_ledger_forgets() {
    let world = World::new(json!({"cron": "0 * * * *", "overlap": "allow", "keep": "1h 30m", "catchUp": "30d"}));
    world.at(MONDAY + HOUR);
    world.at(MONDAY + 5 * HOUR);
    // Those that came late were written late.
    assert_eq!(world.fates().len(), 4);
    // A backfill is young, whatever it is about.
    let range = (MONDAY - HOUR, MONDAY - HOUR);
    world.backfill(range, Overlap::Allow).unwrap();
    world.at(MONDAY + 6 * HOUR);
    assert_eq!((world.fates()[0], world.fates().len()), ((-60, "started"), 6));
    world.at(MONDAY + 8 * HOUR);
    assert_eq!(world.fates(), [(7 * 60, "started"), (8 * 60, "started")]);
}

/// What may happen to a schedule.
#[derive(Clone, Debug)]
enum Happens {
    /// The clock goes on (or back) by so much.
    Time(i64),
    /// The process dies at the n-th call from here, before or after its effect.
    Crash(usize, bool),
    /// The n-th execution ends.
    End(usize),
    Pause,
    Unpause,
    ByHand,
    Backfill,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        8 => (0..20 * MINUTE).prop_map(Happens::Time),
        1 => (0..40 * HOUR).prop_map(Happens::Time),
        1 => (-2 * HOUR..0).prop_map(Happens::Time),
        5 => (0..12_usize, any::<bool>()).prop_map(|(at, after)| Happens::Crash(at, after)),
        4 => (0..50_usize).prop_map(Happens::End),
        1 => Just(Happens::Pause),
        1 => Just(Happens::Unpause),
        1 => Just(Happens::ByHand),
        1 => Just(Happens::Backfill),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn every_due_time_has_one_fate_whatever_happens(
        cron in proptest::sample::select(&["*/5 * * * *", "30 2 * * *", "0 */7 * * *", "*/20 */3 * * * *", "15 1-3 * * SUN,MON"][..]),
        zone in proptest::sample::select(&["UTC", "Europe/Oslo", "Australia/Lord_Howe"][..]),
        overlap in proptest::sample::select(&["skip", "bufferOne", "bufferAll", "cancelOther", "terminateOther", "allow"][..]),
        jitter in prop_oneof![Just(0), Just(30_000)],
        story in proptest::collection::vec(happens(), 1..40),
    ) {
        let world = World::new(json!({
            "cron": cron, "timezone": zone, "overlap": overlap, "jitter": jitter, "catchUp": "2h"
        }));
        let mut by_hand = 0;
        for happens in story.into_iter().chain([Happens::Unpause, Happens::Time(3 * HOUR)]) {
            match happens {
                Happens::Time(by) => { world.now.fetch_add(by, Ordering::SeqCst); }
                Happens::Crash(at, after) => world.model.state().dies = Some((at, after)),
                Happens::End(n) => {
                    let all = world.executions();
                    if !all.is_empty() {
                        world.model.end(&all[n % all.len()], if n % 3 == 0 { "failed" } else { "completed" });
                    }
                }
                Happens::Pause => {
                    world.model.state().dies = None;
                    world.change(|row| row.paused = Some(super::row::Paused { at: 0, note: String::new() }));
                }
                Happens::Unpause => {
                    world.model.state().dies = None;
                    world.change(|row| row.paused = None);
                }
                Happens::ByHand => {
                    by_hand += 1;
                    // The process may die over it.
                    let _ = World::block(world.keeper.run_now(None, None, None));
                }
                Happens::Backfill => {
                    let now = world.now.load(Ordering::SeqCst);
                    let _ = world.backfill((now - 3 * HOUR, now), Overlap::BufferAll);
                }
            }
            // Whoever comes after a crash begins with what is stored.
            let _ = World::block(world.keeper.turn(None));
        }
        world.model.state().dies = None;
        World::block(world.keeper.turn(None)).unwrap();

        let row = world.row();
        let calendar = Calendar::read(&row.config).unwrap();
        let due = calendar.between(MONDAY, row.through, usize::MAX);
        // What is due later is not late yet.
        let next = calendar.next(row.through).unwrap();
        prop_assert!(next + calendar.jitter("default\0report", next) > world.now.load(Ordering::SeqCst));

        let fires = world.fires();
        let mut fates: BTreeMap<i64, usize> = BTreeMap::new();
        let mut condensed = 0;
        for fire in fires.iter().filter(|fire| fire.by != By::Hand && fire.due > MONDAY) {
            condensed += fire.count.unwrap_or(0).saturating_sub(1);
            let until = fire.until.unwrap_or(fire.due);
            for due in calendar.between(fire.due - 1, until, usize::MAX) {
                // A line of its own goes before a range.
                let own = due == fire.due || !fires.iter().any(|other| other.due == due);
                *fates.entry(due).or_default() += usize::from(own);
            }
        }
        for due in &due {
            prop_assert_eq!(fates.remove(due), Some(1), "{}", super::calendar::text(*due));
        }
        prop_assert!(fates.is_empty(), "fates of times that were not due: {:?}", fates);
        let _ = condensed;

        // Each execution is one line's, and each line that started something has one.
        let mut started: Vec<String> = fires.iter().filter(|fire| fire.fate == Fate::Started)
            .map(|fire| fire.execution.clone().unwrap()).collect();
        let mut executions = world.executions();
        started.sort();
        executions.sort();
        prop_assert_eq!(started, executions);
        // What waits is what the ledger calls buffered.
        let buffered: Vec<i64> = fires.iter().filter(|fire| fire.fate == Fate::Buffered).map(|fire| fire.due).collect();
        let mut waiting: Vec<i64> = row.buffer.iter().map(|waiting| waiting.due).collect();
        waiting.sort_unstable();
        prop_assert_eq!(buffered, waiting);
        prop_assert!(fires.iter().filter(|fire| fire.by == By::Hand).count() <= by_hand);
    }
}
