//! Which callback is meant, and where it stands.

use std::path::Path;

use bowline_core::TokenKey;
use bowline_store::{
    CallbackAddress, DEFAULT_ORGANIZATION, ExecNo, ExecutionRow, Store, WaitFilter, WaitKind, WaitRow, WaitState,
};

use crate::args::{CallbackTarget, TargetDetails};
use crate::exit::{Failure, Result};
use crate::wiring::{answers, store};

/// The callback that the command line names.
pub(super) fn of(folder: &Path, target: &CallbackTarget, more: &TargetDetails) -> Result<CallbackAddress> {
    if let Some(token) = &target.token {
        return Ok(CallbackAddress::Token(token.trim().to_owned()));
    }
    if let Some(key) = &target.reference {
        return Ok(by_reference(key, more));
    }
    let id = target.execution.as_deref().unwrap_or_default();
    let store = store::existing(folder)?;
    let row = store::find(&store, id)?;
    of_execution(&store, &row, more.path.as_deref(), &|_| true, "callback")
}

pub(super) fn by_reference(key: &str, more: &TargetDetails) -> CallbackAddress {
    CallbackAddress::Key {
        organization: DEFAULT_ORGANIZATION.into(),
        name: more.name.clone().unwrap_or_default(),
        key: key.to_owned(),
    }
}

/// The callback of an execution that `fits`: the one at `path`, or the only one.
pub(super) fn of_execution(
    store: &dyn Store,
    row: &ExecutionRow,
    path: Option<&str>,
    fits: &dyn Fn(&WaitRow) -> bool,
    what: &str,
) -> Result<CallbackAddress> {
    let mut open = answers::open(store, Some(row.exec), Some(WaitKind::Callback))?;
    open.retain(fits);
    if let Some(path) = path {
        // The callback of a node stands below it.
        let below = format!("{path}/");
        let found = open.iter().find(|wait| wait.path == path).or_else(|| {
            let mut inside = open.iter().filter(|wait| wait.path.starts_with(&below));
            inside.next().filter(|_| inside.next().is_none())
        });
        return Ok(CallbackAddress::Path {
            execution: row.id.clone(),
            path: found.map_or_else(|| path.to_owned(), |wait| wait.path.clone()),
        });
    }
    let id = &row.id;
    match open.as_slice() {
        [only] => Ok(CallbackAddress::Path {
            execution: id.clone(),
            path: only.path.clone(),
        }),
        [] if row.status.is_finished() => {
            let message = format!("execution {id} has {} and waits for no {what}", row.status.name());
            Err(Failure::usage(message).hint(format!("see `bowline executions show {id}`")))
        }
        [] => {
            Err(Failure::usage(format!("execution {id} waits for no {what} now"))
                .hint(format!("see `bowline why {id}`")))
        }
        several => {
            let paths: Vec<&str> = several.iter().map(|wait| wait.path.as_str()).collect();
            let message = format!("execution {id} waits for several {what}s: {}", paths.join(", "));
            Err(Failure::usage(message).hint("name one with --path"))
        }
    }
}

/// Where a callback stands, as the store shows it.
pub(super) enum Stand {
    /// It is waited for.
    Open(WaitRow),
    /// It was answered, or will not be waited for any more.
    Closed(WaitRow),
    /// Its execution has ended without asking for it.
    Ended(ExecutionRow),
    /// Its execution has not asked for it yet.
    Early(ExecNo, u64),
    /// Nobody is known who waits for it.
    Nowhere,
}

impl Stand {
    pub(super) fn of(store: &dyn Store, address: &CallbackAddress) -> Result<Self> {
        Ok(match address {
            CallbackAddress::Token(token) => {
                let key = TokenKey::new(store.token_key()?);
                let Some((exec, tag)) = key.read(token) else {
                    return Err(bowline_engine::EngineError::BadToken.into());
                };
                let exec = ExecNo(exec);
                let row = store.execution_by_no(exec)?.ok_or_else(|| {
                    Failure::usage("the execution of this token does not exist any more")
                        .hint("finished executions are deleted by `executions prune` and by retention")
                })?;
                match store.wait(exec, tag)? {
                    Some(wait) if wait.state != WaitState::Open => Self::Closed(wait),
                    _ if row.status.is_finished() => Self::Ended(row),
                    Some(wait) => Self::Open(wait),
                    None => Self::Early(exec, tag),
                }
            }
            CallbackAddress::Key {
                organization,
                name,
                key,
            } => {
                let waits = store.waits_by_key(organization, WaitKind::Callback, name, key)?;
                match waits.into_iter().next() {
                    Some(wait) if wait.state == WaitState::Open => Self::Open(wait),
                    Some(wait) => Self::Closed(wait),
                    None => Self::Nowhere,
                }
            }
            CallbackAddress::Path { execution, path } => {
                let row = store::find(store, execution)?;
                let filter = WaitFilter {
                    exec: Some(row.exec),
                    kind: Some(WaitKind::Callback),
                    limit: usize::MAX,
                    ..WaitFilter::default()
                };
                let found = store.waits(&filter)?.into_iter().find(|wait| wait.path == *path);
                match found {
                    Some(wait) if wait.state == WaitState::Open => Self::Open(wait),
                    Some(wait) => Self::Closed(wait),
                    None => {
                        let message = format!("execution {} has no callback at {path}", row.id);
                        return Err(Failure::usage(message).hint(format!("see `bowline why {}`", row.id)));
                    }
                }
            }
            CallbackAddress::Kept(_) => Self::Nowhere,
        })
    }

    /// The execution that it belongs to, where that is known.
    pub(super) fn exec(&self) -> Option<ExecNo> {
        match self {
            Self::Open(wait) | Self::Closed(wait) => Some(wait.exec),
            Self::Ended(row) => Some(row.exec),
            Self::Early(exec, _) => Some(*exec),
            Self::Nowhere => None,
        }
    }
}
