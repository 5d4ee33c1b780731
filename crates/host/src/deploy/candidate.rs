//! What deploying files would change, before it is done.

use super::build::Outcome;
use super::look::difference;
use super::{Broken, build, refuse_large};
use tokio::sync::OwnedMutexGuard;

use crate::{Candidate, Host, HostError, Problem};

impl Host {
    /// What these files come to for an organization, one set of files at a time. Whoever keeps it holds what comes with it
    /// until it is kept.
    pub(crate) async fn built(
        &self,
        organization: &str,
        files: Vec<(String, String)>,
    ) -> Result<(Outcome, OwnedMutexGuard<()>), HostError> {
        let building = self.0.deployments.building(organization).await;
        let (host, owner) = (self.clone(), organization.to_owned());
        // The thread goes on where nobody waits for it any more, so it is the thread that lets the next one begin.
        let work = move || {
            // Relative paths in workflows lead here, and nowhere else.
            let folder = host.0.organizations.folder(&owner);
            let folder = folder.map_err(|error| HostError::internal("deploy.folder", &error))?;
            let others = host.deployed(&owner);
            refuse_large(&files, &others)?;
            Ok((build(&files, &others, &folder, &host.0.registry), building))
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|error| HostError::task(&error))?
    }

    /// What the workflows in these files would be, compared with what runs now. Nothing is kept.
    ///
    /// # Errors
    /// `workflow.invalid` with every problem; `workflow.too-large`; `definition.refused` where this program can no longer read what runs now.
    pub async fn candidates(
        &self,
        organization: &str,
        files: Vec<(String, String)>,
    ) -> Result<Vec<Candidate>, HostError> {
        let (outcome, _) = self.built(organization, files).await?;
        let wrong = outcome.broken.into_iter().flat_map(|Broken { problems, .. }| problems);
        let wrong: Vec<Problem> = wrong.collect();
        if !wrong.is_empty() {
            return Err(HostError::invalid("workflow.invalid", "the files have problems").with(wrong));
        }
        let mut candidates = Vec::new();
        for built in &outcome.built {
            let name = &built.plan.name;
            let known = self.0.deployments.known(organization, name).unwrap_or_default();
            let next = known.versions.last().map_or(1, |last| last.version + 1);
            let again = known
                .versions
                .iter()
                .find(|version| version.hash == built.definition.hash);
            let version = again.map_or(next, |again| again.version);
            let current = known.current().map(|current| current.version);
            let changes = match current.filter(|current| *current != version) {
                Some(current) => {
                    let (_, old) = self.version(organization, name, current).await?;
                    Some(difference(name, (current, &old), (version, &built.plan)))
                }
                None => None,
            };
            candidates.push(Candidate {
                workflow: name.clone(),
                description: built.plan.description.clone(),
                current,
                current_hash: known.current().map(|current| current.hash.clone()),
                version,
                changes,
            });
        }
        Ok(candidates)
    }
}
