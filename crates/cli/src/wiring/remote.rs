//! Executions that a server beside this process runs: asked for, and followed in the store.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bowline_core::{BlobStore, Outcome, decode, internalize};
use bowline_flow::Bundle;
use bowline_store::{ExecutionRow, Store};
use bowline_store_sqlite::SqliteStore;
use serde_json::Value;

use super::api::Api;
use super::signals::Signals;
use super::workflow::Workflow;
use super::{answers, blobs, store};
use crate::args::EngineArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal::model::View;
use crate::terminal::{self, json, text, tree};

/// How often it is looked how far the execution is.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Records read at once.
const PAGE: usize = 1000;

/// The server that has the folder, if one does. What it cannot be given with a request is refused: it runs executions with
/// its own environment.
pub(crate) async fn server(args: &EngineArgs) -> Result<Option<Api>> {
    let Some(api) = Api::find(&args.data.folder).await? else {
        return Ok(None);
    };
    let given = [
        ("--mocks", args.mocks.is_some()),
        ("--credentials", args.credentials.is_some()),
        ("--env-file", args.env_file.is_some()),
        ("--virtual-time", args.virtual_time),
    ];
    let Some((flag, _)) = given.into_iter().find(|(_, is_given)| *is_given) else {
        return Ok(Some(api));
    };
    let (holder, folder) = (&api.holder, args.data.folder.display());
    Err(Failure::usage(format!(
        "{flag} has no effect on the server ({holder}) that runs executions in {folder}"
    ))
    .hint(format!(
        "leave it away, or use another folder with --data; the server is at {}",
        api.address
    )))
}

/// The id of what an answer says was begun.
pub(crate) fn id(answer: &Value) -> Result<String> {
    let id = answer["id"].as_str().map(str::to_owned);
    id.ok_or_else(|| {
        Failure::new(
            Exit::Bug,
            anyhow::anyhow!("the server does not say which execution it began"),
        )
    })
}

/// A version of a workflow at the server.
pub(crate) struct Version {
    /// Its number.
    pub(crate) number: u64,
    /// A start runs another one now, though the workflow is in use.
    pub(crate) is_old: bool,
}

/// The version of a workflow at the server that has `folder` which is the same as a file is here.
pub(crate) async fn version(api: &Api, folder: &Path, workflow: &Workflow, file: &Path) -> Result<Version> {
    let store = store::existing(folder)?;
    let name = &workflow.plan.name;
    let data = answers::data(folder);
    let deploy = format!(
        "deploy the file first: `bowline workflows deploy {}{data}`",
        file.display()
    );
    let known = api.get(&format!("workflows/{}", super::api::part(name))).await;
    let known = known.map_err(|failure| failure.hint(deploy.clone()))?;
    let bundle = |content: &[u8]| Bundle::from_content(content).map_err(|error| Failure::new(Exit::Bug, error));
    let mine = bundle(&workflow.definition.content)?;
    for version in known["versions"].as_array().into_iter().flatten() {
        let (Some(hash), Some(number)) = (version["hash"].as_str(), version["version"].as_u64()) else {
            continue;
        };
        let Some(definition) = store.definition(hash)? else {
            continue;
        };
        // It may have come from elsewhere.
        let theirs = Bundle {
            folder: mine.folder.clone(),
            ..bundle(&definition.content)?
        };
        if theirs == mine {
            let is_old = known["withdrawnAt"].is_null() && known["version"] != version["version"];
            return Ok(Version { number, is_old });
        }
    }
    // What is in the server's folder is changed there, and is not deployed.
    let mut versions = known["versions"].as_array().into_iter().flatten();
    let from_folder = versions.find(|one| one["version"] == known["version"] && one["source"] == "folder");
    let hint = match from_folder.and_then(|one| one["file"].as_str()) {
        Some(own) => format!(
            "{name} is the file {own} in the server's folder: make the change there, or give this one a name of its own"
        ),
        None => deploy,
    };
    let (holder, file) = (&api.holder, file.display());
    Err(Failure::usage(format!(
        "no version of {name} at the server ({holder}) is as {file} is now"
    ))
    .hint(hint))
}

/// How many records an execution has.
pub(crate) fn records(store: &SqliteStore, row: &ExecutionRow) -> Result<u64> {
    let mut count = 0;
    loop {
        let page = store.journal(row.exec, count, PAGE)?.len();
        if page == 0 {
            return Ok(count);
        }
        count += page as u64;
    }
}

