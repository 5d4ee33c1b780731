//! Scopes that fold and journals that are condensed, one behaviour at a time.

use std::time::Duration;

use crate::support::{Live, ended, identity, json};
use bowline_core::{
    Branch, Context, Event, Execution, Input, Payload, Record, Resumption, Step, StepError, StepOptions, condense,
    join_all, standing,
};

fn plain(name: &str) -> Step {
    crate::support::step(name, StepOptions::default())
}

/// Five steps `name`, one after the other.
async fn five(ctx: Context) -> Result<Payload, StepError> {
    for _ in 0..5 {
        ctx.step(plain("s")).await?;
    }
    Ok(json("five"))
}

fn folds(journal: &[Record]) -> usize {
    let events = journal.iter().flat_map(|record| &record.events);
    events
        .filter(|event| matches!(event, Event::ScopeSkipped { .. }))
        .count()
}

/// The condensed journal brings back the same.
fn same_from(live: &mut Live<'_>, condensed: Vec<Record>) {
    live.crash();
    let (whole, rest) = (live.todo(), live.execution.rest());
    live.journal = condensed;
    live.crash();
    assert_eq!((live.todo(), live.execution.rest()), (whole, rest));
}

const INSIDE: [&str; 5] = ["f/s", "f/s#2", "f/s#3", "f/s#4", "f/s#5"];

#[test]
fn what_was_inside_goes_and_what_follows_is_the_same() {
    let program = |ctx: Context, _: Payload| async move {
        let inside = ctx.folded("f", None, five(ctx.scope("f"))).await?;
        ctx.step(plain("after")).await?;
        Ok(inside)
    };
    let mut live = Live::start(&program);
    live.succeed(&INSIDE);
    let condensed = condense(&live.journal);
    assert_eq!(live.journal.len(), 6);
    assert_eq!(condensed.len(), 2, "{condensed:?}");
    assert_eq!(condense(&condensed), condensed, "there is no more to it");
    same_from(&mut live, condensed);
    assert_eq!(live.todo(), ["run after"]);
    live.succeed(&["after"]);
    assert_eq!(live.output(), "\"five\"");
}

#[test]
fn a_scope_that_began_before_the_records_stays() {
    let program = |ctx: Context, _: Payload| async move { ctx.folded("f", None, five(ctx.scope("f"))).await };
    let mut live = Live::start(&program);
    live.succeed(&INSIDE);
    assert_eq!(condense(&live.journal[2..]), live.journal[2..]);
}

#[test]
fn a_scope_that_failed_or_did_next_to_nothing_stays() {
    let program = |ctx: Context, _: Payload| async move {
        let small = async { ctx.scope("small").step(plain("s")).await };
        ctx.folded("small", None, small).await?;
        ctx.folded("f", None, five(ctx.scope("f"))).await
    };
    let mut live = Live::start(&program);
    live.succeed(&["small/s"]);
    live.succeed(&INSIDE[..4]);
    live.handle(ended("f/s#5", 1, Err(StepError::permanent("no", "no"))));
    assert_eq!(condense(&live.journal), live.journal);
    live.resume(Resumption::because("mended"));
    assert_eq!(live.todo(), ["run f/s#5"], "what was done inside is known");
}

