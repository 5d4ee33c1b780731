//! Walks that are given up, and schedules that nobody has for a while.

use serde_json::json;

use super::{HOUR, MINUTE, MONDAY, World, every_minute};
use crate::schedule::ScheduleView;

/// One in 86,400 is left, so ten years of them take minutes to walk.
const RARE: [&str; 3] = ["0-58 * * * * *", "59 0-58 * * * *", "59 59 0-22 * * *"];

#[test]
fn a_walk_that_takes_too_long_is_given_up_and_told() {
    let never = World::new(json!({"every": "1h", "exclude": ["* * * * *"]}));
    let turn = never.at(MONDAY);
    assert!(turn.next.is_none() && turn.problem.is_some_and(|why| why.contains("left out")));
    let rare = World::new(json!({"cron": "* * * * * *", "exclude": RARE}));
    let ten_years = (MONDAY - 3650 * 24 * HOUR, MONDAY);
    let dues = World::block(rare.keeper.dues(ten_years)).unwrap();
    assert!(!dues.is_all && dues.due.len() < 10, "{}", dues.due.len());
    // All views of a list share what there is for looking.
    let mut left = 300_000;
    let view = |left: &mut usize| ScheduleView::of("report", rare.row(), MONDAY, None, left);
    assert!(view(&mut left).problem.is_some());
    assert!(view(&mut left).problem.is_some() && left == 0, "{left}");
}

#[test]
fn what_was_due_while_nobody_had_it_is_dropped() {
    let world = every_minute("skip");
    world.at(MONDAY + MINUTE);
    let (row, bytes) = World::block(world.keeper.load()).unwrap().unwrap();
    World::block(world.keeper.leave(row, bytes, "it is gone")).unwrap();
    world.at(MONDAY + 4 * MINUTE);
    let (row, bytes) = World::block(world.keeper.load()).unwrap().unwrap();
    World::block(world.keeper.comes_back(row, bytes)).unwrap();
    world.change(|row| row.gone = false);
    world.model.end(&world.executions()[0], "completed");
    world.at(MONDAY + 5 * MINUTE);
    assert_eq!(
        world.fates(),
        [
            (1, "started"),
            (2, "dropped"),
            (3, "dropped"),
            (4, "dropped"),
            (5, "started")
        ]
    );
    assert!(world.fires()[1].reason.as_ref().unwrap().contains("not in use"));

    // So much that it is not counted to the end.
    let world = World::new(json!({"every": "1s"}));
    world.change(|row| row.gone = true);
    let year = MONDAY + 365 * 24 * HOUR;
    world.at(year);
    let (row, bytes) = World::block(world.keeper.load()).unwrap().unwrap();
    World::block(world.keeper.comes_back(row, bytes)).unwrap();
    let lines = world.fires();
    let (last, others) = lines.split_last().unwrap();
    assert!(others.iter().all(|line| line.count == Some(100_000)) && others.len() == 10);
    assert_eq!((last.until, last.count, world.row().through), (Some(year), None, year));
}
