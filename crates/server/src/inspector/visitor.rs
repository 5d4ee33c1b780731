//! Who looks at the inspector, with what pages need to know of them. That they may is the guard's to say.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use bowline_access::Kind;
use bowline_inspector::{Frame, Notice};

use super::said;
use crate::App;
use crate::guard::{Caller, FormToken, Role};
use crate::problem::Problem;

/// Who is there.
pub(super) struct Visitor {
    caller: Caller,
    token: FormToken,
    /// What the page is to say has been done.
    done: Option<String>,
}

impl Visitor {
    /// Their organization.
    pub(super) fn organization(&self) -> &str {
        &self.caller.organization
    }

    /// Who they are.
    pub(super) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Their name, as the audit log has it.
    pub(super) fn name(&self) -> &str {
        &self.caller.name
    }

    /// Refuses a form that did not come from a page of this visitor.
    pub(super) fn check(&self, token: &str) -> Result<(), Problem> {
        self.token.check(token)
    }

    /// What is around their pages.
    pub(super) fn frame(&self) -> Frame {
        Frame {
            organization: self.caller.organization.clone(),
            who: self.caller.name.clone(),
            can_leave: self.caller.kind == Kind::Session,
            home: self.caller.is_super_admin().then(|| self.caller.home.clone()),
            token: self.token.value().to_owned(),
            // Without one a form sent twice does its work twice; that is no reason to show no page.
            once: bowline_access::random_text().unwrap_or_default(),
            may_operate: self.caller.role >= Role::Operator,
            may_deploy: self.caller.role >= Role::Deployer,
            notice: self
                .done
                .as_deref()
                .and_then(said::text)
                .map(|text| Notice::Good(text.to_owned())),
            approvals: 0,
        }
    }
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Self {
            caller: Caller::from_request_parts(parts, app).await?,
            token: FormToken::from_request_parts(parts, app).await?,
            done: done(parts.uri.query().unwrap_or_default()),
        })
    }
}

fn done(query: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .find(|(name, _)| *name == "done")
        .map(|(_, value)| value.to_owned())
}
