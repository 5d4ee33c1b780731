//! Figures for Prometheus. Names and units follow its conventions; labels are bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bowline_connector::{AttemptOutcome, Attempted};
use bowline_core::{ErrorKind, Event, Outcome};
use bowline_engine::Committed;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::bounded::{Bounded, OTHER};
use crate::labels::{
    Attempt, Connector, Delivery, Ended, Fired, Organization, Request, Route, Schedule, Sent, Workflow,
};
use crate::process;

/// The media type of [`Figures::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of durations, in seconds.
const SECONDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];

type Seconds<L> = Family<L, Histogram, fn() -> Histogram>;

/// All figures. Clones are the same ones.
#[derive(Clone)]
pub struct Figures(Arc<Inner>);

struct Inner {
    registry: Registry,
    workflows: Bounded<(String, String)>,
    endpoints: Bounded<(String, String)>,
    schedules: Bounded<(String, String)>,
    started: Family<Workflow, Counter>,
    ended: Family<Ended, Counter>,
    commit: Histogram,
    attempts: Family<Attempt, Counter>,
    attempt_seconds: Seconds<Connector>,
    requests: Family<Request, Counter>,
    request_seconds: Seconds<Route>,
    deliveries: Family<Delivery, Counter>,
    fires: Family<Fired, Counter>,
    lateness: Family<Schedule, Counter<f64, AtomicU64>>,
    spans: Family<Sent, Counter>,
    organizations: Bounded<String>,
    places: Family<Organization, Gauge>,
    in_memory: Gauge,
    streams: Gauge,
    resident: Gauge,
    files: Gauge,
}

impl Default for Figures {
    fn default() -> Self {
        Self::new()
    }
}

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

impl Figures {
    /// All of them at nothing.
    #[must_use]
    pub fn new() -> Self {
        let mut inner = Inner {
            registry: Registry::default(),
            workflows: Bounded::default(),
            endpoints: Bounded::default(),
            schedules: Bounded::default(),
            started: Family::default(),
            ended: Family::default(),
            commit: histogram(),
            attempts: Family::default(),
            attempt_seconds: Family::new_with_constructor(histogram),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(histogram),
            deliveries: Family::default(),
            fires: Family::default(),
            lateness: Family::default(),
            spans: Family::default(),
            organizations: Bounded::default(),
            places: Family::default(),
            in_memory: Gauge::default(),
            streams: Gauge::default(),
            resident: Gauge::default(),
            files: Gauge::default(),
        };
        inner.register();
        Self(Arc::new(inner))
    }

    /// Requests of the HTTP server: `route` is the pattern of the path, never the path itself.
    pub fn requested(&self, method: &str, route: &str, status: u16, took: Duration) {
        const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or("other");
        let route = route.to_owned();
        let seconds = &self.0.request_seconds;
        let labels = Route { method, route };
        seconds.get_or_create(&labels).observe(took.as_secs_f64());
        let Route { method, route } = labels;
        self.0.requests.get_or_create(&Request { method, route, status }).inc();
    }

    /// How many requests at an endpoint from outside had an outcome so far.
    pub fn delivered(&self, organization: &str, endpoint: &str, outcome: &str, count: u64) {
        let place = (organization.to_owned(), endpoint.to_owned());
        if self.0.endpoints.has_room(place) {
            let labels = Delivery {
                organization: organization.to_owned(),
                endpoint: endpoint.to_owned(),
                outcome: outcome.to_owned(),
            };
            set(&self.0.deliveries.get_or_create(&labels), count);
        }
    }

    /// How many due times of a schedule had a fate so far, and how late all those together began that the clock started.
    pub fn fired(&self, organization: &str, schedule: &str, fate: &str, count: u64, late: Duration) {
        if !self
            .0
            .schedules
            .has_room((organization.to_owned(), schedule.to_owned()))
        {
            return;
        }
        let (organization, schedule) = (organization.to_owned(), schedule.to_owned());
        if !late.is_zero() {
            let labels = Schedule {
                organization: organization.clone(),
                schedule: schedule.clone(),
            };
            let counter = self.0.lateness.get_or_create(&labels);
            // The bits of numbers that are not negative are in their order.
            counter
                .inner()
                .fetch_max(late.as_secs_f64().to_bits(), Ordering::Relaxed);
        }
        let labels = Fired {
            organization,
            schedule,
            fate: fate.to_owned(),
        };
        set(&self.0.fires.get_or_create(&labels), count);
    }

    /// How many executions are in memory now, and how many readers follow events.
    pub fn now(&self, in_memory: usize, streams: usize) {
        self.0.in_memory.set(i64::try_from(in_memory).unwrap_or(i64::MAX));
        self.0.streams.set(i64::try_from(streams).unwrap_or(i64::MAX));
    }

    /// How many of the places in memory the executions of an organization take up now, without children.
    pub fn places(&self, organization: &str, taken: usize) {
        if self.0.organizations.has_room(organization.to_owned()) {
            let labels = Organization {
                organization: organization.to_owned(),
            };
            let taken = i64::try_from(taken).unwrap_or(i64::MAX);
            self.0.places.get_or_create(&labels).set(taken);
        }
    }

