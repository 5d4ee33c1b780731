//! Which finished executions are forgotten while this process runs: what `retention` of the workflows says.

use bowline_connector::Registry;
use bowline_engine::Retention;
use bowline_flow::Plan;
use bowline_store::{DEFAULT_ORGANIZATION, Store, StoreError};

use crate::programs;

/// The rules of all workflows that have executions in the store, each by its newest version, and of `current`, which is
/// about to run. What cannot be read keeps everything.
///
/// # Errors
/// Where the store cannot be read.
pub fn rules(store: &dyn Store, current: Option<&Plan>, registry: &Registry) -> Result<Vec<Retention>, StoreError> {
    let mut rules = Vec::from_iter(current.and_then(|plan| rule(DEFAULT_ORGANIZATION, plan)));
    for organization in store.organizations()? {
        for workflow in store.workflows(&organization)? {
            let is_current = organization == DEFAULT_ORGANIZATION && current.is_some_and(|plan| plan.name == workflow);
            let newest = store.definitions(&organization, &workflow)?.pop();
            let Some(newest) = newest.filter(|_| !is_current) else {
                continue;
            };
            // Most say nothing, and need not be parsed for that.
            let says_nothing = !String::from_utf8_lossy(&newest.content).contains("retention");
            if says_nothing {
                continue;
            }
            if let Ok((_, plan)) = programs::read(&newest, registry) {
                rules.extend(rule(&organization, &plan));
            }
        }
    }
    Ok(rules)
}

/// What a workflow says of itself; none where it keeps everything.
#[must_use]
pub fn rule(organization: &str, plan: &Plan) -> Option<Retention> {
    plan.retention.map(|retention| Retention {
        organization: Some(organization.into()),
        workflow: Some(plan.name.clone()),
        after: retention.after,
        keep: retention.keep,
    })
}
