//! What a running execution shows to those who ask: how its steps went, its variables, its errors.

use std::sync::Arc;

use bowline_core::Payload;
use bowline_expression::MASK;
use serde_json::{Map, Value, json};

use super::frame::Frame;
use super::walk::Run;

impl Run {
    /// Publishes `steps`, `variables` and `errors`. They are put together when somebody asks, and hold nothing
    /// secret. What a stretch of a loop did is seen once the stretch is done.
    pub(crate) fn show(&self, frame: &Arc<Frame>) {
        let recorder = Arc::clone(&self.recorder);
        let (frame, masker) = (Arc::clone(frame), self.runtime.masker.clone());
        let shown = move |value: Value| {
            let mut value = value;
            masker.scrub(&mut value);
            Payload::of(&value).unwrap_or_else(|_| Payload::null())
        };
        let (steps, errors) = (Arc::clone(&recorder), Arc::clone(&recorder));
        let show = shown.clone();
        self.context.publish_lazily("steps", move || {
            let reports = steps.steps();
            let all: Map<String, Value> = reports
                .iter()
                .map(|(id, report)| (id.clone(), report.to_value()))
                .collect();
            show(Value::Object(all))
        });
        let show = shown.clone();
        self.context
            .publish_lazily("errors", move || show(json!(errors.errors())));
        self.context.publish_lazily("variables", move || {
            let steps = recorder.steps();
            let names = frame.own_names();
            let variables = names
                .into_iter()
                .filter(|name| name != "input" && name != "callbacks" && !steps.contains_key(name));
            let values: Map<String, Value> = variables
                .filter_map(|name| {
                    let binding = frame.own(&name)?;
                    let value = if binding.secret {
                        json!(MASK)
                    } else {
                        Value::clone(&binding.value)
                    };
                    Some((name, value))
                })
                .collect();
            shown(Value::Object(values))
        });
    }
}
