//! Testing workflows: virtual time, a check that journals still replay, and crashes at every commit.
//!
//! A [`World`] runs workflows in memory. Its clock stands still while something is being done and jumps to the
//! next due time when everything waits, so retries and timers of days take no time. Services are mocked by giving
//! the workflow other implementations of the traits that it takes; see `examples/registration-rust`.
//!
//! ```
//! use std::time::Duration;
//! use bowline::{testing, Bowline, Context, Workflow};
//!
//! # testing::block_on(async {
//! let trial = Workflow::new("trial", |ctx: Context, (): ()| async move {
//!     ctx.sleep("two weeks", Duration::from_hours(14 * 24)).await?;
//!     Ok("over")
//! });
//! let world = testing::World::new(Bowline::builder().workflow(&trial)).await?;
//! let ended: String = world.run("trial", ()).await?;
//! assert_eq!((ended.as_str(), world.elapsed()), ("over", Duration::from_hours(14 * 24)));
//! # Ok(())
//! # });
//! ```

mod crash;
mod replay;
mod world;

use std::future::Future;

pub use crash::{CrashReport, crash_at_every_commit};
pub use replay::replay_check;
pub use world::{HeldTime, World};

use crate::{Bowline, Context, Result, Workflow};

/// Runs a future to its end, for tests and examples that are not async themselves.
///
/// ```
/// bowline::testing::block_on(async { Ok(()) });
/// ```
///
/// # Panics
/// With the error, so that a test fails.
pub fn block_on<T>(future: impl Future<Output = Result<T>>) -> T {
    let ended = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(crate::Error::from)
        .and_then(|runtime| runtime.block_on(future));
    #[expect(clippy::panic, reason = "a test that fails")]
    ended.unwrap_or_else(|error| panic!("{error:?}"))
}

/// Runs a function as a workflow named `example` in a [`World`], checks that its journal replays, and fails the test if
/// it fails. It is what the examples of this documentation run in.
///
/// ```
/// bowline::testing::example(|ctx: bowline::Context| async move {
///     ctx.step("work").run(|_| async { Ok(()) }).await
/// });
/// ```
///
/// # Panics
/// With the error, so that a test fails.
pub fn example<F, Fut>(workflow: F)
where
    F: Fn(Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'static,
{
    let workflow = Workflow::new("example", move |ctx, (): ()| workflow(ctx));
    block_on(async {
        let world = World::new(Bowline::builder().workflow(&workflow)).await?;
        world.run(&workflow, ()).await
    });
}
