//! Keeping deployments: numbers, entries, and what is read of them at a start.

use std::collections::BTreeMap;
use std::sync::Arc;

use bowline_store::{Definition, Entry, EntryRange, EntryWrite, Store, key, key_parts};
use serde::{Deserialize, Serialize};

use super::{Active, Built, Known, SPACE, Table, Withdrawn};
use crate::host::Inner;
use crate::time::rfc3339;
use crate::{Deployment, DeploymentSource, ErrorKind, HostError, Problem, programs, text};

/// The last part of the key of the entry that names the current version. Behind all numbers.
const CURRENT: &str = "current";

/// The last part of the key of the entry that says what was last read from the folder.
const FOLDER: &str = "folder";

/// Entries read at once.
const PAGE: usize = 500;

/// Which version a start runs; 0 for none.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Current {
    version: u32,
    at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
}

/// What was last read from the folder of workflows: with the file that it was read from the workflow goes out of use.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FromFolder {
    hash: String,
}

/// What a set of workflows comes to when it is deployed.
pub(crate) struct Change {
    /// The version that each of them is, in the order in which they were given.
    pub(crate) deployments: Vec<Deployment>,
    /// Those that are what they were.
    pub(crate) unchanged: Vec<String>,
    definitions: Vec<Definition>,
    pub(crate) entries: Vec<EntryWrite>,
    now: Vec<(Arc<str>, Deployment, Arc<Active>)>,
    source: DeploymentSource,
}

impl Inner {
    /// What deploying these would come to.
    pub(crate) fn plan_change(
        &self,
        organization: &str,
        built: &[Built],
        source: DeploymentSource,
        by: Option<&str>,
    ) -> Result<Change, HostError> {
        let at = rfc3339(self.clock.now());
        let mut change = Change {
            deployments: Vec::new(),
            unchanged: Vec::new(),
            definitions: Vec::new(),
            entries: Vec::new(),
            now: Vec::new(),
            source,
        };
        for one in built {
            let name = &one.plan.name;
            let known = self.deployments.known(organization, name).unwrap_or_default();
            let hash = &one.definition.hash;
            let same = known.versions.iter().rev().find(|version| version.hash == *hash);
            let comes_back = same.is_some_and(|same| known.current != Some(same.version));
            let deployment = match same {
                Some(same) if !comes_back => same.clone(),
                // The same version, put into use again.
                Some(same) => Deployment {
                    at: at.clone(),
                    by: by.map(ToOwned::to_owned),
                    source,
                    file: one.file.clone(),
                    ..same.clone()
                },
                None => Deployment {
                    workflow: name.clone(),
                    version: known.versions.last().map_or(1, |last| last.version + 1),
                    hash: hash.clone(),
                    at: at.clone(),
                    by: by.map(ToOwned::to_owned),
                    source,
                    file: one.file.clone(),
                },
            };
            if same.is_none() || comes_back {
                let number = format!("{:020}", deployment.version);
                let entry = entry(&[organization, name, &number], &deployment)?;
                if comes_back {
                    change.entries.push(EntryWrite::Put(entry));
                } else {
                    change.definitions.push(one.definition.clone());
                    change.entries.push(EntryWrite::Add(entry));
                }
            }
            // The newest is current by itself; an older one that comes again is named, and so is the newest after that.
            let newest = same.is_none()
                || known
                    .versions
                    .last()
                    .is_some_and(|last| last.version == deployment.version);
            if known.current == Some(deployment.version) && same.is_some() {
                change.unchanged.push(name.clone());
            } else if newest {
                let key = key(&[organization, name, CURRENT]);
                change.entries.push(EntryWrite::Remove {
                    space: SPACE.into(),
                    key,
                });
            } else {
                let current = Current {
                    version: deployment.version,
                    at: at.clone(),
                    by: by.map(ToOwned::to_owned),
                };
                change
                    .entries
                    .push(EntryWrite::Put(entry(&[organization, name, CURRENT], &current)?));
            }
            match (source, known.folder.as_deref()) {
                (DeploymentSource::Folder, read) if read != Some(hash) => {
                    let read = FromFolder { hash: hash.clone() };
                    change
                        .entries
                        .push(EntryWrite::Put(entry(&[organization, name, FOLDER], &read)?));
                }
                // It is the folder's no more, so the next look there must not miss its file.
                (DeploymentSource::Api, Some(_)) => change.entries.push(EntryWrite::Remove {
                    space: SPACE.into(),
                    key: key(&[organization, name, FOLDER]),
                }),
                _ => {}
            }
            let organization: Arc<str> = organization.into();
            let active = self.ready(&organization, deployment.version, &one.definition, one.plan.clone());
            change.now.push((organization, deployment.clone(), Arc::new(active)));
            change.deployments.push(deployment);
        }
        Ok(change)
    }

