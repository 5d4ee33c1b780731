//! What starts a workflow by itself, and the endpoints at which others answer it.

use bowline_expression::Template;

use super::Location;

/// One entry of `triggers`.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// Its `id`, else its type: `schedule`, and `schedule-2` where there are several. Unique in the workflow. What
    /// is recorded about the trigger is recorded under it.
    pub id: String,
    /// Where it stands.
    pub location: Location,
    /// What people wrote about it.
    pub description: Option<String>,
    /// The registered kind, such as `webhook-trigger`.
    pub kind: String,
    /// Its configuration. May read `env` and `credentials`; rendered by [`Plan::trigger_config`](super::Plan).
    pub config: Template,
    /// Nothing starts unless this is true.
    pub when: Option<Template>,
    /// The workflow's input: its own, or the kind's default. Like `when` and `key` it reads `trigger`, `env` and
    /// `credentials`.
    pub input: Template,
    /// What two deliveries of the same thing have in common, in place of what the source says.
    pub key: Option<Template>,
}

/// What becomes of something that a trigger has heard of.
#[derive(Clone, Debug, PartialEq)]
pub enum Selected {
    /// Its `when` is false: nothing starts.
    Filtered,
    /// The workflow is to start.
    Start {
        /// With this input; secrets are masked.
        input: serde_json::Value,
        /// The trigger's own `key`, where it has one.
        key: Option<String>,
    },
}

/// One entry of `callbacks` in the shared file: an endpoint whose calls find their executions by a reference.
#[derive(Clone, Debug)]
pub struct CallbackEndpoint {
    /// Its name, which is the channel: callbacks with `name:` of it wait here.
    pub name: String,
    /// Where it stands.
    pub location: Location,
    /// How it is called and by whom (`path`, `authentication` and so on), as registered with
    /// [`Registry::set_callback_endpoint`](bowline_connector::Registry::set_callback_endpoint). May read `env` and
    /// `credentials`.
    pub config: Template,
    /// The reference in what comes: text or a number. Like the others it reads `callback`, `env` and `credentials`.
    pub correlate: Template,
    /// Where it is false, the other side reports a failure.
    pub success: Option<Template>,
    /// How the step fails then. `None`: with `callback.unsuccessful`.
    pub failure: Option<EndpointFailure>,
}

/// The error that a callback reports.
#[derive(Clone, Debug)]
pub struct EndpointFailure {
    /// Its code: text.
    pub error: Template,
    /// Its message: text.
    pub message: Option<Template>,
}

/// What a call of a [`CallbackEndpoint`] says.
#[derive(Clone, Debug)]
pub struct Heard {
    /// The reference.
    pub key: String,
    /// The failure that it reports. `None`: it brings its body.
    pub failure: Option<bowline_core::StepError>,
}
