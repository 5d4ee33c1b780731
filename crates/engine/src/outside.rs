//! What comes from outside for executions: callbacks, signals, events of others.
//!
//! A callback that finds its wait is answered when the execution has recorded it. One that does not (it came
//! early, or nobody knows the reference) is kept, durably, and looked for by each wait that is registered
//! later. Keeping and registering are both followed by a look at the other, so one of them sees the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bowline_core::{Answer, Input, Path, Payload, Wait};
use bowline_store::{CallbackAddress, ExecNo, ExecutionRow, Status, WaitFilter, WaitKind, WaitRow, WaitState, Write};
use serde::Serialize;

use crate::driver::Delivered as Inside;
use crate::engine::{Engine, EngineError};
use crate::env::Env;
use crate::events::EventWait;
use crate::routing::Routed;

/// What became of a callback, durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "outcome")]
pub enum Delivered {
    /// The execution has recorded it.
    Accepted {
        /// The execution's id.
        execution: String,
    },
    /// It was answered before: this changed nothing.
    Duplicate {
        /// The execution's id.
        execution: String,
    },
    /// The execution no longer waits for it: it has ended, or went another way. This changed nothing.
    Late {
        /// The execution's id.
        execution: String,
        /// Where it stands.
        status: Status,
    },
    /// Nobody waits for it yet. It is kept, and delivered to the first wait that it fits.
    Kept {
        /// The number under which it is kept.
        id: i64,
        /// The execution that will wait for it, where that is known.
        execution: Option<String>,
        /// Until when, in milliseconds since the Unix epoch.
        expires_at: i64,
    },
    /// A heartbeat that nobody waits for. It is not kept.
    NotAwaited,
}

impl Engine {
    /// Hands an answer to the callback that waits for it. Returns when what became of it is durable, so whoever
    /// sent it can be told.
    ///
    /// # Errors
    /// [`EngineError::BadToken`] for a token that this store did not make, [`EngineError::Unknown`] for an
    /// execution or kept callback that does not exist, [`EngineError::TooLarge`]; where the store cannot be read or
    /// written.
    pub async fn deliver(&self, address: &CallbackAddress, answer: Answer) -> Result<Delivered, EngineError> {
        self.env
            .deliver(address, answer, self.env.options.outside_patience)
            .await
    }

    /// Tries a kept callback again, at `to` if that is given and otherwise where it was sent. It is forgotten
    /// when an execution has taken it.
    ///
    /// # Errors
    /// As [`Engine::deliver`].
    pub async fn deliver_kept(&self, id: i64, to: Option<&CallbackAddress>) -> Result<Delivered, EngineError> {
        self.env.deliver_kept(id, to, self.env.options.outside_patience).await
    }

    /// Forgets a kept callback.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn drop_kept(&self, id: i64) -> Result<(), EngineError> {
        self.env.inbox.write(vec![Write::DropDelivery(id)]).await
    }

    /// Sends a signal to an execution. Two with the same `signal` id are one. Returns when it is recorded; false
    /// where that signal was recorded before.
    ///
    /// # Errors
    /// [`EngineError::Unknown`] for an execution that does not exist, [`EngineError::Ended`] for one that has
    /// ended, [`EngineError::TooLarge`].
    pub async fn signal(
        &self,
        id: &str,
        name: &str,
        data: Payload,
        signal: Option<String>,
    ) -> Result<bool, EngineError> {
        self.env.is_small(data.text())?;
        let row = self.env.row(id).await?;
        let input = Input::Signal {
            name: name.into(),
            data,
            id: signal,
        };
        let patience = self.env.options.outside_patience;
        match self.env.route_within(row.exec, input, patience).await? {
            Routed::Recorded => Ok(true),
            Routed::Ignored => Ok(false),
            Routed::Ended(status) => Err(EngineError::Ended {
                id: id.to_owned(),
                status,
            }),
            Routed::Unknown => Err(EngineError::Unknown(id.to_owned())),
        }
    }
}

/// Where a callback leads.
pub(crate) enum Found {
    Open(WaitRow),
    /// It is answered, or will not be waited for any more.
    Closed(WaitRow),
    /// The execution has not asked for it yet.
    Early(ExecutionRow, u64),
    Ended(ExecutionRow),
    Nowhere,
}

impl Env {
    pub(crate) async fn row(self: &Arc<Self>, id: &str) -> Result<ExecutionRow, EngineError> {
        let wanted = id.to_owned();
        self.blocking(move |env| env.store.execution(&wanted))
            .await??
            .ok_or_else(|| EngineError::Unknown(id.to_owned()))
    }

    /// Refuses what is too large to be an answer.
    pub(crate) fn is_small(&self, text: &str) -> Result<(), EngineError> {
        let (size, limit) = (text.len(), self.options.max_answer_bytes);
        if size > limit {
            return Err(EngineError::TooLarge { size, limit });
        }
        Ok(())
    }

