//! One directory at work.
//!
//! What the system tells, and a walk now and then, say which paths to look at; what is then done about a path depends only
//! on what is there and what is stored about it. So it does not matter what was told, or missed, or told twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bowline_engine::Clock;
use bowline_store::{Entry, EntryRange, EntryWrite};
use bytes::Bytes;
use notify::event::{EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use super::after::{self, Done};
use super::config::{DirectoryConfig, Existing, FileEvent, Names};
use super::files;
use super::seen::{self, Seen};
use super::source;
use super::stability::{Stability, Verdict};
use crate::place::{Ended, Trouble};
use crate::source::{Bound, Delivery, Taken};

/// What could not be done now is tried again after this.
const AGAIN: i64 = 5_000;

/// One directory at work.
pub(crate) struct Watcher {
    bound: Arc<Bound>,
    name: String,
    config: Arc<DirectoryConfig>,
    names: Arc<Names>,
    clock: Clock,
    /// Which directory it is that the known files were in.
    root: Option<files::Identity>,
    /// What is stored, by path.
    known: BTreeMap<PathBuf, Bytes>,
    stability: Stability,
    /// What to look at, and when.
    pending: BTreeMap<PathBuf, i64>,
    gone_since: BTreeMap<PathBuf, i64>,
    /// Executions after which something is to be done.
    ends: JoinSet<(PathBuf, String)>,
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Trouble::Later(error.to_string()))
}

impl Watcher {
    pub(crate) fn new(bound: Arc<Bound>, config: DirectoryConfig, names: Names, clock: Clock) -> Self {
        Self {
            name: bound.name(),
            bound,
            config: Arc::new(config),
            names: Arc::new(names),
            clock,
            root: None,
            known: BTreeMap::new(),
            stability: Stability::default(),
            pending: BTreeMap::new(),
            gone_since: BTreeMap::new(),
            ends: JoinSet::new(),
        }
    }

    /// Reads what is stored. Where nothing was, notes that this is not the first time any more.
    pub(crate) async fn load(&mut self) -> Result<(), Trouble> {
        let mut range = EntryRange {
            space: seen::SPACE.into(),
            prefix: seen::all_of(&self.bound.organization, &self.name),
            limit: 1000,
            ..EntryRange::default()
        };
        let mut is_first = true;
        loop {
            let page = self.bound.place().entries(range.clone()).await?;
            let Some((last, _)) = page.last() else { break };
            range.after = Some(last.clone());
            for (key, value) in page {
                is_first = false;
                let path = seen::path_of(&key);
                // The mark that there was a first time.
                if path.as_os_str().is_empty() {
                    self.root = serde_json::from_slice(&value).unwrap_or_default();
                } else {
                    self.known.insert(path, value);
                }
            }
        }
        if is_first {
            if self.config.existing == Existing::Ignore {
                self.note_existing().await?;
            }
            self.mark(None).await?;
        }
        let waits: Vec<_> = self
            .known
            .iter()
            .filter_map(|(path, bytes)| Some((path.clone(), read(bytes).ok()?)))
            .collect();
        for (path, seen) in waits {
            self.follow(path, &seen);
        }
        Ok(())
    }

    /// Notes that there was a first time, and which directory it is.
    async fn mark(&mut self, root: Option<files::Identity>) -> Result<(), Trouble> {
        let key = seen::seen_key(&self.bound.organization, &self.name, Path::new(""));
        // It has nothing that JSON has not.
        let value = serde_json::to_vec(&root).unwrap_or_default();
        let mark = EntryWrite::Put(Entry::new(seen::SPACE, key, value));
        self.bound.place().record(vec![mark]).await?;
        self.root = root;
        Ok(())
    }

