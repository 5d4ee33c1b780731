//! Deployments: which versions there are of which workflows, and what runs now.
//!
//! A version is an entry in the store, written in the same commit as the definition that it names. What is current is
//! the version that came last, or the one that an entry beside them names, after an older content has come again.
//! Everything here is held in memory too, because each start and each trigger looks at it.

mod build;
mod candidate;
mod folder;
mod keep;
mod limits;
mod look;
mod retain;
mod standing;
mod trigger_problems;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bowline_flow::{Plan, Settings};
use bowline_store::Definition;
use tokio::sync::{OwnedMutexGuard, watch};

use crate::{Deployment, Problem};

pub(crate) use build::{Broken, Built, build};
pub(crate) use folder::watch;
pub(crate) use keep::load;
pub(crate) use limits::refuse_large;
pub(crate) use retain::retain;
pub use standing::Standing;
pub(crate) use trigger_problems::TriggerProblems;

/// The space of entries that holds deployments.
pub const SPACE: &str = "deployment";

/// The current version of a workflow, ready to run.
#[derive(Clone)]
pub struct Active {
    /// Whose it is.
    pub organization: Arc<str>,
    /// Its name.
    pub workflow: Arc<str>,
    /// The number of the version.
    pub version: u32,
    /// What a start runs.
    pub definition: Definition,
    /// What it says.
    pub plan: Arc<Plan>,
    /// What its templates read of this process. Holds secrets: never log or show it.
    pub settings: Arc<Settings>,
}

impl std::fmt::Debug for Active {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            organization,
            workflow,
            version,
            ..
        } = self;
        write!(f, "{organization}/{workflow}@{version}")
    }
}

/// What is known of one workflow of one organization.
#[derive(Clone, Default)]
pub(crate) struct Known {
    /// Every version, in the order of their numbers.
    pub(crate) versions: Vec<Deployment>,
    /// The one that a start runs.
    pub(crate) current: Option<u32>,
    /// That one, where this program can run it.
    pub(crate) active: Option<Arc<Active>>,
    /// What is wrong with its file, or with running it.
    pub(crate) problems: Vec<Problem>,
    /// Hash of what was last read from the folder of workflows.
    pub(crate) folder: Option<String>,
    /// The file that is wrong.
    pub(crate) file: Option<String>,
    /// Its file in the folder of workflows, while it has one there: then only the folder changes it.
    pub(crate) in_folder: Option<String>,
    /// Since when nothing starts it, where it was taken out of use.
    pub(crate) withdrawn: Option<Withdrawn>,
}

/// That a workflow was taken out of use.
#[derive(Clone, Debug)]
pub(crate) struct Withdrawn {
    /// When.
    pub(crate) at: String,
    /// Who did, where somebody did: else its file is gone.
    pub(crate) by: Option<String>,
}

impl Known {
    /// The version that a start runs.
    pub(crate) fn current(&self) -> Option<&Deployment> {
        let current = self.current?;
        self.version(current)
    }

    /// The version of this number.
    pub(crate) fn version(&self, number: u32) -> Option<&Deployment> {
        self.versions.iter().find(|version| version.version == number)
    }
}

/// By organization and workflow.
pub(crate) type Table = BTreeMap<(Arc<str>, Arc<str>), Known>;

type Senders = HashMap<Option<String>, watch::Sender<Arc<Vec<Active>>>>;

/// All deployments.
#[derive(Default)]
pub(crate) struct Deployments {
    table: RwLock<Table>,
    senders: RwLock<Senders>,
    /// Grows whenever something here changes, problems included.
    revision: watch::Sender<u64>,
    /// By organization: held while files of it are checked, which may take a while that others do not wait for.
    building: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Deployments {
    /// To be held by whoever makes definitions of an organization's files, until they are kept: one at a time. Taken before
    /// `deploying`, and only let go of when the work has ended.
    pub(crate) async fn building(&self, organization: &str) -> OwnedMutexGuard<()> {
        let mutex = {
            let mut building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(building.entry(organization.to_owned()).or_default())
        };
        mutex.lock_owned().await
    }

    /// What is known of a workflow.
    pub(crate) fn known(&self, organization: &str, workflow: &str) -> Option<Known> {
        self.read(|table| table.get(&(organization.into(), workflow.into())).cloned())
    }

    /// The current version of a workflow.
    pub(crate) fn current(&self, organization: &str, workflow: &str) -> Option<Arc<Active>> {
        self.read(|table| {
            let known = table.get(&(organization.into(), workflow.into()))?;
            known.active.clone()
        })
    }

    /// The number of the version with this hash.
    pub(crate) fn number(&self, organization: &str, workflow: &str, hash: &str) -> Option<u32> {
        self.read(|table| {
            let known = table.get(&(organization.into(), workflow.into()))?;
            let found = known.versions.iter().rev().find(|version| version.hash == hash)?;
            Some(found.version)
        })
    }

    /// The plan of a version that is current, by its hash.
    pub(crate) fn plan(&self, hash: &str) -> Option<Arc<Plan>> {
        self.read(|table| {
            let mut active = table.values().filter_map(|known| known.active.as_ref());
            let found = active.find(|active| active.definition.hash == hash)?;
            Some(Arc::clone(&found.plan))
        })
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Table) -> T) -> T {
        read(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what is known, and tells those who run on it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Table)) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let before = all(&table, None);
        change(&mut table);
        self.revision.send_modify(|revision| *revision += 1);
        let after = all(&table, None);
        let same = before.len() == after.len() && before.iter().zip(&after).all(|(one, other)| is_same(one, other));
        if same {
            return;
        }
        // Under the table's lock, so that no older list follows a newer one.
        let senders = self.senders.read().unwrap_or_else(PoisonError::into_inner);
        for (organization, sender) in senders.iter() {
            let list = all(&table, organization.as_deref());
            sender.send_if_modified(|was| {
                let same = was.len() == list.len() && was.iter().zip(&list).all(|(one, other)| is_same(one, other));
                if !same {
                    *was = Arc::new(list);
                }
                !same
            });
        }
    }

    /// Something that is shown with deployments is different.
    pub(crate) fn touch(&self) {
        self.revision.send_modify(|revision| *revision += 1);
    }

    /// Told of every change.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// What runs, as it changes.
    pub(crate) fn active(&self, organization: Option<&str>) -> watch::Receiver<Arc<Vec<Active>>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let mut senders = self.senders.write().unwrap_or_else(PoisonError::into_inner);
        senders
            .entry(organization.map(ToOwned::to_owned))
            .or_insert_with(|| watch::Sender::new(Arc::new(all(&table, organization))))
            .subscribe()
    }

    /// Lets go of those who listen: the host stops.
    pub(crate) fn close(&self) {
        self.senders.write().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn is_same(one: &Active, other: &Active) -> bool {
    one.organization == other.organization
        && one.definition.hash == other.definition.hash
        && one.version == other.version
}

fn all(table: &Table, organization: Option<&str>) -> Vec<Active> {
    table
        .iter()
        .filter(|((owner, _), _)| organization.is_none_or(|wanted| **owner == *wanted))
        .filter_map(|(_, known)| known.active.as_deref().cloned())
        .collect()
}