    pub(crate) async fn deliver(
        self: &Arc<Self>,
        address: &CallbackAddress,
        answer: Answer,
        patience: Option<Duration>,
    ) -> Result<Delivered, EngineError> {
        if let CallbackAddress::Kept(id) = address {
            return self.deliver_kept(*id, None, patience).await;
        }
        match &answer {
            Answer::Succeeded { output, .. } => self.is_small(output.text())?,
            Answer::Failed(error) => {
                let text = serde_json::to_string(error).map_err(|error| EngineError::Invalid(error.to_string()))?;
                self.is_small(&text)?;
            }
            Answer::Heartbeat => {}
        }
        loop {
            let found = self.find(address).await?;
            match found {
                Found::Open(wait) => {
                    let (exec, tag) = (wait.exec, wait.tag);
                    match self.answer(wait, answer.clone(), patience).await? {
                        // It ended after the look at its wait, and perhaps because of another answer to it.
                        Some(late @ Delivered::Late { .. }) => {
                            let now = self.blocking(move |env| env.store.wait(exec, tag)).await??;
                            return match now.filter(|now| now.state != WaitState::Open) {
                                Some(wait) => self.closed(wait).await,
                                None => Ok(late),
                            };
                        }
                        Some(delivered) => return Ok(delivered),
                        None => {}
                    }
                    // Another answer was first, and its row is closed.
                    if self
                        .blocking(move |env| env.store.wait(exec, tag))
                        .await??
                        .is_some_and(|now| now.state == WaitState::Open)
                    {
                        // Of an earlier life, or one that is about to be: it is for the wait that comes.
                        let row = self.blocking(move |env| env.store.execution_by_no(exec)).await??;
                        return match (row, address) {
                            (Some(row), CallbackAddress::Key { .. }) if row.status.is_finished() => {
                                self.keep(address, None, answer).await
                            }
                            (row, _) => self.keep(address, row.map(|row| (row, tag)), answer).await,
                        };
                    }
                }
                Found::Closed(wait) => return self.closed(wait).await,
                Found::Ended(row) => {
                    return Ok(Delivered::Late {
                        execution: row.id,
                        status: row.status,
                    });
                }
                Found::Early(..) | Found::Nowhere if matches!(answer, Answer::Heartbeat) => {
                    return Ok(Delivered::NotAwaited);
                }
                Found::Early(row, tag) => return self.keep(address, Some((row, tag)), answer).await,
                Found::Nowhere => return self.keep(address, None, answer).await,
            }
        }
    }

    /// What is said of an answer to a wait that has had one, or is not waited for any more.
    pub(crate) async fn closed(self: &Arc<Self>, wait: WaitRow) -> Result<Delivered, EngineError> {
        let row = self.blocking(move |env| env.store.execution_by_no(wait.exec)).await??;
        let row = row.ok_or_else(|| EngineError::Unknown(format!("number {}", wait.exec.0)))?;
        Ok(match wait.state {
            WaitState::Cancelled => Delivered::Late {
                execution: row.id,
                status: row.status,
            },
            _ => Delivered::Duplicate { execution: row.id },
        })
    }

