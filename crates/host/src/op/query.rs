//! What an execution shows of its state.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bowline_core::Event;
use bowline_expression::{Binding, Expression, Limits, Moment};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use crate::records::records;
use crate::replay::{Replayer, replay};
use crate::{ErrorKind, Host, HostError, error};

/// So many queries are answered at once; each may take a processor and memory.
static PLACES: Semaphore = Semaphore::const_new(2);

/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

impl Host {
    /// The state of an execution (`input`, `steps`, `variables`, `errors`), or what an expression makes of it. Nothing is
    /// called and nothing is written.
    ///
    /// # Errors
    /// `execution.not-found`; `query.invalid` where the expression is wrong; `execution.stuck` where the journal does
    /// not fit the definition; `query.busy` where too many ask at once.
    pub async fn query(&self, organization: &str, id: &str, expression: Option<&str>) -> Result<Value, HostError> {
        let expression = expression.map(compile).transpose()?;
        let row = self.row(organization, id).await?;
        // It is never closed.
        let Ok(Ok(place)) = tokio::time::timeout(PATIENCE, PLACES.acquire()).await else {
            return Err(HostError::new(
                ErrorKind::Unavailable,
                "query.busy",
                "too many queries are being answered",
            )
            .hint("try again in a moment"));
        };
        let definition = self.definition(&row.definition).await?;
        let (row, mut records) = self
            .read(move |store| {
                let records = records(store, &row)?;
                Ok((row, records))
            })
            .await?;
        for record in &mut records {
            self.load(&mut record.events).await?;
        }
        let started = records.first().and_then(|record| record.events.first());
        let input = match started {
            Some(Event::Started { input, .. }) => input.parse().unwrap_or_default(),
            _ => Value::Null,
        };
        let own = self.0.organizations.of(organization);
        let replayer = Replayer::new(
            Arc::clone(&self.0.registry),
            own.masker.clone(),
            own.settings.env.clone(),
            own.settings.credentials.clone(),
        );
        let (store, now) = (Arc::clone(&self.0.store), self.0.clock.now());
        let mut found = tokio::task::spawn_blocking(move || {
            // Kept also where nobody waits for the answer any more: the work is done all the same.
            let _place = place;
            let program = replayer
                .program(&definition)
                .map_err(|error| error::of_step(ErrorKind::Refused, "definition.refused", &error))?;
            let execution = replay(store.as_ref(), &row, &program, &records)?.map_err(|error| {
                HostError::new(
                    ErrorKind::Refused,
                    "execution.stuck",
                    format!("execution {} cannot be replayed: {error}", row.id),
                )
            })?;
            let mut state: Map<String, Value> = execution
                .published()
                .into_iter()
                .map(|(name, payload)| (name, payload.parse().unwrap_or_default()))
                .collect();
            state.insert("input".to_owned(), input);
            match expression {
                None => Ok(Value::Object(state)),
                Some(expression) => evaluate(&expression, state, now),
            }
        })
        .await
        .map_err(|error| HostError::task(&error))??;
        own.masker.scrub(&mut found);
        Ok(found)
    }
}

fn compile(text: &str) -> Result<Expression, HostError> {
    // `${...}` around it is what workflows have; here it is optional.
    let text = text.trim();
    let text = text
        .strip_prefix("${")
        .and_then(|text| text.strip_suffix('}'))
        .unwrap_or(text);
    Expression::compile(text).map_err(|error| HostError::invalid("query.invalid", format!("the expression: {error}")))
}

/// Evaluates over the state; results of steps and variables are at hand by their own names too, as in the workflow.
fn evaluate(expression: &Expression, state: Map<String, Value>, now_ms: i64) -> Result<Value, HostError> {
    let names: HashMap<String, Binding> = state
        .into_iter()
        .flat_map(|(name, value)| {
            let own: Vec<(String, Value)> = match (&*name, &value) {
                ("variables", Value::Object(all)) => {
                    all.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
                }
                ("steps", Value::Object(all)) => all
                    .iter()
                    .filter_map(|(name, report)| Some((name.clone(), report.get("output")?.clone())))
                    .collect(),
                _ => Vec::new(),
            };
            own.into_iter().chain([(name, value)])
        })
        .map(|(name, value)| (name, Binding::open(value)))
        .collect();
    let moment = Moment {
        now_ms,
        limits: Limits::from_outside(),
        ..Moment::default()
    };
    let found = expression
        .evaluate(&names, &moment)
        .map_err(|error| HostError::invalid("query.invalid", format!("the expression: {error}")))?;
    Ok(found.value.unwrap_or_default())
}
