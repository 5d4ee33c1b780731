//! Random programs: all that a program can do, nested in each other.

use std::sync::Arc;
use std::time::Duration;

use bowline_core::{
    Attempt, Backoff, Branch, Branches, CallbackOptions, Context, Filter, OnUnknown, Path, Payload, RetryPolicy, Saga,
    Step, StepError, StepOptions, join_all, race,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub(crate) enum Node {
    Step,
    /// Some steps, one after the other.
    Steps(u8),
    /// A step whose outcome must not be unknown.
    Careful,
    Sleep(u8),
    Child(bool),
    Callback(Option<u8>, Option<u8>),
    Signal(bool),
    Event(bool, Option<u8>),
    Emit,
    Version,
    Seq(Vec<Node>),
    All(Vec<Node>),
    Race(Vec<Node>),
    /// Goes on after an error; if it is stubborn, also after a cancellation.
    Ignore(bool, Box<Node>),
    /// Out of reach of cancellation.
    Shielded(Box<Node>),
    /// Two at a time; the one that ends first cancels the other, whose end is awaited.
    Outrun(Box<Node>, Box<Node>),
    Saga(Vec<Node>),
    Within(u8, Box<Node>),
    Folded(Box<Node>),
    /// The same scope entered twice.
    Twice(Box<Node>),
    /// Rounds in stretches that fold.
    Loop(u8, Box<Node>),
}

pub(crate) fn programs() -> impl Strategy<Value = Node> {
    let limit = || prop::option::of(1u8..20);
    let leaf = prop_oneof![
        4 => Just(Node::Step),
        4 => (1u8..6).prop_map(Node::Steps),
        1 => Just(Node::Careful),
        2 => (0u8..20).prop_map(Node::Sleep),
        1 => any::<bool>().prop_map(Node::Child),
        1 => (limit(), limit()).prop_map(|(timeout, heartbeat)| Node::Callback(timeout, heartbeat)),
        1 => any::<bool>().prop_map(Node::Signal),
        1 => (any::<bool>(), limit()).prop_map(|(picky, timeout)| Node::Event(picky, timeout)),
        1 => Just(Node::Emit),
        1 => Just(Node::Version),
    ];
    leaf.prop_recursive(5, 32, 4, |inner| {
        let many = prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            3 => many.clone().prop_map(Node::Seq),
            2 => many.clone().prop_map(Node::All),
            2 => many.clone().prop_map(Node::Race),
            1 => many.prop_map(Node::Saga),
            2 => (any::<bool>(), inner.clone()).prop_map(|(all, node)| Node::Ignore(all, Box::new(node))),
            1 => inner.clone().prop_map(|node| Node::Shielded(Box::new(node))),
            1 => (inner.clone(), inner.clone()).prop_map(|(a, b)| Node::Outrun(Box::new(a), Box::new(b))),
            1 => (0u8..10, inner.clone()).prop_map(|(ms, node)| Node::Within(ms, Box::new(node))),
            3 => inner.clone().prop_map(|node| Node::Folded(Box::new(node))),
            1 => inner.clone().prop_map(|node| Node::Twice(Box::new(node))),
            2 => (1u8..8, inner).prop_map(|(rounds, node)| Node::Loop(rounds, Box::new(node))),
        ]
    })
}

/// A program that runs a node; its result says what happened, so that two runs that differ anywhere differ in it.
pub(crate) fn program(
    node: Node,
) -> impl Fn(Context, Payload) -> Branch<'static, Result<Payload, StepError>> + Send + Sync {
    move |ctx, _| {
        let node = node.clone();
        Box::pin(async move { run(ctx, node).await.map(|text| Payload::of(&text).unwrap()) })
    }
}

fn step(name: &str, on_unknown: OnUnknown, compensates: Option<Path>) -> Step {
    Step {
        name: name.into(),
        kind: "test".into(),
        input: None,
        options: StepOptions {
            timeout: None,
            total_timeout: None,
            retry: RetryPolicy {
                max_attempts: 2,
                backoff: Backoff::Fixed,
                base_delay: Duration::from_millis(3),
                ..RetryPolicy::default()
            },
            on_unknown,
        },
        compensates,
        key_of: None,
        body: Arc::new(|_: Attempt| async { Ok(Payload::null()) }),
    }
}

fn ms(limit: Option<u8>) -> Option<Duration> {
    limit.map(|ms| Duration::from_millis(ms.into()))
}

fn picky(picky: bool) -> Option<Filter> {
    picky.then(|| Arc::new(|data: &Payload| data.parse::<u32>().is_ok_and(|number| number % 2 == 0)) as Filter)
}

fn text(payload: Payload) -> String {
    payload.text().to_owned()
}

async fn folded(
    ctx: &Context,
    name: &str,
    range: Option<(u64, u64)>,
    inside: impl Future<Output = Result<String, StepError>> + Send,
) -> Result<String, StepError> {
    let inside = async { inside.await.map(|text| Payload::of(&text).unwrap()) };
    ctx.folded(name, range, inside)
        .await
        .map(|output| output.parse().unwrap())
}