    /// Gives an answer to an open wait; none where it changed nothing.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        wait: WaitRow,
        answer: Answer,
        patience: Option<Duration>,
    ) -> Result<Option<Delivered>, EngineError> {
        let is_heartbeat = matches!(answer, Answer::Heartbeat);
        // Whatever else is kept for it was the same said again, and must not reach whoever waits for the same reference
        // next.
        let stale = if is_heartbeat {
            Vec::new()
        } else {
            self.kept_for(&wait).await?
        };
        let input = Input::WaitAnswered {
            path: wait.path.as_str().into(),
            answer,
        };
        let execution = self.id_of(wait.exec).await?;
        Ok(match self.route_answer(wait.exec, input, stale, patience).await? {
            Routed::Recorded => Some(Delivered::Accepted { execution }),
            // One that is waited for without a deadline for it says nothing new.
            Routed::Ignored if is_heartbeat => Some(Delivered::Accepted { execution }),
            Routed::Ignored => None,
            Routed::Ended(status) => Some(Delivered::Late { execution, status }),
            Routed::Unknown => return Err(EngineError::Unknown(execution)),
        })
    }

    pub(crate) async fn id_of(self: &Arc<Self>, exec: ExecNo) -> Result<String, EngineError> {
        let row = self.blocking(move |env| env.store.execution_by_no(exec)).await??;
        row.map(|row| row.id)
            .ok_or_else(|| EngineError::Unknown(format!("number {}", exec.0)))
    }

    pub(crate) async fn find(self: &Arc<Self>, address: &CallbackAddress) -> Result<Found, EngineError> {
        match address {
            CallbackAddress::Token(token) => {
                let (exec, tag) = self.tokens.read(token).ok_or(EngineError::BadToken)?;
                self.blocking(move |env| {
                    let exec = ExecNo(exec);
                    let Some(row) = env.store.execution_by_no(exec)? else {
                        return Err(EngineError::Unknown(format!("number {}", exec.0)));
                    };
                    Ok(match env.store.wait(exec, tag)? {
                        Some(wait) if wait.state == WaitState::Open && !row.status.is_finished() => Found::Open(wait),
                        Some(wait) if wait.state != WaitState::Open => Found::Closed(wait),
                        _ if row.status.is_finished() => Found::Ended(row),
                        _ => Found::Early(row, tag),
                    })
                })
                .await?
            }
            CallbackAddress::Key {
                organization,
                name,
                key,
            } => {
                let (owner, name, key) = (organization.clone(), name.clone(), key.clone());
                self.blocking(move |env| {
                    let waits = env.store.waits_by_key(&owner, WaitKind::Callback, &name, &key)?;
                    Ok(match waits.into_iter().next() {
                        Some(wait) if wait.state == WaitState::Open => Found::Open(wait),
                        Some(wait) => Found::Closed(wait),
                        None => Found::Nowhere,
                    })
                })
                .await?
            }
            CallbackAddress::Path { execution, path } => {
                let row = self.row(execution).await?;
                let path = path.clone();
                self.blocking(move |env| {
                    let filter = WaitFilter {
                        exec: Some(row.exec),
                        kind: Some(WaitKind::Callback),
                        limit: usize::MAX,
                        ..WaitFilter::default()
                    };
                    let mut all = env.store.waits(&filter)?;
                    all.retain(|wait| wait.path == path);
                    // One that was undone and is waited for again has two rows.
                    all.sort_by_key(|wait| wait.state != WaitState::Open);
                    let found = all.into_iter().next();
                    Ok(match found {
                        Some(wait) if wait.state == WaitState::Open => Found::Open(wait),
                        Some(wait) => Found::Closed(wait),
                        None => return Err(EngineError::Unknown(format!("{} with a callback at {path}", row.id))),
                    })
                })
                .await?
            }
            CallbackAddress::Kept(_) => Ok(Found::Nowhere),
        }
    }

    /// A wait was registered: whether what it waits for has come before.
    pub(crate) fn spawn_look_for_answers(
        self: &Arc<Self>,
        (organization, exec): (Path, ExecNo),
        path: Path,
        tag: u64,
        wait: Wait,
        since: i64,
    ) {
        let (env, errand) = (Arc::clone(self), self.errand());
        self.runtime.spawn(async move {
            let _errand = errand;
            let looked = match &wait {
                Wait::Callback { name, key, .. } => env.look_for_callback(exec, &path, tag, name.clone(), key.clone()).await,
                Wait::Event { event, key, after } => {
                    let wait = EventWait {
                        organization,
                        exec,
                        tag,
                        path,
                        event: Arc::clone(event),
                        key: key.clone(),
                        after: *after,
                        began_at: since,
                    };
                    env.offer_events(&wait).await
                }
                Wait::Signal { .. } => Ok(()),
            };
            if let Err(error) = looked {
                tracing::warn!(%error, exec = exec.0, "what a wait may have missed cannot be read; the next start looks again");
            }
        });
    }

    /// Brings together what a process that died has left apart: waits that were registered just before, and what
    /// had come for them earlier.
    pub(crate) fn spawn_bring_together(self: &Arc<Self>) {
        let env = Arc::clone(self);
        self.runtime.spawn(async move {
            let brought = async {
                env.bring_kept_to_waits().await?;
                env.bring_events_to_waits().await?;
                crate::audit::take_up_left(&env).await
            };
            let brought = brought.await;
            // From now on whatever has no owner is lost.
            env.recovered.store(true, Ordering::SeqCst);
            match brought {
                Ok(()) | Err(EngineError::Stopped(_)) => {}
                Err(error) => tracing::warn!(%error, "what had come for executions that wait cannot be read"),
            }
        });
    }

    /// A child has ended whose parent is not on the same driver.
    pub(crate) fn spawn_child_ended(self: &Arc<Self>, parent: Path, child: Path, outcome: bowline_core::Outcome) {
        let (env, errand) = (Arc::clone(self), self.errand());
        self.runtime.spawn(async move {
            let _errand = errand;
            let told = async {
                let row = env.row(&parent).await?;
                if row.status.is_finished() {
                    return Ok(());
                }
                let outcome = env.load_outcome(outcome).await?;
                env.route_any(row.exec, Inside::ChildEnded { child, outcome }, None).await.map(drop)
            };
            if let Err(error) = told.await {
                tracing::warn!(%error, %parent, "the end of a child could not be told to its parent; it is woken later");
            }
        });
    }

    /// Asks an execution to stop that this driver does not have.
    pub(crate) fn spawn_cancel(self: &Arc<Self>, id: Path, reason: String) {
        let (env, errand) = (Arc::clone(self), self.errand());
        self.runtime.spawn(async move {
            let _errand = errand;
            let told = async {
                let row = env.row(&id).await?;
                env.route(row.exec, Input::Cancel { reason }).await.map(drop)
            };
            if let Err(error) = told.await {
                tracing::warn!(%error, %id, "an execution could not be asked to stop");
            }
        });
    }
}
