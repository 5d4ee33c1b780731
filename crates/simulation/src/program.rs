//! A [`Node`] as a program of the engine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bowline_core::{
    BoxFuture, Branch, Branches, CallbackOptions, Canceller, Context, Filter, Path, Payload, Program, Saga, StepError,
    join_all, race,
};
use bowline_engine::Programs;
use bowline_store::Definition;

use crate::plan::{CallbackPlan, Node, Plan, StepPlan};
use crate::random::hash;
use crate::steps::{self, Purpose};
use crate::world::World;

/// What a run of a program says of itself.
#[derive(Default)]
pub(crate) struct Said {
    /// What it computed as its result.
    pub(crate) result: Option<Result<String, StepError>>,
    /// Sagas that were undone: their scopes, and the paths of the actions that were done, oldest first.
    pub(crate) undone: Vec<(String, Vec<String>)>,
}

/// Makes programs of a seed's workflows.
#[derive(Clone)]
pub(crate) struct Workflows {
    pub(crate) plan: Arc<Plan>,
    pub(crate) world: Arc<World>,
}

pub(crate) fn definition(workflow: usize) -> Definition {
    let name = format!("w{workflow}");
    Definition {
        hash: name.clone(),
        content: name.clone().into_bytes().into(),
        workflow: name,
    }
}

impl Programs for Workflows {
    fn load(&self, _: &str, definition: &Definition) -> Result<Arc<dyn Program>, StepError> {
        let number = definition
            .workflow
            .trim_start_matches('w')
            .parse()
            .unwrap_or(usize::MAX);
        Ok(Arc::new(self.program(number)?))
    }

    fn child(&self, _: &str, _: &Definition, workflow: &str) -> Result<Definition, StepError> {
        let number = workflow.trim_start_matches('w').parse().unwrap_or(usize::MAX);
        Ok(definition(number))
    }
}

impl Workflows {
    pub(crate) fn program(&self, number: usize) -> Result<Workflow, StepError> {
        let Some(node) = self.plan.workflows.get(number) else {
            return Err(StepError::permanent(
                "unknown",
                format!("there is no workflow {number}"),
            ));
        };
        Ok(Workflow {
            node: Arc::new(node.clone()),
            world: Arc::clone(&self.world),
            said: None,
        })
    }
}

/// A workflow that runs.
pub(crate) struct Workflow {
    node: Arc<Node>,
    world: Arc<World>,
    /// Where a rehearsal says what it did; the world hears it otherwise.
    said: Option<Arc<Mutex<Said>>>,
}

impl Workflow {
    /// For a replay that only looks: the world does not hear of it.
    pub(crate) fn rehearsed(mut self) -> (Self, Arc<Mutex<Said>>) {
        let said = Arc::new(Mutex::default());
        self.said = Some(Arc::clone(&said));
        (self, said)
    }
}

impl Program for Workflow {
    fn run(&self, context: Context, _input: Payload) -> BoxFuture<Result<Payload, StepError>> {
        let runner = Runner {
            world: Arc::clone(&self.world),
            said: self.said.clone(),
        };
        let node = Arc::clone(&self.node);
        Box::pin(async move {
            let id = Arc::clone(context.execution_id());
            let result = runner.run(context, &node).await;
            match &runner.said {
                Some(said) => lock(said).result = Some(result.clone()),
                None => runner.world.computed(&id, &result),
            }
            result.and_then(payload)
        })
    }
}

fn lock(said: &Mutex<Said>) -> std::sync::MutexGuard<'_, Said> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}

fn payload(text: String) -> Result<Payload, StepError> {
    Payload::of(&text).map_err(|error| StepError::permanent("payload", error.to_string()))
}

/// What several results come to, short.
fn together(all: &[String]) -> String {
    let text = all.join("&");
    if text.len() < 40 {
        return text;
    }
    format!("~{:x}", hash(0, &text))
}

#[derive(Clone)]
struct Runner {
    world: Arc<World>,
    said: Option<Arc<Mutex<Said>>>,
}

type Text = Result<String, StepError>;