    /// All figures in the text form of OpenMetrics, which Prometheus reads: see [`MEDIA_TYPE`].
    #[must_use]
    pub fn text(&self) -> String {
        let number = |count: Option<u64>| i64::try_from(count.unwrap_or(0)).unwrap_or(i64::MAX);
        self.0.resident.set(number(process::resident_bytes()));
        self.0.files.set(number(process::open_files()));
        let mut text = String::new();
        // Writing to a text does not fail.
        if let Err(error) = encode(&mut text, &self.0.registry) {
            tracing::error!(%error, "the figures cannot be written");
        }
        text
    }

    /// Those that belong to one organization, in the same form.
    #[must_use]
    pub fn text_of(&self, organization: &str) -> String {
        let quoted = organization.replace('\\', "\\\\").replace('"', "\\\"");
        let own = format!("organization=\"{quoted}\"");
        let text = self.text();
        let is_own = |line: &&str| {
            let labels = line.split_once('{').map_or("", |(_, labels)| labels);
            line.starts_with('#')
                || labels
                    .split(',')
                    .any(|label| label.trim_end_matches(|c| c != '"') == own)
        };
        text.lines().filter(is_own).flat_map(|line| [line, "\n"]).collect()
    }

    pub(crate) fn spans(&self, outcome: &'static str, count: usize) {
        self.0.spans.get_or_create(&Sent { outcome }).inc_by(count as u64);
    }

    pub(crate) fn committed(&self, committed: &Committed<'_>) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = Duration::from_millis(u64::try_from(committed.at).unwrap_or(0));
        self.0.commit.observe(now.saturating_sub(at).as_secs_f64());
        for event in committed.events {
            match event {
                Event::Started { .. } => {
                    let (organization, workflow) = self.workflow(committed);
                    self.0.started.get_or_create(&Workflow { organization, workflow }).inc();
                }
                Event::Finished { outcome } => {
                    let status = match outcome {
                        Outcome::Succeeded(_) => "succeeded",
                        Outcome::Failed(_) => "failed",
                        Outcome::Cancelled(_) => "cancelled",
                    };
                    let (organization, workflow) = self.workflow(committed);
                    let labels = Ended {
                        organization,
                        workflow,
                        status,
                    };
                    self.0.ended.get_or_create(&labels).inc();
                }
                _ => {}
            }
        }
    }

    pub(crate) fn attempted(&self, attempt: &Attempted<'_>) {
        let connector = attempt.connector;
        let outcome = match attempt.outcome {
            AttemptOutcome::Succeeded => "succeeded",
            AttemptOutcome::GivenUp => "given-up",
            AttemptOutcome::Failed(error) => match error.kind {
                ErrorKind::Permanent => "permanent",
                ErrorKind::Transient | ErrorKind::After(_) => "transient",
                ErrorKind::OutcomeUnknown => "unknown",
                ErrorKind::Cancelled => "cancelled",
                ErrorKind::Timeout => "timeout",
            },
        };
        self.0.attempts.get_or_create(&Attempt { connector, outcome }).inc();
        let seconds = self.0.attempt_seconds.get_or_create(&Connector { connector });
        seconds.observe(attempt.took.as_secs_f64());
    }

    fn workflow(&self, committed: &Committed<'_>) -> (String, String) {
        let own = (committed.organization.to_owned(), committed.workflow.to_owned());
        if self.0.workflows.has_room(own.clone()) {
            own
        } else {
            (OTHER.to_owned(), OTHER.to_owned())
        }
    }
}

/// A counter that somebody else counts.
fn set(counter: &Counter, count: u64) {
    let inner: &AtomicU64 = counter.inner();
    inner.fetch_max(count, Ordering::Relaxed);
}

