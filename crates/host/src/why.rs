//! Why an execution does not go on: what it waits for, told in one line.

use std::path::Path;

use bowline_connector::Registry;
use bowline_core::{Awaited, Outcome, Standing, Standpoint, Wait, standing};
use bowline_store::{ExecutionRow, Status, Store, StoreError, WaitRow};

use crate::records::records;
use crate::{Blocker, Why, answers, programs, text, time};

/// So many things are named in the line; the rest is counted.
const NAMED: usize = 3;
/// Children of children are followed so far.
const DEEPEST: usize = 10;

/// Tells why executions of one store do not go on.
pub struct Looking<'a> {
    /// The store.
    pub store: &'a dyn Store,
    /// What its definitions are read with.
    pub registry: &'a Registry,
    /// The data folder, for whom commands are told that help; none tells no commands.
    pub folder: Option<&'a Path>,
    /// Whether some process runs executions of this store.
    pub is_run: bool,
    /// What time it is, in milliseconds since the Unix epoch.
    pub now: i64,
}

impl Looking<'_> {
    /// Why an execution does not go on.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn why(&self, row: &ExecutionRow) -> Result<Why, StoreError> {
        self.at(row, 0)
    }

    fn at(&self, row: &ExecutionRow, depth: usize) -> Result<Why, StoreError> {
        let standing = standing(&records(self.store, row)?);
        let mut why = Why {
            execution: row.id.clone(),
            workflow: row.workflow.clone(),
            status: row.status.name().to_owned(),
            held: None,
            line: String::new(),
            waits_for: Vec::new(),
        };
        let who = format!("execution {} of {}", row.id, text::one_line(&row.workflow));
        if row.status.is_finished() {
            why.line = format!("{who} {}", ended(row, &standing));
            if let Some(Outcome::Failed(error) | Outcome::Cancelled(error)) = &standing.outcome
                && let Some(folder) = self.folder
            {
                let command = answers::after_failure(self.store, folder, row, &error.code)?;
                why.line.push_str(&format!("; `{command}` goes on with it"));
            }
            return Ok(why);
        }
        let open = answers::open(self.store, Some(row.exec), None)?;
        for point in &standing.open {
            why.waits_for.push(self.blocker(row, point, &open, depth)?);
        }
        let waits = told(&why.waits_for);
        let cancelled = standing.cancelled.as_ref().map_or_else(String::new, |reason| {
            format!("is being cancelled ({}) and ", text::one_line(reason))
        });
        let (held, words) = self.held(row, &why.waits_for)?;
        why.held = held;
        why.line = match words {
            Some(words) if waits.is_empty() => format!("{who} {words}"),
            Some(words) => format!("{who} {words}; {cancelled}it {waits}"),
            None if waits.is_empty() => format!("{who} {cancelled}is being worked on"),
            None => format!("{who} {cancelled}{waits}"),
        };
        Ok(why)
    }

    /// What keeps it from going on besides what it waits for.
    fn held(
        &self,
        row: &ExecutionRow,
        waits: &[Blocker],
    ) -> Result<(Option<&'static str>, Option<String>), StoreError> {
        if self.store.paused_workflows(&row.organization)?.contains(&row.workflow) {
            let name = &row.workflow;
            let command = self.command(&format!("unpause --workflow {name}"), "lets it go on");
            let words = format!("is held back, because all of workflow {name} is paused{command}");
            return Ok((Some("workflowPaused"), Some(words)));
        }
        if row.status == Status::Paused {
            let command = self.command(&format!("unpause {}", row.id), "lets it go on");
            return Ok((Some("paused"), Some(format!("is paused{command}"))));
        }
        let definition = self.store.definition(&row.definition)?;
        if definition.as_ref().is_some_and(|one| programs::in_rust(one).is_some()) {
            // Who holds the folder may well be that program.
            return Ok(if self.is_run {
                (None, None)
            } else {
                let words = "runs in a Rust program, and no such program works on this folder now";
                (Some("noProcess"), Some(words.to_owned()))
            });
        }
        let unfit = match &definition {
            None => Some("its definition is not in the store".to_owned()),
            Some(definition) => programs::read(definition, self.registry)
                .err()
                .map(|error| text::message(&error)),
        };
        if let Some(unfit) = unfit {
            return Ok((Some("stuck"), Some(format!("is stuck: {unfit}"))));
        }
        // What only comes from outside needs no process: the command that brings it goes on with the execution.
        let needs_one = row.status == Status::Running
            || waits.is_empty()
            || waits
                .iter()
                .any(|wait| matches!(wait.kind, "step" | "retry" | "timer") || wait.due.is_some());
        if !self.is_run && needs_one {
            let place = self
                .folder
                .map_or_else(|| "its data folder".to_owned(), |folder| folder.display().to_string());
            let command = self.command(&format!("resume {}", row.id), "goes on with it");
            let words = format!("is unfinished, and no process runs executions in {place}{command}");
            return Ok((Some("noProcess"), Some(words)));
        }
        Ok((None, None))
    }

    /// A command for those who sit at a terminal, with what it does.
    fn command(&self, words: &str, does: &str) -> String {
        self.folder.map_or_else(String::new, |folder| {
            format!(": `bowline executions {words}{}` {does}", answers::data(folder))
        })
    }

    fn blocker(
        &self,
        row: &ExecutionRow,
        point: &Standpoint,
        open: &[WaitRow],
        depth: usize,
    ) -> Result<Blocker, StoreError> {
        let path = &point.path;
        let since = time::duration(self.now - point.since);
        let mut blocker = Blocker {
            kind: "step",
            path: path.to_string(),
            since: time::rfc3339(point.since),
            due: point.what.due().map(time::rfc3339),
            attempt: None,
            error: None,
            name: None,
            key: None,
            command: None,
            child: None,
            told: String::new(),
        };
        match &point.what {
            Awaited::Step {
                kind,
                attempt,
                due,
                error,
                ..
            } => {
                blocker.attempt = Some(*attempt);
                blocker.error = error.as_ref().map(|error| error.code.clone());
                let last = error.as_ref().map_or_else(String::new, |error| {
                    format!("; the last one failed: {} [{}]", text::message(error), error.code)
                });
                blocker.told = match due {
                    Some(due) if *due > self.now => {
                        blocker.kind = "retry";
                        let at = self.at_time(*due);
                        format!("waits until {at} for attempt {attempt} of step \"{path}\" ({kind}){last}")
                    }
                    _ => format!(
                        "has run step \"{path}\" ({kind}), attempt {attempt}, for {since} without an outcome{last}"
                    ),
                };
            }
            Awaited::Timer { at } => {
                blocker.kind = "timer";
                blocker.told = format!("waits until {} at \"{path}\"", self.at_time(*at));
            }
            Awaited::Child { id, workflow } => {
                blocker.kind = "child";
                blocker.told = format!("waits for execution {id} of {workflow} at \"{path}\"");
                let child = self.store.execution(id)?.filter(|_| depth < DEEPEST);
                if let Some(child) = child {
                    let child = self.at(&child, depth + 1)?;
                    let who = format!("execution {} of {} ", child.execution, child.workflow);
                    let line = child.line.strip_prefix(&who).unwrap_or(&child.line);
                    blocker.told.push_str(&format!(", which {line}"));
                    blocker.child = Some(Box::new(child));
                }
            }
            Awaited::Outside { wait, until, heartbeat } => {
                let is_approval = matches!(wait, Wait::Callback { approval: Some(_), .. });
                blocker.kind = if is_approval { "approval" } else { wait.kind() };
                blocker.name = Some(wait.name().to_owned()).filter(|name| !name.is_empty());
                blocker.key = wait.key().map(ToOwned::to_owned);
                let mut told = format!("waits for {} at \"{path}\"", outside(wait));
                if let Some(until) = until {
                    told.push_str(&format!(", until {}", self.at_time(*until)));
                }
                if let Some(heartbeat) = heartbeat {
                    told.push_str(&format!(", next heartbeat by {}", self.at_time(*heartbeat)));
                }
                let row_of = open.iter().find(|wait| wait.path == **path);
                if let (Some(wait), Some(folder)) = (row_of, self.folder) {
                    blocker.command = answers::command(self.store, folder, row, wait)?;
                }
                if let Some(command) = &blocker.command {
                    told.push_str(&format!(" (`{command}`)"));
                }
                blocker.told = told;
            }
        }
        Ok(blocker)
    }

    fn at_time(&self, at: i64) -> String {
        if at <= self.now {
            format!("{} (due)", time::due(at, self.now))
        } else {
            format!("{} (in {})", time::due(at, self.now), time::until(at, self.now))
        }
    }
}

