//! Who asks.

use serde::Serialize;

use crate::{Denied, Role, Scope};

/// The organization of those who say nothing about one. It is always there.
pub const DEFAULT_ORGANIZATION: &str = "default";

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// By an API key.
    Key,
    /// By a JSON Web Token.
    Jwt,
    /// By a session that began with an API key.
    Session,
    /// By being on this machine, where nothing else is configured.
    Loopback,
}

/// Who asks, and what it may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Where it acts. Nothing of another organization exists for it.
    pub organization: String,
    /// Where it comes from: the organization of its key or token. Differs from `organization` only for those that
    /// may act in others.
    pub home: String,
    /// How much it may do.
    pub role: Role,
    /// What it may work with.
    pub scopes: Vec<Scope>,
    /// Who, for the audit log: the name of the key, or the subject of the token.
    pub name: String,
    /// How it proved who it is.
    pub kind: Kind,
    /// The id of its API key; none where it has none.
    pub key: Option<String>,
}

impl Caller {
    /// Whoever is on this machine, where no key was ever made and no tokens are configured.
    #[must_use]
    pub fn loopback() -> Self {
        Self {
            organization: DEFAULT_ORGANIZATION.to_owned(),
            home: DEFAULT_ORGANIZATION.to_owned(),
            role: Role::Admin,
            scopes: Scope::ALL.to_vec(),
            name: "loopback".to_owned(),
            kind: Kind::Loopback,
            key: None,
        }
    }

    /// Whether it may do what this role may, with this.
    ///
    /// # Errors
    /// [`Denied::Forbidden`] with what is missing.
    pub fn may(&self, role: Role, scope: Scope) -> Result<(), Denied> {
        if self.role < role {
            return Err(Denied::Forbidden(format!(
                "this needs the role {role}, and {} is {}",
                self.name, self.role
            )));
        }
        if !self.scopes.contains(&scope) {
            return Err(Denied::Forbidden(format!(
                "this needs the scope {scope}, which {} does not have",
                self.name
            )));
        }
        Ok(())
    }

    /// Whether a key that may do this much may be in its hands: it may do all of that itself. `organizations` passes only
    /// from somebody who may act in all of them, and only at home.
    ///
    /// # Errors
    /// [`Denied::Forbidden`] with what is missing.
    pub fn may_hold(&self, role: Role, scopes: &[Scope]) -> Result<(), Denied> {
        if self.role < role {
            return Err(Denied::Forbidden(format!(
                "a key with the role {role} is not for {}, which is {}",
                self.name, self.role
            )));
        }
        for scope in scopes {
            self.may(role, *scope)?;
        }
        if scopes.contains(&Scope::Organizations) && !(self.is_super_admin() && self.organization == self.home) {
            return Err(Denied::Forbidden(format!(
                "a key with the scope organizations is only for an admin of the organization `{DEFAULT_ORGANIZATION}` with \
                 that scope, there"
            )));
        }
        Ok(())
    }

    /// Whether it may work with organizations, and act in others: an admin of the default one with the scope.
    #[must_use]
    pub fn is_super_admin(&self) -> bool {
        self.role == Role::Admin && self.home == DEFAULT_ORGANIZATION && self.scopes.contains(&Scope::Organizations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_and_scope_are_both_needed() {
        let mut caller = Caller::loopback();
        caller.role = Role::Operator;
        caller.scopes = vec![Scope::Executions];
        assert_eq!(caller.may(Role::Viewer, Scope::Executions), Ok(()));
        assert_eq!(caller.may(Role::Operator, Scope::Executions), Ok(()));
        assert!(matches!(
            caller.may(Role::Deployer, Scope::Executions),
            Err(Denied::Forbidden(_))
        ));
        assert!(matches!(
            caller.may(Role::Viewer, Scope::Keys),
            Err(Denied::Forbidden(_))
        ));
        assert!(!caller.is_super_admin());
    }

    #[test]
    fn nobody_holds_a_key_that_may_do_more() {
        let all = Caller::loopback();
        assert_eq!(all.may_hold(Role::Admin, &Scope::ALL), Ok(()));
        let abroad = Caller {
            organization: "acme".into(),
            ..all.clone()
        };
        assert!(abroad.may_hold(Role::Admin, &[Scope::Organizations]).is_err());
        assert_eq!(abroad.may_hold(Role::Admin, &Scope::usual()), Ok(()));
        let usual = Caller {
            scopes: Scope::usual(),
            ..all.clone()
        };
        assert!(usual.may_hold(Role::Admin, &Scope::ALL).is_err());
        let few = Caller {
            scopes: vec![Scope::Keys],
            ..all.clone()
        };
        assert!(few.may_hold(Role::Viewer, &[Scope::Keys, Scope::Audit]).is_err());
        let low = Caller {
            role: Role::Operator,
            ..all
        };
        assert!(low.may_hold(Role::Deployer, &[]).is_err());
    }
}
