//! What a program sees of the world: steps, timers, children, and values that replay the same.
//!
//! Every method that touches the world returns a future. A future that the journal answers is ready at
//! once; any other becomes a command when it is first polled. Dropping an unfinished one cancels the
//! operation, so `race` and time limits are ordinary combinators.

use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::effect::StepBody;
use crate::event::{Event, Path};
use crate::policy::StepOptions;
use crate::state::{Asked, Group, OpenChild, OpenStep, Resolution, Resolved, Shared, What};
use crate::{Payload, StepError, ids};

/// A place in an execution from which steps are asked for. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    shared: Arc<Shared>,
    prefix: Path,
    shielded: bool,
    group: Option<Arc<Group>>,
}

/// Cancels what was asked for from one context; see [`Context::cancellable`].
pub struct Canceller {
    shared: Arc<Shared>,
    group: Arc<Group>,
}

impl Canceller {
    /// Ends everything that the context, or one made from it, waits for, and whatever it asks for from now
    /// on, with the error `cancelled`. What is shielded goes on, so cleaning up can be awaited.
    pub fn cancel(&self) {
        self.group.cancelled.store(true, Ordering::Relaxed);
        self.shared.lock().cancel_groups();
    }
}

/// A step to run.
pub struct Step {
    /// Its name within the scope, such as `pay`.
    pub name: String,
    /// What runs it, such as `http-request`. Replay holds a step to its kind.
    pub kind: Path,
    /// What it is asked to do, for people, with secrets masked. Recorded, never read back.
    pub input: Option<Payload>,
    /// Timeouts and retries.
    pub options: StepOptions,
    /// The path of the step that this one undoes: after that, a resumed execution runs both again.
    pub compensates: Option<Path>,
    /// What it does.
    pub body: Arc<dyn StepBody>,
}

impl Context {
    pub(crate) fn root(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            prefix: "".into(),
            shielded: false,
            group: None,
        }
    }

    /// A scope: what is asked from it has `name/` before its path.
    #[must_use]
    pub fn scope(&self, name: &str) -> Self {
        Self {
            prefix: self.join(name).into(),
            ..self.clone()
        }
    }

    /// A context that cancellation from outside does not reach: for compensation and cleaning up. A
    /// [`Context::cancellable`] one made from it can still be cancelled.
    #[must_use]
    pub fn shielded(&self) -> Self {
        Self {
            shielded: true,
            group: None,
            ..self.clone()
        }
    }

    /// A context that can be cancelled by itself, for a branch that may lose a race.
    #[must_use]
    pub fn cancellable(&self) -> (Self, Canceller) {
        let group = Arc::new(Group {
            cancelled: AtomicBool::new(false),
            outer: self.group.clone(),
        });
        let canceller = Canceller {
            shared: Arc::clone(&self.shared),
            group: Arc::clone(&group),
        };
        (
            Self {
                group: Some(group),
                ..self.clone()
            },
            canceller,
        )
    }

    /// The path that `name` has in this scope, if nothing has asked for it yet.
    #[must_use]
    pub fn path_of(&self, name: &str) -> String {
        self.join(name)
    }

    fn join(&self, name: &str) -> String {
        let mut path = String::with_capacity(self.prefix.len() + name.len() + 1);
        path.push_str(&self.prefix);
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(name);
        path
    }

    /// Runs a step and returns its result.
    pub fn step(&self, step: Step) -> Operation {
        Operation::new(self, Ask::Step(Box::new(step)))
    }

    /// Waits for so long.
    pub fn sleep(&self, name: &str, duration: Duration) -> Operation {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Operation::new(
            self,
            Ask::Sleep {
                name: name.to_owned(),
                ms,
            },
        )
    }

    /// Waits until a time (milliseconds since the Unix epoch).
    pub fn sleep_until(&self, name: &str, at: i64) -> Operation {
        Operation::new(
            self,
            Ask::SleepUntil {
                name: name.to_owned(),
                at,
            },
        )
    }

    /// Starts another workflow; waits for its result, or if `detached` returns its id (as JSON text) at once.
    pub fn child(&self, name: &str, workflow: &str, input: Payload, detached: bool) -> Operation {
        Operation::new(
            self,
            Ask::Child {
                name: name.to_owned(),
                workflow: workflow.into(),
                input,
                detached,
            },
        )
    }

    /// The id of the execution.
    #[must_use]
    pub fn execution_id(&self) -> &Path {
        &self.shared.id
    }

    /// The name of the workflow.
    #[must_use]
    pub fn workflow(&self) -> &Path {
        &self.shared.workflow
    }

    /// When the execution began, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn started_at(&self) -> i64 {
        self.shared.started_at
    }

    /// The time of the event that the program now works on, in milliseconds since the Unix epoch. It
    /// does not pass while the program computes, and it is the same on every replay.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.shared.lock().now
    }

    /// Whether the execution was asked to stop and this context is not shielded from it.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.lost() || (!self.shielded && self.shared.lock().cancelled.is_some())
    }

    fn lost(&self) -> bool {
        self.group.as_ref().is_some_and(|group| group.is_cancelled())
    }

    /// A UUID that is the same on every replay, derived from the execution and this name.
    #[must_use]
    pub fn uuid(&self, name: &str) -> String {
        ids::derived_uuid(&[&self.shared.id, "uuid", &self.join(name)])
    }

    /// 64 random bits that are the same on every replay, derived from the execution and this name.
    #[must_use]
    pub fn random(&self, name: &str) -> u64 {
        ids::entropy(&[&self.shared.id, "random", &self.join(name)])
    }
}

