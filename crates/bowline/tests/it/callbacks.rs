//! Callbacks and their tokens.

use std::sync::{Arc, Mutex};

use bowline::testing::World;
use bowline::{Bowline, Context, Workflow};
use tokio::sync::Notify;

type Tokens = (Arc<Mutex<Vec<String>>>, Arc<Notify>);

/// Hands out the tokens of two callbacks of one name before it waits for either.
async fn review(ctx: Context, (tokens, told): Tokens, (): ()) -> bowline::Result<(u32, u32)> {
    let (first, second) = (ctx.callback::<u32>("review"), ctx.callback::<u32>("review"));
    let both = [first.token(), second.token()];
    // Asked for again, it is the same.
    assert_eq!(first.token(), both[0]);
    let send = ctx.step("send").run(move |_| {
        tokens.lock().unwrap().extend(both.clone());
        told.notify_one();
        async { Ok(()) }
    });
    send.await?;
    let second = second.await?;
    Ok((first.await?, second))
}

#[tokio::test]
async fn two_callbacks_of_one_name_have_tokens_of_their_own() {
    let tokens = Tokens::default();
    let review = Workflow::with("review", tokens.clone(), review);
    let world = World::new(Bowline::builder().workflow(&review)).await.unwrap();
    let handle = world.start(&review, ()).id("r").await.unwrap();
    tokens.1.notified().await;
    let sent = tokens.0.lock().unwrap().clone();
    assert_ne!(sent[0], sent[1]);
    world.answer(&sent[0], &1).await.unwrap();
    world.answer(&sent[1], &2).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), (1, 2));
    bowline::testing::replay_check(&review, &world.journal("r").await.unwrap()).unwrap();
}
