//! Loops: over many items, and for as long as it takes.

use std::future::Future;
use std::mem;
use std::ops::ControlFlow;

use bowline_core::{Branch, Branches, Canceller, Payload, StepError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::folding::{Part, Shown};
use crate::{Context, Result, value};

/// So many rounds, or stretches of rounds, are forgotten as one.
const STRETCH: u64 = 64;
/// A stretch of items is so many times as long as items run at a time, so that waiting for its last ones costs little.
const FEW: usize = 16;
/// The longest stretches are 64 to the power of this.
const HIGHEST: u32 = 6;

impl Context {
    /// Does something for each item, at most `concurrency` at a time (0: all at once), and returns the results in
    /// the order of the items. Each item has a scope of its own, `name[0]`, `name[1]`, and so on.
    ///
    /// After the first failure no further items begin; those under way are cancelled and waited for, so that they
    /// can clean up. To go on in spite of failures, let `body` return them as values (see
    /// [`Caught`](crate::Caught)).
    ///
    /// Items are taken in stretches of `max(64, 16 x concurrency)`; the next one begins when the last item of the one before
    /// has ended, so one item that takes very long holds up those after its stretch.
    ///
    /// A finished item is remembered by its result only. What `body` leaves anywhere else in memory is not there
    /// after a crash; return it instead.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let lengths = ctx
    ///     .for_each("words", ["a", "bcd"], 4, |ctx, word| async move {
    ///         ctx.step("measure").run(move |_| async move { Ok(word.len()) }).await
    ///     })
    ///     .await?;
    /// assert_eq!(lengths, [1, 3]);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// The first failure.
    pub async fn for_each<I, T, F, Fut>(
        &self,
        name: &str,
        items: impl IntoIterator<Item = I, IntoIter: Send>,
        concurrency: usize,
        body: F,
    ) -> Result<Vec<T>>
    where
        I: Send,
        T: Serialize + DeserializeOwned + Send,
        F: Fn(Self, I) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let chunk = match concurrency {
            0 => usize::MAX,
            most => most
                .saturating_mul(FEW)
                .max(usize::try_from(STRETCH).unwrap_or(usize::MAX)),
        };
        let (group, canceller) = self.cancellable();
        let mut items = items.into_iter();
        let mut results = Vec::new();
        let mut next: Vec<I> = items.by_ref().take(chunk).collect();
        loop {
            let from = count(results.len());
            let now = mem::replace(&mut next, items.by_ref().take(chunk).collect());
            let to = from.saturating_add(count(now.len()));
            let only = from == 0 && next.is_empty();
            let inside = group.some(name, from, now, concurrency, &body, &canceller);
            // A single stretch is not worth a note: the workflow goes on with its result at once.
            let done = if only {
                inside.await?
            } else {
                group.stretch(name, (from, to), inside).await?
            };
            results.extend(done);
            if next.is_empty() {
                return Ok(results);
            }
        }
    }

    /// Some items of a loop; `from` is the number of the first.
    async fn some<I, T, F, Fut>(
        &self,
        name: &str,
        from: u64,
        items: Vec<I>,
        concurrency: usize,
        body: &F,
        canceller: &Canceller,
    ) -> Result<Vec<T>>
    where
        T: Send,
        F: Fn(Self, I) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T>> + Send,
    {
        let most = if concurrency == 0 { usize::MAX } else { concurrency };
        let mut results: Vec<Option<T>> = Vec::new();
        results.resize_with(items.len(), || None);
        let mut waiting = items.into_iter().enumerate();
        let mut failure = None;
        let mut running = Branches::default();
        loop {
            while failure.is_none() && running.len() < most {
                let Some((number, item)) = waiting.next() else { break };
                running.push(number, body(self.round(name, from + count(number)), item));
            }
            let Some((number, result)) = running.next().await else {
                break;
            };
            match result {
                Ok(result) => results[number] = Some(result),
                Err(error) if failure.is_none() => {
                    failure = Some(error);
                    canceller.cancel();
                }
                // What the cancelled ones say about it is no news.
                Err(_) => {}
            }
        }
        match failure {
            Some(error) => Err(error),
            None => Ok(results.into_iter().flatten().collect()),
        }
    }

    /// Repeats something until it breaks, carrying a state from round to round. Each round has a scope of its own,
    /// `name[0]`, `name[1]`, and so on.
    ///
    /// Finished rounds are forgotten but for the state, so a loop may run for years: bringing the execution back
    /// after a crash costs no more in its last round than in its first. What `body` leaves anywhere else in memory
    /// is not there after a crash; carry it in the state instead.
    ///
    /// ```
    /// # use std::ops::ControlFlow;
    /// # use std::time::Duration;
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// // Asks every hour, until there is an answer.
    /// let asked = ctx
    ///     .repeat("ask", 0, |ctx, asked: u32| async move {
    ///         let answer = ctx.step("look").run(move |_| async move { Ok(asked == 3) });
    ///         if answer.await? {
    ///             return Ok(ControlFlow::Break(asked));
    ///         }
    ///         ctx.sleep("pause", Duration::from_hours(1)).await?;
    ///         Ok(ControlFlow::Continue(asked + 1))
    ///     })
    ///     .await?;
    /// assert_eq!(asked, 3);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// The first failure.
    pub async fn repeat<S, T, F, Fut>(&self, name: &str, state: S, body: F) -> Result<T>
    where
        S: Serialize + DeserializeOwned + Send,
        T: Serialize + DeserializeOwned + Send,
        F: Fn(Self, S) -> Fut + Send + Sync,
        Fut: Future<Output = Result<ControlFlow<T, S>>> + Send,
    {
        let rounds = Rounds {
            context: self,
            name,
            body: &body,
        };
        let (mut state, mut from) = (state, 0);
        loop {
            // The further the loop is, the longer the stretches that are forgotten as one.
            let level = level(from);
            match rounds.run(level, from, state).await? {
                Round::Continue(next) => state = next,
                Round::Break(result) => return Ok(result),
            }
            from += length(level);
        }
    }

    /// The scope of one round of a loop.
    fn round(&self, name: &str, number: u64) -> Self {
        self.scope(&format!("{name}[{number}]"))
    }

    /// Rounds of a loop that are forgotten once they are done: their result stands for them.
    async fn stretch<T>(
        &self,
        name: &str,
        range: (u64, u64),
        inside: impl Future<Output = Result<T>> + Send,
    ) -> Result<T>
    where
        T: Serialize + DeserializeOwned + Send,
    {
        let mut ended = None;
        let part = async {
            let (result, shown) = Part::new(inside).await;
            let folded = match (&result, shown) {
                (Ok(result), Some(shown)) => Payload::of(&Stretch { result, shown }).ok(),
                _ => None,
            };
            ended = Some(result);
            folded.ok_or_else(StepError::cancelled)
        };
        let folded = self.core().folded(name, Some(range), part).await;
        match (folded, ended) {
            // Read back even where it is at hand, so that it is the same now as after a crash.
            (Ok(output), _) => {
                let Stretch { result, shown } =
                    value::read(&output, "step.output", &format!("the result of `{name}`"))?;
                for (name, value) in shown {
                    self.show(&name, value);
                }
                Ok(result)
            }
            (Err(_), Some(result)) => result,
            (Err(error), None) => Err(error.into()),
        }
    }
}