fn run(ctx: Context, node: Node) -> Branch<'static, Result<String, StepError>> {
    Box::pin(async move {
        match node {
            Node::Step => ctx.step(step("s", OnUnknown::Retry, None)).await.map(text),
            Node::Steps(many) => {
                let mut all = String::new();
                for _ in 0..many {
                    all += &ctx.step(step("s", OnUnknown::Retry, None)).await.map(text)?;
                }
                Ok(all)
            }
            Node::Careful => ctx.step(step("careful", OnUnknown::Fail, None)).await.map(text),
            Node::Sleep(ms) => ctx
                .sleep("t", Duration::from_millis(ms.into()))
                .await
                .map(|_| format!("t{}", ctx.now())),
            Node::Child(detached) => ctx.child("c", "other", Payload::null(), detached).await.map(text),
            Node::Callback(timeout, heartbeat) => {
                let options = CallbackOptions {
                    timeout: ms(timeout),
                    heartbeat: ms(heartbeat),
                    ..CallbackOptions::default()
                };
                ctx.callback("call", options).await.map(text)
            }
            Node::Signal(some) => ctx.signal("go", "go", picky(some), None).await.map(text),
            Node::Event(some, timeout) => ctx.event("ev", "paid", None, picky(some), ms(timeout)).await.map(text),
            Node::Emit => ctx.emit("emit", "done", None, Payload::null()).await.map(text),
            Node::Version => Ok(format!("v{}", ctx.version("change", 2))),
            Node::Seq(nodes) => {
                let mut all = String::new();
                for (i, node) in nodes.into_iter().enumerate() {
                    all += &run(ctx.scope(&i.to_string()), node).await?;
                }
                Ok(all)
            }
            Node::All(nodes) => {
                let results: Result<Vec<_>, _> = join_all(branches(&ctx, "all", nodes)).await.into_iter().collect();
                results.map(|all| all.join("&"))
            }
            Node::Race(nodes) => match race(branches(&ctx, "race", nodes)).await {
                Some((winner, result)) => result.map(|text| format!("{winner}:{text}")),
                None => Ok(String::new()),
            },
            Node::Ignore(stubborn, node) => match run(ctx.scope("try"), *node).await {
                Err(error) if stubborn || error.code != "cancelled" => Ok(format!("({})", error.code)),
                other => other,
            },
            Node::Shielded(node) => run(ctx.scope("shielded").shielded(), *node).await,
            Node::Outrun(one, other) => {
                let (first, cancel_first) = ctx.scope("first").cancellable();
                let (second, cancel_second) = ctx.scope("second").cancellable();
                let mut both = Branches::default();
                both.push(0, run(first, *one));
                both.push(1, run(second, *other));
                let winner = both.next().await;
                cancel_first.cancel();
                cancel_second.cancel();
                let loser = both.next().await;
                Ok(format!("{winner:?}{loser:?}"))
            }
            Node::Saga(nodes) => saga(ctx, nodes).await,
            Node::Within(ms, node) => {
                let limit = ctx.sleep("limit", Duration::from_millis(ms.into()));
                let limit: Branch<'_, _> = Box::pin(async move { limit.await.map(|_| "late".to_owned()) });
                match race([run(ctx.scope("in"), *node), limit]).await {
                    Some((_, result)) => result,
                    None => Ok(String::new()),
                }
            }
            Node::Folded(node) => folded(&ctx, "f", None, run(ctx.scope("f"), *node)).await,
            Node::Twice(node) => {
                let first = folded(&ctx, "f", None, run(ctx.scope("f"), (*node).clone())).await?;
                let second = folded(&ctx, "f", None, run(ctx.scope("f"), *node)).await?;
                Ok(format!("{first}+{second}"))
            }
            Node::Loop(rounds, node) => {
                let mut all = String::new();
                for from in (0..u64::from(rounds)).step_by(3) {
                    let to = (from + 3).min(rounds.into());
                    let stretch = async {
                        let mut all = String::new();
                        for round in from..to {
                            all += &run(ctx.scope(&format!("l[{round}]")), (*node).clone()).await?;
                        }
                        Ok(all)
                    };
                    all += &folded(&ctx, "l", Some((from, to)), stretch).await?;
                }
                Ok(all)
            }
        }
    })
}

fn branches(ctx: &Context, name: &str, nodes: Vec<Node>) -> Vec<Branch<'static, Result<String, StepError>>> {
    nodes
        .into_iter()
        .enumerate()
        .map(|(i, node)| run(ctx.scope(&format!("{name}{i}")), node))
        .collect()
}

async fn saga(ctx: Context, nodes: Vec<Node>) -> Result<String, StepError> {
    let mut saga = Saga::default();
    for (i, node) in nodes.into_iter().enumerate() {
        let scope = ctx.scope(&format!("do{i}"));
        match run(scope.clone(), node).await {
            Ok(_) => saga.done(format!("{i}"), move |shielded| {
                Box::pin(async move {
                    let undone = scope.path_of("").trim_end_matches('/').into();
                    let undo = step(&format!("undo{i}"), OnUnknown::Retry, Some(undone));
                    shielded.step(undo).await.map(drop)
                })
            }),
            Err(error) => {
                let left = saga.compensate(&ctx).await;
                let code = format!("{}.{}", error.code, left.len());
                return Err(StepError::permanent(code, "compensated"));
            }
        }
    }
    Ok("saga".into())
}