/// `a callback with the reference V-1`.
#[must_use]
pub fn outside(wait: &Wait) -> String {
    let key = wait.key().map(text::one_line);
    let name = text::one_line(wait.name());
    match (wait, key) {
        (Wait::Callback { approval: Some(_), .. }, _) => "an approval".to_owned(),
        (Wait::Callback { .. }, Some(key)) if name.is_empty() => format!("a callback with the reference {key}"),
        (Wait::Callback { .. }, Some(key)) => format!("a callback with the reference {key} of {name}"),
        (Wait::Callback { .. }, None) => "a callback".to_owned(),
        (Wait::Signal { .. }, _) => format!("signal {name}"),
        (Wait::Event { .. }, Some(key)) => format!("event {name} with the key {key}"),
        (Wait::Event { .. }, None) => format!("event {name}"),
    }
}

fn told(waits: &[Blocker]) -> String {
    let mut parts: Vec<String> = waits.iter().take(NAMED).map(|wait| wait.told.clone()).collect();
    if waits.len() > NAMED {
        parts.push(format!("waits for {} more", waits.len() - NAMED));
    }
    parts.join("; and it ")
}

fn ended(row: &ExecutionRow, standing: &Standing) -> String {
    let took = time::duration(row.finished_at.unwrap_or(row.started_at) - row.started_at);
    match &standing.outcome {
        Some(Outcome::Failed(error)) => {
            format!("has failed after {took}: {} [{}]", text::message(error), error.code)
        }
        Some(Outcome::Cancelled(error)) => format!("was cancelled after {took}: {}", text::reason(error)),
        Some(Outcome::Succeeded(_)) => format!("has succeeded in {took}"),
        None => format!("is {} since {took}", row.status.name()),
    }
}
