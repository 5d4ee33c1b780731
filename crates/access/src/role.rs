//! What a caller may do: a role says how much, scopes say with what.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much a caller may do. Each role may do all that those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Looks at everything, changes nothing.
    Viewer,
    /// Starts, cancels, pauses and answers executions; runs and pauses schedules.
    Operator,
    /// Deploys workflows, and writes schedules.
    Deployer,
    /// Makes and revokes keys, reads the audit log.
    Admin,
}

/// What a caller may work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Workflows: their versions, graphs, deployments.
    Workflows,
    /// Executions: starting, searching, looking, steering.
    Executions,
    /// Open callbacks and kept answers.
    Callbacks,
    /// Approvals.
    Approvals,
    /// Schedules and their fires.
    Schedules,
    /// Webhook endpoints and their deliveries.
    Webhooks,
    /// Connections and their tests.
    Connections,
    /// API keys.
    Keys,
    /// The audit log.
    Audit,
    /// Figures about the server.
    Metrics,
    /// Organizations, and acting in another one. Nobody has it who was not given it by name.
    Organizations,
}

impl Role {
    /// All roles, the least first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Deployer, Self::Admin];

    /// Its name, as it is written in configurations and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Deployer => "deployer",
            Self::Admin => "admin",
        }
    }
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 11] = [
        Self::Workflows,
        Self::Executions,
        Self::Callbacks,
        Self::Approvals,
        Self::Schedules,
        Self::Webhooks,
        Self::Connections,
        Self::Keys,
        Self::Audit,
        Self::Metrics,
        Self::Organizations,
    ];

    /// Its name, as it is written in configurations and documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Workflows => "workflows",
            Self::Executions => "executions",
            Self::Callbacks => "callbacks",
            Self::Approvals => "approvals",
            Self::Schedules => "schedules",
            Self::Webhooks => "webhooks",
            Self::Connections => "connections",
            Self::Keys => "keys",
            Self::Audit => "audit",
            Self::Metrics => "metrics",
            Self::Organizations => "organizations",
        }
    }

    /// What a caller has where nothing is said about scopes: all but [`Scope::Organizations`].
    #[must_use]
    pub fn usual() -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|scope| *scope != Self::Organizations)
            .collect()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| {
            format!(
                "`{text}` is not a role; expected one of: {}",
                Self::ALL.map(Self::name).join(", ")
            )
        })
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|scope| scope.name() == text).ok_or_else(|| {
            format!(
                "`{text}` is not a scope; expected one of: {}",
                Self::ALL.map(Self::name).join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json_and_are_read_back() {
        for role in Role::ALL {
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
            assert_eq!(role.name().parse(), Ok(role));
        }
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.name());
            assert_eq!(scope.name().parse(), Ok(scope));
        }
        assert!("owner".parse::<Role>().unwrap_err().contains("viewer, operator"));
    }

    #[test]
    fn roles_are_ordered() {
        assert!(Role::ALL.is_sorted());
        assert!(!Scope::usual().contains(&Scope::Organizations));
    }
}
