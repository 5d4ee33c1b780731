//! `bowline executions retry` and `rerun`: an ended execution done again from a step, as a new one.

use bowline_core::Payload;
use bowline_engine::Retry;
use bowline_host::records::first_step;
use bowline_store::{ExecutionRow, Store};
use serde_json::{Value, json};

use crate::args::{EngineArgs, RerunArgs, RetryArgs};
use crate::exit::{Exit, Failure, Result};
use crate::wiring::session::{Session, block_on};
use crate::wiring::{api, files, remote, store};

pub(super) fn retry(args: &RetryArgs) -> Result {
    let asked = Asked {
        what: "retry",
        from: args.from.clone(),
        input: None,
        new_keys: args.new_keys,
        reason: "retried by hand",
    };
    block_on(begin(&args.engine, &args.id, asked))
}

pub(super) fn rerun(args: &RerunArgs) -> Result {
    let input = match &args.input {
        Some(given) => Some(files::input(Some(given))?),
        None => None,
    };
    let asked = Asked {
        what: "rerun",
        from: args.from.clone(),
        // A service that knows the key would answer for the old input.
        new_keys: args.new_keys || input.is_some(),
        input,
        reason: "run again by hand",
    };
    block_on(begin(&args.engine, &args.id, asked))
}

/// What is asked for.
struct Asked {
    /// The API's word.
    what: &'static str,
    from: Option<String>,
    input: Option<Value>,
    new_keys: bool,
    reason: &'static str,
}

impl Asked {
    /// As the API takes it.
    fn body(&self) -> Value {
        let mut body = json!({ "newKeys": self.new_keys, "reason": self.reason });
        if let Some(from) = &self.from {
            body["from"] = json!(from);
        }
        if let Some(input) = &self.input {
            body["input"] = input.clone();
        }
        body
    }

    /// As the engine takes it.
    fn here(self, store: &dyn Store, row: &ExecutionRow) -> Result<Retry> {
        let from = match self.from {
            None if self.what == "rerun" => first_step(store, row)?,
            from => from,
        };
        let input = self.input.map(|input| Payload::of(&input)).transpose();
        Ok(Retry {
            id: None,
            from,
            input: input.map_err(|error| Failure::new(Exit::Bug, error))?,
            new_keys: self.new_keys,
            reason: self.reason.to_owned(),
            with: Vec::new(),
            patience: None,
        })
    }
}

async fn begin(args: &EngineArgs, id: &str, asked: Asked) -> Result {
    // Looked up first, so that a wrong id starts no mocks and holds no lock.
    let store = store::existing(&args.data.folder)?;
    let row = store::find(&store, id)?;
    if let Some(server) = remote::server(args).await? {
        let server = server.within(&row.organization);
        let path = format!("executions/{}/{}", api::part(&row.id), asked.what);
        let answer = server.post(&path, &asked.body()).await?;
        return remote::conclude(&server, args, &remote::id(&answer)?, 0).await;
    }
    let retry = asked.here(&store, &row)?;
    let session = Session::open(args, None).await?;
    match session.engine.retry(&row.id, retry).await {
        Ok(handle) => {
            session.mind(handle.id());
            session.conclude(handle).await
        }
        Err(error) => {
            session.quit().await;
            Err(error.into())
        }
    }
}
