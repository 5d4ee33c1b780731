//! Waiting for the world: callbacks, events, signals, approvals; and telling it: `emit`.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bowline_core::{Branches, CallbackOptions, Context, ErrorKind, Filter, Payload, StepError};
use bowline_expression::{Binding, Moment, Scope as _, Template};
use serde_json::{Value, json};

use super::misfit::{self, Misfit};
use super::walk::{Flow, Names, Scope, parse, payload};
use super::{errors, parallel};
use crate::plan::{Approve, Awaited, CallbackPlan, Emit, Step, StepKind, WaitFor, Within};

/// The name of a node's callback below the node's own path: what undoes the node forgets its callback too.
pub(crate) const CALLBACK: &str = "callback";

/// How a token begins, and how many characters it has at least after that.
const TOKEN: (&str, usize) = ("bw_", 30);

impl Scope {
    /// Where the next callback of a name answers: `{token, url}`.
    fn address(&self, context: &Context, name: &str) -> Value {
        let token = context.callback_token(name);
        let url = format!("{}/callbacks/{token}", self.run.runtime.public_url);
        json!({ "token": token, "url": url })
    }

    /// What `callback` stands for in the `config` of the node that is called `name`: `{token, url}`, and the address of
    /// the endpoint of its channel where there is one.
    pub(crate) fn node_address(&self, name: &str, plan: &CallbackPlan) -> Result<Binding, StepError> {
        let mut address = self.address(&self.context.scope(name), CALLBACK);
        if let Some(endpoint) = self.run.plan.callbacks.get(&plan.channel) {
            let runtime = &self.run.runtime;
            let moment = Moment {
                limits: runtime.limits.clone(),
                ..Moment::default()
            };
            let config = endpoint.config.render(runtime.as_ref(), &moment);
            let config = config.map_err(|error| errors::expression(&error, &endpoint.location, "config"))?;
            let path = match config.masked.get("path").and_then(Value::as_str) {
                Some(path) => path.to_owned(),
                None => format!("/callbacks/{}", endpoint.name),
            };
            address["endpoint"] = json!(format!("{}{}{path}", runtime.public_url, runtime.place));
        }
        Ok(Binding::open(address))
    }

    /// Gives the callbacks that stand alone in a list of steps their place in `callbacks`, before any of the
    /// steps runs: those before them hand the addresses out.
    pub(crate) fn tell_addresses(&self, steps: &[Step]) {
        let is_one = |step: &Step| matches!(step.kind, StepKind::Callback(_) | StepKind::Approve(_));
        if !steps.iter().any(is_one) || !self.run.facts.is_read("callbacks") {
            return;
        }
        for step in steps {
            let address = match &step.kind {
                StepKind::Callback(_) => self.address(&self.context, &step.id),
                StepKind::Approve(approve) => match approve.quorum {
                    Some(quorum) => {
                        let inner = self.context.scope(&step.id);
                        let each = (1..=quorum.of).map(|number| self.address(&inner, &number.to_string()));
                        json!({ "each": each.collect::<Vec<_>>() })
                    }
                    None => self.address(&self.context, &step.id),
                },
                _ => continue,
            };
            self.frame
                .set_path(&["callbacks".to_owned(), step.id.clone()], address, false);
        }
    }

    /// `callback` as a step of its own.
    pub(crate) async fn callback_step(&self, step: &Step, callback: &CallbackPlan) -> Result<Flow, StepError> {
        let result = self.callback(step, &self.context, &step.id, callback, None).await?;
        Ok(Flow::Next(Some(Arc::new(result))))
    }

