//! `bowline config`: the configuration of the server.

use bowline_flow::Problems;
use bowline_server::config::{self, Loaded};
use serde_json::{Map, Value, json};

use crate::args::{ConfigArgs, ConfigCommand};
use crate::exit::{Exit, Failure, Result};
use crate::reference;
use crate::terminal;
use crate::wiring::server;

pub(super) fn run(command: &ConfigCommand) -> Result {
    match command {
        ConfigCommand::Check { config, json } => check(config, *json),
        ConfigCommand::Reference => {
            terminal::print(reference::configuration::page().trim_end())?;
            Ok(Exit::Success)
        }
    }
}

/// A setting as it is now.
struct Now {
    name: String,
    value: Value,
    origin: String,
}

fn check(args: &ConfigArgs, as_json: bool) -> Result {
    let loaded = server::configuration(args)?;
    if let Some(why) = server::without_keys(&loaded, loaded.config.listen.ip())? {
        terminal::note(&format!("warning: {why}"));
    }
    let wrong = server::callbacks(args)?;
    if !wrong.is_empty() {
        return Err(Failure::usage(Problems(wrong)));
    }
    let all = values(&loaded);
    if as_json {
        let all: Map<String, Value> = all
            .into_iter()
            .map(|now| (now.name, json!({ "value": now.value, "from": now.origin })))
            .collect();
        terminal::print(&format!("{:#}", Value::Object(all)))?;
        return Ok(Exit::Success);
    }
    let width = all.iter().map(|now| now.name.len()).max().unwrap_or_default();
    for now in &all {
        let (name, value, origin) = (&now.name, &now.value, &now.origin);
        terminal::print(&format!("{name:width$}  {value}  ({origin})"))?;
    }
    Ok(Exit::Success)
}

fn values(loaded: &Loaded) -> Vec<Now> {
    let whole = serde_json::to_value(&loaded.config).unwrap_or_default();
    config::settings()
        .into_iter()
        .map(|setting| {
            let pointer = format!("/{}", setting.name.replace('.', "/"));
            let value = whole.pointer(&pointer).cloned().unwrap_or_default();
            let is_hidden = setting.is_secret() && !value.is_null();
            Now {
                origin: loaded
                    .origins
                    .get(&setting.name)
                    .map_or_else(|| "default".to_owned(), ToString::to_string),
                value: if is_hidden { "***".into() } else { value },
                name: setting.name,
            }
        })
        .collect()
}
