//! The configuration of the server, from its file, the environment and the command line.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bowline_access::{Access, RecordError, Recorder};
use bowline_engine::Clock;
use bowline_flow::{LoadOptions, Problem, SharedFile, Source};
use bowline_server::config::{ConfigError, ConfigProblem, Loaded, Sources, keys_needed};
use bowline_store::EntryWrite;
use serde_json::Value;
use tracing_subscriber::EnvFilter;

use super::{environment, files, registry, store};
use crate::args::{ConfigArgs, LogFormat};
use crate::exit::{Failure, Result};

/// The file that is looked for where none is named.
const FILE: &str = "bowline.yaml";

/// The configuration that these arguments lead to. What the server would refuse is refused here, all of it at once.
pub(crate) fn configuration(args: &ConfigArgs) -> Result<Loaded> {
    let sources = Sources {
        file: file(args)?,
        // What is not text is no setting.
        env: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        flags: flags(args),
    };
    let (loaded, mut problems) = sources.look();
    problems.extend(around(&loaded));
    if problems.is_empty() {
        Ok(loaded)
    } else {
        Err(Failure::usage(ConfigError::of(problems)))
    }
}

/// What is wrong with files and folders that settings name, and with settings that others read.
fn around(loaded: &Loaded) -> Vec<ConfigProblem> {
    let config = &loaded.config;
    let mut problems = Vec::new();
    let mut wrong = |setting: &str, message: String| problems.push(loaded.problem(setting, message));
    let folder = workflows(loaded);
    if folder.is_file() {
        let message = format!("{} is a file; name the folder that it is in", folder.display());
        wrong("workflows", message);
    } else if !folder.is_dir() {
        let message = format!("there is no folder {}; make it, or name another one", folder.display());
        wrong("workflows", message);
    }
    let data = data(loaded);
    if data.exists() && !data.is_dir() {
        wrong("data", format!("{} is no folder", data.display()));
    }
    if let Err(failure) = environment::credentials(config.credentials.as_deref()) {
        wrong("credentials", failure.to_string());
    }
    if let Some(file) = &config.env_file
        && let Err(failure) = environment::variables(Some(file), BTreeMap::new())
    {
        wrong("envFile", failure.to_string());
    }
    if let Err(error) = EnvFilter::try_new(&config.logs.filter) {
        let message = format!(
            "`{}`: {error}; expected a level, such as info, or filters such as info,bowline_engine=debug",
            config.logs.filter
        );
        wrong("logs.filter", message);
    }
    for (name, message) in config.access.check() {
        wrong(&format!("access.{name}"), message);
    }
    problems
}

/// Why nobody is let in, or the server does not listen on this address, as long as there is no key; none where there is
/// one, or none is needed.
pub(crate) fn without_keys(loaded: &Loaded, address: IpAddr) -> Result<Option<String>> {
    let config = &loaded.config;
    let why = keys_needed(config, address);
    if why.is_none() || config.access.jwt.is_some() {
        return Ok(None);
    }
    let Some(store) = store::look(data(loaded))? else {
        return Ok(why);
    };
    let access = Access::new(Arc::new(store), Arc::new(Nowhere), config.access.clone(), Clock::System);
    let has_keys = access.and_then(|access| access.is_configured_now());
    Ok(why.filter(|_| !has_keys.unwrap_or(false)))
}

/// Nothing is changed where something is only looked at.
struct Nowhere;

#[async_trait]
impl Recorder for Nowhere {
    async fn record(&self, _: Vec<EntryWrite>) -> std::result::Result<(), RecordError> {
        Err(RecordError::Failed(
            "nothing is written while the configuration is checked".into(),
        ))
    }
}

/// What is wrong with the callbacks of the file that the configuration is in. The server starts all the same, without them.
pub(crate) fn callbacks(args: &ConfigArgs) -> Result<Vec<Problem>> {
    let Some(path) = file(args)?.map(|file| PathBuf::from(file.file())) else {
        return Ok(Vec::new());
    };
    let text = files::text(&path, "the file")?;
    // A workflow that has nothing of its own to tell.
    let source = Source::new("check.yaml", "name: check\nsteps:\n  - wait: 1ms\n");
    let source = source.with_shared(path.display().to_string(), text);
    let loaded = bowline_flow::load(source, &registry(), &LoadOptions::default());
    let problems = loaded.err().map(|problems| problems.0).unwrap_or_default();
    let is_theirs = |problem: &Problem| problem.location.path.split(['.', '[']).next() == Some("callbacks");
    Ok(problems.into_iter().filter(is_theirs).collect())
}

/// The file with `server:`, where there is one.
pub(crate) fn file(args: &ConfigArgs) -> Result<Option<SharedFile>> {
    let (path, is_named) = match (&args.config, &args.workflows) {
        (Some(path), _) => (path.clone(), true),
        (None, Some(folder)) => (folder.join(FILE), false),
        (None, None) => (PathBuf::from(FILE), false),
    };
    if !is_named && !path.is_file() {
        return Ok(None);
    }
    SharedFile::read(&path).map(Some).map_err(Failure::usage)
}

fn flags(args: &ConfigArgs) -> Vec<(&'static str, &'static str, Value)> {
    let path = |path: &PathBuf| Value::from(path.to_string_lossy());
    let format = |format: LogFormat| match format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    let all = [
        ("workflows", "WORKFLOWS", args.workflows.as_ref().map(path)),
        ("listen", "--listen", args.listen.clone().map(Value::from)),
        ("publicUrl", "--public-url", args.public_url.clone().map(Value::from)),
        ("data", "--data (or BOWLINE_DATA)", args.data.as_ref().map(path)),
        ("credentials", "--credentials", args.credentials.as_ref().map(path)),
        ("envFile", "--env-file", args.env_file.as_ref().map(path)),
        (
            "logs.format",
            "--log-format",
            args.log_format.map(|one| format(one).into()),
        ),
    ];
    all.into_iter()
        .filter_map(|(name, flag, value)| Some((name, flag, value?)))
        .collect()
}

/// The folder of workflows.
pub(crate) fn workflows(loaded: &Loaded) -> &Path {
    loaded.config.workflows.as_deref().unwrap_or(Path::new("."))
}

/// The data folder.
pub(crate) fn data(loaded: &Loaded) -> &Path {
    loaded.config.data.as_deref().unwrap_or(Path::new(".bowline"))
}
