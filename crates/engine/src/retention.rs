//! Forgetting finished executions, by age and by count, while everything else goes on.

use std::sync::Arc;
use std::time::Duration;

use bowline_store::{ExecNo, ExecutionRow, StoreError, Write};

use crate::engine::{Engine, EngineError};
use crate::env::Env;

/// Records that one commit deletes at most, so that no other commit waits for long.
const SLICE: u32 = 2000;
/// Executions that are looked up at once.
const PAGE: usize = 200;
/// Executions whose deletion one commit begins.
const TOGETHER: usize = 20;
/// Pages that one commit gives back at most.
const PAGES: u32 = 2000;

/// Which finished executions of a workflow are kept. With both bounds, what either of them lets go is forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Whose workflows; none means those of every organization.
    pub organization: Option<String>,
    /// The workflow; none means every one that has no rule of its own.
    pub workflow: Option<String>,
    /// Those that ended longer ago than this are forgotten; none keeps them however old they are.
    pub after: Option<Duration>,
    /// All but so many, those that ended last, are forgotten; none keeps them however many there are.
    pub keep: Option<usize>,
}

impl Retention {
    /// Whether it is a rule for this workflow alone.
    fn is_for(&self, organization: &str, workflow: &str) -> bool {
        self.workflow.as_deref() == Some(workflow)
            && self.organization.as_deref().is_none_or(|owner| owner == organization)
    }
}

impl Engine {
    /// Forgets finished executions as the rule says: rows, journals, callbacks, keys, and what they refer to. How
    /// many those are; with `dry_run` nothing is forgotten. Gives the space back.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn prune(&self, rule: &Retention, dry_run: bool) -> Result<usize, EngineError> {
        let count = self.env.prune(rule, &[], dry_run).await?;
        if !dry_run {
            self.env.give_back().await?;
        }
        Ok(count)
    }
}

impl Engine {
    /// Forgets one finished execution: its row, journal, callbacks, key, and what it refers to.
    ///
    /// # Errors
    /// [`EngineError::Unknown`] where it does not exist; [`EngineError::NotResumable`] with the reason where it has not
    /// ended, or its parent has not and may still ask how it ended.
    pub async fn delete(&self, id: &str) -> Result<(), EngineError> {
        let refuse = |why: &str| EngineError::NotResumable {
            id: id.to_owned(),
            why: why.to_owned(),
        };
        let row = self.env.row(id).await?;
        if !row.status.is_finished() {
            return Err(refuse("it has not ended"));
        }
        let exec = row.exec;
        if self.env.without_awaited(vec![row]).await?.is_empty() {
            return Err(refuse("the execution that started it has not ended"));
        }
        self.env.inbox.write(vec![slice(exec, SLICE)]).await?;
        self.env.finish_deleting().await
    }
}

impl Env {
    /// Applies all rules of the options once, and gives space back.
    pub(crate) async fn retain(self: &Arc<Self>) -> Result<(), EngineError> {
        // What a crash left in the middle.
        self.finish_deleting().await?;
        let rules = &self.options.retention;
        let own: Vec<_> = rules.iter().filter(|rule| rule.workflow.is_some()).cloned().collect();
        let mut count = 0;
        for rule in rules {
            count += self.prune(rule, &own, false).await?;
        }
        if count > 0 {
            tracing::info!(count, "finished executions were forgotten");
        }
        self.give_back().await
    }

    /// `own` are rules for single workflows, which a rule for all leaves alone.
    pub(crate) async fn prune(
        self: &Arc<Self>,
        rule: &Retention,
        own: &[Retention],
        dry_run: bool,
    ) -> Result<usize, EngineError> {
        let organizations = match &rule.organization {
            Some(organization) => vec![organization.clone()],
            None => self.blocking(|env| env.store.organizations()).await??,
        };
        let mut count = 0;
        for organization in organizations {
            let workflows = if let Some(workflow) = &rule.workflow {
                vec![workflow.clone()]
            } else {
                let owner = organization.clone();
                let mut all = self.blocking(move |env| env.store.workflows(&owner)).await??;
                all.retain(|workflow| !own.iter().any(|rule| rule.is_for(&organization, workflow)));
                all
            };
            for workflow in workflows {
                count += self.prune_one(&organization, &workflow, rule, dry_run).await?;
            }
        }
        Ok(count)
    }