    /// Makes it so, durably.
    pub(crate) async fn keep(&self, change: Change) -> Result<(), HostError> {
        if !change.entries.is_empty() {
            self.engine.record(change.definitions, change.entries).await?;
        }
        self.deployments.change(|table| {
            for (organization, deployment, active) in change.now {
                let workflow: Arc<str> = deployment.workflow.as_str().into();
                let known = table.entry((organization, workflow)).or_default();
                known.problems.clear();
                known.file = None;
                known.withdrawn = None;
                known.current = Some(deployment.version);
                let stored = known.versions.iter_mut();
                match stored.into_iter().find(|one| one.version == deployment.version) {
                    Some(one) => *one = deployment,
                    None => known.versions.push(deployment),
                }
                known.folder = match change.source {
                    DeploymentSource::Folder => Some(active.definition.hash.clone()),
                    DeploymentSource::Api => None,
                };
                known.active = Some(active);
            }
        });
        Ok(())
    }

    /// Takes a workflow out of use: nothing starts it any more, until it is deployed again. What runs goes on.
    pub(crate) async fn withdraw(
        &self,
        organization: &str,
        workflow: &str,
        by: Option<&str>,
        mut with: Vec<EntryWrite>,
    ) -> Result<(), HostError> {
        let current = Current {
            version: 0,
            at: rfc3339(self.clock.now()),
            by: by.map(ToOwned::to_owned),
        };
        let entry = entry(&[organization, workflow, CURRENT], &current)?;
        with.push(EntryWrite::Put(entry));
        self.engine.record(Vec::new(), with).await?;
        self.deployments.change(|table| {
            if let Some(known) = table.get_mut(&(organization.into(), workflow.into())) {
                known.withdrawn = Some(Withdrawn {
                    at: current.at,
                    by: current.by,
                });
                known.current = None;
                known.active = None;
            }
        });
        Ok(())
    }

    fn ready(
        &self,
        organization: &Arc<str>,
        version: u32,
        definition: &Definition,
        plan: bowline_flow::Plan,
    ) -> Active {
        Active {
            organization: Arc::clone(organization),
            workflow: plan.name.as_str().into(),
            version,
            definition: definition.clone(),
            plan: Arc::new(plan),
            settings: self.organizations.of(organization).settings,
        }
    }

    /// Takes what was read at the start into use: current versions are made ready to run.
    pub(crate) fn adopt(&self, mut table: Table) -> Result<(), HostError> {
        for ((organization, workflow), known) in &mut table {
            let Some(current) = known.current().cloned() else {
                continue;
            };
            let definition = self.store.definition(&current.hash)?;
            let read = definition
                .as_ref()
                .map(|definition| programs::read(definition, &self.registry));
            match (definition.as_ref(), read) {
                (Some(definition), Some(Ok((_, plan)))) => {
                    known.active = Some(Arc::new(self.ready(organization, current.version, definition, plan)));
                }
                (_, refused) => {
                    let why = match refused {
                        Some(Err(error)) => text::message(&error),
                        _ => "its definition is not in the store".to_owned(),
                    };
                    tracing::warn!(%organization, %workflow, version = current.version, why, "a deployed workflow cannot run");
                    known.problems = vec![Problem {
                        file: current.file.clone(),
                        hint: Some("deploy it again in a form that this version of bowline takes".to_owned()),
                        ..Problem::plain(why)
                    }];
                }
            }
        }
        self.deployments.change(|now| *now = table);
        Ok(())
    }
}

fn entry<T: Serialize>(parts: &[&str], value: &T) -> Result<Entry, HostError> {
    let value = serde_json::to_vec(value).map_err(|error| HostError::internal("deployment.unwritable", &error))?;
    Ok(Entry::new(SPACE, key(parts), value))
}

/// Reads what is deployed.
pub(crate) fn load(store: &dyn Store) -> Result<Table, HostError> {
    let mut table: Table = BTreeMap::new();
    let mut range = EntryRange {
        space: SPACE.into(),
        limit: PAGE,
        ..EntryRange::default()
    };
    loop {
        let page = store.entries(&range)?;
        let Some((last, _)) = page.last() else { break };
        range.after = Some(last.clone());
        for (key, value) in &page {
            let parts: Vec<&str> = key_parts(key).collect();
            let [organization, workflow, number] = parts.as_slice() else {
                return Err(unreadable(key, "its key has not three parts"));
            };
            let known: &mut Known = table.entry(((*organization).into(), (*workflow).into())).or_default();
            if *number == CURRENT {
                let current: Current = serde_json::from_slice(value).map_err(|error| unreadable(key, &error))?;
                known.current = Some(current.version).filter(|version| *version > 0);
                known.withdrawn = (current.version == 0).then_some(Withdrawn {
                    at: current.at,
                    by: current.by,
                });
            } else if *number == FOLDER {
                let read: FromFolder = serde_json::from_slice(value).map_err(|error| unreadable(key, &error))?;
                known.folder = Some(read.hash);
            } else {
                let deployment: Deployment = serde_json::from_slice(value).map_err(|error| unreadable(key, &error))?;
                known.current = Some(deployment.version);
                known.versions.push(deployment);
            }
        }
    }
    Ok(table)
}

fn unreadable(key: &str, why: impl std::fmt::Display) -> HostError {
    let key = key.replace('\0', "/");
    HostError::new(
        ErrorKind::Internal,
        "deployment.unreadable",
        format!("the stored deployment {key} cannot be read: {why}"),
    )
    .hint("restore the data folder from a backup, or run the version of bowline that wrote it")
}
