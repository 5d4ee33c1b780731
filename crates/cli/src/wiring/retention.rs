//! Which finished executions are forgotten while this process runs: what `retention` of the workflows says.

use bowline_connector::Registry;
use bowline_engine::Retention;
use bowline_flow::Plan;
use bowline_store::{DEFAULT_ORGANIZATION, Store};

use super::programs;
use crate::exit::Result;

/// The rules of all workflows that have executions in the store, each by its newest version, and of `current`, which is
/// about to run. What cannot be read keeps everything.
pub(crate) fn rules(store: &dyn Store, current: Option<&Plan>, registry: &Registry) -> Result<Vec<Retention>> {
    let mut rules = Vec::from_iter(current.and_then(rule));
    for workflow in store.workflows(DEFAULT_ORGANIZATION)? {
        if current.is_some_and(|plan| plan.name == workflow) {
            continue;
        }
        let Some(newest) = store.definitions(DEFAULT_ORGANIZATION, &workflow)?.pop() else {
            continue;
        };
        // Most say nothing, and need not be parsed for that.
        let says_nothing = !String::from_utf8_lossy(&newest.content).contains("retention");
        if says_nothing {
            continue;
        }
        if let Ok((_, plan)) = programs::read(&newest, registry) {
            rules.extend(rule(&plan));
        }
    }
    Ok(rules)
}

fn rule(plan: &Plan) -> Option<Retention> {
    plan.retention.map(|retention| Retention {
        organization: Some(DEFAULT_ORGANIZATION.into()),
        workflow: Some(plan.name.clone()),
        after: retention.after,
        keep: retention.keep,
    })
}