#[test]
fn a_scope_that_was_ended_from_outside_stays() {
    let program = |ctx: Context, _: Payload| async move {
        let inside = async {
            // Ends well, whatever happens.
            let _ = five(ctx.scope("f")).await;
            Ok(Payload::null())
        };
        let other = async {
            let _ = ctx.step(plain("other")).await;
            ctx.shielded().step(plain("after")).await
        };
        let both: [Branch<'_, _>; 2] = [Box::pin(ctx.folded("f", None, inside)), Box::pin(other)];
        join_all(both).await;
        Ok(Payload::null())
    };
    let mut live = Live::start(&program);
    live.succeed(&INSIDE[..4]);
    let reason = String::new();
    let events = live.handle(Input::Cancel { reason });
    assert!(events.iter().any(|event| matches!(event, Event::ScopeFolded(_))));
    let condensed = condense(&live.journal);
    assert_eq!(condensed, live.journal);
    same_from(&mut live, condensed);
}

#[test]
fn cancellation_does_not_reach_a_scope_that_is_skipped() {
    let program = |ctx: Context, _: Payload| async move {
        ctx.folded("f", None, five(ctx.scope("f").shielded())).await?;
        ctx.shielded().step(plain("after")).await
    };
    let mut live = Live::start(&program);
    live.succeed(&INSIDE[..2]);
    let reason = String::new();
    live.handle(Input::Cancel { reason });
    live.succeed(&INSIDE[2..]);
    let condensed = condense(&live.journal);
    assert_eq!(folds(&condensed), 1);
    same_from(&mut live, condensed);
    assert_eq!(live.todo(), ["run after"]);
}

#[test]
fn a_scope_that_undid_something_stays() {
    let program = |ctx: Context, _: Payload| async move {
        let inside = async {
            five(ctx.scope("f")).await?;
            let undo = Step {
                compensates: Some("f/s".into()),
                ..plain("undo")
            };
            ctx.scope("f").step(undo).await
        };
        ctx.folded("f", None, inside).await
    };
    let mut live = Live::start(&program);
    live.succeed(&INSIDE);
    live.succeed(&["f/undo"]);
    assert_eq!(condense(&live.journal), live.journal);
}

#[test]
fn a_scope_entered_again_counts_on() {
    let program = |ctx: Context, _: Payload| async move {
        let nested = || async {
            let outer = ctx.scope("o");
            outer.folded("f", None, five(outer.scope("f"))).await
        };
        ctx.folded("o", None, nested()).await?;
        ctx.folded("o", None, nested()).await
    };
    for resumed in [false, true] {
        let mut live = Live::start(&program);
        for number in 1..=10 {
            let path = if number == 1 {
                String::new()
            } else {
                format!("#{number}")
            };
            live.succeed(&[&format!("o/f/s{path}")]);
            if number == 5 {
                let condensed = condense(&live.journal);
                assert_eq!(folds(&condensed), 1, "the inner one is inside");
                same_from(&mut live, condensed);
            }
            if number == 7 && resumed {
                live.resume(Resumption::because("from the top"));
                assert_eq!(
                    live.todo(),
                    ["run o/f/s#8"],
                    "what folded is known, and what did not too"
                );
                live.crash();
                assert_eq!(live.todo(), ["run o/f/s#8"]);
            }
        }
        assert_eq!(live.output(), "\"five\"");
        let noted = live.journal.iter().flat_map(|record| &record.events);
        let entries: Vec<_> = noted
            .filter_map(|event| match event {
                Event::ScopeFolded(fold) | Event::ScopeSkipped { fold, .. } => Some((&*fold.path, fold.entry)),
                _ => None,
            })
            .collect();
        let all = [("o", 1), ("o/f", 6), ("o", 2)];
        assert_eq!(
            entries,
            all[..if resumed { 1 } else { 3 }],
            "no two entries are the same"
        );
    }
}

#[test]
fn signals_that_were_taken_inside_are_not_taken_again() {
    let program = |ctx: Context, _: Payload| async move {
        let outer = async {
            let ctx = ctx.scope("o");
            let inner = async {
                let ctx = ctx.scope("f");
                five(ctx.clone()).await?;
                ctx.event("ev", "paid", None, None, None).await?;
                ctx.signal("sig", "go", None, None).await
            };
            ctx.folded("f", None, inner).await?;
            ctx.step(plain("more")).await
        };
        ctx.folded("o", None, outer).await?;
        let event = ctx.event("ev", "paid", None, None, None).await?;
        let signal = ctx.signal("sig", "go", None, None).await?;
        Ok(json([event.text(), signal.text()]))
    };
    let signal = |data: u32, id: Option<&str>| Input::Signal {
        name: "go".into(),
        data: json(data),
        id: id.map(Into::into),
    };
    let paid = |path: &str, number| Input::WaitAnswered {
        path: path.into(),
        answer: bowline_core::Answer::Succeeded {
            output: json(number),
            event: Some(number),
        },
    };
    for id in [None, Some("id")] {
        let mut live = Live::start(&program);
        live.handle(signal(1, id));
        live.succeed(&["o/f/s", "o/f/s#2", "o/f/s#3", "o/f/s#4", "o/f/s#5"]);
        live.handle(paid("o/f/ev", 4));
        // The inner one first, then the one around it.
        live.journal = condense(&live.journal);
        assert_eq!(folds(&live.journal), 1);
        live.succeed(&["o/more"]);
        let condensed = condense(&live.journal);
        assert_eq!(folds(&condensed), 1);
        assert_eq!(condensed.len(), if id.is_some() { 3 } else { 2 }, "{condensed:?}");
        same_from(&mut live, condensed);
        assert!(standing(&live.journal).signals.is_empty());
        assert!(live.handle(paid("ev", 4)).is_empty(), "taken inside");
        live.handle(paid("ev", 5));
        let number = |event: &Event| match event {
            Event::SignalReceived { number, .. } => *number,
            other => panic!("a signal, not {other:?}"),
        };
        assert!(live.execution.waits_for("sig"));
        let next = live.handle(signal(2, id));
        assert_eq!(
            next.first().map(number),
            id.is_none().then_some(2),
            "the same again is none"
        );
        live.handle(signal(3, None));
        let taken = if id.is_some() { "3" } else { "2" };
        assert_eq!(live.output(), json(["5", taken]).text());
    }
}

#[test]
fn a_journal_from_before_there_were_folds_replays() {
    let old = |ctx: Context, _: Payload| async move {
        five(ctx.scope("f")).await?;
        ctx.step(plain("after")).await
    };
    let new = |ctx: Context, _: Payload| async move {
        ctx.folded("f", None, five(ctx.scope("f"))).await?;
        ctx.step(plain("after")).await
    };
    let mut live = Live::start(&old);
    live.succeed(&INSIDE);
    for length in 1..=live.journal.len() {
        let journal = &live.journal[..length];
        assert!(Execution::replay(identity(), &new, journal, 2000).is_ok(), "{length}");
    }
}

/// Time and memory of a long loop do not grow with what lies behind it.
#[test]
fn a_long_loop_costs_what_is_live() {
    let rounds: u64 = std::env::var("BOWLINE_ROUNDS").map_or(20_000, |rounds| rounds.parse().unwrap());
    let program = move |ctx: Context, _: Payload| async move {
        for from in (0..rounds).step_by(1000) {
            let stretch = async {
                for round in from..(from + 1000).min(rounds) {
                    ctx.scope(&format!("l[{round}]")).step(plain("s")).await?;
                }
                Ok(Payload::null())
            };
            ctx.folded("l", Some((from, from + 1000)), stretch).await?;
        }
        ctx.sleep("end", Duration::from_secs(1)).await
    };
    let mut live = Live::start(&program);
    let mut times = Vec::new();
    let mut begin = std::time::Instant::now();
    for round in 0..rounds {
        live.succeed(&[&format!("l[{round}]/s")]);
        if (round + 1) % (rounds / 10) == 0 {
            times.push(begin.elapsed().as_micros() as f64 / (rounds / 10) as f64);
            begin = std::time::Instant::now();
        }
        if live.journal.len() >= 4000 {
            live.journal = condense(&live.journal);
        }
    }
    live.journal = condense(&live.journal);
    assert!(live.journal.len() as u64 <= rounds / 1000 + 1, "{}", live.journal.len());
    let begin = std::time::Instant::now();
    live.crash();
    println!("step, by tenths: {times:.2?} us; replay {:?}", begin.elapsed());
    assert_eq!(live.todo().len(), 1);
    assert!(live.execution.waits_for("end"));
}
