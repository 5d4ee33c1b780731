//! What a program sees of the world: steps, timers, children, and values that replay the same.
//!
//! Every method that touches the world returns a future. A future that the journal answers is ready at
//! once; any other becomes a command when it is first polled. Dropping an unfinished one cancels the
//! operation, so `race` and time limits are ordinary combinators.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::effect::StepBody;
use crate::event::Path;
use crate::operation::{Ask, Operation};
use crate::policy::StepOptions;
use crate::state::{Group, Published, Shared};
use crate::wait::{CallbackOptions, Filter, Wait};
use crate::{Payload, ids, polling};

/// A place in an execution from which steps are asked for. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    pub(crate) shared: Arc<Shared>,
    prefix: Path,
    pub(crate) shielded: bool,
    pub(crate) group: Option<Arc<Group>>,
    /// When it was shielded last; see [`State::mark`](crate::state::State::mark).
    pub(crate) shield: u64,
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
    /// The path whose idempotency key it uses: of a step that is asked for again after it was verified that it was
    /// not carried out, the first one's. None means its own.
    pub key_of: Option<Path>,
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
            shield: 0,
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
            shield: self.shared.lock().mark(),
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

    pub(crate) fn join(&self, name: &str) -> String {
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

    /// Waits until whoever has the [token](Self::callback_token), or knows the reference that is given in the
    /// options, answers; the result is the answer. Fails with what they report, with `callback.timeout`, or with
    /// `callback.heartbeat-timeout`.
    pub fn callback(&self, name: &str, options: CallbackOptions) -> Operation {
        self.callback_at(name, None, options)
    }

    /// The same at a path that was [reserved](Self::reserve) for it, if one was.
    pub fn callback_at(&self, name: &str, reserved: Option<Path>, options: CallbackOptions) -> Operation {
        let CallbackOptions {
            channel,
            key,
            approval,
            timeout,
            heartbeat,
        } = options;
        let wait = Wait::Callback {
            name: channel,
            key,
            approval,
        };
        self.wait(name, wait, None, timeout, heartbeat, reserved)
    }

    /// The token that the next [`callback`](Self::callback) of this name in this scope answers to. Computed, so it
    /// can be handed out before the wait begins.
    #[must_use]
    pub fn callback_token(&self, name: &str) -> String {
        let path = self.upcoming_path(name);
        self.token_of(&path)
    }

    /// The token of the callback at a path.
    #[must_use]
    pub fn token_of(&self, path: &Path) -> String {
        let tag = self.shared.lock().tag(path);
        self.shared.tokens.token(self.shared.exec, tag)
    }

    /// Takes the path that the next operation of this name in this scope would get: that one gets the next. To be
    /// used with [`callback_at`](Self::callback_at). Outside of the program, whose order no replay repeats, nothing is taken.
    #[must_use]
    pub fn reserve(&self, name: &str) -> Path {
        if !polling::is_polled(&self.shared) {
            return self.upcoming_path(name);
        }
        self.shared.lock().unique(&self.join(name))
    }

    /// The path of what was last asked for under this name in this scope; that of a scope in which something was
    /// asked for. None where there is no such thing.
    #[must_use]
    pub fn asked_path(&self, name: &str) -> Option<Path> {
        let path = self.join(name);
        let state = self.shared.lock();
        match state.asked.get(path.as_str()) {
            Some(1) => return Some(path.into()),
            Some(times) => return Some(format!("{path}#{times}").into()),
            None => {}
        }
        let is_inside = |asked: &Path| {
            asked
                .strip_prefix(path.as_str())
                .is_some_and(|rest| rest.starts_with(['/', '[']))
        };
        (state.asked.keys().any(is_inside) || state.folds.entered().any(is_inside)).then(|| path.as_str().into())
    }

    /// Whether an earlier life of the execution completed something at a path or below it.
    #[must_use]
    pub fn remembers(&self, path: &str) -> bool {
        let state = self.shared.lock();
        let is_at = |done: &Path| {
            done.strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        state.memory.results.keys().any(is_at)
    }

    /// Waits for a signal to this execution that `filter` takes; the result is what came with it. Signals that came
    /// before are kept, and taken in the order in which they came. Fails with `signal.timeout`.
    pub fn signal(&self, name: &str, signal: &str, filter: Option<Filter>, timeout: Option<Duration>) -> Operation {
        self.wait(name, Wait::Signal { name: signal.into() }, filter, timeout, None, None)
    }

    /// Waits for an event that another execution emits, with this key if one is given, that `filter` takes; the
    /// result is what came with it. One that an earlier, finished wait of this execution has taken, or that was
    /// there before the execution began, does not count. Fails with `event.timeout`.
    pub fn event(
        &self,
        name: &str,
        event: &str,
        key: Option<String>,
        filter: Option<Filter>,
        timeout: Option<Duration>,
    ) -> Operation {
        let wait = Wait::Event {
            event: event.into(),
            key,
            after: 0,
        };
        self.wait(name, wait, filter, timeout, None, None)
    }

    fn wait(
        &self,
        name: &str,
        wait: Wait,
        filter: Option<Filter>,
        timeout: Option<Duration>,
        heartbeat: Option<Duration>,
        reserved: Option<Path>,
    ) -> Operation {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Operation::new(
            self,
            Ask::Wait {
                name: name.to_owned(),
                wait,
                filter,
                timeout: timeout.map(ms),
                heartbeat: heartbeat.map(ms),
                reserved,
            },
        )
    }

    /// Tells all executions that wait for such an event, now or later. The result is null, at once.
    pub fn emit(&self, name: &str, event: &str, key: Option<String>, data: Payload) -> Operation {
        Operation::new(
            self,
            Ask::Emit {
                name: name.to_owned(),
                event: event.into(),
                key,
                data,
            },
        )
    }

    /// Shows a value to those who ask for the state of the execution ([`Execution::published`]). Nothing is
    /// recorded: a replay publishes it again.
    ///
    /// [`Execution::published`]: crate::Execution::published
    pub fn publish(&self, name: &str, value: Payload) {
        self.publish_lazily(name, move || value.clone());
    }

    /// The same for a value that is only made when somebody asks. `value` is called between the program's steps, on
    /// any thread, and must not hold a context: the execution would never be freed.
    pub fn publish_lazily(&self, name: &str, value: impl Fn() -> Payload + Send + Sync + 'static) {
        let value: Published = Arc::new(value);
        self.shared.lock().published.insert(name.to_owned(), value);
    }

    /// The path under which the next operation of this name in this scope is known.
    #[must_use]
    pub fn upcoming_path(&self, name: &str) -> Path {
        self.shared.lock().upcoming(&self.join(name))
    }

    /// The idempotency key that the attempts of the step at this path have; see [`Attempt::idempotency_key`].
    ///
    /// [`Attempt::idempotency_key`]: crate::Attempt::idempotency_key
    #[must_use]
    pub fn idempotency_key(&self, path: &Path) -> String {
        let redone = self.shared.lock().memory.redone.get(path).copied();
        crate::Attempt {
            execution: Arc::clone(&self.shared.id),
            path: Arc::clone(path),
            number: 1,
            redone: redone.unwrap_or_default(),
            keys: Arc::clone(&self.shared.keys),
            key_of: Arc::clone(path),
            trace: None,
        }
        .idempotency_key()
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
        let state = self.shared.lock();
        let lost = state
            .contest
            .as_ref()
            .is_some_and(|contest| contest.is_over(self.shield));
        lost || self.lost() || (!self.shielded && state.cancelled.is_some())
    }

    pub(crate) fn lost(&self) -> bool {
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