    /// Waits for a callback, asked for as `name` from `context`; `response` is the answer of the node before it.
    pub(crate) async fn callback(
        &self,
        step: &Step,
        context: &Context,
        name: &str,
        plan: &CallbackPlan,
        response: Option<&Arc<Value>>,
    ) -> Result<Value, StepError> {
        let response = response.map(|response| ("response".to_owned(), Binding::open(Arc::clone(response))));
        let scope = Self {
            frame: self.frame.local(response),
            ..self.clone()
        };
        let key = match &plan.correlate {
            Some(correlate) => Some(scope.key(step, "correlate", correlate)?),
            None => None,
        };
        let mut callback = self.address(context, name);
        let options = CallbackOptions {
            channel: (!plan.channel.is_empty()).then(|| plan.channel.as_str().into()),
            key,
            approval: None,
            timeout: plan.timeout,
            heartbeat: plan.heartbeat,
        };
        let body: Value = self.came(&context.callback(name, options).await?)?;
        callback["body"] = body.clone();
        let scope = Self {
            frame: scope.frame.local([("callback".to_owned(), Binding::open(callback))]),
            ..scope
        };
        if let Some(success) = &plan.success
            && !scope.condition(step, "success", success)?
        {
            let message = format!("the callback of `{}` does not meet its condition for success", step.id);
            return Err(StepError::permanent("callback.unsuccessful", message).with_data(json!({ "callback": body })));
        }
        match &plan.output {
            Some(output) => Ok(scope.eval(step, "output", output)?.masked),
            None => Ok(body),
        }
    }

    /// What came from outside, without the secrets that it may repeat.
    fn came(&self, payload: &Payload) -> Result<Value, StepError> {
        let mut value: Value = parse(payload)?;
        self.run.runtime.masker.scrub(&mut value);
        Ok(value)
    }

    /// A reference or key: text, or a number. It is stored as it is, so it cannot be secret.
    fn key(&self, step: &Step, what: &str, template: &Template) -> Result<String, StepError> {
        let rendered = self.eval(step, what, template)?;
        if !rendered.secrets.is_empty() {
            let message = format!(
                "{}: {what}: this is made of a secret, and is stored as it is",
                step.location
            );
            return Err(StepError::permanent("expression.secret", message));
        }
        match rendered.value {
            Value::String(text) if !text.is_empty() => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(errors::wrong(&step.location, what, "text or a number", &other)),
        }
    }

    pub(crate) async fn wait_for(&self, step: &Step, wait: &WaitFor) -> Result<Flow, StepError> {
        let filter = wait.filter.as_ref().map(|filter| self.filter(step, filter, &wait.what));
        let came = match &wait.what {
            Awaited::Event { event, key } => {
                let key = match key {
                    Some(key) => Some(self.key(step, "key", key)?),
                    None => None,
                };
                self.context.event(&step.id, event, key, filter, wait.timeout).await?
            }
            Awaited::Signal(signal) => self.context.signal(&step.id, signal, filter, wait.timeout).await?,
        };
        let came = told(&wait.what, self.came(&came)?);
        Ok(Flow::Next(Some(Arc::new(came))))
    }

    /// `where` as a function of what comes. It sees the names as they are now, when the waiting begins, and what
    /// it cannot be evaluated for does not match.
    fn filter(&self, step: &Step, template: &Template, what: &Awaited) -> Filter {
        let names = Names {
            scope: self,
            place: &step.id,
        };
        let mut wanted = BTreeSet::new();
        for (_, _, expression) in template.expressions() {
            let roots = expression.roots();
            if roots.whole {
                wanted.extend(names.names());
            }
            wanted.extend(roots.names.iter().cloned());
        }
        let seen: HashMap<String, Binding> = wanted
            .into_iter()
            .filter_map(|name| Some((name.clone(), names.get(&name)?)))
            .collect();
        let moment = Moment {
            now_ms: self.context.now(),
            seed: self.context.random(&step.id),
            limits: self.run.runtime.limits.clone(),
        };
        let (template, masker) = (template.clone(), self.run.runtime.masker.clone());
        let place = format!("{}: where", step.location);
        let what = what.clone();
        let local = match what {
            Awaited::Event { .. } => "event",
            Awaited::Signal(_) => "signal",
        };
        Arc::new(move |data: &Payload| {
            let Ok(mut data) = data.parse::<Value>() else {
                return false;
            };
            masker.scrub(&mut data);
            let mut names = seen.clone();
            names.insert(local.to_owned(), Binding::open(told(&what, data)));
            match template.render(&names, &moment) {
                Ok(rendered) => rendered.value == Value::Bool(true),
                Err(error) => {
                    tracing::debug!(%place, %error, "what came does not match");
                    false
                }
            }
        })
    }

