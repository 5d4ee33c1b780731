//! Connections of deployed workflows, and whether they work.

use std::sync::Arc;
use std::time::Duration;

use bowline_connector::{ConnectionEntry, StepError};
use bowline_flow::Bundle;
use bowline_flow::plan::ConnectionPlan;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::{Active, ConnectionReport, ConnectionView, ErrorKind, Host, HostError, names, text};

/// How long a test may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Fields of a configuration that tell where a connection leads.
const TARGETS: [&str; 4] = ["baseUrl", "host", "database", "url"];

impl Host {
    /// Every connection that the current versions of workflows declare. Shared connections that a workflow does not
    /// mention are left out.
    ///
    /// # Errors
    /// Where the host is stopping.
    pub async fn connections(&self, organization: &str) -> Result<Vec<ConnectionView>, HostError> {
        let active = self.0.deployments.active(Some(organization));
        let active = Arc::clone(&active.borrow());
        let host = self.clone();
        // Each one is rendered, which takes its time.
        tokio::task::spawn_blocking(move || active.iter().flat_map(|one| host.connections_of(one)).collect())
            .await
            .map_err(|error| HostError::task(&error))
    }

    fn connections_of(&self, active: &Active) -> Vec<ConnectionView> {
        let (plan, settings) = (&active.plan, &active.settings);
        plan.connections
            .iter()
            .filter(|(name, _)| plan.source.text.contains(name.as_str()))
            .map(|(name, connection)| ConnectionView {
                workflow: active.workflow.to_string(),
                name: name.clone(),
                kind: connection.kind.clone(),
                target: self.target(&active.organization, connection),
                missing: names::missing_of(connection, &settings.env, &settings.credentials)
                    .into_iter()
                    .collect(),
                testable: self
                    .0
                    .registry
                    .connection(&connection.kind)
                    .is_some_and(ConnectionEntry::is_testable),
            })
            .collect()
    }

    /// Tests a connection: whether the other side is reachable, and takes the credentials. Changes nothing there.
    ///
    /// # Errors
    /// `workflow.not-found`, `connection.not-found`; `connection.untestable` where its type has no test. What the test
    /// finds is no error but a report.
    pub async fn test_connection(
        &self,
        organization: &str,
        workflow: &str,
        name: &str,
    ) -> Result<ConnectionReport, HostError> {
        let active = self.active_of(organization, workflow)?;
        let connection = active.plan.connections.get(name).ok_or_else(|| {
            HostError::not_found(
                "connection.not-found",
                format!("the workflow `{workflow}` has no connection `{name}`"),
            )
        })?;
        let entry = self.0.registry.connection(&connection.kind);
        let untestable = || {
            HostError::new(
                ErrorKind::Refused,
                "connection.untestable",
                format!("connections of type `{}` cannot be tested", connection.kind),
            )
        };
        let entry = entry.filter(|entry| entry.is_testable()).ok_or_else(untestable)?;
        let folder = Bundle::from_content(&active.definition.content)
            .map_err(|error| HostError::internal("definition.unreadable", &error))?
            .folder;
        let began = Instant::now();
        let (runtime, plan, wanted) = (
            self.0.organizations.of(organization).runtime,
            active.plan.clone(),
            name.to_owned(),
        );
        // Building one may read files.
        let context = tokio::task::spawn_blocking(move || runtime.connection_context(&plan, &wanted, folder)).await;
        let tested = match context.map_err(|error| HostError::task(&error))? {
            Ok(context) => {
                let test = entry.test(context, name).ok_or_else(untestable)?;
                timeout(PATIENCE, test).await.unwrap_or_else(|_| {
                    Err(StepError::transient(
                        "connection.timeout",
                        format!("no answer within {} s", PATIENCE.as_secs()),
                    ))
                })
            }
            Err(error) => Err(error),
        };
        let took_ms = began.elapsed().as_millis() as u64;
        let masker = self.masker(organization);
        let clean = |text: &str| masker.scrub_text(text).into_owned();
        Ok(match tested {
            Ok(tested) => ConnectionReport {
                ok: tested.error.is_none(),
                reachable: tested.reachable,
                authenticated: tested.authenticated,
                message: clean(&tested.message),
                code: tested.error.map(|error| error.code),
                took_ms,
            },
            Err(error) => ConnectionReport {
                ok: false,
                reachable: false,
                authenticated: None,
                message: clean(&text::message(&error)),
                code: Some(error.code),
                took_ms,
            },
        })
    }

    /// Where a connection leads. What comes of `env` is a secret, and stays masked.
    fn target(&self, organization: &str, connection: &ConnectionPlan) -> Option<String> {
        let written = self
            .0
            .organizations
            .of(organization)
            .runtime
            .shown_connection(connection)?;
        let found = TARGETS
            .iter()
            .find_map(|field| written.get(field).and_then(Value::as_str))?;
        // What stands before an @ may be a password.
        let shown = match (found.split_once("://"), found.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, place))) => format!("{scheme}://{place}"),
            _ => found.to_owned(),
        };
        Some(self.masker(organization).scrub_text(&shown).into_owned())
    }
}