impl Runner {
    fn run<'a>(&'a self, ctx: Context, node: &'a Node) -> Branch<'a, Text> {
        Box::pin(async move {
            match node {
                Node::Step(plan) => self.step(&ctx, "s", *plan).await,
                Node::Sleep(ms) => {
                    ctx.sleep("t", Duration::from_millis(*ms)).await?;
                    Ok(format!("t{}", ctx.now() - ctx.started_at()))
                }
                Node::Callback(plan) => self.callback(&ctx, *plan).await,
                Node::Signal { name, timeout, picky } => {
                    let filter: Option<Filter> = picky.then(|| -> Filter { Arc::new(takes) });
                    let signal = ctx.signal(
                        "sig",
                        &format!("signal{name}"),
                        filter,
                        timeout.map(Duration::from_millis),
                    );
                    signal.await.map(text)
                }
                Node::Event { event, key, timeout } => {
                    let event = ctx.event(
                        "ev",
                        &format!("event{event}"),
                        key.map(|key| format!("k{key}")),
                        None,
                        timeout.map(Duration::from_millis),
                    );
                    event.await.map(|payload| format!("e{:x}", hash(0, payload.text())))
                }
                Node::Emit { event, key } => {
                    let data = payload(ctx.path_of("emit"))?;
                    ctx.emit("emit", &format!("event{event}"), key.map(|key| format!("k{key}")), data)
                        .await
                        .map(text)
                }
                Node::Child { workflow, detached } => ctx
                    .child("c", &format!("w{workflow}"), Payload::null(), *detached)
                    .await
                    .map(text),
                Node::Seq(nodes) => {
                    let mut all = Vec::new();
                    for (i, node) in nodes.iter().enumerate() {
                        all.push(self.run(ctx.scope(&format!("{i}")), node).await?);
                    }
                    Ok(together(&all))
                }
                Node::All(nodes) => {
                    let branches = nodes.iter().enumerate();
                    let branches = branches.map(|(i, node)| self.run(ctx.scope(&format!("all{i}")), node));
                    let all: Result<Vec<String>, StepError> = join_all(branches).await.into_iter().collect();
                    all.map(|all| together(&all))
                }
                Node::Race { branches, gently } => self.race(&ctx, branches, *gently).await,
                Node::Try(node) => match self.run(ctx.scope("try"), node).await {
                    Err(error) if error.code != "cancelled" => Ok(format!("({})", error.code)),
                    other => other,
                },
                Node::Saga(nodes) => self.saga(&ctx, nodes).await,
                Node::Within(ms, node) => {
                    let (inner, canceller) = ctx.cancellable();
                    let limit = ctx.sleep("limit", Duration::from_millis(*ms));
                    let limit: Branch<'_, Text> = Box::pin(async move { limit.await.map(|_| "late".to_owned()) });
                    first(vec![self.run(inner.scope("in"), node), limit], vec![canceller]).await
                }
                Node::Fold { items, chunk, body } => self.fold(&ctx, *items, *chunk, body).await,
            }
        })
    }

    async fn step(&self, ctx: &Context, name: &str, plan: StepPlan) -> Text {
        let first: Path = ctx.path_of(name).into();
        let mut times = 0;
        loop {
            let mut step = steps::step(&self.world, name, plan, &Purpose::Work);
            step.key_of = (times > 0).then(|| Arc::clone(&first));
            match ctx.step(step).await {
                Err(error) if plan.fail_on_unknown && plan.verify && error.kind.is_unknown() && times < 2 => {
                    let verify = steps::step(
                        &self.world,
                        &format!("{name}.verify"),
                        steps::patient(),
                        &Purpose::Verify,
                    );
                    let found = ctx.step(verify).await?;
                    if found.text() != "null" {
                        return Ok(text(found));
                    }
                    times += 1;
                }
                other => return other.map(text),
            }
        }
    }

    async fn callback(&self, ctx: &Context, plan: CallbackPlan) -> Text {
        let key = plan
            .keyed
            .then(|| format!("{}:{}", ctx.execution_id(), ctx.path_of("cb")));
        if plan.sends {
            let address = match &key {
                Some(key) => Purpose::SendKey(key.clone()),
                None => Purpose::SendToken(ctx.callback_token("cb")),
            };
            ctx.step(steps::step(&self.world, "send", steps::patient(), &address))
                .await?;
        }
        let options = CallbackOptions {
            channel: plan.keyed.then(|| "channel".into()),
            key,
            approval: None,
            timeout: plan.timeout.map(Duration::from_millis),
            heartbeat: plan.heartbeat.map(Duration::from_millis),
        };
        ctx.callback("cb", options).await.map(text)
    }

