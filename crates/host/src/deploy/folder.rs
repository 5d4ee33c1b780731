//! The folder of workflows: deployed at the start, and again whenever something in it changes.
//!
//! The system tells of changes, and every few seconds the folder is looked through all the same, because not every file
//! system tells. A file that has problems keeps its last good version; one that is gone for a while takes its workflow out
//! of use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use bowline_flow::{SHARED_FILE, Source, is_something_else, is_workflow_file};
use bowline_store::DEFAULT_ORGANIZATION;
use notify::{RecursiveMode, Watcher};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::build::{Broken, Outcome, build};
use super::{Known, Table};
use crate::host::Inner;
use crate::{DeploymentSource, Host, HostError, Problem};

/// A change is looked at when nothing more has changed for so long.
const SETTLE: Duration = Duration::from_millis(100);

/// It is looked at after so long even where something changes all the time, such as a log that is written there.
const SETTLE_AT_MOST: Duration = Duration::from_secs(1);

/// How often the folder is looked through without being told to.
const RESCAN: Duration = Duration::from_secs(5);

/// Names, times and sizes of the files: what is the same was not changed.
type Fingerprint = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// Deploys the folder, and goes on doing so when it changes, until the host stops.
pub(crate) async fn watch(host: &Host, folder: PathBuf, grace: Duration) -> Result<(), HostError> {
    let shown = folder.display().to_string();
    let folder = tokio::task::spawn_blocking(move || std::fs::canonicalize(folder))
        .await
        .map_err(|error| HostError::task(&error))?
        .map_err(|error| {
            HostError::invalid(
                "workflows.folder",
                format!("the folder of workflows {shown} cannot be used: {error}"),
            )
            .hint("name a folder with workflow files")
        })?;
    let (tell, mut told) = mpsc::channel(1);
    let watcher = notify::recommended_watcher(move |_| {
        // One that is waiting already says the same.
        let _ = tell.try_send(());
    })
    .and_then(|mut watcher| {
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    let watcher = match watcher {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(%error, folder = shown, "changes are only found by looking every {} s", RESCAN.as_secs());
            None
        }
    };
    // After the watch has begun, so that no change falls in between.
    // Nothing of what is gone by now has run since the start, so nobody waits for it.
    let mut seen = host.0.reload(&folder, None, &mut Away::new(Duration::ZERO)).await?;
    let mut away = Away::new(grace);
    let is_empty = host
        .0
        .deployments
        .read(|table| table.values().all(|known| known.in_folder.is_none()));
    if is_empty {
        tracing::warn!(
            folder = shown,
            "there is no workflow in the folder; put a .yaml file with `steps` there, and it is deployed"
        );
    }
    let weak = Arc::downgrade(&host.0);
    let mut stopped = host.0.stopped.subscribe();
    tokio::spawn(async move {
        let _watcher = watcher;
        let mut is_told = true;
        loop {
            tokio::select! {
                () = over(&mut stopped) => return,
                word = told.recv(), if is_told => match word {
                    Some(()) => settle(&mut told).await,
                    None => is_told = false,
                },
                () = tokio::time::sleep(away.next_look()) => {}
            }
            match again(&weak, &folder, &seen, &mut away).await {
                Some(Ok(now)) => seen = now,
                Some(Err(error)) => {
                    tracing::warn!(%error, folder = shown, "the folder of workflows cannot be deployed");
                    // Nobody knows what is in it.
                    away = Away::new(grace);
                }
                None => return,
            }
        }
    });
    Ok(())
}

async fn over(stopped: &mut watch::Receiver<bool>) {
    // A sender that is gone has stopped too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Lets somebody who writes several files, or one in pieces, come to an end.
async fn settle(told: &mut mpsc::Receiver<()>) {
    let settled = async { while let Ok(Some(())) = tokio::time::timeout(SETTLE, told.recv()).await {} };
    // What is half written then is looked at again with the next change.
    let _ = tokio::time::timeout(SETTLE_AT_MOST, settled).await;
}

async fn again(
    inner: &Weak<Inner>,
    folder: &Path,
    seen: &Fingerprint,
    away: &mut Away,
) -> Option<Result<Fingerprint, HostError>> {
    let inner = inner.upgrade()?;
    // What is away is looked at again although nothing has changed.
    let seen = (!away.is_over()).then_some(seen);
    Some(inner.reload(folder, seen, away).await)
}

/// What is not in the folder at the moment, and since when.
struct Away {
    grace: Duration,
    /// By workflow.
    files: BTreeMap<String, Instant>,
    /// The folder as a whole, until that was told.
    all: Option<Instant>,
}

impl Away {
    fn new(grace: Duration) -> Self {
        Self {
            grace,
            files: BTreeMap::new(),
            all: None,
        }
    }

    /// Since when something is away.
    fn first(&self) -> Option<Instant> {
        self.files.values().copied().chain(self.all).min()
    }

    fn is_over(&self) -> bool {
        self.first().is_some_and(|since| since.elapsed() >= self.grace)
    }

    fn next_look(&self) -> Duration {
        let left = self.first().map(|since| self.grace.saturating_sub(since.elapsed()));
        left.map_or(RESCAN, |left| left.min(RESCAN))
    }
}

struct Found {
    fingerprint: Fingerprint,
    files: Vec<(String, String)>,
    unreadable: Vec<Broken>,
}

impl Inner {
    /// Deploys the folder as it is now, if it is not as it was `seen`; how it is now.
    async fn reload(
        self: &Arc<Self>,
        folder: &Path,
        seen: Option<&Fingerprint>,
        away: &mut Away,
    ) -> Result<Fingerprint, HostError> {
        let (place, before) = (folder.to_owned(), seen.cloned());
        let found = tokio::task::spawn_blocking(move || {
            let fingerprint = look(&place)?;
            if before.is_some_and(|before| before == fingerprint) {
                return Ok(None);
            }
            Ok(Some(read(fingerprint)))
        })
        .await
        .map_err(|error| HostError::task(&error))?
        .map_err(|error: std::io::Error| {
            HostError::invalid("workflows.folder", format!("the folder cannot be read: {error}"))
        })?;
        let Some(mut found) = found else {
            return Ok(seen.cloned().unwrap_or_default());
        };
        let _building = self.deployments.building(DEFAULT_ORGANIZATION).await;
        let (inner, place) = (Arc::clone(self), folder.to_owned());
        let files = std::mem::take(&mut found.files);
        let mut outcome = tokio::task::spawn_blocking(move || build(&files, &BTreeMap::new(), &place, &inner.registry))
            .await
            .map_err(|error| HostError::task(&error))?;
        outcome.broken.append(&mut found.unreadable);
        let _deploying = self.deploying.lock().await;
        self.take_folder(&found.fingerprint, outcome, away).await?;
        Ok(found.fingerprint)
    }

    async fn take_folder(&self, files: &Fingerprint, outcome: Outcome, away: &mut Away) -> Result<(), HostError> {
        let organization = DEFAULT_ORGANIZATION;
        let names: BTreeSet<String> = files.keys().map(|path| name_of(path)).collect();
        let files_of: BTreeMap<String, String> = outcome
            .built
            .iter()
            .map(|built| (built.plan.name.clone(), built.file.clone()))
            .collect();
        let taken: BTreeSet<String> = files_of.values().cloned().collect();
        let (same, changed): (Vec<_>, Vec<_>) = outcome.built.into_iter().partition(|built| {
            let known = self
                .deployments
                .known(organization, &built.plan.name)
                .unwrap_or_default();
            let hash = Some(&built.definition.hash);
            let is_current = known.active.as_ref().map(|active| &active.definition.hash) == hash;
            is_current && known.folder.as_ref() == hash
        });
        for built in &changed {
            let known = self
                .deployments
                .known(organization, &built.plan.name)
                .unwrap_or_default();
            if known.folder.is_none()
                && let Some(current) = known.current()
            {
                tracing::warn!(
                    workflow = built.plan.name,
                    version = current.version,
                    "{} is in the folder now, so it replaces what the API deployed",
                    built.file
                );
            }
        }
        let change = self.plan_change(organization, &changed, DeploymentSource::Folder, None)?;
        for deployment in &change.deployments {
            tracing::info!(
                workflow = deployment.workflow,
                version = deployment.version,
                "deployed from {}",
                deployment.file
            );
        }
        self.keep(change).await?;
        self.deployments.change(|table| {
            for ((_, name), known) in table.iter_mut().filter(|((owner, _), _)| **owner == *organization) {
                let is_mended = same.iter().any(|built| *built.plan.name == **name);
                let is_gone = known.file.as_ref().is_some_and(|file| !names.contains(file));
                if is_mended || is_gone {
                    known.problems.clear();
                    known.file = None;
                }
                if !names.is_empty() {
                    known.in_folder = files_of.get(&**name).cloned();
                }
            }
            let news = outcome.broken.into_iter().flat_map(|broken| note_broken(table, broken));
            // What is wrong with the shared file is wrong with every workflow, and told once.
            let mut told: Vec<Problem> = Vec::new();
            for problem in news {
                if !told.contains(&problem) {
                    tracing::warn!(file = problem.file, line = problem.line, "{}", problem.message);
                    told.push(problem);
                }
            }
            // A file that was never good and is gone leaves nothing.
            table.retain(|_, known| !known.versions.is_empty() || !known.problems.is_empty());
        });
        if names.is_empty() {
            self.emptied(away);
            return Ok(());
        }
        away.all = None;
        let gone: BTreeMap<String, String> = self.deployments.read(|table| {
            table
                .iter()
                .filter(|((owner, _), known)| {
                    **owner == *organization
                        && known.in_folder.is_none()
                        && known.current().is_some_and(|current| {
                            // One that says nothing at the moment may be half written.
                            let is_there = names.contains(&current.file) && !taken.contains(&current.file);
                            known.folder.as_ref() == Some(&current.hash) && !is_there
                        })
                })
                .filter_map(|((_, name), known)| Some((name.to_string(), known.current()?.file.clone())))
                .collect()
        });
        away.files.retain(|workflow, _| gone.contains_key(workflow));
        for (workflow, file) in gone {
            let since = *away.files.entry(workflow.clone()).or_insert_with(Instant::now);
            if since.elapsed() < away.grace {
                // It may be about to be replaced, and is the folder's until then.
                self.deployments.change(|table| {
                    if let Some(known) = table.get_mut(&(organization.into(), workflow.as_str().into())) {
                        known.in_folder = Some(file.clone());
                    }
                });
                continue;
            }
            tracing::warn!(
                workflow,
                file,
                "its file is gone, so it is out of use: nothing starts it any more, until the file is there again"
            );
            self.withdraw(organization, &workflow, None, Vec::new()).await?;
            away.files.remove(&workflow);
        }
        Ok(())
    }

    /// Nothing is in the folder: more likely one that is not mounted than one whose workflows were all deleted. So they stay
    /// in use, and when it stays empty that is told, and they may be removed like others.
    fn emptied(&self, away: &mut Away) {
        away.files.clear();
        let of_folder = |known: &Known| known.in_folder.is_some();
        let is_its = self.deployments.read(|table| table.values().any(of_folder));
        if !is_its {
            away.all = None;
            return;
        }
        if away.all.get_or_insert_with(Instant::now).elapsed() < away.grace {
            return;
        }
        away.all = None;
        tracing::warn!(
            "the folder of workflows is empty; what was deployed from it goes on, as it may not be mounted; remove \
             workflows that are not to start any more with `bowline workflows remove NAME`"
        );
        self.deployments.change(|table| {
            for known in table.values_mut() {
                known.in_folder = None;
            }
        });
    }
}

/// Keeps what is wrong with a file. What of it was not known.
fn note_broken(table: &mut Table, broken: Broken) -> Vec<Problem> {
    // The name in a broken file may not be readable.
    let is_its = |known: &Known| {
        known.current().is_some_and(|current| current.file == broken.file) || known.file.as_ref() == Some(&broken.file)
    };
    let known = table
        .iter()
        .find(|((owner, _), known)| **owner == *DEFAULT_ORGANIZATION && is_its(known))
        .map(|(key, _)| key.clone());
    let key = known.unwrap_or_else(|| (DEFAULT_ORGANIZATION.into(), broken.workflow.as_str().into()));
    let known = table.entry(key).or_default();
    let mut news = broken.problems.clone();
    news.retain(|problem| !known.problems.contains(problem));
    known.problems = broken.problems;
    known.in_folder = Some(broken.file.clone());
    known.file = Some(broken.file);
    news
}

fn look(folder: &Path) -> std::io::Result<Fingerprint> {
    let mut found = Fingerprint::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_ours = is_workflow_file(&path) || path.file_name().is_some_and(|name| name == SHARED_FILE);
        // What has gone meanwhile is not there.
        let Some(about) = is_ours.then(|| std::fs::metadata(&path).ok()).flatten() else {
            continue;
        };
        if about.is_file() {
            found.insert(path, (about.modified().ok(), about.len()));
        }
    }
    Ok(found)
}

fn read(fingerprint: Fingerprint) -> Found {
    let mut files = Vec::new();
    let mut unreadable = Vec::new();
    for path in fingerprint.keys() {
        let name = name_of(path);
        match Source::read_alone(path) {
            // Inputs and mocks may lie beside workflows.
            Ok(source) if name != SHARED_FILE && is_something_else(&source) => {}
            Ok(source) => files.push((name, source.text)),
            Err(problems) => unreadable.push(Broken {
                workflow: path
                    .file_stem()
                    .map_or_else(|| name.clone(), |stem| stem.to_string_lossy().into_owned()),
                problems: Problem::all(&problems),
                file: name,
            }),
        }
    }
    Found {
        fingerprint,
        files,
        unreadable,
    }
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_news_once() {
        let mut table = Table::default();
        let broken = |message: &str| Broken {
            file: "pay.yaml".to_owned(),
            workflow: "pay".to_owned(),
            problems: vec![Problem::plain("one"), Problem::plain(message)],
        };
        assert_eq!(note_broken(&mut table, broken("two")).len(), 2);
        assert_eq!(note_broken(&mut table, broken("two")), []);
        assert_eq!(note_broken(&mut table, broken("three")), [Problem::plain("three")]);
        assert_eq!(table.len(), 1);
    }
}