    /// Notes what is there already.
    async fn note_existing(&mut self) -> Result<(), Trouble> {
        let (config, names) = (Arc::clone(&self.config), Arc::clone(&self.names));
        let walk = blocking(move || files::walk(&config, &names)).await?;
        for part in walk.files.chunks(200) {
            let mut writes = Vec::new();
            for (path, look) in part {
                let file = path.clone();
                // What cannot be read now is a created file when it can be.
                if let Ok(hash) = blocking(move || files::hash(&file)).await? {
                    let seen = Seen::new(*look, hash);
                    writes.push(seen.write(&self.bound.organization, &self.name, path, None));
                    self.known.insert(path.clone(), seen.bytes());
                }
            }
            self.bound.place().record(writes).await?;
        }
        Ok(())
    }

    /// Looks at the directory until the task is dropped.
    pub(crate) async fn work(&mut self) -> Result<(), Trouble> {
        let rescan = i64::try_from(self.config.rescan.duration().as_millis()).unwrap_or(i64::MAX);
        let (mut told, mut system) = (None, None);
        let mut next_walk = self.clock.now();
        loop {
            if self.clock.now() >= next_walk {
                let found = self.walk().await?;
                if found && system.is_none() && !self.config.poll {
                    (told, system) = match self.ask_system() {
                        Ok((told, system)) => {
                            // What came before the system was asked is found by one more walk.
                            self.walk().await?;
                            (Some(told), Some(system))
                        }
                        Err(why) => {
                            self.bound.report(Some(format!(
                                "the system tells nothing about files ({why}); looking instead"
                            )));
                            (None, None)
                        }
                    };
                } else if !found {
                    (told, system) = (None, None);
                }
                next_walk = self.clock.now().saturating_add(rescan);
            }
            self.look_at_due().await?;
            let next = self.pending.values().copied().min().unwrap_or(i64::MAX).min(next_walk);
            let left = Duration::from_millis(u64::try_from(next.saturating_sub(self.clock.now())).unwrap_or(0));
            tokio::select! {
                // The clock may be set.
                () = tokio::time::sleep(left.min(Duration::from_secs(10))) => {}
                event = heard(told.as_mut()) => match event {
                    Some(Ok(event)) => if self.note(&event) { next_walk = self.clock.now() },
                    Some(Err(_)) => next_walk = self.clock.now(),
                    None => (told, system) = (None, None),
                },
                Some(ended) = self.ends.join_next() => if let Ok((path, execution)) = ended {
                    self.ended(path, execution).await?;
                },
            }
        }
    }

    fn ask_system(
        &self,
    ) -> Result<(UnboundedReceiver<notify::Result<notify::Event>>, RecommendedWatcher), notify::Error> {
        let (tell, told) = unbounded_channel();
        let mut system = notify::recommended_watcher(move |event| {
            // Nobody listens any more: the watcher is about to go.
            let _ = tell.send(event);
        })?;
        let mode = if self.config.recursive {
            RecursiveMode::Recursive
        } else {
            RecursiveMode::NonRecursive
        };
        system.watch(&self.config.path, mode)?;
        Ok((told, system))
    }

    /// Notes which paths an event is about. True where it takes a walk to know.
    fn note(&mut self, event: &notify::Event) -> bool {
        if matches!(event.kind, EventKind::Access(_)) && !event.need_rescan() {
            return false;
        }
        let now = self.clock.now();
        let mut walk = event.need_rescan();
        for path in &event.paths {
            if files::is_meant(&self.config, &self.names, path) {
                self.pending.insert(path.clone(), now);
            }
            // A directory that came, went, or got another name has files that nothing is told about.
            let moved = matches!(
                event.kind,
                EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
            );
            walk |= moved && self.config.recursive && (path.is_dir() || self.has_below(path));
            walk |= *path == self.config.path;
        }
        walk
    }

    fn has_below(&self, folder: &Path) -> bool {
        let after = self
            .known
            .range(folder.to_owned()..)
            .find(|(path, _)| path.as_path() != folder);
        after.is_some_and(|(path, _)| path.starts_with(folder))
    }