/// What stands for rounds that are forgotten.
#[derive(Serialize, Deserialize)]
struct Stretch<T> {
    result: T,
    /// What they showed last to those who ask.
    #[serde(default, skip_serializing_if = "Shown::is_empty")]
    shown: Shown,
}

/// A loop that goes on until it breaks.
struct Rounds<'a, F> {
    context: &'a Context,
    name: &'a str,
    body: &'a F,
}

/// What some rounds came to.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Round<S, T> {
    Continue(S),
    Break(T),
}

impl<F> Rounds<'_, F> {
    /// As many rounds as the level says, from this one.
    fn run<'a, S, T, Fut>(&'a self, level: u32, from: u64, state: S) -> Branch<'a, Result<Round<S, T>>>
    where
        S: Serialize + DeserializeOwned + Send + 'a,
        T: Serialize + DeserializeOwned + Send + 'a,
        F: Fn(Context, S) -> Fut + Send + Sync,
        Fut: Future<Output = Result<ControlFlow<T, S>>> + Send,
    {
        Box::pin(async move {
            let Some(inner) = level.checked_sub(1) else {
                let ended = (self.body)(self.context.round(self.name, from), state).await?;
                return Ok(match ended {
                    ControlFlow::Continue(state) => Round::Continue(state),
                    ControlFlow::Break(result) => Round::Break(result),
                });
            };
            let inside = async {
                let mut state = state;
                for number in 0..STRETCH {
                    match self.run(inner, from + number * length(inner), state).await? {
                        Round::Continue(next) => state = next,
                        Round::Break(result) => return Ok(Round::Break(result)),
                    }
                }
                Ok(Round::Continue(state))
            };
            let range = (from, from + length(level));
            self.context.stretch(self.name, range, inside).await
        })
    }
}

