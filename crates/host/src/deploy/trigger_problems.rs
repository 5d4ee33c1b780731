//! What is wrong with the triggers of deployed workflows while they run: told by those who run them, and shown with the
//! workflows.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use bowline_store::DEFAULT_ORGANIZATION;

use crate::{Host, Problem, names, organizations};

/// An organization and its workflow.
type OfWorkflow = (Arc<str>, Arc<str>);

/// By workflow, then by who says so.
type Notes = BTreeMap<OfWorkflow, BTreeMap<Arc<str>, Vec<Problem>>>;

/// Problems of triggers at work, of all organizations.
#[derive(Default)]
pub(crate) struct TriggerProblems(RwLock<Notes>);

impl TriggerProblems {
    /// What is wrong with the triggers of a workflow, by the names of those who say so.
    pub(crate) fn of(&self, organization: &str, workflow: &str) -> Vec<Problem> {
        let notes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let found = notes.get(&(organization.into(), workflow.into()));
        found
            .into_iter()
            .flat_map(BTreeMap::values)
            .flatten()
            .cloned()
            .collect()
    }

    /// Changes the notes. Whether they are different now.
    fn change(&self, change: impl FnOnce(&mut Notes)) -> bool {
        let mut notes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = notes.clone();
        change(&mut notes);
        notes.retain(|_, by| {
            by.retain(|_, problems| !problems.is_empty());
            !by.is_empty()
        });
        *notes != before
    }
}

impl Host {
    /// What keeps triggers of a workflow from working at the moment.
    #[must_use]
    pub fn trigger_problems(&self, organization: &str, workflow: &str) -> Vec<Problem> {
        self.0.trigger_problems.of(organization, workflow)
    }

    /// Says what keeps triggers of a workflow from working, such as a secret that is missing or a path that is taken.
    /// Replaces what the same `source` said before of the same workflow; with no problems it is forgotten. Shown with the
    /// workflow, to everybody who may see it: no secrets, no names of the server's own environment variables.
    ///
    /// `source` tells apart those who speak of one workflow, such as `webhooks` or `trigger:nightly`.
    pub fn note_trigger_problems(&self, organization: &str, workflow: &str, source: &str, problems: Vec<Problem>) {
        let problems = self.hinted(organization, workflow, problems);
        let changed = self.0.trigger_problems.change(|notes| {
            let by = notes.entry((organization.into(), workflow.into())).or_default();
            by.insert(source.into(), problems);
        });
        if changed {
            self.0.deployments.touch();
        }
    }

    /// As [`Host::note_trigger_problems`], for all workflows at once: what `source` said of any that is not in `all` is
    /// forgotten. For those who look at everything anew whenever something changes.
    pub fn set_trigger_problems(&self, source: &str, all: Vec<(OfWorkflow, Vec<Problem>)>) {
        let all = all.into_iter().map(|(workflow, problems)| {
            let problems = self.hinted(&workflow.0, &workflow.1, problems);
            (workflow, problems)
        });
        let all: Vec<_> = all.collect();
        let changed = self.0.trigger_problems.change(|notes| {
            for by in notes.values_mut() {
                by.remove(source);
            }
            for (workflow, problems) in all {
                let by = notes.entry(workflow).or_default();
                by.entry(source.into()).or_default().extend(problems);
            }
        });
        if changed {
            self.0.deployments.touch();
        }
    }

    /// With how an organization is given what a trigger lacks: its variables have other names outside.
    fn hinted(&self, organization: &str, workflow: &str, mut problems: Vec<Problem>) -> Vec<Problem> {
        let is_of_trigger = |problem: &Problem| problem.hint.is_none() && !problem.path.is_empty();
        if organization == DEFAULT_ORGANIZATION || !problems.iter().any(is_of_trigger) {
            return problems;
        }
        let Some(active) = self.0.deployments.current(organization, workflow) else {
            return problems;
        };
        let settings = &active.settings;
        for problem in problems.iter_mut().filter(|problem| is_of_trigger(problem)) {
            let mut triggers = active.plan.triggers.iter();
            let Some(trigger) = triggers.find(|trigger| trigger.location.path == problem.path) else {
                continue;
            };
            let missing = names::missing_of_trigger(trigger, &settings.env, &settings.credentials);
            if !missing.is_empty() {
                problem.hint = Some(organizations::lacks(organization, &missing));
            }
        }
        problems
    }
}