    /// Goes through the directory and notes what is not as it is stored. False where the directory is not there.
    async fn walk(&mut self) -> Result<bool, Trouble> {
        let (config, names) = (Arc::clone(&self.config), Arc::clone(&self.names));
        let walk = blocking(move || files::walk(&config, &names)).await?;
        let now = self.clock.now();
        let mut found = BTreeSet::new();
        for (path, look) in walk.files {
            let same = self
                .known
                .get(&path)
                .is_some_and(|bytes| read(bytes).is_ok_and(|seen| seen.looks_like(look)));
            if !same {
                self.pending.entry(path.clone()).or_insert(now);
            }
            found.insert(path);
        }
        // Where a file system is not mounted, its place is another directory, and mostly empty.
        let is_other = self.root.is_some() && walk.root != self.root;
        let is_away = is_other && !self.known.is_empty() && !found.iter().any(|path| self.known.contains_key(path));
        if walk.root.is_some() && walk.root != self.root && !is_away {
            self.mark(walk.root).await?;
        }
        if is_away && walk.unread.is_empty() {
            self.bound.report(Some(format!(
                "{} is another directory than it was and has none of its files, as where a file system is not mounted: \
                 nothing counts as deleted",
                self.config.path.display()
            )));
        } else if walk.unread.is_empty() {
            let gone: Vec<_> = self
                .known
                .keys()
                .filter(|path| !found.contains(*path))
                .cloned()
                .collect();
            for path in gone {
                self.pending.entry(path).or_insert(now);
            }
            self.bound.report(None);
        } else {
            // A file that was not found may be there all the same, so none of them counts as deleted.
            let more = walk.unread.len() - 1;
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            self.bound.report(Some(format!("cannot read {}{more}", walk.unread[0])));
        }
        Ok(!walk.missing)
    }