    pub(crate) async fn emit(&self, step: &Step, emit: &Emit) -> Result<Flow, StepError> {
        let key = match &emit.key {
            Some(key) => Some(self.key(step, "key", key)?),
            None => None,
        };
        // Others read it, so a secret cannot pass.
        let mut data = match &emit.data {
            Some(data) => self.eval(step, "data", data)?.masked,
            None => Value::Null,
        };
        self.run.runtime.masker.scrub(&mut data);
        self.context.emit(&step.id, &emit.event, key, payload(&data)?).await?;
        Ok(Flow::Next(Some(Arc::default())))
    }

    pub(crate) async fn approve(&self, step: &Step, approve: &Approve) -> Result<Flow, StepError> {
        let masker = &self.run.runtime.masker;
        let mut who = self.eval(step, "who", &approve.who)?.masked;
        masker.scrub(&mut who);
        let who = match who {
            Value::String(one) => vec![Value::String(one)],
            Value::Array(all) if !all.is_empty() && all.iter().all(Value::is_string) => all,
            other => return Err(errors::wrong(&step.location, "who", "text, or a list of texts", &other)),
        };
        let mut what = Value::String(self.text(step, "what", &approve.what)?);
        masker.scrub(&mut what);
        let now = self.context.now();
        let until = match &approve.within {
            Within::Unbounded => None,
            Within::Duration(time) => Some(now.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))),
            Within::Moment(by) => Some(self.moment(step, "by", by)?),
        };
        let timeout = until.map(|until| Duration::from_millis(u64::try_from(until.saturating_sub(now)).unwrap_or(0)));
        let about = json!({ "step": step.id, "who": who, "what": what, "until": until, "form": *approve.form });
        let answer = match approve.quorum {
            None => {
                let answer = self
                    .answer(step, &self.context, &step.id, about, timeout, approve)
                    .await?;
                if answer["approved"] == false && !approve.may_be_rejected {
                    return Err(rejected(step, &answer));
                }
                answer
            }
            Some(quorum) => self.quorum(step, approve, quorum.wanted, &who, &about, timeout).await?,
        };
        Ok(Flow::Next(Some(Arc::new(answer))))
    }

    /// One answer to an approval.
    async fn answer(
        &self,
        step: &Step,
        context: &Context,
        name: &str,
        about: Value,
        timeout: Option<Duration>,
        approve: &Approve,
    ) -> Result<Value, StepError> {
        let options = CallbackOptions {
            approval: Some(payload(&about)?),
            timeout,
            ..CallbackOptions::default()
        };
        let came = context
            .callback(name, options)
            .await
            .map_err(|error| match &*error.code {
                "callback.timeout" => {
                    let mut late = error;
                    "approval.timeout".clone_into(&mut late.code);
                    late.message = format!("nobody has approved `{}` in time", step.id);
                    late.alias("callback.timeout")
                }
                _ => error,
            })?;
        let answer = self.came(&came)?;
        let problems = check_answer(&approve.form, &answer);
        if problems.is_empty() {
            return Ok(answer);
        }
        let message = format!(
            "the answer to `{}` does not fit its form: {}",
            step.id,
            problems.join("; ")
        );
        let data = json!({ "problems": problems, "answer": answer });
        Err(StepError::permanent("approval.invalid", message).with_data(data))
    }

    /// So many of those who are asked have to approve. Done when they have, or when that cannot happen any more.
    async fn quorum(
        &self,
        step: &Step,
        approve: &Approve,
        quorum: usize,
        who: &[Value],
        about: &Value,
        timeout: Option<Duration>,
    ) -> Result<Value, StepError> {
        let (context, canceller) = self.context.scope(&step.id).cancellable();
        let mut running = Branches::default();
        for (number, one) in who.iter().enumerate() {
            let mut about = about.clone();
            about["who"] = json!([one]);
            about["quorum"] = json!({ "wanted": quorum, "of": who.len() });
            let (context, name) = (context.clone(), (number + 1).to_string());
            running.push(number, async move {
                self.answer(step, &context, &name, about, timeout, approve).await
            });
        }
        let (mut answers, mut approvals, mut rejections) = (Vec::new(), 0, 0);
        let mut failed = None;
        while let Some((number, answer)) = running.next().await {
            let mut answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            if answer["approved"] == true {
                approvals += 1;
            } else {
                rejections += 1;
            }
            answer["who"] = who[number].clone();
            answers.push((number, answer));
            if approvals == quorum || who.len() - rejections < quorum {
                break;
            }
        }
        parallel::wind_down(&mut running, std::slice::from_ref(&canceller)).await;
        drop(running);
        if let Some(error) = failed {
            return Err(error);
        }
        answers.sort_by_key(|(number, _)| *number);
        let answers: Vec<Value> = answers.into_iter().map(|(_, answer)| answer).collect();
        let result = json!({ "approved": approvals == quorum, "answers": answers });
        if approvals < quorum && !approve.may_be_rejected {
            return Err(rejected(step, &result));
        }
        Ok(result)
    }
}