    async fn race(&self, ctx: &Context, nodes: &[Node], gently: bool) -> Text {
        if !gently {
            let branches = nodes.iter().enumerate();
            let branches = branches.map(|(i, node)| self.run(ctx.scope(&format!("race{i}")), node));
            return match race(branches).await {
                Some((winner, result)) => result.map(|text| together(&[winner.to_string(), text])),
                None => Ok(String::new()),
            };
        }
        let (branches, cancellers) = nodes
            .iter()
            .enumerate()
            .map(|(i, node)| {
                let (inner, canceller) = ctx.cancellable();
                (self.run(inner.scope(&format!("race{i}")), node), canceller)
            })
            .unzip();
        first(branches, cancellers).await
    }

    async fn saga(&self, ctx: &Context, nodes: &[Node]) -> Text {
        let mut saga = Saga::default();
        let mut done = Vec::new();
        let mut all = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            let scope = ctx.scope(&format!("do{i}"));
            let path: Path = scope.path_of("act").into();
            let acted = async {
                all.push(self.run(scope.scope("before"), node).await?);
                let act = steps::step(&self.world, "act", steps::patient(), &Purpose::Work);
                scope.step(act).await.map(text)
            };
            match acted.await {
                Ok(result) => {
                    all.push(result);
                    done.push(path.to_string());
                    let world = Arc::clone(&self.world);
                    saga.done(format!("{i}"), move |shielded: Context| -> Branch<'static, _> {
                        Box::pin(async move {
                            let mut undo = steps::step(&world, &format!("undo{i}"), steps::patient(), &Purpose::Work);
                            undo.compensates = Some(path);
                            shielded.step(undo).await.map(drop)
                        })
                    });
                }
                Err(error) => {
                    if let Some(said) = &self.said {
                        lock(said).undone.push((ctx.path_of(""), done.clone()));
                    }
                    let left = saga.compensate(ctx).await;
                    return Err(match error.code.as_str() {
                        "cancelled" => error,
                        code => StepError::permanent(format!("{code}.{}", left.len()), "undone"),
                    });
                }
            }
        }
        Ok(together(&all))
    }

    async fn fold(&self, ctx: &Context, items: u64, chunk: u64, body: &Node) -> Text {
        let mut all = Vec::new();
        let mut from = 0;
        while from < items {
            let to = (from + chunk).min(items);
            let inside = async {
                let mut results = Vec::new();
                for item in from..to {
                    results.push(self.run(ctx.scope(&format!("items[{item}]")), body).await?);
                }
                payload(together(&results))
            };
            all.push(text(ctx.folded("items", Some((from, to)), inside).await?));
            from = to;
        }
        Ok(together(&all))
    }
}

/// The first of the branches; the others are cancelled and awaited.
async fn first(branches: Vec<Branch<'_, Text>>, cancellers: Vec<Canceller>) -> Text {
    let mut running = Branches::default();
    for (number, branch) in branches.into_iter().enumerate() {
        running.push(number, branch);
    }
    let Some((winner, result)) = running.next().await else {
        return Ok(String::new());
    };
    for canceller in &cancellers {
        canceller.cancel();
    }
    if cancellers.len() < running.len() + 1 {
        // What cannot be cancelled need not be awaited: the limit of time.
        if winner < cancellers.len() {
            return result.map(|text| together(&[winner.to_string(), text]));
        }
    }
    while running.next().await.is_some() {}
    result.map(|text| together(&[winner.to_string(), text]))
}

fn text(payload: Payload) -> String {
    payload.text().trim_matches('"').to_owned()
}

/// What a picky wait for a signal takes.
fn takes(data: &Payload) -> bool {
    let digits = data.text().trim_end_matches('"');
    digits.ends_with(['0', '2', '4', '6', '8'])
}
