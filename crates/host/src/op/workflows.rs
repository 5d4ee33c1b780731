//! Workflows: deploying them, and what is deployed.

use std::collections::BTreeMap;
use std::path::Path;

use bowline_flow::{SHARED_FILE, Source, is_workflow_file};
use bowline_store::EntryWrite;

use crate::deploy::Broken;
use crate::{Deploy, Deployed, DeploymentSource, ErrorKind, Host, HostError, Problem, WorkflowSummary};

/// Files that are deployed together at most.
const FILES: usize = 500;
/// The longest name of a workflow, in bytes.
const LONGEST: usize = 200;

impl Host {
    /// Deploys files: all of them, or none where one has problems. The same content again is the same version.
    ///
    /// # Errors
    /// `workflow.invalid` with every problem; `deploy.files` where what is given are no workflows; `workflow.too-large`
    /// where they are more than one deployment may be; `workflow.changed`
    /// where the current version is not the expected one; `workflow.from-folder` where one of them is the folder's.
    pub async fn deploy(&self, organization: &str, deploy: Deploy) -> Result<Deployed, HostError> {
        refuse_files(&deploy.files)?;
        // No other organization waits for what takes time here.
        let (outcome, _building) = self.built(organization, deploy.files).await?;
        let problems: Vec<Problem> = outcome
            .broken
            .into_iter()
            .flat_map(|Broken { problems, .. }| problems)
            .collect();
        if !problems.is_empty() {
            let message = match problems.len() {
                1 => "nothing was deployed: there is a problem".to_owned(),
                more => format!("nothing was deployed: there are {more} problems"),
            };
            return Err(HostError::invalid("workflow.invalid", message).with(problems));
        }
        // Who only looks changes nothing that has to be numbered.
        let _deploying = if deploy.dry_run {
            None
        } else {
            Some(self.0.deploying.lock().await)
        };
        for built in &outcome.built {
            refuse_name(&built.plan.name)?;
            self.refuse_of_folder(organization, &built.plan.name, "deployed", "change the file")?;
        }
        if let Some(expected) = &deploy.expects {
            self.refuse_changed(organization, &outcome.built, expected)?;
        }
        let mut change = self.0.plan_change(
            organization,
            &outcome.built,
            DeploymentSource::Api,
            deploy.by.as_deref(),
        )?;
        let mut deployed = Deployed {
            deployments: std::mem::take(&mut change.deployments),
            unchanged: std::mem::take(&mut change.unchanged),
            dry_run: deploy.dry_run,
        };
        deployed
            .deployments
            .sort_by(|one, other| one.workflow.cmp(&other.workflow));
        if !deploy.dry_run {
            change.entries.extend(deploy.with);
            self.0.keep(change).await?;
        }
        Ok(deployed)
    }

    /// Takes a workflow out of use: nothing starts it any more, until it is deployed again. What runs goes on, and its
    /// executions and versions stay.
    ///
    /// # Errors
    /// `workflow.not-found`; `workflow.withdrawn` where somebody took it out of use before; `workflow.from-folder` where
    /// its file is in the folder of workflows.
    pub async fn withdraw(&self, organization: &str, name: &str, by: Option<&str>) -> Result<(), HostError> {
        self.withdraw_with(organization, name, by, Vec::new()).await
    }

    /// As [`Host::withdraw`], with entries that are written in the same commit.
    ///
    /// # Errors
    /// As there.
    pub async fn withdraw_with(
        &self,
        organization: &str,
        name: &str,
        by: Option<&str>,
        with: Vec<EntryWrite>,
    ) -> Result<(), HostError> {
        let _deploying = self.0.deploying.lock().await;
        self.refuse_of_folder(organization, name, "removed", "remove the file")?;
        let known = self.0.deployments.known(organization, name);
        // One whose file is gone keeps what it has from outside, until somebody says that it is not to come back.
        let is_there = known.is_some_and(|known| {
            let is_file_gone = known.withdrawn.is_some_and(|withdrawn| withdrawn.by.is_none());
            known.current.is_some() || is_file_gone
        });
        if !is_there {
            return Err(self.not_startable(organization, name));
        }
        // Without anybody it would be its file that is gone.
        let by = by.or(Some("somebody"));
        self.0.withdraw(organization, name, by, with).await
    }