    /// Looks at the paths whose time has come.
    async fn look_at_due(&mut self) -> Result<(), Trouble> {
        let now = self.clock.now();
        let due: Vec<_> = self
            .pending
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(path, _)| path.clone())
            .collect();
        for path in due {
            self.pending.remove(&path);
            let again = match self.look_at(&path).await {
                Ok(again) => again,
                Err(Trouble::Refused(why)) => {
                    self.bound.report(Some(why));
                    Some(now.saturating_add(AGAIN))
                }
                // Perhaps it was written and we have not heard: what is stored decides.
                Err(trouble) => {
                    self.reload(&path).await?;
                    if trouble != Trouble::Changed {
                        self.bound.report(Some(trouble.to_string()));
                    }
                    Some(now.saturating_add(AGAIN))
                }
            };
            if let Some(at) = again {
                self.pending.insert(path, at);
            }
        }
        Ok(())
    }

    /// Does what there is to do about a path; says when to look at it again.
    async fn look_at(&mut self, path: &Path) -> Result<Option<i64>, Trouble> {
        let now = self.clock.now();
        let was = self.known.get(path).cloned();
        let before = was.as_ref().map(read).transpose()?;
        if !files::is_meant(&self.config, &self.names, path) {
            // The configuration has changed since.
            return self.forget(path, before.is_some()).await.map(|()| None);
        }
        let unreadable = |error: std::io::Error| Trouble::Refused(format!("cannot read {}: {error}", path.display()));
        let file = path.to_owned();
        let Some(look) = blocking(move || files::look(&file)).await?.map_err(unreadable)? else {
            self.stability.forget(path);
            let Some(seen) = before else { return Ok(None) };
            return self.deleted(path, &seen, now).await;
        };
        self.gone_since.remove(path);
        if before.as_ref().is_some_and(|seen| seen.looks_like(look)) {
            self.stability.forget(path);
            return Ok(None);
        }
        let debounce = millis(self.config.debounce);
        match self
            .stability
            .look(path, look, now, debounce, millis(self.config.min_age))
        {
            Verdict::Again(at) => return Ok(Some(at)),
            Verdict::Whole => {}
        }
        let file = path.to_owned();
        let hashed = blocking(move || {
            let hash = files::hash(&file)?;
            Ok((hash, files::look(&file)?))
        });
        let (hash, after) = hashed.await?.map_err(unreadable)?;
        if after != Some(look) {
            // It was written to while it was read.
            return Ok(Some(self.clock.now().saturating_add(debounce)));
        }
        self.stability.forget(path);
        let mut seen = Seen::new(look, hash);
        let event = match &before {
            None => FileEvent::Created,
            Some(before) if before.sha256 == seen.sha256 => {
                // Only touched.
                seen.execution.clone_from(&before.execution);
                seen.refused.clone_from(&before.refused);
                seen.after = before.after;
                return self.keep(path, &seen, was).await.map(|()| None);
            }
            Some(_) => FileEvent::Modified,
        };
        if self.config.events.contains(&event) {
            self.start(path, event, seen, was).await?;
        } else {
            self.keep(path, &seen, was).await?;
        }
        Ok(None)
    }

    /// Starts the workflow for a file that is there.
    async fn start(
        &mut self,
        path: &Path,
        event: FileEvent,
        mut seen: Seen,
        was: Option<Bytes>,
    ) -> Result<(), Trouble> {
        if path.to_str().is_none() {
            let why = format!("the name of {} is not UTF-8: no workflow could open it", path.display());
            self.bound.report(Some(why.clone()));
            seen.refused = Some(why);
            return self.keep(path, &seen, was).await;
        }
        let id = uuid::Uuid::now_v7().to_string();
        let plain = seen.clone();
        seen.execution = Some(id.clone());
        seen.after = !self.config.after.is_nothing();
        let delivery = Delivery {
            values: source::values(&self.config, path, event, &seen, self.clock.now()),
            key: None,
            id: Some(id),
            with: vec![seen.write(&self.bound.organization, &self.name, path, was.clone())],
        };
        match self.bound.deliver(delivery).await {
            Ok(Taken::Started(execution)) => {
                tracing::info!(
                    organization = self.bound.organization, trigger = self.name, path = %path.display(), ?event, execution,
                    "a file starts a workflow",
                );
                self.known.insert(path.to_owned(), seen.bytes());
                self.follow(path.to_owned(), &seen);
                Ok(())
            }
            Ok(Taken::Known(execution)) => {
                seen.execution = Some(execution);
                self.keep(path, &seen, was).await?;
                self.follow(path.to_owned(), &seen);
                Ok(())
            }
            Ok(Taken::Filtered) => self.keep(path, &plain, was).await,
            Err(Trouble::Refused(why)) => {
                let why = format!("{} starts nothing until it changes: {why}", path.display());
                self.bound.report(Some(why.clone()));
                seen = plain;
                seen.refused = Some(why);
                self.keep(path, &seen, was).await
            }
            Err(other) => Err(other),
        }
    }

    /// A file that is known is not there.
    async fn deleted(&mut self, path: &Path, seen: &Seen, now: i64) -> Result<Option<i64>, Trouble> {
        // Some programs replace a file by deleting it first.
        let at = *self.gone_since.entry(path.to_owned()).or_insert(now);
        let at = at.min(now).saturating_add(millis(self.config.debounce));
        if at > now {
            return Ok(Some(at));
        }
        self.gone_since.remove(path);
        let root = self.config.path.clone();
        if blocking(move || files::identity(&root)).await? != self.root {
            // The next walk knows what that means.
            return Ok(None);
        }
        if !self.config.events.contains(&FileEvent::Deleted) || path.to_str().is_none() {
            return self.forget(path, true).await.map(|()| None);
        }
        let delivery = Delivery {
            values: source::values(&self.config, path, FileEvent::Deleted, seen, now),
            with: vec![self.removal(path)],
            ..Delivery::default()
        };
        match self.bound.deliver(delivery).await {
            Ok(Taken::Started(_)) => {
                self.known.remove(path);
                Ok(None)
            }
            Ok(_) => self.forget(path, true).await.map(|()| None),
            Err(Trouble::Refused(why)) => {
                self.bound.report(Some(format!(
                    "the deletion of {} starts nothing: {why}",
                    path.display()
                )));
                self.forget(path, true).await.map(|()| None)
            }
            Err(other) => Err(other),
        }
    }

    /// Waits for the end of a file's execution, where something is to be done then.
    fn follow(&mut self, path: PathBuf, seen: &Seen) {
        let Some(execution) = seen.execution.clone().filter(|_| seen.after) else {
            return;
        };
        let bound = Arc::clone(&self.bound);
        self.ends.spawn(async move {
            bound.place().wait(&bound.organization, &execution).await;
            (path, execution)
        });
    }

    /// An execution has ended, or so it seems.
    async fn ended(&mut self, path: PathBuf, execution: String) -> Result<(), Trouble> {
        let Some(bytes) = self.known.get(&path).cloned() else {
            return Ok(());
        };
        let mut seen = read(&bytes)?;
        if seen.execution.as_ref() != Some(&execution) || !seen.after {
            return Ok(());
        }
        let done = match self.bound.place().ended(&self.bound.organization, &execution).await {
            Ok(Some(ended)) => self.finish(&path, &seen, ended).await,
            Ok(None) => Err(Trouble::Changed),
            Err(trouble) => Err(trouble),
        };
        match done {
            Ok(Done::Stays) => {
                seen.after = false;
                self.keep(&path, &seen, Some(bytes)).await
            }
            Ok(Done::Left(now)) => {
                let to = now.map(|now| now.display().to_string());
                tracing::info!(organization = self.bound.organization, trigger = self.name, path = %path.display(), to, "a file is done");
                self.forget(&path, true).await
            }
            Ok(Done::Changed) => Ok(()),
            Err(trouble) => {
                if trouble != Trouble::Changed {
                    self.bound.report(Some(trouble.to_string()));
                }
                self.ends.spawn(async move {
                    tokio::time::sleep(Duration::from_millis(AGAIN.unsigned_abs())).await;
                    (path, execution)
                });
                Ok(())
            }
        }
    }

    async fn finish(&self, path: &Path, seen: &Seen, ended: Ended) -> Result<Done, Trouble> {
        let (config, file, seen) = (Arc::clone(&self.config), path.to_owned(), seen.clone());
        let done = blocking(move || after::finish(&config, &file, &seen, &ended)).await?;
        done.map_err(|error| Trouble::Refused(format!("{} cannot be put away: {error}", path.display())))
    }

    async fn keep(&mut self, path: &Path, seen: &Seen, was: Option<Bytes>) -> Result<(), Trouble> {
        let write = seen.write(&self.bound.organization, &self.name, path, was);
        self.bound.place().record(vec![write]).await?;
        self.known.insert(path.to_owned(), seen.bytes());
        Ok(())
    }

    async fn forget(&mut self, path: &Path, is_stored: bool) -> Result<(), Trouble> {
        self.stability.forget(path);
        if is_stored {
            self.bound.place().record(vec![self.removal(path)]).await?;
            self.known.remove(path);
        }
        Ok(())
    }

    async fn reload(&mut self, path: &Path) -> Result<(), Trouble> {
        let key = seen::seen_key(&self.bound.organization, &self.name, path);
        match self.bound.place().entry(seen::SPACE, key).await? {
            Some(bytes) => {
                let seen = read(&bytes)?;
                self.known.insert(path.to_owned(), bytes);
                self.follow(path.to_owned(), &seen);
            }
            None => drop(self.known.remove(path)),
        }
        Ok(())
    }

    fn removal(&self, path: &Path) -> EntryWrite {
        EntryWrite::Remove {
            space: seen::SPACE.into(),
            key: seen::seen_key(&self.bound.organization, &self.name, path),
        }
    }
}

async fn heard(
    told: Option<&mut UnboundedReceiver<notify::Result<notify::Event>>>,
) -> Option<notify::Result<notify::Event>> {
    match told {
        Some(told) => told.recv().await,
        None => std::future::pending().await,
    }
}

fn read(bytes: &Bytes) -> Result<Seen, Trouble> {
    serde_json::from_slice(bytes)
        .map_err(|error| Trouble::Refused(format!("what is stored about a file cannot be read: {error}")))
}

fn millis(duration: bowline_connector::Millis) -> i64 {
    i64::try_from(duration.duration().as_millis()).unwrap_or(i64::MAX)
}
