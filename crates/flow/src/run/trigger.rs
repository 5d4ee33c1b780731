//! What triggers and callback endpoints say, evaluated: outside of any execution, before one starts.

use bowline_core::{ErrorKind, StepError};
use bowline_expression::{Binding, Limits, Moment, Rendered, Scope, Template};
use serde_json::{Map, Value, json};

use super::errors;
use super::runtime::Settings;
use crate::plan::{CallbackEndpoint, Heard, Location, Plan, Selected, Trigger};

/// `env`, `credentials`, and what came in.
struct Outside<'a> {
    settings: &'a Settings,
    local: Option<(&'static str, Binding)>,
}

impl<'a> Outside<'a> {
    fn alone(settings: &'a Settings) -> Self {
        Self { settings, local: None }
    }

    fn with(settings: &'a Settings, name: &'static str, value: &Value) -> Self {
        let local = Some((name, Binding::open(value.clone())));
        Self { settings, local }
    }

    fn render(&self, template: &Template, at: &Location, what: &str) -> Result<Rendered, StepError> {
        if let Some(constant) = template.constant() {
            return Ok(Rendered {
                value: constant.clone(),
                masked: constant.clone(),
                secrets: Vec::new(),
            });
        }
        let now = jiff::Timestamp::now();
        let moment = Moment {
            now_ms: now.as_millisecond(),
            seed: now.as_nanosecond().unsigned_abs() as u64,
            // Whoever sends something has it evaluated, as often as they like.
            limits: Limits::from_outside(),
        };
        template
            .render(self, &moment)
            .map_err(|error| of_field(errors::expression(&error, at, what), what))
    }

    fn condition(&self, template: &Template, at: &Location, what: &str) -> Result<bool, StepError> {
        match self.render(template, at, what)?.value {
            Value::Bool(value) => Ok(value),
            other => Err(of_field(errors::wrong(at, what, "true or false", &other), what)),
        }
    }

    /// What is kept as it is, and so cannot be secret.
    fn key(&self, template: &Template, at: &Location, what: &str) -> Result<String, StepError> {
        let rendered = self.render(template, at, what)?;
        if !rendered.secrets.is_empty() {
            let message = format!("{at}: {what}: this is made of a secret, and is stored as it is");
            return Err(of_field(StepError::permanent("expression.secret", message), what));
        }
        match rendered.value {
            Value::String(text) if !text.is_empty() => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(of_field(errors::wrong(at, what, "text or a number", &other), what)),
        }
    }

    fn text(&self, template: &Template, at: &Location, what: &str) -> Result<String, StepError> {
        match self.render(template, at, what)?.masked {
            Value::String(text) => Ok(text),
            other => Err(of_field(errors::wrong(at, what, "text", &other), what)),
        }
    }
}

/// An error that says in its data which field gave it.
fn of_field(error: StepError, field: &str) -> StepError {
    error.with_data(json!({ "field": field }))
}

impl Scope for Outside<'_> {
    fn get(&self, name: &str) -> Option<Binding> {
        match name {
            "env" => {
                let env = self.settings.env.iter();
                let env: Map<String, Value> = env.map(|(name, value)| (name.clone(), value.as_str().into())).collect();
                Some(Binding::secret(Value::Object(env)))
            }
            "credentials" => Some(Binding::secret(match &self.settings.credentials {
                Value::Null => json!({}),
                given => given.clone(),
            })),
            _ => self
                .local
                .as_ref()
                .filter(|(local, _)| *local == name)
                .map(|(_, binding)| binding.clone()),
        }
    }

    fn names(&self) -> Vec<String> {
        let local = self.local.iter().map(|(name, _)| (*name).to_owned());
        local.chain(["credentials".to_owned(), "env".to_owned()]).collect()
    }
}

impl Plan {
    /// The configuration of one of this plan's triggers, with its secrets in it: not for people to see.
    ///
    /// # Errors
    /// An expression that gives nothing, such as one of an environment variable that is not set; with its place.
    pub fn trigger_config(&self, trigger: &Trigger, settings: &Settings) -> Result<Value, StepError> {
        let config = Outside::alone(settings).render(&trigger.config, &trigger.location, "config")?;
        Ok(config.value)
    }

    /// The configuration of a callback endpoint, with its secrets in it.
    ///
    /// # Errors
    /// As [`trigger_config`](Self::trigger_config).
    pub fn endpoint_config(&self, endpoint: &CallbackEndpoint, settings: &Settings) -> Result<Value, StepError> {
        let config = Outside::alone(settings).render(&endpoint.config, &endpoint.location, "config")?;
        Ok(config.value)
    }
}

impl Trigger {
    /// Whether [`select`](Self::select) takes no time to speak of: its expressions, if there are any, are paths only. What
    /// is not so light does not belong on a thread that answers requests.
    #[must_use]
    pub fn is_light(&self) -> bool {
        let templates = [self.when.as_ref(), Some(&self.input), self.key.as_ref()];
        let mut expressions = templates.into_iter().flatten().flat_map(Template::expressions);
        expressions.all(|(_, _, expression)| expression.path().is_some())
    }

    /// What becomes of something that was heard of: `trigger` is what `when`, `input` and `key` read.
    ///
    /// # Errors
    /// An expression that gives nothing or something of the wrong type, and a `key` that is made of a secret; with its
    /// place, and with `when`, `input` or `key` as the `field` of its data.
    pub fn select(&self, settings: &Settings, trigger: &Value) -> Result<Selected, StepError> {
        let outside = Outside::with(settings, "trigger", trigger);
        if let Some(when) = &self.when
            && !outside.condition(when, &self.location, "when")?
        {
            return Ok(Selected::Filtered);
        }
        let key = match &self.key {
            Some(key) => Some(outside.key(key, &self.location, "key")?),
            None => None,
        };
        let input = outside.render(&self.input, &self.location, "input")?.masked;
        Ok(Selected::Start { input, key })
    }
}

impl CallbackEndpoint {
    /// What a call says: `callback` is what `correlate`, `success` and `failure` read.
    ///
    /// # Errors
    /// An expression that gives nothing or something of the wrong type, and a reference that is made of a secret;
    /// with its place.
    pub fn hear(&self, settings: &Settings, callback: &Value) -> Result<Heard, StepError> {
        let outside = Outside::with(settings, "callback", callback);
        let key = outside.key(&self.correlate, &self.location, "correlate")?;
        let succeeded = match &self.success {
            Some(success) => outside.condition(success, &self.location, "success")?,
            None => true,
        };
        if succeeded {
            return Ok(Heard { key, failure: None });
        }
        let mut code = "callback.unsuccessful".to_owned();
        let mut message = format!("a callback at `{}` does not meet its condition for success", self.name);
        if let Some(failure) = &self.failure {
            code = outside.text(&failure.error, &self.location, "failure.error")?;
            if let Some(template) = &failure.message {
                message = outside.text(template, &self.location, "failure.message")?;
            }
        }
        let body = callback.get("body").cloned().unwrap_or_default();
        let failure = StepError::new(code, ErrorKind::Permanent, message).with_data(json!({ "callback": body }));
        Ok(Heard {
            key,
            failure: Some(failure),
        })
    }
}
