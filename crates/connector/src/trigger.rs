//! Kinds of triggers: what starts a workflow by itself, as the language knows it.
//!
//! The language checks `triggers:` of a document against what is registered here, as it checks a node's `config`
//! against its connector. What a trigger *does* is not here: a crate that brings triggers registers their kinds, and
//! runs them on the plans' triggers.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Registry;

/// A kind of trigger, such as `schedule`; or what a named callback endpoint of `bowline.yaml` is configured with.
#[derive(Clone, Copy, Debug)]
pub struct TriggerType {
    /// The `type:` that users write.
    pub name: &'static str,
    /// JSON Schema of `config:`, generated into the given generator.
    pub config_schema: fn(&mut SchemaGenerator) -> Schema,
    /// Whether a whole configuration deserializes; used when it holds no templates.
    pub check: fn(&Value) -> Result<(), serde_json::Error>,
    /// What else is wrong with a configuration that has the right form, such as a cron expression for a day that never
    /// comes. Templates in it are texts as they were written; a mistake in a field that holds one does not count.
    pub mistakes: fn(&Value) -> Vec<Mistake>,
    /// What only one trigger of a workflow can have, such as `POST /webhooks/orders`.
    pub claims: fn(&Value) -> Vec<String>,
    /// The workflow's input where the document says nothing: a template that reads `trigger`. Default `${trigger}`.
    pub input: &'static str,
    /// For people, in a sentence or two: when it starts the workflow.
    pub about: &'static str,
    /// For people: the fields that `trigger` has in `when`, `input` and `key`, each with what it is.
    pub fields: &'static [(&'static str, &'static str)],
}

/// Something that is wrong with a configuration, beyond its form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The field, as a dotted path in the configuration: `authentication.secret`. Empty: the configuration as a whole.
    pub field: String,
    /// What is wrong, as a sentence that names the field.
    pub message: String,
}

impl Mistake {
    /// A mistake in this field.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl TriggerType {
    /// A kind of trigger that is configured with a `C`.
    #[must_use]
    pub fn of<C: DeserializeOwned + JsonSchema + 'static>(name: &'static str) -> Self {
        Self {
            name,
            config_schema: |generator| C::json_schema(generator),
            check: |value| C::deserialize(value).map(drop),
            mistakes: |_| Vec::new(),
            claims: |_| Vec::new(),
            input: "${trigger}",
            about: "",
            fields: &[],
        }
    }

    /// With a look at what a schema cannot say.
    #[must_use]
    pub fn mistakes(mut self, mistakes: fn(&Value) -> Vec<Mistake>) -> Self {
        self.mistakes = mistakes;
        self
    }

    /// With what only one trigger of a workflow can have.
    #[must_use]
    pub fn claims(mut self, claims: fn(&Value) -> Vec<String>) -> Self {
        self.claims = claims;
        self
    }

    /// With another default for the workflow's input.
    #[must_use]
    pub fn input(mut self, template: &'static str) -> Self {
        self.input = template;
        self
    }

    /// With a description.
    #[must_use]
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// With the fields of `trigger`. A field that is not among them is a problem of the document; with none listed,
    /// any will do.
    #[must_use]
    pub fn fields(mut self, fields: &'static [(&'static str, &'static str)]) -> Self {
        self.fields = fields;
        self
    }
}

impl Registry {
    /// Adds a kind of trigger. A later one of the same name replaces it.
    pub fn add_trigger(&mut self, kind: TriggerType) {
        self.triggers.insert(kind.name, kind);
    }

    /// The kind of trigger called `name`.
    pub fn trigger(&self, name: &str) -> Option<&TriggerType> {
        self.triggers.get(name)
    }

    /// All kinds of triggers, by name.
    pub fn triggers(&self) -> impl Iterator<Item = &TriggerType> {
        self.triggers.values()
    }

    /// Says what a named callback endpoint is configured with, beside the language's own `correlate`, `success` and
    /// `failure`. Its `fields` are those of `callback`; its `input` is not used.
    pub fn set_callback_endpoint(&mut self, kind: TriggerType) {
        self.callback_endpoint = Some(kind);
    }

    /// What a named callback endpoint is configured with. `None`: anything is taken.
    pub fn callback_endpoint(&self) -> Option<&TriggerType> {
        self.callback_endpoint.as_ref()
    }
}
