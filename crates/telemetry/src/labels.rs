//! The labels of figures.

use prometheus_client::encoding::EncodeLabelSet;

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Organization {
    pub(crate) organization: String,
}

/// A workflow of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Workflow {
    pub(crate) organization: String,
    pub(crate) workflow: String,
}

/// How executions of a workflow ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Ended {
    pub(crate) organization: String,
    pub(crate) workflow: String,
    pub(crate) status: &'static str,
}

/// How attempts of a connector ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Attempt {
    pub(crate) connector: &'static str,
    pub(crate) outcome: &'static str,
}

/// A connector.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Connector {
    pub(crate) connector: &'static str,
}

/// Requests of one route that had one status.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) route: String,
    pub(crate) status: u16,
}

/// Requests of one route.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) route: String,
}

/// Deliveries to an endpoint with one outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Delivery {
    pub(crate) organization: String,
    pub(crate) endpoint: String,
    pub(crate) outcome: String,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Schedule {
    pub(crate) organization: String,
    pub(crate) schedule: String,
}

/// A fate of due times.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Fired {
    pub(crate) organization: String,
    pub(crate) schedule: String,
    pub(crate) fate: String,
}

/// What became of spans.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Sent {
    pub(crate) outcome: &'static str,
}