/// How many rounds there are at a level.
fn length(level: u32) -> u64 {
    STRETCH.saturating_pow(level)
}

/// The level of the stretch that begins at a round: the first rounds are alone, and each level has its turn when the
/// one below has been filled.
fn level(from: u64) -> u32 {
    (1..=HIGHEST)
        .rev()
        .find(|level| from != 0 && from.is_multiple_of(length(*level)))
        .unwrap_or(0)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use bowline_core::{Execution, Identity, TokenKey, condense};

    use super::*;
    use crate::testing::World;
    use crate::{Bowline, Workflow};

    #[test]
    fn stretches_follow_each_other_without_gaps_and_grow() {
        let (mut from, mut stretches) = (0, 0);
        while from < 1_000_000 {
            let next = from + length(level(from));
            assert!(next > from && next - from <= from.max(1));
            from = next;
            stretches += 1;
        }
        assert!(stretches < 64 * 4, "{stretches}");
    }

    /// Rounds that are forgotten are not run again, but what they have shown is still there.
    #[tokio::test]
    async fn what_a_forgotten_round_has_shown_is_kept() {
        let workflow = Workflow::new("w", |ctx: Context, rounds: u64| async move {
            let shown = ctx.clone();
            let counted = ctx.repeat("count", 0, |ctx, count: u64| {
                let shown = shown.clone();
                async move {
                    ctx.step("a").run(|_| async { Ok(()) }).await?;
                    shown.publish("count", &count)?;
                    if count == 70 {
                        shown.publish("once", &"early")?;
                    }
                    Ok(if count + 1 == rounds {
                        ControlFlow::Break(count)
                    } else {
                        ControlFlow::Continue(count + 1)
                    })
                }
            });
            counted.await
        });
        let world = World::new(Bowline::builder().workflow(&workflow)).await.unwrap();
        // The last stretch of stretches is whole, and so is everything in it.
        let rounds = 2 * 64 * 64;
        let handle = world.start(&workflow, rounds).id("w").await.unwrap();
        handle.result().await.unwrap();
        let whole = world.journal("w").await.unwrap();
        let condensed = condense(&whole.records);
        assert!(condensed.len() < 300, "{}", condensed.len());
        for records in [whole.records, condensed] {
            let identity = Identity {
                id: "w".into(),
                workflow: "w".into(),
                started_at: whole.started_at,
                exec: 0,
                tokens: TokenKey::new([0; 32]),
            };
            let program = workflow.erased.program.as_ref();
            let (execution, _) = Execution::replay(identity, program, &records, whole.started_at).unwrap();
            let published = execution.published();
            assert_eq!(published["count"].text(), "8191");
            assert_eq!(published["once"].text(), "\"early\"");
        }
    }
}