    async fn prune_one(
        self: &Arc<Self>,
        organization: &str,
        workflow: &str,
        rule: &Retention,
        dry_run: bool,
    ) -> Result<usize, EngineError> {
        let by_age = rule.after.map(|after| {
            let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
            self.options.clock.now().saturating_sub(after)
        });
        let by_count = match rule.keep {
            Some(keep) => {
                let (owner, name) = (organization.to_owned(), workflow.to_owned());
                self.blocking(move |env| env.store.kept_from(&owner, &name, keep))
                    .await??
            }
            None => None,
        };
        let Some(before) = by_age.max(by_count) else {
            return Ok(0);
        };
        let (mut count, mut before_this) = (0, None);
        loop {
            let (owner, name) = (organization.to_owned(), workflow.to_owned());
            let limit = if dry_run { usize::MAX } else { PAGE };
            let page = self
                .blocking(move |env| env.store.finished(&owner, &name, before, limit))
                .await??;
            // A parent that has not heard of the end of its child would start it again.
            let page = self.without_awaited(page).await?;
            count += page.len();
            if dry_run || page.is_empty() {
                return Ok(count);
            }
            let first = page.first().map(|row| row.exec);
            if first == before_this {
                // It could not be deleted; the next round tries again.
                return Ok(count - page.len());
            }
            before_this = first;
            for some in page.chunks(TOGETHER) {
                let slices = some.iter().map(|row| slice(row.exec, SLICE / TOGETHER as u32));
                match self.inbox.write(slices.collect()).await {
                    // One of them was taken up again meanwhile: the next round leaves it out.
                    Ok(()) | Err(EngineError::Store(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            self.finish_deleting().await?;
        }
    }

    /// Finished executions whose parent, if they have one, has finished too.
    async fn without_awaited(self: &Arc<Self>, page: Vec<ExecutionRow>) -> Result<Vec<ExecutionRow>, EngineError> {
        let kept = self
            .blocking(move |env| {
                let mut kept = Vec::with_capacity(page.len());
                for row in page {
                    let parent = row.parent.as_deref().map(|id| env.store.execution(id)).transpose()?;
                    if parent.flatten().is_none_or(|parent| parent.status.is_finished()) {
                        kept.push(row);
                    }
                }
                Ok::<_, StoreError>(kept)
            })
            .await??;
        Ok(kept)
    }

    /// Deletes what is left of executions whose rows are gone.
    async fn finish_deleting(self: &Arc<Self>) -> Result<(), EngineError> {
        loop {
            let left = self.blocking(|env| env.store.deleting(PAGE)).await??;
            if left.is_empty() {
                return Ok(());
            }
            for exec in left {
                self.inbox.write(vec![slice(exec, SLICE)]).await?;
            }
        }
    }

    /// Gives free pages back to the system, some at a time.
    pub(crate) async fn give_back(self: &Arc<Self>) -> Result<(), EngineError> {
        loop {
            let found = self.blocking(|env| env.store.housekeeping()).await??;
            // A little room is used again sooner than it is given back.
            if found.free_bytes <= found.total_bytes / 8 {
                return Ok(());
            }
            self.inbox.write(vec![Write::Shrink { pages: PAGES }]).await?;
            let after = self.blocking(|env| env.store.housekeeping()).await??;
            if after.free_bytes >= found.free_bytes {
                return Ok(());
            }
        }
    }
}

fn slice(exec: ExecNo, at_most: u32) -> Write {
    Write::DeleteSlice { exec, at_most }
}
