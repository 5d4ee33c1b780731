//! How traces are sent.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Traces: a span for each execution and for each attempt of a step, sent over OTLP (HTTP, protobuf). Off unless there is
/// an `endpoint`. Executions belong to the trace of whoever started them (the header `traceparent`), and calls of
/// `http-request` carry it on, whether spans are sent or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Where spans are sent, such as `http://127.0.0.1:4318/v1/traces`. Default: nowhere.
    pub endpoint: Option<String>,
    /// Headers of every request to it, such as one with an API key. Secret.
    #[schemars(extend("writeOnly" = true))]
    pub headers: BTreeMap<String, String>,
    /// Which part of the executions that begin a trace of their own is sent, from 0 to 1. Those that belong to the trace
    /// of whoever started them follow that one.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
    /// The `service.name` of all spans.
    pub service_name: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            endpoint: None,
            headers: BTreeMap::new(),
            sample: 1.0,
            service_name: "bowline".to_owned(),
        }
    }
}

impl Config {
    /// Whether traces can be sent as this says.
    ///
    /// # Errors
    /// The endpoint is no address of HTTP, or `sample` is no part.
    pub fn check(&self) -> Result<(), TelemetryError> {
        if !(0.0..=1.0).contains(&self.sample) {
            return Err(TelemetryError::Sample(self.sample));
        }
        let Some(endpoint) = self.endpoint() else { return Ok(()) };
        let refused = |why: String| TelemetryError::Endpoint {
            endpoint: endpoint.to_owned(),
            why,
        };
        let url = url::Url::parse(endpoint).map_err(|error| refused(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(refused("it has to begin with http:// or https://".to_owned()));
        }
        Ok(())
    }

    /// Where spans are sent, if anywhere.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref().filter(|endpoint| !endpoint.is_empty())
    }
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The endpoint is no address.
    #[error("{endpoint:?} is not the address of an OTLP receiver, such as http://127.0.0.1:4318/v1/traces: {why}")]
    Endpoint {
        /// As it is configured.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
    /// The part that is sent is none.
    #[error("`sample` is {0}, and has to be from 0 to 1")]
    Sample(f64),
    /// The exporter refuses to be made.
    #[error("traces cannot be sent: {0}")]
    Exporter(String),
}
