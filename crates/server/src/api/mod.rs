//! The API: one file for each resource. A handler reads the request, calls one operation of the host, and says how it
//! went.

mod actions;
mod approvals;
mod audit;
pub(crate) mod callbacks;
mod connections;
pub(crate) mod executions;
mod keys;
mod organizations;
mod schedules;
mod search;
mod version;
mod webhooks;
mod workflows;

use crate::problem::Problem;
use crate::route::Api;

/// The routes of the API.
pub fn routes() -> Api {
    let mut api = Api::default();
    workflows::add(&mut api);
    executions::add(&mut api);
    actions::add(&mut api);
    callbacks::add(&mut api);
    approvals::add(&mut api);
    connections::add(&mut api);
    keys::add(&mut api);
    organizations::add(&mut api);
    audit::add(&mut api);
    webhooks::add(&mut api);
    schedules::add(&mut api);
    version::add(&mut api);
    crate::docs::add(&mut api);
    api
}

/// A wish for the length of a page; 0, the operation's own default, where there is none.
fn limit(wish: Option<usize>) -> Result<usize, Problem> {
    match wish {
        Some(limit) if !(1..=500).contains(&limit) => {
            Err(Problem::invalid(format!("`limit` is {limit}; write 1 to 500")))
        }
        wish => Ok(wish.unwrap_or_default()),
    }
}