/// Follows an execution that the server runs to its end, and tells how it ended as if it had run here. `from` is the
/// first of its records that is news.
pub(crate) async fn conclude(api: &Api, args: &EngineArgs, id: &str, from: u64) -> Result {
    let mut signals = Signals::install()?;
    let folder = &args.data.folder;
    let store = store::existing(folder)?;
    let mut following = Following::new(args, store, id, from)?;
    if !args.json && !args.quiet {
        let (holder, address) = (&api.holder, &api.address);
        let page = super::api::part(id);
        terminal::note(&format!(
            "execution {id} runs in the server ({holder}): {address}/ui/executions/{page}"
        ));
    }
    loop {
        if let Some(outcome) = following.look().await? {
            return following.tell(&outcome);
        }
        if store::holder(folder).is_none() {
            terminal::note(&format!(
                "the server has ended: execution {id} goes on at its next start"
            ));
            return Ok(Exit::Interrupted);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = signals.first() => {
                let data = answers::data(folder);
                terminal::note(&format!("execution {id} goes on in the server; see `bowline executions show {id}{data}`"));
                return Ok(Exit::Interrupted);
            }
        }
    }
}

/// An execution that is looked at again and again.
struct Following<'a> {
    args: &'a EngineArgs,
    store: SqliteStore,
    blobs: Arc<dyn BlobStore>,
    row: ExecutionRow,
    view: View,
    /// Records before this one are of the time before this process asked for anything.
    from: u64,
    /// So many records are known.
    records: u64,
    told: HashSet<u64>,
}

impl<'a> Following<'a> {
    fn new(args: &'a EngineArgs, store: SqliteStore, id: &str, from: u64) -> Result<Self> {
        let row = store::find(&store, id)?;
        Ok(Self {
            view: View::new(&row.id, &row.workflow, row.started_at),
            blobs: blobs::open(&args.data.folder)?,
            args,
            store,
            row,
            from,
            records: 0,
            told: HashSet::new(),
        })
    }

    /// Takes note of what is new. How it ended, if it has.
    async fn look(&mut self) -> Result<Option<Outcome>> {
        // Asked first: what it ended with is in the journal then.
        let row = store::find(&self.store, &self.row.id)?;
        loop {
            let page = self.store.journal(self.row.exec, self.records, PAGE)?;
            if page.is_empty() {
                break;
            }
            for record in &page {
                let events = decode(&record.events);
                let mut events = events.map_err(|error| Failure::new(Exit::Store, error))?;
                let loaded = internalize(&mut events, self.blobs.as_ref()).await;
                loaded.map_err(|error| Failure::new(Exit::Store, error))?;
                for event in &events {
                    self.view.apply(record.at, event);
                    if self.args.json && record.seq >= self.from {
                        terminal::print_json_line(&json::event(&self.row.id, record.at, event))?;
                    }
                }
            }
            self.records += page.len() as u64;
        }
        if row.status.is_finished() {
            return Ok(self.view.outcome.clone());
        }
        if !self.args.json && !self.args.quiet {
            self.tell_waits()?;
        }
        Ok(None)
    }

    /// Says how to answer what it waits for, each once.
    fn tell_waits(&mut self) -> Result<()> {
        for wait in answers::open(&self.store, Some(self.row.exec), None)? {
            if self.told.insert(wait.tag)
                && let Some(command) = answers::command(&self.store, &self.args.data.folder, &self.row, &wait)?
            {
                terminal::note(&format!("  {} is answered by: {command}", text::one_line(&wait.path)));
            }
        }
        Ok(())
    }

    fn tell(&self, outcome: &Outcome) -> Result {
        if self.args.json {
            terminal::print_json_line(&json::result(&self.row.id, Some(outcome)))?;
        } else if let Outcome::Succeeded(output) = outcome {
            let value: Value = output.parse().map_err(|error| Failure::new(Exit::Bug, error))?;
            terminal::print_json(&value)?;
        } else {
            let (word, line) = match outcome {
                Outcome::Cancelled(error) => ("cancelled", text::reason(error)),
                _ => ("failed", tree::error_line(&self.view).unwrap_or_default()),
            };
            terminal::note(&format!("{}: {line}", terminal::palette::err_bad(word)));
        }
        Ok(match outcome {
            Outcome::Succeeded(_) => Exit::Success,
            Outcome::Failed(_) => Exit::Failed,
            Outcome::Cancelled(_) => Exit::Cancelled,
        })
    }
}