/// What came, as `event` or `signal`: an event is told with its `type`, `key`, `data`, `source` and time, a signal
/// comes as its data alone.
fn told(what: &Awaited, came: Value) -> Value {
    match (what, came) {
        (Awaited::Signal(name), data) => json!({ "name": name, "data": data }),
        (Awaited::Event { event, .. }, Value::Object(mut fields)) => {
            fields.remove("event");
            fields.insert("type".to_owned(), json!(event));
            Value::Object(fields)
        }
        (Awaited::Event { event, .. }, data) => json!({ "type": event, "data": data }),
    }
}

fn rejected(step: &Step, answer: &Value) -> StepError {
    let mut message = format!("`{}` was rejected", step.id);
    if let Some(by) = answer["by"].as_str() {
        message.push_str(&format!(" by {by}"));
    }
    if let Some(comment) = answer["comment"].as_str() {
        message.push_str(&format!(": {comment}"));
    }
    StepError::new("approval.rejected", ErrorKind::Permanent, message).with_data(json!({ "answer": answer }))
}

/// Everything that is wrong with an answer to an approval, by its `form` (a JSON Schema, as it is recorded with the
/// wait). Empty when it fits. Whoever takes answers asks this first: an answer that does not fit fails the step.
#[must_use]
pub fn check_answer(form: &Value, answer: &Value) -> Vec<String> {
    misfits_of_answer(form, answer)
        .into_iter()
        .map(|misfit| misfit.message)
        .collect()
}

/// As [`check_answer`], with the place of each.
#[must_use]
pub fn misfits_of_answer(form: &Value, answer: &Value) -> Vec<Misfit> {
    match jsonschema::validator_for(form) {
        Ok(validator) => misfit::of(&validator, answer, "answer"),
        // The checker refuses such forms.
        Err(error) => misfit::of_schema(format!("the form of the approval is wrong: {error}")),
    }
}

/// Puts `bw_***` in the place of every token: who reads a journal is not to answer for others.
pub(crate) fn hide_tokens(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(hidden) = without_tokens(text) {
                *text = hidden;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_tokens),
        Value::Object(fields) => fields.values_mut().for_each(hide_tokens),
        _ => {}
    }
}

/// The text without tokens; none where there are none.
pub(crate) fn without_tokens(text: &str) -> Option<String> {
    let (prefix, least) = TOKEN;
    let mut hidden = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(prefix) {
        let after = &rest[at + prefix.len()..];
        let end = after
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
            .unwrap_or(after.len());
        hidden.push_str(&rest[..at + prefix.len()]);
        hidden.push_str(if end >= least { "***" } else { &after[..end] });
        rest = &after[end..];
    }
    if hidden.is_empty() {
        return None;
    }
    hidden.push_str(rest);
    Some(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_hidden_wherever_they_stand() {
        let token = bowline_core::TokenKey::new([1; 32]).token(7, 9);
        assert!(token.len() >= TOKEN.0.len() + TOKEN.1);
        let mut value =
            json!({ "url": format!("http://x/callbacks/{token}?a=1"), "list": [token], "other": "bw_short a bw_" });
        hide_tokens(&mut value);
        let expected = json!({ "url": "http://x/callbacks/bw_***?a=1", "list": ["bw_***"], "other": "bw_short a bw_" });
        assert_eq!(value, expected);
        assert_eq!(without_tokens("nothing here"), None);
    }
}