impl Inner {
    fn register(&mut self) {
        let registry = &mut self.registry;
        let executions = registry.sub_registry_with_prefix("bowline_executions");
        executions.register("started", "Executions that began", self.started.clone());
        executions.register("ended", "Executions that ended, by how", self.ended.clone());
        executions.register(
            "in_memory",
            "Executions in memory; those that wait are not",
            self.in_memory.clone(),
        );
        executions.register(
            "places",
            "Places in memory that an organization takes up, without children",
            self.places.clone(),
        );
        let bowline = registry.sub_registry_with_prefix("bowline");
        bowline.register_with_unit(
            "commit",
            "Time from an event until it was durable",
            Unit::Seconds,
            self.commit.clone(),
        );
        bowline.register(
            "step_attempts",
            "Attempts of steps that ended, by how",
            self.attempts.clone(),
        );
        bowline.register_with_unit(
            "step_attempt",
            "How long attempts of steps took",
            Unit::Seconds,
            self.attempt_seconds.clone(),
        );
        bowline.register("http_requests", "Requests that were answered", self.requests.clone());
        bowline.register_with_unit(
            "http_request",
            "How long it took until an answer began",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        bowline.register(
            "webhook_requests",
            "Requests at webhooks and callback endpoints, by what became of them",
            self.deliveries.clone(),
        );
        bowline.register(
            "schedule_fires",
            "Due times of schedules, by their fate; one that waits is buffered first",
            self.fires.clone(),
        );
        bowline.register_with_unit(
            "schedule_lateness",
            "How late executions that the clock started began, all together",
            Unit::Seconds,
            self.lateness.clone(),
        );
        bowline.register("event_streams", "Streams of events that are open", self.streams.clone());
        bowline.register("spans", "Spans of traces, by what became of them", self.spans.clone());
        let build = Family::<Vec<(&'static str, &'static str)>, Gauge>::default();
        build
            .get_or_create(&vec![("version", env!("CARGO_PKG_VERSION"))])
            .set(1);
        bowline.register("build_info", "Which version runs", build);
        let process = registry.sub_registry_with_prefix("process");
        process.register_with_unit("resident_memory", "Memory in use", Unit::Bytes, self.resident.clone());
        process.register("open_fds", "Open files and sockets", self.files.clone());
        let started: Gauge<f64, AtomicU64> = Gauge::default();
        started.set(process::now_seconds());
        process.register_with_unit(
            "start_time",
            "When the process began, since 1970",
            Unit::Seconds,
            started,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bowline_core::{Payload, StepError};

    fn committed<'a>(workflow: &'a str, events: &'a [Event]) -> Committed<'a> {
        Committed {
            id: "e",
            organization: "default",
            workflow,
            parent: None,
            at: 1,
            events,
        }
    }

    fn has(text: &str, line: &str) {
        assert!(text.lines().any(|own| own == line), "no {line}\n{text}");
    }

    #[test]
    fn what_was_done_is_counted() {
        let figures = Figures::new();
        let begun = [Event::Started {
            input: Payload::null(),
            origin: None,
            trace: None,
        }];
        let over = [Event::Finished {
            outcome: Outcome::Failed(StepError::permanent("a.b", "c")),
        }];
        figures.committed(&committed("order", &begun));
        figures.committed(&committed("order", &begun));
        figures.committed(&committed("order", &over));
        figures.requested("POST", "/api/v1/executions/{id}", 404, Duration::from_millis(3));
        figures.requested("BREW", "unmatched", 404, Duration::ZERO);
        figures.delivered("default", "orders", "started", 7);
        figures.fired("default", "order.nightly", "skipped", 2, Duration::ZERO);
        figures.fired("default", "order.nightly", "started", 3, Duration::from_millis(1500));
        figures.now(3, 4);
        let error = StepError::new("http.503", ErrorKind::Transient, "busy");
        figures.attempted(&Attempted {
            connector: "http-request",
            workflow: "order",
            execution: "e",
            path: "a",
            attempt: 1,
            trace: None,
            began: SystemTime::now(),
            took: Duration::from_millis(20),
            outcome: AttemptOutcome::Failed(&error),
        });
        let text = figures.text();
        for line in [
            r#"bowline_executions_started_total{organization="default",workflow="order"} 2"#,
            r#"bowline_executions_ended_total{organization="default",workflow="order",status="failed"} 1"#,
            "bowline_executions_in_memory 3",
            "bowline_event_streams 4",
            r#"bowline_step_attempts_total{connector="http-request",outcome="transient"} 1"#,
            r#"bowline_step_attempt_seconds_bucket{le="0.025",connector="http-request"} 1"#,
            r#"bowline_http_requests_total{method="POST",route="/api/v1/executions/{id}",status="404"} 1"#,
            r#"bowline_http_requests_total{method="other",route="unmatched",status="404"} 1"#,
            r#"bowline_webhook_requests_total{organization="default",endpoint="orders",outcome="started"} 7"#,
            r#"bowline_schedule_fires_total{organization="default",schedule="order.nightly",fate="skipped"} 2"#,
            r#"bowline_schedule_lateness_seconds_total{organization="default",schedule="order.nightly"} 1.5"#,
            "bowline_commit_seconds_count 3",
            "# EOF",
        ] {
            has(&text, line);
        }
        let theirs = figures.text_of("other");
        assert!(theirs.lines().all(|line| line.starts_with('#')), "{theirs}");
        assert!(theirs.ends_with("# EOF\n"));
        has(
            &figures.text_of("default"),
            r#"bowline_executions_started_total{organization="default",workflow="order"} 2"#,
        );
        assert!(text.contains("process_resident_memory_bytes ") && text.contains("bowline_build_info{"));
    }

    #[test]
    fn any_number_of_workflows_has_a_bounded_number_of_series() {
        let figures = Figures::new();
        let begun = [Event::Started {
            input: Payload::null(),
            origin: None,
            trace: None,
        }];
        for number in 0..1100 {
            figures.committed(&committed(&format!("w{number}"), &begun));
        }
        let text = figures.text();
        has(
            &text,
            r#"bowline_executions_started_total{organization="(other)",workflow="(other)"} 100"#,
        );
        let series = text
            .lines()
            .filter(|line| line.starts_with("bowline_executions_started_total"))
            .count();
        assert_eq!(series, 1001);
    }
}
