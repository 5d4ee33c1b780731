//! Several things at once: all of them, or the first.
//!
//! What ends first is decided by the journal, so a race comes out the same on every replay.

use std::future::Future;

use bowline_core::{Branch, Contestants};

use crate::context::misuse;
use crate::{Error, Result};

/// Runs several futures at once and returns all results in their order. Takes a tuple of up to eight (whose
/// results may differ in type), an array, or a `Vec`.
///
/// The first that fails ends it. The others are cancelled: what they wait for ends with an error that
/// [`Error::is_cancelled`], and so does whatever they ask for after that, unless it is
/// [shielded](crate::Context::shielded). Their ends are waited for, so that a [`Saga`](crate::Saga) in one of them
/// undoes what it did; what goes wrong there stands among the causes of the error. A branch that waits for something
/// else than an operation, such as a channel, is dropped then.
///
/// What branches have done outside of a saga of their own is not undone; a saga around it all does that.
///
/// ```
/// # use std::time::Duration;
/// # use bowline::{testing, Context};
/// # testing::example(|ctx: Context| async move {
/// let stock = ctx.step("stock").run(|_| async { Ok(3) });
/// let price = ctx.step("price").run(|_| async { Ok("9.90".to_owned()) });
/// let (stock, price) = bowline::parallel((stock, price)).await?;
/// assert_eq!((stock, price.as_str()), (3, "9.90"));
///
/// let naps: Vec<_> = (1..=3).map(|n| ctx.sleep(&format!("nap {n}"), Duration::from_secs(n))).collect();
/// bowline::parallel(naps).await?;
/// # Ok(())
/// # });
/// ```
///
/// # Errors
/// The first failure.
pub async fn parallel<P: Parallel>(branches: P) -> Result<P::Output> {
    branches.run().await
}

/// Runs several futures at once and returns the first result with its place. The others are cancelled and waited for, as
/// [`parallel`] does after a failure. Takes an array or a `Vec`; put futures of different types in [`branch`].
///
/// ```
/// # use std::time::Duration;
/// # use bowline::{branch, testing, Context};
/// # testing::example(|ctx: Context| async move {
/// let answer = ctx.step("ask").run(|_| async { Ok("yes".to_owned()) });
/// let (first, text) = bowline::race([
///     branch(answer),
///     branch(async { ctx.sleep("patience", Duration::from_hours(1)).await.map(|()| "no answer".to_owned()) }),
/// ])
/// .await?;
/// assert_eq!((first, text.as_str()), (0, "yes"));
/// # Ok(())
/// # });
/// ```
///
/// # Errors
/// Where what ended first failed, or there is nothing to race.
pub async fn race<F, T>(branches: impl IntoIterator<Item = F>) -> Result<(usize, T)>
where
    F: Future<Output = Result<T>> + Send,
    T: Send,
{
    let mut running = Contestants::default();
    for (number, branch) in branches.into_iter().enumerate() {
        running.push(number, branch);
    }
    match running.next().await {
        Some((number, Ok(result))) => {
            running.cancel().await;
            Ok((number, result))
        }
        Some((_, Err(error))) => Err(cancel(running, error).await),
        None => Err(misuse("a race without branches never ends; give it one at least")),
    }
}

/// A future in a box, so that futures of different types can stand in one array.
///
/// See [`race`] for an example.
pub fn branch<'a, T>(future: impl Future<Output = Result<T>> + Send + 'a) -> Branch<'a, Result<T>> {
    Box::pin(future)
}

/// What [`parallel`] takes: tuples, arrays and `Vec`s of futures.
///
/// ```
/// # use bowline::{testing, Context, Parallel};
/// # testing::example(|ctx: Context| async move {
/// async fn both<P: Parallel>(branches: P) -> bowline::Result<P::Output> {
///     bowline::parallel(branches).await
/// }
/// let one = ctx.step("one").run(|_| async { Ok(1) });
/// assert_eq!(both([one]).await?, [1]);
/// # Ok(())
/// # });
/// ```
pub trait Parallel {
    /// All results.
    type Output;

    /// Runs all of them.
    fn run(self) -> impl Future<Output = Result<Self::Output>> + Send;
}

impl<F, T> Parallel for Vec<F>
where
    F: Future<Output = Result<T>> + Send,
    T: Send,
{
    type Output = Vec<T>;

    async fn run(self) -> Result<Vec<T>> {
        let mut results: Vec<Option<T>> = Vec::new();
        results.resize_with(self.len(), || None);
        let mut running = Contestants::default();
        for (number, branch) in self.into_iter().enumerate() {
            running.push(number, branch);
        }
        while let Some((number, result)) = running.next().await {
            match result {
                Ok(result) => results[number] = Some(result),
                Err(error) => return Err(cancel(running, error).await),
            }
        }
        Ok(results.into_iter().flatten().collect())
    }
}

/// Waits for all; after a failure for those that it cancels.
async fn all(mut running: Contestants<'_, Result<()>>) -> Result<()> {
    while let Some((_, result)) = running.next().await {
        if let Err(error) = result {
            return Err(cancel(running, error).await);
        }
    }
    Ok(())
}

/// Cancels what is left after an error. What goes wrong meanwhile stands among its causes.
pub(crate) async fn cancel<T: Send>(running: Contestants<'_, Result<T>>, mut error: Error) -> Error {
    for late in running.cancel().await.into_iter().filter_map(Result::err) {
        error.push_late(late);
    }
    error
}

impl<F, T, const N: usize> Parallel for [F; N]
where
    F: Future<Output = Result<T>> + Send,
    T: Send,
{
    type Output = [T; N];

    async fn run(self) -> Result<[T; N]> {
        let results = Vec::from(self).run().await?;
        results
            .try_into()
            .map_err(|_| -> Error { misuse("a branch has no result") })
    }
}

macro_rules! tuples {
    ($($future:ident $type:ident $branch:ident $result:ident),+) => {
        impl<$($future, $type),+> Parallel for ($($future,)+)
        where
            $($future: Future<Output = Result<$type>> + Send, $type: Send),+
        {
            type Output = ($($type,)+);

            async fn run(self) -> Result<Self::Output> {
                let ($($branch,)+) = self;
                $(let mut $result = None;)+
                let mut running = Contestants::default();
                $(running.push(0, async {
                    $result = Some($branch.await?);
                    Ok(())
                });)+
                all(running).await?;
                match ($($result,)+) {
                    ($(Some($result),)+) => Ok(($($result,)+)),
                    _ => Err(misuse("a branch has no result")),
                }
            }
        }
    };
}

tuples!(A RA a ra);
tuples!(A RA a ra, B RB b rb);
tuples!(A RA a ra, B RB b rb, C RC c rc);
tuples!(A RA a ra, B RB b rb, C RC c rc, D RD d rd);
tuples!(A RA a ra, B RB b rb, C RC c rc, D RD d rd, E RE e re);
tuples!(A RA a ra, B RB b rb, C RC c rc, D RD d rd, E RE e re, F RF f rf);
tuples!(A RA a ra, B RB b rb, C RC c rc, D RD d rd, E RE e re, F RF f rf, G RG g rg);
tuples!(A RA a ra, B RB b rb, C RC c rc, D RD d rd, E RE e re, F RF f rf, G RG g rg, H RH h rh);
