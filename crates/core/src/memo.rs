//! What a resumed execution remembers of its earlier lives.

use std::collections::HashMap;
use std::sync::Arc;

use crate::Payload;
use crate::event::{Event, Outcome, Path};
use crate::execution::Record;
use crate::state::Resolved;

/// What earlier lives completed and did not undo, by path, with its kind.
pub(crate) fn remember(journal: &[Record]) -> (HashMap<Path, (Path, Resolved)>, HashMap<Path, u32>) {
    struct Asked<'a> {
        kind: Path,
        compensates: Option<&'a Path>,
        at: i64,
    }
    let mut memo = HashMap::new();
    let mut redone: HashMap<Path, u32> = HashMap::new();
    let mut asked: HashMap<&Path, Asked<'_>> = HashMap::new();
    for (at, event) in journal
        .iter()
        .flat_map(|record| record.events.iter().map(|event| (record.at, event)))
    {
        let (path, attempts, output) = match event {
            Event::StepScheduled {
                path,
                kind,
                compensates,
                ..
            } => {
                asked.insert(
                    path,
                    Asked {
                        kind: Arc::clone(kind),
                        compensates: compensates.as_ref(),
                        at,
                    },
                );
                continue;
            }
            Event::ChildStarted { path, workflow, .. } => {
                asked.insert(
                    path,
                    Asked {
                        kind: Arc::clone(workflow),
                        compensates: None,
                        at,
                    },
                );
                continue;
            }
            Event::TimerSet { path, .. } => {
                asked.insert(
                    path,
                    Asked {
                        kind: "timer".into(),
                        compensates: None,
                        at,
                    },
                );
                continue;
            }
            Event::StepCompleted { path, attempt, output } => (path, *attempt, output.clone()),
            Event::ChildEnded {
                path,
                outcome: Outcome::Succeeded(output),
            } => (path, 1, output.clone()),
            Event::TimerFired { path } => (path, 1, Payload::null()),
            _ => continue,
        };
        match asked.get(path) {
            // An action that was undone is to be done again, and undone again if need be.
            Some(Asked {
                compensates: Some(undone),
                ..
            }) => {
                // Of a block, everything inside it.
                let inside = format!("{undone}/");
                memo.retain(|done: &Path, _| {
                    let goes = done == *undone || done.starts_with(&inside);
                    if goes {
                        *redone.entry(Arc::clone(done)).or_default() += 1;
                    }
                    !goes
                });
                *redone.entry(Arc::clone(path)).or_default() += 1;
            }
            Some(Asked { kind, at: asked_at, .. }) => {
                let resolved = Resolved {
                    result: Ok(output),
                    attempts,
                    asked_at: *asked_at,
                    ended_at: at,
                };
                memo.insert(Arc::clone(path), (Arc::clone(kind), resolved));
            }
            None => {}
        }
    }
    (memo, redone)
}
