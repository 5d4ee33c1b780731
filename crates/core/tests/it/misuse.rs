//! Programs that do what no replay can repeat.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use bowline_core::{Branch, Context, Outcome, Payload, StepError, StepOptions, join_all};

use super::support::{Live, step};

async fn ask(ctx: &Context, name: &str) -> Result<(), StepError> {
    ctx.step(step(name, StepOptions::default())).await.map(drop)
}

#[test]
fn a_context_is_of_no_use_outside_of_its_program() {
    let taken: Arc<Mutex<Option<Context>>> = Arc::default();
    let out = Arc::clone(&taken);
    let program = move |ctx: Context, _: Payload| {
        *out.lock().unwrap() = Some(ctx.clone());
        async move { ask(&ctx, "inside").await.map(|()| Payload::null()) }
    };
    let mut live = Live::start(&program);
    let ctx = taken.lock().unwrap().take().unwrap();
    let mut outside = Box::pin(ask(&ctx, "outside"));
    let polled = outside
        .as_mut()
        .poll(&mut std::task::Context::from_waker(Waker::noop()));
    let Poll::Ready(Err(error)) = polled else {
        unreachable!("it was not refused");
    };
    assert_eq!(error.code, "program.outside");
    assert!(error.message.contains("`outside`"), "{error}");
    live.succeed(&["inside"]);
    assert_eq!(live.output(), "null");
}

/// A future of somebody else's beside a step: it leaves its waker behind and is never ready.
#[test]
fn what_is_woken_from_elsewhere_fails_at_its_next_event() {
    let left: Arc<Mutex<Option<Waker>>> = Arc::default();
    let place = Arc::clone(&left);
    let program = move |ctx: Context, _: Payload| {
        let place = Arc::clone(&place);
        async move {
            let both: [Branch<'_, _>; 2] = [
                Box::pin(async {
                    ask(&ctx, "one").await?;
                    ask(&ctx, "two").await
                }),
                Box::pin(poll_fn(move |cx| {
                    *place.lock().unwrap() = Some(cx.waker().clone());
                    Poll::Pending
                })),
            ];
            join_all(both).await;
            Ok::<_, StepError>(Payload::null())
        }
    };
    let mut live = Live::start(&program);
    live.succeed(&["one"]);
    assert_eq!(live.execution.outcome(), None, "it is not known yet");
    left.lock().unwrap().take().unwrap().wake();
    live.succeed(&["two"]);
    let Some(Outcome::Failed(error)) = live.execution.outcome() else {
        unreachable!("it goes on");
    };
    assert_eq!(error.code, "program.strayed");
}
