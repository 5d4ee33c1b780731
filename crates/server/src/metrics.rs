//! Figures for Prometheus: `/metrics`, and the counting of requests.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State as FromState};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use bowline_host::{DEFAULT_ORGANIZATION, Host};
use bowline_telemetry::{Figures, MEDIA_TYPE, Telemetry};

use crate::config::Config;
use crate::guard::{Caller, Role, Routes, Rule, Scope};
use crate::{App, ServeError, outside};

/// What a request counts as that no route takes: paths of others are not labels.
const UNMATCHED: &str = "unmatched";

/// What this part keeps.
#[derive(Default)]
pub struct State {
    /// What else of this process is counted.
    telemetry: OnceLock<Telemetry>,
    /// Where nothing is attached.
    own: Figures,
}

impl State {
    /// The state of a server that starts.
    ///
    /// # Errors
    /// None yet.
    pub fn new(_config: &Config, _host: &Host) -> Result<Self, ServeError> {
        Ok(Self::default())
    }

    /// Shows what this has gathered, too. It has to be told of commits and attempts, which begin before the server does:
    /// the host and the registry take it as an observer. Only the first one is taken.
    pub fn attach(&self, telemetry: &Telemetry) {
        // A second one would be another process's.
        let _ = self.telemetry.set(telemetry.clone());
    }

    fn figures(&self) -> &Figures {
        self.telemetry.get().map_or(&self.own, Telemetry::figures)
    }
}

/// Its routes.
pub fn routes() -> Routes {
    let rule = Rule::of(Role::Viewer, Scope::Metrics);
    Routes::new().route(rule, "getMetrics", Method::GET, "/metrics", show)
}

/// Counts every request of the router.
pub fn layer(router: Router<App>, app: &App) -> Router<App> {
    router.layer(from_fn_with_state(app.clone(), count))
}

async fn count(FromState(app): FromState<App>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let began = Instant::now();
    let response = next.run(request).await;
    let outside = response.extensions().get::<outside::Route>().map(|route| route.0);
    let route = route.as_ref().map(MatchedPath::as_str).or(outside).unwrap_or(UNMATCHED);
    let status = response.status().as_u16();
    app.metrics
        .figures()
        .requested(method.as_str(), route, status, began.elapsed());
    response
}

/// Those of another organization than the default one see what is theirs, and nothing of the process; those of the default
/// one that too, and figures of other organizations with the scope organizations only.
async fn show(FromState(app): FromState<App>, caller: Caller) -> Response {
    let figures = app.metrics.figures();
    for (count, number) in app.outside.counts() {
        figures.delivered(&count.organization, &count.endpoint, count.outcome, number);
    }
    for fired in app.triggers.schedules().fired() {
        let late = Duration::from_millis(fired.late_ms);
        figures.fired(
            &fired.organization,
            &fired.schedule,
            fired.fate.name(),
            fired.count,
            late,
        );
    }
    for (organization, taken) in app.host.engine().places() {
        figures.places(&organization, taken);
    }
    figures.now(app.host.engine().in_flight(), app.streams.count());
    let text = match caller.organization.as_str() {
        DEFAULT_ORGANIZATION if caller.scopes.contains(&Scope::Organizations) => figures.text(),
        DEFAULT_ORGANIZATION => without_others(&figures.text()),
        organization => figures.text_of(organization),
    };
    ([(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))], text).into_response()
}

/// Without the lines of other organizations than the default one. A quote within a label is escaped, so a name cannot look
/// like a label.
fn without_others(text: &str) -> String {
    let own = format!("organization=\"{DEFAULT_ORGANIZATION}\"");
    let stays = |line: &&str| line.starts_with('#') || !line.contains("organization=\"") || line.contains(&own);
    text.lines().filter(stays).flat_map(|line| [line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_are_left_out() {
        let text = "# TYPE a counter\na{organization=\"default\",workflow=\"x\"} 1\n\
                    a{organization=\"acme\",workflow=\"organization=\\\"default\\\"\"} 2\nprocess_threads 3\n# EOF\n";
        let left = without_others(text);
        assert!(left.contains("} 1\n") && left.contains("process_threads 3\n") && left.ends_with("# EOF\n"));
        assert!(!left.contains("acme"), "{left}");
    }
}