    /// Two who change one workflow would undo each other's work, so the folder's are changed there only.
    fn refuse_of_folder(&self, organization: &str, name: &str, what: &str, instead: &str) -> Result<(), HostError> {
        let known = self.0.deployments.known(organization, name);
        let Some(file) = known.and_then(|known| known.in_folder) else {
            return Ok(());
        };
        let message = format!(
            "the workflow `{name}` cannot be {what} here: it is the file {file} in the server's folder of workflows"
        );
        let hint = format!("{instead}; the folder is watched");
        Err(HostError::new(ErrorKind::Conflict, "workflow.from-folder", message).hint(hint))
    }

    /// Every workflow in use, by name, with files of the folder that have problems.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn workflows(&self, organization: &str) -> Result<Vec<WorkflowSummary>, HostError> {
        let owner = organization.to_owned();
        let paused = self.read(move |store| store.paused_workflows(&owner)).await?;
        Ok(self.0.deployments.read(|table| {
            table
                .iter()
                .filter(|((owner, _), known)| {
                    let is_out = known.withdrawn.is_some() && known.problems.is_empty();
                    **owner == *organization && !is_out
                })
                .map(|((_, name), known)| {
                    self.summary(
                        organization,
                        name,
                        known,
                        paused.iter().any(|paused| **paused == **name),
                    )
                })
                .collect()
        }))
    }

    pub(crate) async fn some_workflow(&self, organization: &str, name: &str) -> Result<(), HostError> {
        if self.0.deployments.known(organization, name).is_some() {
            return Ok(());
        }
        // One that was run from a file has executions too.
        let (owner, wanted) = (organization.to_owned(), name.to_owned());
        let names = self.read(move |store| store.workflows(&owner)).await?;
        if names.contains(&wanted) {
            return Ok(());
        }
        Err(HostError::no_workflow(name))
    }

    /// What may be started by workflows that are deployed now.
    pub(crate) fn deployed(&self, organization: &str) -> BTreeMap<String, Source> {
        self.0.deployments.read(|table| {
            table
                .iter()
                .filter(|((owner, _), _)| **owner == *organization)
                .filter_map(|((_, name), known)| {
                    let active = known.active.as_ref()?;
                    Some((name.to_string(), active.plan.source.clone()))
                })
                .collect()
        })
    }

    fn refuse_changed(
        &self,
        organization: &str,
        built: &[crate::deploy::Built],
        expected: &str,
    ) -> Result<(), HostError> {
        let [only] = built else {
            return Err(HostError::invalid(
                "deploy.expects",
                "an expected version can be named for one workflow only",
            ));
        };
        let current = self.0.deployments.known(organization, &only.plan.name);
        let current = current.as_ref().and_then(|known| known.current());
        let hash = current.map_or("", |current| current.hash.as_str());
        if hash == expected {
            return Ok(());
        }
        let message = format!(
            "the workflow `{}` is no longer the version that was expected: somebody else has deployed it",
            only.plan.name
        );
        Err(HostError::new(ErrorKind::Conflict, "workflow.changed", message).hint("look at the current version first"))
    }
}

fn refuse_files(files: &[(String, String)]) -> Result<(), HostError> {
    let refuse = |message: String| Err(HostError::invalid("deploy.files", message));
    if !files.iter().any(|(name, _)| name != SHARED_FILE) {
        return refuse("there is no workflow among the files".to_owned());
    }
    if files.len() > FILES {
        return refuse(format!(
            "there are {} files; at most {FILES} are taken at once",
            files.len()
        ));
    }
    for (at, (name, _)) in files.iter().enumerate() {
        let is_flat = !name.contains(['/', '\\']) && !name.chars().any(char::is_control);
        if !is_flat || (name != SHARED_FILE && !is_workflow_file(Path::new(name))) {
            return refuse(format!(
                "`{name}` is not the name of a workflow file: it has to end in .yaml, .yml or .json, without a folder"
            ));
        }
        if files[..at].iter().any(|(other, _)| other == name) {
            return refuse(format!("the file `{name}` is there twice"));
        }
    }
    Ok(())
}

fn refuse_name(name: &str) -> Result<(), HostError> {
    if name.len() <= LONGEST && !name.contains('/') && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(HostError::invalid(
        "workflow.name",
        format!("the name of a workflow may have {LONGEST} bytes, no slash and no control characters"),
    ))
}
