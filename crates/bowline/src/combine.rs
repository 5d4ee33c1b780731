//! Several things at once: all of them, or the first.
//!
//! What ends first is decided by the journal, so a race comes out the same on every replay.

use std::future::Future;

use bowline_core::{Branch, Branches};

use crate::context::misuse;
use crate::{Error, Result};

/// Runs several futures at once and returns all results in their order. Takes a tuple of up to eight (whose
/// results may differ in type), an array, or a `Vec`.
///
/// The first that fails ends it: the others are dropped, and what they wait for is cancelled. What has been done
/// is not undone by that; a [`Saga`](crate::Saga) around it does.
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

/// Runs several futures at once and returns the first result with its place; the others are dropped, and what
/// they wait for is cancelled. Takes an array or a `Vec`; put futures of different types in [`branch`].
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
    let mut running = Branches::default();
    for (number, branch) in branches.into_iter().enumerate() {
        running.push(number, branch);
    }
    match running.next().await {
        Some((number, result)) => result.map(|result| (number, result)),
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
        let mut running = Branches::default();
        for (number, branch) in self.into_iter().enumerate() {
            running.push(number, branch);
        }
        while let Some((number, result)) = running.next().await {
            results[number] = Some(result?);
        }
        Ok(results.into_iter().flatten().collect())
    }
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
    ($($future:ident $result:ident $branch:ident),+) => {
        impl<$($future, $result),+> Parallel for ($($future,)+)
        where
            $($future: Future<Output = Result<$result>> + Send, $result: Send),+
        {
            type Output = ($($result,)+);

            async fn run(self) -> Result<Self::Output> {
                let ($($branch,)+) = self;
                futures_util::try_join!($($branch),+)
            }
        }
    };
}

tuples!(A RA a);
tuples!(A RA a, B RB b);
tuples!(A RA a, B RB b, C RC c);
tuples!(A RA a, B RB b, C RC c, D RD d);
tuples!(A RA a, B RB b, C RC c, D RD d, E RE e);
tuples!(A RA a, B RB b, C RC c, D RD d, E RE e, F RF f);
tuples!(A RA a, B RB b, C RC c, D RD d, E RE e, F RF f, G RG g);
tuples!(A RA a, B RB b, C RC c, D RD d, E RE e, F RF f, G RG g, H RH h);
