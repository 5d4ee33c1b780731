//! Who may call which route. Every route is added together with its rule: one without a rule answers nobody.

use std::collections::HashMap;

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
pub use bowline_access::{Role, Scope};
use serde_json::Value;

use crate::App;

/// Who may call a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Everybody.
    Public,
    /// Who has at least this role, and this scope.
    Of {
        /// At least this role.
        role: Role,
        /// This scope.
        scope: Scope,
    },
}

/// What the guard knows of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guarded {
    /// Who may call it.
    pub rule: Rule,
    /// What it does, as the audit log says it.
    pub action: &'static str,
}

/// All routes: by method and path as it is registered.
pub type Rules = HashMap<(Method, String), Guarded>;

/// Routes while they are gathered, each with its rule.
#[derive(Default)]
pub struct Routes {
    pub(crate) router: Router<App>,
    pub(crate) rules: Rules,
}

impl Rule {
    /// At least this role, with this scope.
    pub const fn of(role: Role, scope: Scope) -> Self {
        Self::Of { role, scope }
    }

    /// Puts the rule into the description of a route.
    pub fn describe(&self, operation: &mut Value) {
        match self {
            Self::Public => operation["security"] = Value::Array(Vec::new()),
            Self::Of { role, scope } => {
                operation["x-bowline-role"] = role.name().into();
                operation["x-bowline-scope"] = scope.name().into();
            }
        }
    }

    /// The statuses with which the guard refuses.
    pub fn statuses(&self) -> &'static [u16] {
        match self {
            Self::Public => &[429],
            Self::Of { .. } => &[401, 403, 429],
        }
    }
}

impl Routes {
    /// No routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route. `action` is what it does, as the audit log says it, such as `cancelExecution`.
    #[must_use]
    pub fn route<H, T>(mut self, rule: Rule, action: &'static str, method: Method, path: &str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let Ok(filter) = MethodFilter::try_from(method.clone()) else {
            // Only a method that nobody has heard of; the table of routes is constant and tested.
            tracing::error!(%method, "no route can have this method");
            return self;
        };
        self.router = self.router.route(path, on(filter, handler));
        self.rules.insert((method, path.to_owned()), Guarded { rule, action });
        self
    }

    /// Adds other routes.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.rules.extend(other.rules);
        self
    }
}

/// What is known of the route that a request has come to.
pub(super) enum Known {
    /// This.
    Route(Guarded),
    /// The path has routes, and none for the method: the router says so.
    OtherMethod,
    /// Nothing: somebody forgot it.
    Nothing,
}

/// Looks a route up. What may be had with GET may be asked about with HEAD.
pub(super) fn find(rules: &Rules, method: &Method, path: &str) -> Known {
    let method = if *method == Method::HEAD { &Method::GET } else { method };
    if let Some(guarded) = rules.get(&(method.clone(), path.to_owned())) {
        return Known::Route(*guarded);
    }
    if rules.keys().any(|(_, other)| other == path) {
        Known::OtherMethod
    } else {
        Known::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_found_by_method_and_path() {
        let rule = Rule::of(Role::Viewer, Scope::Executions);
        let routes = Routes::new().route(rule, "see", Method::GET, "/x/{id}", async || "x");
        let found = |method: Method, path: &str| match find(&routes.rules, &method, path) {
            Known::Route(guarded) => guarded.action,
            Known::OtherMethod => "other method",
            Known::Nothing => "nothing",
        };
        assert_eq!(found(Method::GET, "/x/{id}"), "see");
        assert_eq!(found(Method::HEAD, "/x/{id}"), "see");
        assert_eq!(found(Method::POST, "/x/{id}"), "other method");
        assert_eq!(found(Method::GET, "/y"), "nothing");
    }
}