enum Ask {
    Step(Box<Step>),
    Sleep {
        name: String,
        ms: i64,
    },
    SleepUntil {
        name: String,
        at: i64,
    },
    Child {
        name: String,
        workflow: Path,
        input: Payload,
        detached: bool,
    },
}

/// A step, timer or child that the program waits for. Dropped before its end, it is cancelled.
#[must_use = "an operation does nothing until it is awaited"]
pub struct Operation {
    context: Context,
    ask: Option<Ask>,
    /// Set while it is open.
    path: Option<Path>,
}

impl Operation {
    fn new(context: &Context, ask: Ask) -> Self {
        Self {
            context: context.clone(),
            ask: Some(ask),
            path: None,
        }
    }

    fn begin(&mut self, ask: Ask, waker: &Waker) -> Poll<Resolved> {
        let Context {
            shared,
            shielded,
            group,
            ..
        } = &self.context;
        let mut state = shared.lock();
        if self.context.lost() || (!shielded && state.cancelled.is_some()) {
            return Poll::Ready(Resolved {
                result: Err(state.cancellation()),
                attempts: 0,
                asked_at: state.now,
                ended_at: state.now,
            });
        }
        let name = match &ask {
            Ask::Step(step) => &step.name,
            Ask::Sleep { name, .. } | Ask::SleepUntil { name, .. } | Ask::Child { name, .. } => name,
        };
        let path = state.unique(&self.context.join(name));
        let now = state.now;
        let (kind, what, command) = match ask {
            Ask::Step(step) => {
                let Step {
                    kind,
                    input,
                    options,
                    compensates,
                    body,
                    ..
                } = *step;
                let command = Event::StepScheduled {
                    path: Arc::clone(&path),
                    kind: Arc::clone(&kind),
                    input,
                    compensates,
                };
                let open = OpenStep {
                    body,
                    options,
                    scheduled_at: now,
                    attempt: 1,
                    not_before: None,
                };
                (kind, What::Step(open), command)
            }
            Ask::Sleep { ms, .. } => {
                let at = now.saturating_add(ms);
                (
                    "timer".into(),
                    What::Timer { at },
                    Event::TimerSet {
                        path: Arc::clone(&path),
                        at,
                    },
                )
            }
            Ask::SleepUntil { at, .. } => (
                "timer".into(),
                What::Timer { at },
                Event::TimerSet {
                    path: Arc::clone(&path),
                    at,
                },
            ),
            Ask::Child {
                workflow,
                input,
                detached,
                ..
            } => {
                let id: Path = ids::derived_id(now, &[&shared.id, &path]).into();
                let command = Event::ChildStarted {
                    path: Arc::clone(&path),
                    id: Arc::clone(&id),
                    workflow: Arc::clone(&workflow),
                    input: input.clone(),
                    detached,
                };
                let kind = Arc::clone(&workflow);
                (
                    kind,
                    What::Child(OpenChild {
                        id,
                        workflow,
                        input,
                        detached,
                    }),
                    command,
                )
            }
        };
        if let Some(result) = state.remembered(&path, &kind) {
            return Poll::Ready(result);
        }
        if let What::Child(OpenChild { id, detached: true, .. }) = &what {
            // Nobody waits: the command and its effect go out, and the program goes on with the id.
            let mut text = String::with_capacity(id.len() + 2);
            let _ = write!(text, "\"{id}\"");
            let ready = Payload::of(&**id)
                .map_err(|error| StepError::permanent("child.id", "the id of the child is not JSON").caused_by(&error));
            let asked = Asked {
                what,
                shielded: true,
                group: None,
            };
            state.ask(Arc::clone(&path), asked, Waker::noop().clone(), command);
            state.detach(&path);
            return Poll::Ready(Resolved {
                result: ready,
                attempts: 1,
                asked_at: now,
                ended_at: now,
            });
        }
        let asked = Asked {
            what,
            shielded: *shielded,
            group: group.clone(),
        };
        state.ask(Arc::clone(&path), asked, waker.clone(), command);
        drop(state);
        self.path = Some(path);
        Poll::Pending
    }
}

impl Operation {
    /// The same operation, telling also how many attempts it took and when it was asked for and ended.
    pub fn detailed(self) -> Detailed {
        Detailed(self)
    }

    fn poll_resolved(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Resolved> {
        if let Some(ask) = self.ask.take() {
            return self.begin(ask, cx.waker());
        }
        let Some(path) = self.path.clone() else {
            // Polled after it was ready, which is the program's mistake.
            return Poll::Pending;
        };
        let mut state = self.context.shared.lock();
        if let Some(result) = state.resolved.remove(&path) {
            drop(state);
            self.path = None;
            return Poll::Ready(result);
        }
        if let Some(open) = state.open.get_mut(&path) {
            match &mut open.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
        }
        Poll::Pending
    }
}

impl Future for Operation {
    type Output = Resolution;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Resolution> {
        self.poll_resolved(cx).map(|resolved| resolved.result)
    }
}

/// An [`Operation`] that tells how it went.
#[must_use = "an operation does nothing until it is awaited"]
pub struct Detailed(Operation);

impl Future for Detailed {
    type Output = Resolved;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Resolved> {
        self.0.poll_resolved(cx)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            let mut state = self.context.shared.lock();
            if !state.closing {
                state.resolved.remove(&path);
                state.abandon(&path);
            }
        }
    }
}
